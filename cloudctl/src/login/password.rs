//! How a password comes in: typed without being shown, or as a line of standard input. Never as an argument.

use std::io::{self, BufRead as _};

use crate::error::Error;

/// Asks whoever sits there.
pub(crate) fn ask(prompt: &str) -> Result<String, Error> {
    rpassword::prompt_password(format!("{prompt}: ")).map_err(|_| {
        Error::Usage("there is no terminal to type a password at; pass it with --password-stdin".to_owned())
    })
}

/// Asks for a new one, twice.
pub(crate) fn ask_new() -> Result<String, Error> {
    let password = ask("New password")?;
    if ask("New password, again")? != password {
        return Err(Error::Usage("the two are not the same; nothing was changed".to_owned()));
    }
    Ok(password)
}

/// So many lines of standard input.
pub(crate) fn of_stdin<const LINES: usize>() -> Result<[String; LINES], Error> {
    let mut lines = io::stdin().lock().lines();
    let mut passwords = [const { String::new() }; LINES];
    for password in &mut passwords {
        let missing = || Error::Usage(format!("standard input has less than {LINES} lines with a password each"));
        *password = lines.next().transpose()?.ok_or_else(missing)?;
    }
    Ok(passwords)
}
