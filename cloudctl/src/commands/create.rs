//! `create`: makes a Namespace, ConfigMap or Secret from a command line. Decides the manifest. What
//! it made is not applied: an apply changes a value of it only when told to.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::targets::Named;
use crate::api::{Catalog, Query};
use crate::args::Global;
use crate::args::changes::{CreateCommand, CreateDataArgs};
use crate::connect;
use crate::error::Error;
use crate::output::{Colour, Screen, yaml};

/// Creates the object, or prints its manifest.
pub(super) async fn run(command: &CreateCommand, global: &Global, screen: &Screen) -> Result<(), Error> {
    let (mut manifest, output) = match command {
        CreateCommand::Namespace(args) => {
            (json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": args.name}}), &args.output)
        }
        CreateCommand::Configmap(args) => (config_map(args)?, &args.output),
        CreateCommand::Secret(args) => (secret(args)?, &args.output),
    };
    let word = manifest["kind"].as_str().unwrap_or_default().to_lowercase();
    if let Some(format) = output {
        if let (Some(namespace), true) = (&global.namespace, word != "namespace") {
            manifest["metadata"]["namespace"] = json!(namespace);
        }
        screen.text(&if format == "json" { yaml::json(&manifest) } else { yaml::yaml(&manifest) })?;
        return Ok(());
    }
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let resource = catalog.of_word(&format!("{word}s"))?.clone();
    let name = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let named = Named { resource, namespace: session.namespace().to_owned(), name };
    let query = Query::new().with("fieldManager", "cloudctl-create").with("fieldValidation", "Strict");
    session.post(&query.on(&named.resource.collection(Some(&named.namespace))), &manifest).await?;
    screen.line(&format!("{} {}", named.full(), screen.paint().colour(Colour::Green, "created")))?;
    Ok(())
}

fn config_map(args: &CreateDataArgs) -> Result<Value, Error> {
    let mut manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name(args)?}});
    for (key, bytes) in entries(args)? {
        match String::from_utf8(bytes) {
            Ok(text) => manifest["data"][key] = json!(text),
            Err(error) => manifest["binaryData"][key] = json!(STANDARD.encode(error.into_bytes())),
        }
    }
    Ok(manifest)
}

fn secret(args: &CreateDataArgs) -> Result<Value, Error> {
    let data: Map<String, Value> =
        entries(args)?.into_iter().map(|(key, bytes)| (key, json!(STANDARD.encode(bytes)))).collect();
    Ok(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name(args)?}, "type": "Opaque", "data": data}))
}

fn name(args: &CreateDataArgs) -> Result<&str, Error> {
    match args.name.as_slice() {
        [name] => Ok(name),
        [kind, name] if kind == "generic" => Ok(name),
        _ => Err(Error::Usage(format!("`{}` is not one name", args.name.join(" ")))),
    }
}

/// Keys and what they stand for, in the order given; a key that is given twice is a mistake.
fn entries(args: &CreateDataArgs) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
    for text in &args.from_literal {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => entries.push((key.to_owned(), value.as_bytes().to_vec())),
            _ => return Err(Error::Usage(format!("`{text}` is not KEY=VALUE"))),
        }
    }
    for text in &args.from_file {
        let own_name = || Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned());
        let (key, path) = match text.split_once('=') {
            Some((key, path)) => (key.to_owned(), path),
            None => (own_name().ok_or_else(|| Error::Usage(format!("`{text}` is not a file")))?, text.as_str()),
        };
        let bytes = fs::read(path).map_err(|error| Error::NotFound(format!("{path} cannot be read: {error}")))?;
        entries.push((key, bytes));
    }
    for (index, (key, _)) in entries.iter().enumerate() {
        if entries[..index].iter().any(|(before, _)| before == key) {
            return Err(Error::Usage(format!("the key `{key}` is given twice")));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn made(line: &str) -> Result<Value, Error> {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Create(CreateCommand::Secret(args)) => secret(&args),
            Command::Create(CreateCommand::Configmap(args)) => config_map(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_and_files_become_data() {
        let folder = tempfile::TempDir::new().unwrap();
        let (text, bytes) = (folder.path().join("page.html"), folder.path().join("logo"));
        fs::write(&text, "hello").unwrap();
        fs::write(&bytes, [0xff, 0x00]).unwrap();
        let files = format!("--from-file {} --from-file icon={}", text.display(), bytes.display());
        let map = made(&format!("cloudctl create cm web --from-literal a=b=c {files}")).unwrap();
        assert_eq!(map["data"], json!({"a": "b=c", "page.html": "hello"}));
        assert_eq!(map["binaryData"], json!({"icon": "/wA="}));
        let secret =
            made(&format!("cloudctl create secret generic db --from-literal password=hunter2 {files}")).unwrap();
        assert_eq!(secret["metadata"]["name"], "db");
        assert_eq!(secret["data"], json!({"password": "aHVudGVyMg==", "page.html": "aGVsbG8=", "icon": "/wA="}));
    }

    #[test]
    fn mistakes_are_told() {
        for words in
            ["--from-literal a", "--from-literal =a", "--from-literal a=b --from-literal a=c", "--from-file /nowhere"]
        {
            assert!(made(&format!("cloudctl create secret db {words}")).is_err(), "{words}");
        }
        assert!(made("cloudctl create secret tls db").unwrap_err().to_string().contains("`tls db` is not one name"));
    }
}
