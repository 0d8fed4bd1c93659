//! Decides what the frames of Kubernetes' `v5.channel.k8s.io` protocol mean: the first byte of each names a channel.

use serde_json::{Value, json};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// What came from the machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming<'a> {
    /// The command wrote to its standard output.
    Stdout(&'a [u8]),
    /// The command wrote to its standard error.
    Stderr(&'a [u8]),
    /// The command ended with this code.
    Ended(u8),
    /// The command could not be run.
    Failed(String),
    /// Nothing that matters here.
    Nothing,
}

/// Input for the command.
pub(super) fn stdin(bytes: &[u8]) -> Vec<u8> {
    framed(STDIN, bytes)
}

/// No more input.
pub(super) fn end_of_stdin() -> Vec<u8> {
    vec![CLOSE, STDIN]
}

/// The terminal has this size now.
pub(super) fn resize(width: u16, height: u16) -> Vec<u8> {
    framed(RESIZE, json!({"Width": width, "Height": height}).to_string().as_bytes())
}

fn framed(channel: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len() + 1);
    frame.push(channel);
    frame.extend_from_slice(bytes);
    frame
}

/// What a frame means.
pub(super) fn incoming(frame: &[u8]) -> Incoming<'_> {
    match frame.split_first() {
        Some((&STDOUT, bytes)) if !bytes.is_empty() => Incoming::Stdout(bytes),
        Some((&STDERR, bytes)) if !bytes.is_empty() => Incoming::Stderr(bytes),
        Some((&STATUS, bytes)) if !bytes.is_empty() => status(bytes),
        _ => Incoming::Nothing,
    }
}

fn status(bytes: &[u8]) -> Incoming<'_> {
    let Ok(status) = serde_json::from_slice::<Value>(bytes) else {
        return Incoming::Failed(String::from_utf8_lossy(bytes).into_owned());
    };
    if status["status"] == "Success" {
        return Incoming::Ended(0);
    }
    let causes = status["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let code = causes
        .iter()
        .find(|cause| cause["reason"] == "ExitCode")
        .and_then(|cause| cause["message"].as_str()?.parse::<i64>().ok());
    match code {
        // Only a byte fits into the exit code of a process; what does not is still a failure.
        Some(code) => Incoming::Ended(u8::try_from(code).unwrap_or(1)),
        None => Incoming::Failed(status["message"].as_str().unwrap_or("the command could not be run").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_comes_from_its_channel() {
        assert_eq!(incoming(b"\x01out"), Incoming::Stdout(b"out"));
        assert_eq!(incoming(b"\x02err"), Incoming::Stderr(b"err"));
        assert_eq!(incoming(b"\x01"), Incoming::Nothing);
        assert_eq!(incoming(b""), Incoming::Nothing);
        assert_eq!(incoming(b"\x09x"), Incoming::Nothing);
    }

    #[test]
    fn status_brings_the_exit_code() {
        let failed = br#"_{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"42"}]}}"#;
        let mut frame = failed.to_vec();
        frame[0] = 3;
        assert_eq!(incoming(&frame), Incoming::Ended(42));
        assert_eq!(incoming(b"\x03{\"status\":\"Success\"}"), Incoming::Ended(0));
        assert_eq!(
            incoming(b"\x03{\"status\":\"Failure\",\"message\":\"no such file `sh`\"}"),
            Incoming::Failed("no such file `sh`".into())
        );
    }

    #[test]
    fn frames_to_the_machine_name_their_channel() {
        assert_eq!(stdin(b"x"), b"\x00x");
        assert_eq!(end_of_stdin(), [255, 0]);
        assert_eq!(resize(80, 24), b"\x04{\"Height\":24,\"Width\":80}");
    }
}
