//! The Python client, typed and dynamic, and an operator made with kopf.

use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Cloud, Running, client, condition, eventually, run_command, skip_unless};
use serde_json::Value;

use crate::widget::{definition, widget};

#[test]
fn the_typed_python_client_does_its_work() {
    runs_through("typed.py");
}

#[test]
fn the_dynamic_python_client_an_informer_and_an_election_do_their_work() {
    runs_through("dynamic.py");
}

#[test]
fn a_kopf_operator_takes_a_widget_through_its_life() {
    let python = client("python");
    skip_unless!(python.is_some(), "the Python clients could not be fetched; ./justw test tries to");
    let cloud = Cloud::builder().fake().start();
    let group = "kopf.example.com";
    cloud.apply(&definition(group));
    let mut command = python_of(&cloud, &python.expect("just seen"));
    command.args(["-m", "kopf", "run", "--standalone", "--namespace=default"]).arg(program("widgets_operator.py"));
    let operator = Running::start(&mut command);

    cloud.apply(&widget(group, "w", "color: red"));
    let ready = cloud.await_object("widgets", "w", "to be carded", |w| condition(w, "Ready")["reason"] == "Carded");
    assert_eq!(ready["status"]["observedGeneration"], 1);
    let card = cloud.object("configmaps", "w-card");
    assert_eq!(card["data"]["color"], "red");
    assert_eq!(card["metadata"]["ownerReferences"][0]["uid"], ready["metadata"]["uid"]);
    cloud.await_object("widgets", "w", "to be counted by the timer", |w| w["status"]["replicas"].as_i64() >= Some(3));
    eventually("the operator's events", || {
        let said = cloud.cloudctl(&["events"]).ok();
        let has_all = ["Carded", "w has a card"].iter().all(|word| said.contains(word));
        if has_all { Ok(()) } else { Err(said) }
    });

    cloud.apply(&widget(group, "w", "color: blue"));
    cloud.await_object("configmaps", "w-card", "to follow", |card| {
        card["data"]["color"] == "blue" && card["data"]["was"] == "red"
    });
    let finalizers = &cloud.object("widgets", "w")["metadata"]["finalizers"];
    assert_eq!(finalizers, &serde_json::json!(["kopf.zalando.org/KopfFinalizerMarker"]));
    cloud.apply("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: watched\n  labels: {watched: \"yes\"}\n");
    operator.await_line(&["saw ADDED of watched"]);

    let _ = cloud.cloudctl(&["delete", "widgets", "w"]).ok();
    cloud.await_object("widgets", "w", "to be gone", Value::is_null);
    cloud.await_object("configmaps", "w-card", "to go with its owner", Value::is_null);
    assert_ne!(cloud.object("configmaps", "w-was-here"), Value::Null);
    let complaints: Vec<String> =
        operator.said().into_iter().filter(|line| line.contains("[ERROR") && !line.contains("first try")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(!operator.said().iter().any(|line| line.contains("inconsistenc")), "{:#?}", operator.said());
}

/// Runs a program that may read the definition of the kind Widget, and says when all is well.
pub(crate) fn runs_through(name: &str) {
    let python = client("python");
    skip_unless!(python.is_some(), "the Python clients could not be fetched; ./justw test tries to");
    let cloud = Cloud::builder().fake().start();
    let mut command = python_of(&cloud, &python.expect("just seen"));
    let output = run_command(command.arg(program(name)), &definition("python.example.com"));
    assert!(output.code == 0 && output.stdout.ends_with("all is well\n"), "{output}");
}

fn python_of(cloud: &Cloud, environment: &Path) -> Command {
    let mut command = cloud.client(environment.join("bin/python"));
    command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python").join(name)
}
