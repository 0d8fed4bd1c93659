//! Decides what kubeconfigs say that cloudd writes. They hold a token or a key, so only their owner may read them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use apiserver::tls::IssuedCertificate;
use serde_json::{Value, json};

/// The name of the one cluster in a kubeconfig of ours.
const CLUSTER: &str = "the-cloud";

/// Writes the file, 0600, in one step: a reader sees the old one or the new one.
///
/// # Errors
/// The file can't be written, or it is there and isn't one of ours: somebody's contexts may be in it.
pub(crate) fn write(path: &Path, listen: SocketAddr, ca_pem: &[u8], token: &str) -> io::Result<()> {
    if path.exists() && !is_ours(path) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the file is there and holds something else; name another one with --kubeconfig",
        ));
    }
    let content = render(&address(listen), ca_pem, "admin", &json!({"token": token}));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    create(&new, &content)?;
    fs::rename(new, path)
}

/// The token of a kubeconfig written earlier, if the file is there and is one of ours.
pub(crate) fn token_of(path: &Path) -> Option<String> {
    let config = read(path).filter(|_| is_ours(path))?;
    config["users"][0]["user"]["token"].as_str().map(str::to_owned)
}

fn read(path: &Path) -> Option<Value> {
    serde_saphyr::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Whether nothing is in the file but our one cluster.
fn is_ours(path: &Path) -> bool {
    let clusters = read(path).and_then(|config| config["clusters"].as_array().cloned()).unwrap_or_default();
    matches!(clusters.as_slice(), [only] if only["name"] == CLUSTER)
}

/// Where the administrator's file is unless somebody says otherwise.
pub(crate) fn beside(data_dir: &Path) -> PathBuf {
    data_dir.with_file_name("kubeconfig")
}

/// The server that a kubeconfig of ours names.
pub(crate) fn server_of(path: &Path) -> Option<String> {
    let config = read(path).filter(|_| is_ours(path))?;
    config["clusters"][0]["cluster"]["server"].as_str().map(str::to_owned)
}

/// Writes a file of its own, 0600, for a user who comes in by a certificate.
///
/// # Errors
/// The file can't be written, or is there.
pub(crate) fn write_certificate(path: &Path, server: &str, user: &str, issued: &IssuedCertificate) -> io::Result<()> {
    let credential = json!({
        "client-certificate-data": base64(issued.certificate.as_bytes()),
        "client-key-data": base64(issued.key.as_bytes()),
    });
    create(path, &render(server, issued.authority.as_bytes(), user, &credential))
}

/// Makes a file for its owner alone.
fn create(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

/// How a server that listens there is reached from here.
fn address(listen: SocketAddr) -> String {
    // A server that listens everywhere is reached here by loopback.
    let host = match listen.ip() {
        ip if ip.is_unspecified() && ip.is_ipv6() => "[::1]".to_owned(),
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    format!("https://{host}:{}", listen.port())
}

fn render(server: &str, ca_pem: &[u8], user: &str, credential: &Value) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": CLUSTER,
            "cluster": {"server": server, "certificate-authority-data": base64(ca_pem)},
        }],
        "users": [{"name": user, "user": credential}],
        "contexts": [{"name": "the-cloud", "context": {"cluster": CLUSTER, "user": user, "namespace": "default"}}],
        "current-context": "the-cloud",
    });
    serde_saphyr::to_string(&config).expect("a JSON value can be written as YAML")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_private_and_gives_its_token_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/kubeconfig");
        write(&path, "0.0.0.0:6443".parse().unwrap(), b"PEM", "secret-token").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(token_of(&path).as_deref(), Some("secret-token"));
        assert!(fs::read_to_string(&path).unwrap().contains("https://127.0.0.1:6443"));
    }

    #[test]
    fn somebodys_kubeconfig_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let theirs =
            "clusters: [{name: production, cluster: {server: https://prod}}]\nusers: [{name: a, user: {token: t}}]\n";
        fs::write(&path, theirs).unwrap();
        let error = write(&path, "127.0.0.1:6443".parse().unwrap(), b"PEM", "secret-token").unwrap_err();
        assert!(error.to_string().contains("--kubeconfig"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
        assert_eq!(token_of(&path), None);
    }

    #[test]
    fn our_own_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        for token in ["one", "two"] {
            write(&path, "127.0.0.1:6443".parse().unwrap(), b"PEM", token).unwrap();
            assert_eq!(token_of(&path).as_deref(), Some(token));
        }
    }

    #[test]
    fn a_file_that_is_no_kubeconfig_has_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        fs::write(&path, "just text").unwrap();
        assert_eq!(token_of(&path), None);
        assert_eq!(token_of(&folder.path().join("missing")), None);
    }
}
