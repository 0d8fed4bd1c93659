//! Decides what becomes of the roles, bindings and accounts that the product ships, at every start: made where they are
//! missing, and given back what they lack. What an administrator added to one stays, unless it is narrowed; one whose
//! annotation [`AUTOUPDATE`] is `false` is left alone.

use serde_json::{Map, Value};

use crate::access::{Rule, missing_rights};
use crate::error::{ApiError, Reason};
use crate::install::InstallError;
use crate::managed_fields::Author;
use crate::query::WriteOptions;
use crate::server::ApiServer;
use crate::verbs::create;
use crate::verbs::served::Served;
use crate::verbs::write::{self, Failure, Owners, Part, Proposal};

/// The annotation that keeps a shipped role or binding as somebody made it, with the value `false`.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

impl ApiServer {
    /// Makes what is shipped, and gives back what it lacks, in this order.
    ///
    /// # Errors
    /// For the first that is refused.
    pub async fn install_shipped(&self, objects: &[Value]) -> Result<(), InstallError> {
        for object in objects {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let refused = |source| InstallError::Shipped { name: name.to_owned(), source };
            self.reconcile(name, object, complete).await.map_err(refused)?;
        }
        Ok(())
    }

    /// Takes from roles that are shipped what they have beyond that, in this order: what an earlier version shipped, too.
    /// For those that only our own parts go by, while none of an earlier version runs.
    ///
    /// # Errors
    /// For the first that is refused.
    pub async fn narrow_shipped(&self, objects: &[Value]) -> Result<(), InstallError> {
        for object in objects.iter().filter(|object| object.get("rules").is_some()) {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let refused = |source| InstallError::Shipped { name: name.to_owned(), source };
            self.reconcile(name, object, narrow).await.map_err(refused)?;
        }
        Ok(())
    }

