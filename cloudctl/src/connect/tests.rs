//! Which servers are talked to, and what is said about the others.

use serde_json::json;

use crate::api::tests::{Answer, session};

use super::*;

#[tokio::test]
async fn server_of_ours_is_accepted() {
    let session = session(|request| {
        assert_eq!(request.uri().path(), "/version");
        Answer::json(200, json!({"gitVersion": "v1.36.0+thecloud.0.1.0"}))
    });
    check(&session, false).await.unwrap();
}

#[tokio::test]
async fn other_server_is_refused_unless_told_otherwise() {
    let other = || session(|_| Answer::json(200, json!({"gitVersion": "v1.36.0+k3s1"})));
    let error = check(&other(), false).await.unwrap_err();
    assert!(error.to_string().contains("v1.36.0+k3s1") && error.to_string().contains("--any-cluster"), "{error}");
    check(&other(), true).await.unwrap();
}

#[tokio::test]
async fn refused_credentials_name_the_file_and_the_way_out() {
    let session = session(|_| Answer::status(401, "Unauthorized", "Unauthorized"))
        .with_source(std::path::Path::new("/x/.cloud/kubeconfig"), "c");
    let error = check(&session, false).await.unwrap_err();
    insta::assert_snapshot!(error, @r"
    https://test does not accept the credentials in /x/.cloud/kubeconfig: unauthorized
    Was the cloud made anew since? `./justw up` writes a fresh file.
    ");
}

fn kubeconfig(folder: &tempfile::TempDir, server: &str) -> PathBuf {
    let path = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters:\n- name: c\n  cluster: {{server: '{server}'}}\ncontexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: shop}}\nusers:\n- name: u\n  user: {{token: t}}\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn global(path: PathBuf) -> Global {
    Global { kubeconfig: Some(path), ..Global::default() }
}

#[tokio::test]
async fn nobody_listening_is_told_with_file_address_and_way_out() {
    let folder = tempfile::TempDir::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let path = kubeconfig(&folder, &format!("http://{address}"));
    let Err(error) = connect(&global(path.clone()), &Screen::plain()).await else { panic!("connected") };
    let text = error.to_string();
    assert_eq!(
        text,
        format!(
            "http://{address} does not answer: connection refused, so nothing listens there\nThe address is from {}. `./justw up` starts the cloud.",
            path.display()
        )
    );
}

#[tokio::test]
async fn context_and_namespace_come_from_the_file_unless_given() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = kubeconfig(&folder, "http://127.0.0.1:1");
    let found = Found { path: path.clone(), origin: Origin::Flag };
    let session = open(&found, &global(path.clone()), &Screen::plain()).await.unwrap();
    assert_eq!((session.namespace(), session.context()), ("shop", "here"));
    let mut with_namespace = global(path.clone());
    with_namespace.namespace = Some("other".into());
    assert_eq!(open(&found, &with_namespace, &Screen::plain()).await.unwrap().namespace(), "other");
    let mut with_context = global(path);
    with_context.context = Some("nowhere".into());
    let Err(error) = open(&found, &with_context, &Screen::plain()).await else { panic!("opened") };
    assert!(error.to_string().ends_with("it has no context `nowhere`, only `here`"), "{error}");
}

#[tokio::test]
async fn file_that_is_no_kubeconfig_is_named() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("kubeconfig");
    for text in ["users:\n- user: {token: hunter2}\nclusters: 12\n", "hello", "", "- token: [hunter2\n"] {
        std::fs::write(&path, text).unwrap();
        let Err(error) = connect(&global(path.clone()), &Screen::plain()).await else { panic!("connected") };
        let told = error.to_string();
        assert!(told.contains("kubeconfig is not a usable kubeconfig: "), "{told}");
        assert!(!told.contains("hunter2") && told.lines().count() == 1, "{told}");
    }
}

#[test]
fn missing_cloud_says_where_it_was_looked_for() {
    let error = ConnectError::NoFile { tried: vec!["/a/.cloud/kubeconfig".into(), "/home/me/.cloud/config".into()] };
    insta::assert_snapshot!(error, @r"
    no cloud found
    Looked for:
      /a/.cloud/kubeconfig
      /home/me/.cloud/config
    `./justw up` starts a cloud here and writes .cloud/kubeconfig.
    ");
}
