//! What a kubeconfig says of a login: where the server is, and which program has its tokens. Everything else in the file
//! stays as it is.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Server, write_private};
use crate::error::Error;

/// The words behind the program's name that a login is found by.
const CREDENTIAL: [&str; 2] = ["credential", "--file"];

/// The context that a command uses, as the file has it.
pub(crate) struct Context {
    pub(crate) server: Server,
    user: Value,
}

impl Context {
    /// Reads a file; `named` is the context that is meant instead of the current one.
    pub(crate) fn read(path: &Path, named: Option<&str>) -> Result<Self, Error> {
        let bad = |why: &str| Error::Usage(format!("{} is not a usable kubeconfig: {why}", path.display()));
        Self::of(&read(path)?, path.parent().unwrap_or(Path::new(".")), named).map_err(bad)
    }

    /// The same of what such a file says; other files are named from its folder.
    pub(crate) fn of(config: &Value, folder: &Path, named: Option<&str>) -> Result<Self, &'static str> {
        let name = named.or(config["current-context"].as_str()).unwrap_or_default();
        let context = item(&config["contexts"], name).ok_or("it has no such context")?;
        let of = |list: &str, kind: &str| item(&config[list], context["context"][kind].as_str().unwrap_or_default());
        let cluster = of("clusters", "cluster").ok_or("its context names no cluster in it")?;
        let cluster = &cluster["cluster"];
        let address = cluster["server"].as_str().ok_or("its cluster has no server")?.to_owned();
        let authority =
            match (cluster["certificate-authority-data"].as_str(), cluster["certificate-authority"].as_str()) {
                (Some(data), _) => {
                    let pem = STANDARD.decode(data).ok().and_then(|pem| String::from_utf8(pem).ok());
                    Some(pem.ok_or("its certificate authority is no base64")?)
                }
                (None, Some(file)) => {
                    let pem = std::fs::read_to_string(folder.join(file));
                    Some(pem.map_err(|_| "its certificate authority cannot be read")?)
                }
                (None, None) => None,
            };
        let user = of("users", "user").map(|user| user["user"].clone()).unwrap_or_default();
        Ok(Self { server: Server { address, authority }, user })
    }

    /// The token that stands in the file.
    pub(crate) fn token(&self) -> Option<&str> {
        self.user["token"].as_str()
    }

    /// Where the login is kept that the file names.
    pub(crate) fn login(&self) -> Option<PathBuf> {
        let words: Vec<&str> = self.user["exec"]["args"].as_array()?.iter().filter_map(Value::as_str).collect();
        match words.as_slice() {
            [first, second, file] if [*first, *second] == CREDENTIAL => Some(PathBuf::from(file)),
            _ => None,
        }
    }
}

/// Adds a login to a file, and makes it the current context.
pub(crate) fn add(path: &Path, server: &Server, user: &str, program: &Path, login: &Path) -> Result<String, Error> {
    let mut config = if path.exists() { read(path)? } else { Value::Null };
    let name = join(&mut config, server, user, program, login)
        .map_err(|why| Error::Usage(format!("{} is not a usable kubeconfig: {why}", path.display())))?;
    let text = serde_saphyr::to_string(&config)
        .map_err(|error| Error::Failed(format!("{} cannot be written as YAML: {error}", path.display())))?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    write_private(path, &text)?;
    Ok(name)
}

