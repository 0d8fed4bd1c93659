//! What every adapter promises about logs and commands.

use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{Fixture, PATIENCE};
use crate::{Channel, Conflict, ExecSession, ExecSpec, LogOptions, LogStream, MachineId, MachineState};

async fn read(stream: LogStream) -> Vec<(Channel, String)> {
    let read = async {
        let mut pieces: Vec<(Channel, String)> = Vec::new();
        let mut stream = stream;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.expect("output is read");
            pieces.push((chunk.channel, String::from_utf8_lossy(&chunk.bytes).into_owned()));
        }
        pieces
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the output ends")
}

fn text(pieces: &[(Channel, String)], channel: Channel) -> String {
    pieces.iter().filter(|(on, _)| *on == channel).map(|(_, text)| text.as_str()).collect()
}

async fn log(fixture: &Fixture, id: &MachineId, options: LogOptions) -> Vec<(Channel, String)> {
    read(fixture.backend.consoles.logs(id, options).await.expect("logs")).await
}

/// What a machine wrote is told by channel, with times and tail as asked.
pub async fn logs_tell_what_was_written(fixture: &Fixture) {
    let spec = fixture.script("talker", 2, "echo one; echo two >&2; echo three; exit 0");
    let id = fixture.start(&spec).await;
    fixture.wait_for(spec.owner.uid, "exited", |state| matches!(state, MachineState::Exited(_))).await;

    let all = log(fixture, &id, LogOptions::default()).await;
    assert_eq!((text(&all, Channel::Stdout).as_str(), text(&all, Channel::Stderr).as_str()), ("one\nthree\n", "two\n"));
    let followed = log(fixture, &id, LogOptions { follow: true, ..LogOptions::default() }).await;
    assert_eq!(text(&followed, Channel::Stdout), "one\nthree\n", "a followed log ends with the machine");
    let last = log(fixture, &id, LogOptions { tail: Some(1), ..LogOptions::default() }).await;
    // Which one is the last is not told across channels: each is copied at its own pace.
    assert_eq!(last.len(), 1, "{last:?}");
    let stamped = log(fixture, &id, LogOptions { timestamps: true, ..LogOptions::default() }).await;
    let stamped = text(&stamped, Channel::Stdout);
    for (line, end) in stamped.lines().zip(["one", "three"]) {
        let (time, rest) = line.split_once(' ').expect("a time, a space and the line");
        assert_eq!(rest, end);
        time.parse::<jiff::Timestamp>().expect("RFC 3339");
    }
    let later = fixture.only(spec.owner.uid).await;
    let MachineState::Exited(exit) = later.state else { panic!("exited, but {:?}", later.state) };
    let since = exit.finished_at + jiff::SignedDuration::from_secs(60);
    assert_eq!(log(fixture, &id, LogOptions { since: Some(since), ..LogOptions::default() }).await, []);
}

/// The log is that of the last start; what came before it is `previous`.
pub async fn previous_logs_are_kept_apart(fixture: &Fixture) {
    let spec = fixture.script("again", 2, "echo hello; exit 1");
    let id = fixture.start(&spec).await;
    let ended = |state: &MachineState| matches!(state, MachineState::Exited(_));
    fixture.wait_for(spec.owner.uid, "exited", ended).await;
    assert_eq!(log(fixture, &id, LogOptions { previous: true, ..LogOptions::default() }).await, []);
    // Real restarts are seconds apart: the back-off of whoever restarts sees to that.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    fixture.backend.machines.start(&id).await.expect("start again");
    fixture.wait_for(spec.owner.uid, "exited", ended).await;
    let current = log(fixture, &id, LogOptions::default()).await;
    assert_eq!(text(&current, Channel::Stdout), "hello\n");
    let previous = log(fixture, &id, LogOptions { previous: true, ..LogOptions::default() }).await;
    assert_eq!(text(&previous, Channel::Stdout), "hello\n");
}

async fn exec(fixture: &Fixture, id: &MachineId, command: &[&str], stdin: bool) -> ExecSession {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    fixture.backend.consoles.exec(id, ExecSpec { command, tty: false, stdin }).await.expect("exec")
}

/// A command's output and exit code are told.
pub async fn command_output_and_exit_code_are_told(fixture: &Fixture) {
    let id = fixture.start(&fixture.machine("host", 2)).await;
    let session = exec(fixture, &id, &["sh", "-c", "echo out; echo err >&2; exit 3"], false).await;
    let pieces = read(session.output).await;
    assert_eq!((text(&pieces, Channel::Stdout).as_str(), text(&pieces, Channel::Stderr).as_str()), ("out\n", "err\n"));
    assert_eq!(session.control.exit_code().await.expect("exit code"), Some(3));
}

/// A command reads its input to the end of file.
pub async fn command_reads_its_input(fixture: &Fixture) {
    let id = fixture.start(&fixture.machine("host", 2)).await;
    let mut session = exec(fixture, &id, &["cat"], true).await;
    let mut input = session.input.take().expect("an input was asked for");
    input.write_all(b"some bytes\n").await.expect("write");
    input.shutdown().await.expect("end of file");
    drop(input);
    let pieces = read(session.output).await;
    assert_eq!(text(&pieces, Channel::Stdout), "some bytes\n");
    assert_eq!(session.control.exit_code().await.expect("exit code"), Some(0));
}

/// No command runs in a machine that does not.
pub async fn command_needs_a_running_machine(fixture: &Fixture) {
    let id = fixture.backend.machines.create(&fixture.machine("idle", 2)).await.expect("create");
    let spec = ExecSpec { command: vec!["true".to_owned()], ..ExecSpec::default() };
    let error = fixture.backend.consoles.exec(&id, spec.clone()).await.expect_err("it does not run");
    assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
    let error = fixture.stranger.consoles.exec(&id, spec).await.expect_err("not theirs");
    assert!(error.is_not_found(), "{error:?}");
    let error = fixture.stranger.consoles.logs(&id, LogOptions::default()).await.err().expect("not theirs");
    assert!(error.is_not_found(), "{error:?}");
}