    async fn reconcile(&self, name: &str, shipped: &Value, mend: fn(&mut Value, &Value)) -> Result<(), ApiError> {
        let served = self.kind_of(shipped)?;
        let namespace = shipped["metadata"]["namespace"].as_str().unwrap_or_default();
        let (options, author) = (WriteOptions::default(), Author::server(""));
        loop {
            self.state.refresh().await?;
            let Some(current) = self.state.storage().get(&served.key(namespace, name)) else {
                match create::make(&self.state, &served, namespace, shipped.clone().into(), &options, &author).await {
                    Err(error) if error.reason == Reason::AlreadyExists => continue,
                    made => return made.map(|_| ()),
                }
            };
            let old = served.value(&current);
            let mut value = old.clone();
            mend(&mut value, shipped);
            if value == old {
                return Ok(());
            }
            let proposal = Proposal { value, part: Part::Object, owners: Owners::Followed };
            match write::attempt(&self.state, &served, &current, proposal, &options, &author).await {
                Ok(_) => return Ok(()),
                Err(Failure::Lost) => {}
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
    }

    fn kind_of(&self, object: &Value) -> Result<Served, ApiError> {
        let edition = self.state.catalog.edition();
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
        let kind = edition.registry.kinds().find(|kind| kind.group == group && kind.kind == text("kind"));
        kind.and_then(|kind| Served::find(&edition, group, version, &kind.plural))
            .ok_or_else(|| ApiError::internal(format!("the kind {} of {group:?} is not served", text("kind"))))
    }
}

/// Adds to what is there what it lacks of what is shipped.
fn complete(current: &mut Value, shipped: &Value) {
    for map in ["labels", "annotations"] {
        let wanted = shipped["metadata"].get(map).and_then(Value::as_object);
        for (key, value) in wanted.into_iter().flatten() {
            if current["metadata"].get(map).is_none() {
                current["metadata"][map] = Map::new().into();
            }
            if current["metadata"][map].get(key).is_none() {
                current["metadata"][map][key] = value.clone();
            }
        }
    }
    if current["metadata"]["annotations"][AUTOUPDATE] == "false" {
        return;
    }
    if shipped.get("roleRef").is_some_and(|role| current["roleRef"] == *role) {
        add_items(&mut current["subjects"], &shipped["subjects"]);
    }
    match (current.get("aggregationRule"), shipped.get("aggregationRule")) {
        (Some(rule), Some(_)) if rule.is_object() => {
            let place = &mut current["aggregationRule"]["clusterRoleSelectors"];
            add_items(place, &shipped["aggregationRule"]["clusterRoleSelectors"]);
        }
        (_, Some(rule)) => current["aggregationRule"] = rule.clone(),
        (_, None) => {
            let rules =
                |role: &Value| -> Vec<Rule> { serde_json::from_value(role["rules"].clone()).unwrap_or_default() };
            for rule in missing_rights(&rules(current), &rules(shipped)) {
                add_items(&mut current["rules"], &Value::Array(vec![rule.to_value()]));
            }
        }
    }
}

/// Gives a role the rules that are shipped, and no others.
fn narrow(current: &mut Value, shipped: &Value) {
    if current["metadata"]["annotations"][AUTOUPDATE] != "false" {
        current["rules"] = shipped["rules"].clone();
    }
}

/// Adds to a list, which may be null, the items that it lacks.
fn add_items(list: &mut Value, wanted: &Value) {
    for item in wanted.as_array().into_iter().flatten() {
        match list {
            Value::Array(items) if items.contains(item) => {}
            Value::Array(items) => items.push(item.clone()),
            _ => *list = Value::Array(vec![item.clone()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn becomes(current: Value, shipped: &Value, expected: &Value) {
        let mut value = current;
        complete(&mut value, shipped);
        assert_eq!(value, *expected);
        complete(&mut value, shipped);
        assert_eq!(value, *expected, "once is enough");
    }

    fn rule(verbs: &[&str]) -> Value {
        json!({"verbs": verbs, "apiGroups": [""], "resources": ["configmaps"]})
    }

    #[test]
    fn a_role_keeps_what_was_added_and_gets_back_what_it_lacks() {
        let shipped = json!({"metadata": {"labels": {"a": "1"}}, "rules": [rule(&["get", "list"])]});
        becomes(
            json!({"metadata": {"labels": {"b": "2"}}, "rules": [rule(&["get", "delete"])]}),
            &shipped,
            &json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "rules": [rule(&["get", "delete"]), rule(&["list"])]}),
        );
        let whole = json!({"metadata": {"labels": {"a": "2"}}, "rules": [rule(&["*"])]});
        becomes(whole.clone(), &shipped, &whole);
    }

    #[test]
    fn one_that_is_to_be_left_alone_is() {
        let current = json!({"metadata": {"annotations": {AUTOUPDATE: "false"}}, "rules": null});
        let shipped = json!({"metadata": {"annotations": {AUTOUPDATE: "true"}}, "rules": [rule(&["get"])]});
        becomes(current.clone(), &shipped, &current);
    }

    #[test]
    fn a_role_that_gathers_keeps_its_selectors_and_its_rules() {
        let selector = |label: &str| json!({"matchLabels": {label: "true"}});
        let gathers = |selectors: Value| json!({"aggregationRule": {"clusterRoleSelectors": selectors}});
        let mut current = gathers(json!([selector("mine")]));
        current["rules"] = json!([rule(&["get"])]);
        let mut expected = gathers(json!([selector("mine"), selector("ours")]));
        expected["rules"] = current["rules"].clone();
        becomes(current, &gathers(json!([selector("ours")])), &expected);
    }

    #[test]
    fn a_binding_gets_back_its_subjects_unless_it_is_to_another_role() {
        let binding = |role: &str, users: &[&str]| {
            let subjects: Vec<Value> = users.iter().map(|user| json!({"kind": "User", "name": user})).collect();
            json!({"roleRef": {"name": role}, "subjects": subjects})
        };
        becomes(binding("r", &["ann"]), &binding("r", &["bob"]), &binding("r", &["ann", "bob"]));
        becomes(binding("other", &["ann"]), &binding("r", &["bob"]), &binding("other", &["ann"]));
    }
}
