//! Decides what a change of an Instance means for its container: whether Docker takes it in place, or a new one has to be made.

use serde_json::Value;

/// Fields of an Instance that Docker changes without a new container.
const IN_PLACE: [&str; 8] = [
    "resources",
    "instanceType",
    "powerState",
    "restartPolicy",
    "healthCheck",
    "terminationGracePeriodSeconds",
    "deletionProtection",
    "host",
];

/// What changing an Instance means for its container.
pub(super) fn consequence(live: &Value, merged: &Value) -> Option<String> {
    if merged["kind"] != "Instance" || !merged["apiVersion"].as_str()?.starts_with("thecloud.dev/") {
        return None;
    }
    let (before, after) = (live["spec"].as_object()?, merged["spec"].as_object()?);
    let mut changed: Vec<&str> = before.keys().chain(after.keys()).map(String::as_str).collect();
    changed.sort_unstable();
    changed.dedup();
    changed.retain(|key| before.get(*key) != after.get(*key));
    let replacing: Vec<_> =
        changed.iter().copied().filter(|key| replaces(key, before.get(*key), after.get(*key))).collect();
    if !replacing.is_empty() {
        return Some(format!(
            "replaces the container ({}); its name, address and Volumes are kept",
            replacing.join(", ")
        ));
    }
    (!changed.is_empty()).then(|| format!("applies in place ({})", changed.join(", ")))
}

/// Whether a changed field needs a new container.
fn replaces(key: &str, before: Option<&Value>, after: Option<&Value>) -> bool {
    match key {
        // Inside its Vpc every port is reachable anyhow: only the published ones concern the container.
        "ports" => {
            entries(before, |port| port["publish"].is_object()) != entries(after, |port| port["publish"].is_object())
        }
        "volumes" => entries(before, |_| true) != entries(after, |_| true),
        key => !IN_PLACE.contains(&key),
    }
}

/// The entries of a list that matter, without the names that they have for people.
fn entries(list: Option<&Value>, matters: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut entries: Vec<Value> =
        list.and_then(Value::as_array).into_iter().flatten().filter(|entry| matters(entry)).cloned().collect();
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        entry.remove("name");
    }
    entries
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instance(spec: Value) -> Value {
        json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance", "metadata": {"name": "web"}, "spec": spec})
    }

    #[test]
    fn changed_resources_apply_in_place() {
        let before = instance(json!({"image": "a", "resources": {"cpu": "1"}}));
        let after = instance(json!({"image": "a", "resources": {"cpu": "2"}, "powerState": "Stopped"}));
        assert_eq!(consequence(&before, &after).unwrap(), "applies in place (powerState, resources)");
    }

    #[test]
    fn only_published_ports_concern_the_container() {
        let before = instance(json!({"ports": [{"port": 80, "publish": {}, "name": "a"}]}));
        let after = instance(json!({"ports": [{"port": 80, "publish": {}, "name": "b"}, {"port": 81}]}));
        assert_eq!(consequence(&before, &after).unwrap(), "applies in place (ports)");
        let after = instance(json!({"ports": [{"port": 80, "publish": {"port": 8080}}]}));
        assert!(consequence(&before, &after).unwrap().starts_with("replaces the container (ports)"));
    }
}
