//! Serves an empty store in memory until it is interrupted: for a look at the wire with curl or kubectl.
//!
//! `cargo run -p apiserver --example serve -- 127.0.0.1:6443 /tmp/somewhere` writes certificates and a kubeconfig there.

use std::path::PathBuf;
use std::sync::Arc;

use apiserver::{ApiServer, Config, Identity, SystemClock, TokenTable, tls};
use apiserver_store::{Storage, StorageOptions, memory::MemoryStore};
use base64::Engine;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:6443".into());
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| "/tmp/apiserver-example".into()));
    let (token, hash) = tls::bootstrap_token(&directory, None)?;
    let identity = tls::identity(&directory, &[], None, &SystemClock)?;

    let store = Arc::new(MemoryStore::new(uuid::Uuid::new_v4()));
    let storage = Storage::open(store, StorageOptions::default()).await?;
    let tokens = TokenTable::new().with(hash, Identity::master("admin"));
    let mut config = Config::new(storage, tokens);
    config.service_account_key = Arc::new(tls::service_account_key(&directory)?);
    let server = ApiServer::new(config).await?;
    let listener = tokio::net::TcpListener::bind(&address).await?;
    let authority = base64::engine::general_purpose::STANDARD.encode(&identity.authority);
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "example",
        "clusters": [{"name": "example", "cluster": {
            "server": format!("https://{}", listener.local_addr()?), "certificate-authority-data": authority,
        }}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "example", "context": {"cluster": "example", "user": "admin"}}],
    });
    let path = directory.join("kubeconfig");
    std::fs::write(&path, kubeconfig.to_string())?;
    println!("kubectl --kubeconfig {} api-resources", path.display());
    server.serve(listener, identity.server).await;
    Ok(())
}
