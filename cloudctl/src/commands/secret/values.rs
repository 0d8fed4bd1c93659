//! Where the values of a Secret come from: typed unseen, standard input, files, or chance. Never the command line.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use crate::args::secrets::{Alphabet, SecretPutArgs};
use crate::error::Error;
use crate::login::ask;

/// The most that is read: a Secret holds no more.
const LARGEST: u64 = 1 << 20;

/// The values that are to be put, by key. A key that is given twice is a mistake.
pub(super) fn gather(args: &SecretPutArgs) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let files = args.from_file.iter().map(|text| of_word(text)).collect::<Result<Vec<_>, _>>()?;
    let named = files.iter().map(|(key, _)| key);
    let keys: Vec<&String> = args.keys.iter().chain(&args.generate).chain(named).collect();
    if let Some(twice) = keys.iter().enumerate().find(|(place, key)| keys[..*place].contains(key)) {
        return Err(Error::Usage(format!("the key `{}` is given twice", twice.1)));
    }
    let mut values = Vec::new();
    if !args.keys.is_empty() && !io::stdin().is_terminal() {
        let [key] = args.keys.as_slice() else {
            return Err(Error::Usage("standard input holds the value of one key; give the others in files".to_owned()));
        };
        if files.iter().any(|(_, path)| *path == "-") {
            return Err(Error::Usage("standard input can't be the value of two keys".to_owned()));
        }
        values.push((key.clone(), without_line_end(read(io::stdin().lock(), "standard input")?)));
    } else {
        for key in &args.keys {
            values.push((key.clone(), typed(key)?.into_bytes()));
        }
    }
    for (key, path) in files {
        let value = if path == "-" {
            read(io::stdin().lock(), "standard input")?
        } else {
            let file = fs::File::open(path);
            read(file.map_err(|error| Error::NotFound(format!("{path} cannot be read: {error}")))?, path)?
        };
        values.push((key, value));
    }
    for key in &args.generate {
        values.push((key.clone(), random(usize::from(args.length), args.alphabet)?.into_bytes()));
    }
    Ok(values)
}

/// `KEY=FILE`, or a file that gives its name to the key.
fn of_word(text: &str) -> Result<(String, &str), Error> {
    match text.split_once('=') {
        Some((key, path)) if !key.is_empty() && !path.is_empty() => Ok((key.to_owned(), path)),
        None if text != "-" => match Path::new(text).file_name() {
            Some(name) => Ok((name.to_string_lossy().into_owned(), text)),
            None => Err(Error::Usage(format!("`{text}` is not a file"))),
        },
        _ => Err(Error::Usage(format!("`{text}` is not KEY=FILE"))),
    }
}

fn typed(key: &str) -> Result<String, Error> {
    let value = ask(&format!("Value of {key}"))?;
    if ask(&format!("Value of {key}, again"))? != value {
        return Err(Error::Usage("the two are not the same; nothing was changed".to_owned()));
    }
    Ok(value)
}

fn read(from: impl io::Read, what: &str) -> Result<Vec<u8>, Error> {
    let mut value = Vec::new();
    let failed = |error| Error::Failed(format!("{what} cannot be read: {error}"));
    from.take(LARGEST + 1).read_to_end(&mut value).map_err(failed)?;
    if value.len() as u64 > LARGEST {
        return Err(Error::Usage(format!("{what} has more than {LARGEST} bytes, which is what a Secret can hold")));
    }
    Ok(value)
}

/// What `echo` puts behind a value is no part of it.
fn without_line_end(mut value: Vec<u8>) -> Vec<u8> {
    if value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
    value
}

/// A random text of so many letters, each as likely as any other.
fn random(length: usize, alphabet: Alphabet) -> Result<String, Error> {
    let letters = letters(alphabet);
    // Bytes beyond the last whole round of letters would make the first ones likelier.
    let usable = 256 / letters.len() * letters.len();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        let filled = provider.secure_random.fill(&mut bytes);
        filled.map_err(|_| Error::Failed("this host gives no random numbers".to_owned()))?;
        let drawn = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < usable);
        text.extend(drawn.map(|byte| char::from(letters[byte % letters.len()])).take(length - text.len()));
    }
    Ok(text)
}

fn letters(alphabet: Alphabet) -> Vec<u8> {
    let fits = |letter: &u8| match alphabet {
        Alphabet::Alphanumeric => letter.is_ascii_alphanumeric(),
        Alphabet::Digits => letter.is_ascii_digit(),
        Alphabet::Hex => letter.is_ascii_digit() || (b'a'..=b'f').contains(letter),
        Alphabet::Printable => letter.is_ascii_graphic() && !b"'\"`\\".contains(letter),
    };
    (0..128).filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::secrets::SecretCommand;
    use crate::args::{Cli, Command};

    fn put(line: &str) -> SecretPutArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Secret(SecretCommand::Put(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_are_taken_as_they_are_and_name_their_keys() {
        let folder = tempfile::TempDir::new().unwrap();
        let (text, bytes) = (folder.path().join("tls.crt"), folder.path().join("logo"));
        fs::write(&text, "hello\n").unwrap();
        fs::write(&bytes, [0xff, 0x00]).unwrap();
        let line = format!("cloudctl secret put s --from-file {} --from-file icon={}", text.display(), bytes.display());
        let values = gather(&put(&line)).unwrap();
        assert_eq!(values, [("tls.crt".to_owned(), b"hello\n".to_vec()), ("icon".to_owned(), vec![0xff, 0])]);
    }

    #[test]
    fn random_values_are_as_long_as_wished_of_the_wished_letters_and_never_twice_the_same() {
        for (alphabet, fits) in [
            ("alphanumeric", (|letter: char| letter.is_ascii_alphanumeric()) as fn(char) -> bool),
            ("digits", |letter| letter.is_ascii_digit()),
            ("hex", |letter| letter.is_ascii_hexdigit() && !letter.is_ascii_uppercase()),
            ("printable", |letter| letter.is_ascii_graphic() && letter != '\''),
        ] {
            let args =
                put(&format!("cloudctl secret put s --generate a --generate b --length 100 --alphabet {alphabet}"));
            let values = gather(&args).unwrap();
            let texts: Vec<_> = values.iter().map(|(_, value)| std::str::from_utf8(value).unwrap()).collect();
            assert!(texts.iter().all(|text| text.len() == 100 && text.chars().all(fits)), "{alphabet}");
            assert_ne!(texts[0], texts[1]);
        }
    }

    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        let text = random(62_000, Alphabet::Alphanumeric).unwrap();
        for letter in letters(Alphabet::Alphanumeric) {
            let count = text.bytes().filter(|byte| *byte == letter).count();
            // Eight standard deviations of 31.
            assert!((750..1250).contains(&count), "{}: {count}", char::from(letter));
        }
    }

    #[test]
    fn one_line_end_of_standard_input_is_no_part_of_a_value() {
        for (read, value) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\n", "")] {
            assert_eq!(without_line_end(read.into()), value.as_bytes());
        }
    }

    #[test]
    fn mistakes_are_told() {
        for (words, told) in [
            ("--generate a --generate a", "the key `a` is given twice"),
            ("--from-file -", "`-` is not KEY=FILE"),
            ("--from-file =x", "`=x` is not KEY=FILE"),
            ("--from-file a=/nowhere", "/nowhere cannot be read"),
        ] {
            let error = gather(&put(&format!("cloudctl secret put s {words}"))).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        for words in ["s", "s --generate a --length 4", "s --generate a --alphabet words"] {
            assert!(Cli::try_parse_from(format!("cloudctl secret put {words}").split(' ')).is_err(), "{words}");
        }
    }
}
