//! The few commands that machines of the fake engine understand, so that one conformance suite fits it and a real
//! engine: `echo`, `cat`, `sleep`, `true`, `false`, `exit`, and `sh -c` with these between semicolons. Pure.

use bytes::Bytes;

use crate::Channel;

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What it wrote, line by line.
    pub(super) lines: Vec<(Channel, Bytes)>,
    /// How it ended; `None` while it goes on for ever.
    pub(super) code: Option<i64>,
    /// Whether it copies its input to its output.
    pub(super) copies_input: bool,
}

/// Runs a command, given as words.
pub(super) fn run(words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sh" | "/bin/sh", "-c", script, ..] => run_script(script),
        words => {
            let mut outcome = Outcome { lines: Vec::new(), code: Some(0), copies_input: false };
            run_words(words, &mut outcome);
            outcome
        }
    }
}

fn run_script(script: &str) -> Outcome {
    let mut outcome = Outcome { lines: Vec::new(), code: Some(0), copies_input: false };
    for command in script.split(';') {
        let words: Vec<&str> = command.split_whitespace().collect();
        if run_words(&words, &mut outcome) {
            break;
        }
    }
    outcome
}

/// Whether the script ends with this command.
fn run_words(words: &[&str], outcome: &mut Outcome) -> bool {
    match words {
        [] => return false,
        ["exec", rest @ ..] => {
            run_words(rest, outcome);
            return true;
        }
        ["sleep", ..] => outcome.code = None,
        ["cat"] => outcome.copies_input = true,
        ["true"] => outcome.code = Some(0),
        ["false"] => outcome.code = Some(1),
        ["exit", code] => outcome.code = Some(code.parse().unwrap_or(2)),
        ["echo", text @ ..] => {
            let (text, channel) = match text {
                [text @ .., ">&2"] => (text, Channel::Stderr),
                text => (text, Channel::Stdout),
            };
            outcome.lines.push((channel, Bytes::from(format!("{}\n", text.join(" ")))));
            outcome.code = Some(0);
        }
        // What a shell answers for a command that does not exist.
        _ => outcome.code = Some(127),
    }
    outcome.code.is_none() || words.first() == Some(&"exit")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Outcome {
        run(&["sh".to_owned(), "-c".to_owned(), text.to_owned()])
    }

    #[test]
    fn output_and_exit_code_follow_the_script() {
        let outcome = script("echo out; echo err >&2; exit 3; echo never");
        assert_eq!(outcome.lines.len(), 2);
        assert_eq!(outcome.lines[1], (Channel::Stderr, Bytes::from_static(b"err\n")));
        assert_eq!(outcome.code, Some(3));
    }

    #[test]
    fn sleep_goes_on_and_unknown_commands_are_not_found() {
        assert_eq!(script("echo a; exec sleep 1000").code, None);
        assert_eq!(run(&["nonsense".to_owned()]).code, Some(127));
    }
}