/// Adds a login to what a file says. Returns the name of its context.
pub(crate) fn join(
    config: &mut Value,
    server: &Server,
    user: &str,
    program: &Path,
    login: &Path,
) -> Result<String, &'static str> {
    if config.is_null() {
        *config = json!({"apiVersion": "v1", "kind": "Config"});
    }
    if !config.is_object() {
        return Err("it is no map");
    }
    let host = server.address.trim_start_matches("https://").trim_end_matches('/');
    let (cluster, name) = (format!("the-cloud-{host}"), format!("{user}@{host}"));
    let mut reached = json!({"server": server.address});
    if let Some(pem) = &server.authority {
        reached["certificate-authority-data"] = STANDARD.encode(pem).into();
    }
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": program,
        "args": [CREDENTIAL[0], CREDENTIAL[1], login],
        "interactiveMode": "Never",
        "provideClusterInfo": false,
        "installHint": "cloudctl, which logged in, is no longer where it was; log in again",
    });
    let context = json!({"cluster": cluster, "user": name, "namespace": "default"});
    set(&mut config["clusters"], json!({"name": cluster, "cluster": reached}))?;
    set(&mut config["users"], json!({"name": name, "user": {"exec": exec}}))?;
    set(&mut config["contexts"], json!({"name": name, "context": context}))?;
    config["current-context"] = name.as_str().into();
    Ok(name)
}

fn read(path: &Path) -> Result<Value, Error> {
    let bad = |why: String| Error::Usage(format!("{} is not a usable kubeconfig: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    parse(&text).map_err(|why| bad(why.to_owned()))
}

pub(crate) fn parse(text: &str) -> Result<Value, &'static str> {
    // The parser would show what is around a mistake, and that may be a token.
    serde_saphyr::from_str(text).map_err(|_| "it is no YAML")
}

fn item<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|item| item["name"] == name)
}

/// Puts an item in the place of the one of its name, or behind the others.
fn set(list: &mut Value, new: Value) -> Result<(), &'static str> {
    if list.is_null() {
        *list = json!([]);
    }
    let items = list.as_array_mut().ok_or("its clusters, users or contexts are no list")?;
    match items.iter_mut().find(|item| item["name"] == new["name"]) {
        Some(old) => *old = new,
        None => items.push(new),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_joins_what_is_in_the_file_and_is_found_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let other =
            "clusters: [{name: other, cluster: {server: https://other}}]\nusers: []\ncontexts: []\nextra: kept\n";
        std::fs::write(&path, other).unwrap();
        let server = Server { address: "https://cloud:6443".to_owned(), authority: Some("PEM".to_owned()) };
        for login in ["/one.json", "/two.json"] {
            let name = add(&path, &server, "ann", Path::new("/bin/cloudctl"), Path::new(login)).unwrap();
            assert_eq!(name, "ann@cloud:6443");
            let context = Context::read(&path, None).unwrap();
            assert_eq!((context.server.clone(), context.token()), (server.clone(), None));
            assert_eq!(context.login().unwrap(), Path::new(login));
        }
        let config = read(&path).unwrap();
        assert_eq!(config["extra"], "kept");
        assert_eq!(config["clusters"].as_array().unwrap().len(), 2);
        assert_eq!(config["users"].as_array().unwrap().len(), 1);
        assert!(Context::read(&path, Some("missing")).is_err());
    }

    #[test]
    fn a_login_joins_an_empty_file_and_leaves_one_that_is_no_kubeconfig_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let server = Server { address: "https://cloud:6443".to_owned(), authority: None };
        let join = || add(&path, &server, "ann", Path::new("/bin/cloudctl"), Path::new("/one.json"));
        for (text, why) in [
            ("- a list\n", "it is no map"),
            ("a text\n", "it is no map"),
            ("clusters: {a: {server: https://x}}\n", "its clusters, users or contexts are no list"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = join().unwrap_err();
            assert_eq!(error.to_string(), format!("{} is not a usable kubeconfig: {why}", path.display()));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        std::fs::write(&path, "").unwrap();
        join().unwrap();
        assert_eq!(read(&path).unwrap()["kind"], "Config");
    }

    #[test]
    fn a_token_in_the_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let text = "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n\
            clusters: [{name: c, cluster: {server: https://x}}]\nusers: [{name: u, user: {token: t}}]\n";
        std::fs::write(&path, text).unwrap();
        let context = Context::read(&path, None).unwrap();
        assert_eq!((context.token(), context.login()), (Some("t"), None));
    }
}
