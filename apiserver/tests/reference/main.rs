//! The wire against a real kube-apiserver's: the recorded answers beside the repository, where there are any.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use apiserver::{ApiServer, Config, Identity, SystemClock, TokenHash, TokenTable, tls};
use apiserver_store::memory::MemoryStore;
use apiserver_store::{Storage, StorageOptions};
use uuid::Uuid;

const TOKEN: &str = "the-token-of-the-comparison";
/// Answers that differ: one is a text that holds the resource version that the object had on the recorded server.
const DIFFERENT: usize = 1;

/// `REFERENCE_DIR`, or the folder `shared` beside the repository.
fn reference() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(std::env::var("REFERENCE_DIR").unwrap_or_else(|_| "../shared".into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_equal_those_of_a_real_server() {
    let reference = reference();
    let [script, cases, golden] =
        ["wirecheck/wirecheck.py", "golden/cases.json", "golden/golden.jsonl"].map(|file| reference.join(file));
    if !script.exists() {
        eprintln!("SKIPPED: nothing to compare with at {}", script.display());
        return;
    }
    let count =
        serde_json::from_str::<Vec<serde_json::Value>>(&std::fs::read_to_string(&cases).unwrap()).unwrap().len();

    let directory = tempfile::tempdir().unwrap();
    let identity = tls::identity(directory.path(), &[], None, &SystemClock).unwrap();
    let store = Arc::new(MemoryStore::new(Uuid::new_v4()));
    let storage = Storage::open(store, StorageOptions::default()).await.unwrap();
    let tokens = TokenTable::new().with(TokenHash::of(TOKEN), Identity::master("admin"));
    let config = Config::new(storage, tokens);
    let shutdown = config.shutdown.clone();
    let server = ApiServer::new(config).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { server.serve(listener, identity.server).await });

    let run = move || {
        Command::new("python3")
            .arg(script)
            .args(["check", "--url", &url, "--token", TOKEN])
            .args([cases, golden])
            .output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().expect("python3 runs");
    shutdown.cancel();
    serving.await.unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let score = said.lines().last().and_then(|line| line.split(' ').next()?.parse::<usize>().ok());
    let score = score.unwrap_or_else(|| panic!("no score: {said}{}", String::from_utf8_lossy(&output.stderr)));
    assert!(score + DIFFERENT >= count, "{said}");
}
