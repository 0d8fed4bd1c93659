//! Editing with editors that are shell commands, against a server that is a closure.

use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::json;

use super::*;
use crate::api::Resource;
use crate::api::tests::{Answer, session};

fn named() -> Named {
    let resource = Resource {
        version: "v1".into(),
        kind: "Instance".into(),
        plural: "instances".into(),
        singular: "instance".into(),
        subresources: vec!["status".into()],
        ..Resource::default()
    };
    Named { resource, namespace: "default".into(), name: "web".into() }
}

fn live() -> Value {
    json!({"apiVersion": "v1", "kind": "Instance", "spec": {"image": "a", "cpu": 1}, "status": {"phase": "Running"},
        "metadata": {"name": "web", "resourceVersion": "7", "uid": "u", "managedFields": []}})
}

/// Edits with a command; the patches that were sent, what was printed, how it ended.
async fn edited(editor: &str, answers: Vec<Answer>) -> (Vec<Value>, String, Result<(), Error>) {
    let patches = Arc::new(Mutex::new(Vec::new()));
    let (sent, answers) = (patches.clone(), Mutex::new(answers));
    let session = session(move |request| {
        if request.method() == Method::GET {
            return Answer::json(200, live());
        }
        sent.lock().unwrap().push(serde_json::from_slice(request.body()).unwrap());
        answers.lock().unwrap().remove(0)
    });
    let (screen, printed) = Screen::captured();
    let result = edit(&session, &named(), editor, &screen).await;
    let patches = patches.lock().unwrap().clone();
    (patches, printed.text(), result)
}

fn accepted() -> Answer {
    Answer::json(200, live())
}

#[tokio::test]
async fn what_was_edited_is_sent_as_a_patch_of_what_was_shown() {
    let (patches, printed, result) = edited("sed -i -e 's/image: a/image: b/' -e '/cpu/d'", vec![accepted()]).await;
    result.unwrap();
    assert_eq!(patches, [json!({"metadata": {"resourceVersion": "7"}, "spec": {"image": "b", "cpu": null}})]);
    assert_eq!(printed, "instance/web edited\n");
}

#[tokio::test]
async fn nothing_edited_sends_nothing() {
    for (editor, said) in [
        ("true", "Nothing was edited."),
        ("truncate -s 0", "Nothing was edited."),
        ("sed -i 's/a$/a # x/'", "unchanged"),
    ] {
        let (patches, printed, result) = edited(editor, vec![]).await;
        result.unwrap();
        assert!(patches.is_empty(), "{patches:?}");
        assert!(printed.contains(said), "{printed}");
    }
}

#[tokio::test]
async fn what_is_refused_is_shown_again_with_the_reason() {
    // The second time the reason stands above, and the editor takes the fault away.
    let editor = "f() { grep -q '^# no such image' \"$1\" && sed -i 's/image: z/image: b/' \"$1\" || sed -i 's/image: a/image: z/' \"$1\"; }; f";
    let (patches, printed, result) =
        edited(editor, vec![Answer::status(422, "Invalid", "no such image"), accepted()]).await;
    result.unwrap();
    assert_eq!((patches.len(), &patches[1]["spec"]["image"]), (2, &json!("b")));
    assert_eq!(printed, "instance/web edited\n");
}

#[tokio::test]
async fn work_is_kept_when_it_cannot_be_sent() {
    let refusals = [Answer::status(422, "Invalid", "no such image"), Answer::status(409, "Conflict", "modified")];
    for (refusal, why) in refusals.into_iter().zip(["no such image", "somebody changed it meanwhile"]) {
        let (_, _, result) = edited("sed -i 's/image: a/image: z/'", vec![refusal]).await;
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(why), "{error}");
        let path = error.rsplit("is in ").next().unwrap().trim_end_matches('.');
        assert!(fs::read_to_string(path).unwrap().contains("image: z"));
        fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn broken_yaml_and_another_name_are_never_sent() {
    for editor in ["sed -i 's/image: a/image: [/'", "sed -i 's/name: web/name: db/'"] {
        let (patches, _, result) = edited(editor, vec![]).await;
        let error = result.unwrap_err().to_string();
        fs::remove_file(error.rsplit("is in ").next().unwrap().trim_end_matches('.')).unwrap();
        assert!(patches.is_empty(), "{patches:?}");
    }
}

#[tokio::test]
async fn editor_that_fails_changes_nothing() {
    let (patches, _, result) = edited("false", vec![]).await;
    assert!(result.unwrap_err().to_string().starts_with("the editor `false` ended with"));
    assert!(patches.is_empty(), "{patches:?}");
}
