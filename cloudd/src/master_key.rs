//! Decides where the master keys come from: a file, the environment, or a command, and only one of them. Several may come,
//! the newest last: which of them seals is the store's to say. Never prints one, nor what a command said.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use apiserver::KeySource;
use apiserver_store::seal::{SealKey, load_or_create_keys};
use async_trait::async_trait;

use crate::args::StateArgs;

/// The variable with the key itself. There is no such option: everybody on a host reads command lines.
const VARIABLE: &str = "CLOUD_MASTER_KEY";
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The keys, the newest last. A file is made where there is none and nothing is sealed yet.
///
/// # Errors
/// More than one source is named, the one that is has no key, or the store is sealed and the key file isn't there.
pub(crate) async fn load(args: &StateArgs, is_sealed: bool) -> anyhow::Result<Vec<SealKey>> {
    choose(args, std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()), is_sealed).await
}

async fn choose(args: &StateArgs, variable: Option<String>, is_sealed: bool) -> anyhow::Result<Vec<SealKey>> {
    let named = [
        ("--key-file", args.key_file.is_some()),
        (VARIABLE, variable.is_some()),
        ("--key-command", args.key_command.is_some()),
    ];
    let named: Vec<&str> = named.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    anyhow::ensure!(
        named.len() < 2,
        "the sealing key has one source, and {} were named: leave one",
        named.join(" and ")
    );
    let parse = |text: &str, source: &str| {
        SealKey::parse_all(text)
            .map_err(|why| anyhow::anyhow!("{source} does not give a key: {why}; it must be what a key file holds"))
    };
    if let Some(text) = variable {
        return parse(&text, VARIABLE);
    }
    if let Some(command) = &args.key_command {
        return parse(&output(command).await?, "the command of --key-command");
    }
    let path = args.key_path();
    // A new key would open nothing, and lie about as if it were the right one.
    anyhow::ensure!(
        !is_sealed || path.exists(),
        "the store is sealed and its key is not here: copy the key file of this installation (`secret.key` in the data \
         directory of the process that made it) to {}, or name it with --key-file",
        path.display()
    );
    load_or_create_keys(&path).context("the sealing key, without which no Secret and no key can be read")
}

/// Where a running process reads the master keys anew.
pub(crate) struct Source(StateArgs);

impl Source {
    /// The same one that it was started with.
    pub(crate) fn new(args: &StateArgs) -> Self {
        Self(args.clone())
    }
}

#[async_trait]
impl KeySource for Source {
    async fn read(&self) -> Result<Vec<SealKey>, String> {
        load(&self.0, true).await.map_err(|error| format!("{error:#}"))
    }
}

/// What a command writes. Its complaints go where ours go.
async fn output(command: &str) -> anyhow::Result<String> {
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, shell.output()).await;
    let ended = ended.with_context(|| format!("the command of --key-command has not ended after {PATIENCE:?}"))?;
    let ended = ended.context("run the command of --key-command")?;
    anyhow::ensure!(ended.status.success(), "the command of --key-command gives no key: {}", ended.status);
    String::from_utf8(ended.stdout)
        .map_err(|_| anyhow::anyhow!("the command of --key-command writes something else than text"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn args(data_dir: &Path) -> StateArgs {
        crate::state::tests::args(data_dir)
    }

    /// A key file's path and content.
    async fn key_file(folder: &Path) -> (std::path::PathBuf, String, SealKey) {
        let key = choose(&args(folder), None, false).await.unwrap().remove(0);
        let path = folder.join("secret.key");
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text, key)
    }

    #[tokio::test]
    async fn a_file_the_environment_and_a_command_give_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let (path, text, key) = key_file(folder.path()).await;
        let elsewhere = folder.path().join("nothing");
        let from_variable = choose(&args(&elsewhere), Some(text), true).await.unwrap();
        let command = Some(format!("cat {}", path.display()));
        let from_command = choose(&StateArgs { key_command: command, ..args(&elsewhere) }, None, true).await.unwrap();
        assert_eq!([from_variable[0].id(), from_command[0].id()], [key.id(), key.id()]);
        assert!(!elsewhere.exists(), "no key file is made");
    }

    #[tokio::test]
    async fn a_running_process_reads_a_newer_key() {
        let folder = tempfile::tempdir().unwrap();
        let (path, text, old) = key_file(folder.path()).await;
        let new = SealKey::generate();
        std::fs::write(&path, format!("{text}{}\n", new.to_text())).unwrap();
        let read = Source::new(&args(folder.path())).read().await.unwrap();
        assert_eq!(read.iter().map(SealKey::id).collect::<Vec<_>>(), [old.id(), new.id()]);
        std::fs::remove_file(&path).unwrap();
        assert!(Source::new(&args(folder.path())).read().await.is_err() && !path.exists(), "none is made");
    }

    #[tokio::test]
    async fn two_sources_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, text, _) = key_file(folder.path()).await;
        let both = StateArgs { key_file: Some(path), key_command: Some("false".to_owned()), ..args(folder.path()) };
        let error = choose(&both, Some(text), true).await.unwrap_err().to_string();
        for name in ["--key-file", "CLOUD_MASTER_KEY", "--key-command"] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[tokio::test]
    async fn what_gives_no_key_says_so_and_not_what_it_gave() {
        let folder = tempfile::tempdir().unwrap();
        let failing = |command: &str| StateArgs { key_command: Some(command.to_owned()), ..args(folder.path()) };
        for (command, why) in [("echo hush; exit 3", "3"), ("echo hush", "format")] {
            let error = format!("{:#}", choose(&failing(command), None, true).await.unwrap_err());
            assert!(error.contains(why) && !error.contains("hush"), "{error}");
        }
        let error = format!("{:#}", choose(&args(folder.path()), Some("hush".to_owned()), true).await.unwrap_err());
        assert!(error.contains("CLOUD_MASTER_KEY") && !error.contains("hush"), "{error}");
    }
}
