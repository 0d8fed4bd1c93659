//! `completion`: the script that makes a shell complete our words.

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::args::objects::{CompletionArgs, Shell};
use crate::error::Error;
use crate::output::Screen;

/// Prints the script.
pub(super) fn run(args: &CompletionArgs, screen: &Screen) -> Result<(), Error> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cloudctl", &mut script);
    screen.bytes(&script)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_verbs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let (screen, printed) = Screen::captured();
            run(&CompletionArgs { shell }, &screen).unwrap();
            assert!(printed.text().contains("api-resources"), "{shell:?}");
        }
    }
}
