use std::sync::Arc;

use apiserver_store::memory::MemoryStore;
use apiserver_store::{Change, Expect, Key, ResourceId, StorageOptions, Write};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::access::{ResourceAttributes, service_account};
use crate::registry::builtin::rbac::GROUP;

struct World {
    storage: Storage,
    rules: Rbac,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new(Uuid::from_u128(1)));
        let storage = Storage::open(store, StorageOptions::default()).await.unwrap();
        Self { rules: Rbac::new(storage.clone()), storage }
    }

    fn key(plural: &str, namespace: &str, name: &str) -> Key {
        Key::new(ResourceId::new(GROUP, plural), namespace, name)
    }

    async fn put(&self, plural: &str, namespace: &str, name: &str, mut object: Value) {
        object["metadata"] = json!({"name": name, "namespace": namespace});
        let key = Self::key(plural, namespace, name);
        let old = self.storage.get(&key);
        let expect = old.as_ref().map_or(Expect::Absent, |old| Expect::Revision(old.revision));
        let change = Change::Put { uid: Uuid::from_u128(7), body: object.to_string().into_bytes() };
        self.storage.write(Write { key, expect, change }).await.unwrap();
    }

    async fn remove(&self, plural: &str, namespace: &str, name: &str) {
        let key = Self::key(plural, namespace, name);
        let old = self.storage.get(&key).unwrap();
        let change = Change::Delete { body: old.body.to_vec() };
        self.storage.write(Write { key, expect: Expect::Revision(old.revision), change }).await.unwrap();
    }

    async fn role(&self, namespace: &str, name: &str, verb: &str, resource: &str) {
        let plural = if namespace.is_empty() { "clusterroles" } else { "roles" };
        let rule = json!({"verbs": [verb], "apiGroups": [""], "resources": [resource]});
        self.put(plural, namespace, name, json!({"rules": [rule]})).await;
    }

    async fn bind(&self, namespace: &str, name: &str, role: (&str, &str), subjects: Value) {
        let plural = if namespace.is_empty() { "clusterrolebindings" } else { "rolebindings" };
        let (kind, role) = role;
        self.put(plural, namespace, name, json!({"roleRef": {"kind": kind, "name": role}, "subjects": subjects})).await;
    }

    /// What decides about a secret.
    fn ask(&self, who: &Identity, verb: &str, namespace: &str) -> Decision {
        let of = ResourceAttributes { resource: "secrets", namespace, name: "s", ..Default::default() };
        self.rules.authorize(who, &Attributes { verb, object: Object::Resource(of) })
    }

    #[track_caller]
    fn expect(&self, who: &Identity, verb: &str, namespace: &str, answer: Result<&str, &str>) {
        let decision = self.ask(who, verb, namespace);
        assert_eq!(
            (decision.is_allowed(), decision.reason().as_str()),
            (answer.is_ok(), answer.unwrap_or_else(|why| why))
        );
    }
}

fn ann() -> Identity {
    Identity::new("ann", ["team".to_owned()])
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "name": name})
}

#[tokio::test]
async fn nobody_may_anything_but_masters_everything() {
    let world = World::new().await;
    world.expect(&ann(), "get", "a", Err(""));
    world.expect(&Identity::master("root"), "get", "a", Ok(""));
}

#[tokio::test]
async fn everybody_known_may_ask_what_is_here_and_who_they_are() {
    let world = World::new().await;
    let stranger = Identity { user: "system:anonymous".into(), ..Identity::default() };
    for path in ["/api", "/api/v1", "/apis/apps/v1", "/openapi/v3/api/v1", "/version", "/version/", "/readyz"] {
        let wish = Attributes { verb: "get", object: Object::Path(path) };
        assert!(world.rules.authorize(&ann(), &wish).is_allowed(), "{path}");
        assert!(!world.rules.authorize(&stranger, &wish).is_allowed(), "{path}");
        assert!(!world.rules.authorize(&ann(), &Attributes { verb: "post", ..wish }).is_allowed(), "{path}");
    }
    for path in ["/metrics", "/", "/apis-other"] {
        let wish = Attributes { verb: "get", object: Object::Path(path) };
        assert!(!world.rules.authorize(&ann(), &wish).is_allowed(), "{path}");
    }
    let of = ResourceAttributes {
        group: "authorization.k8s.io",
        resource: "selfsubjectaccessreviews",
        ..Default::default()
    };
    let wish = Attributes { verb: "create", object: Object::Resource(of) };
    let decision = world.rules.authorize(&ann(), &wish);
    assert_eq!(decision.reason(), "RBAC: allowed by the built-in rules of Group \"system:authenticated\"");
}

#[tokio::test]
async fn a_binding_gives_a_role_to_its_subjects_where_it_is() {
    let world = World::new().await;
    world.role("", "view", "get", "secrets").await;
    world.role("a", "edit", "update", "secrets").await;
    world.bind("a", "b1", ("ClusterRole", "view"), json!([user("bob"), user("ann")])).await;
    world.bind("a", "b2", ("Role", "edit"), json!([{"kind": "Group", "name": "team"}])).await;

    world.expect(
        &ann(),
        "get",
        "a",
        Ok("RBAC: allowed by RoleBinding \"b1/a\" of ClusterRole \"view\" to User \"ann\""),
    );
    world.expect(&ann(), "update", "a", Ok("RBAC: allowed by RoleBinding \"b2/a\" of Role \"edit\" to Group \"team\""));
    for (verb, namespace) in [("delete", "a"), ("get", "b"), ("get", "")] {
        world.expect(&ann(), verb, namespace, Err(""));
    }
    world.bind("", "all", ("ClusterRole", "view"), json!([{"kind": "Group", "name": "team"}])).await;
    let because = "RBAC: allowed by ClusterRoleBinding \"all\" of ClusterRole \"view\" to Group \"team\"";
    for namespace in ["", "a", "b"] {
        world.expect(&ann(), "get", namespace, Ok(because));
    }
}

#[tokio::test]
async fn service_accounts_are_bound_by_namespace_and_name() {
    let world = World::new().await;
    world.role("", "view", "get", "secrets").await;
    let account =
        |namespace: &str| Identity::new(service_account::user(namespace, "ci"), service_account::groups(namespace));
    world.bind("a", "near", ("ClusterRole", "view"), json!([{"kind": "ServiceAccount", "name": "ci"}])).await;
    let because = "RBAC: allowed by RoleBinding \"near/a\" of ClusterRole \"view\" to ServiceAccount \"ci/a\"";
    world.expect(&account("a"), "get", "a", Ok(because));
    world.expect(&account("b"), "get", "a", Err(""));
    let far = json!([{"kind": "ServiceAccount", "name": "ci", "namespace": "b"}]);
    world.bind("a", "far", ("ClusterRole", "view"), far).await;
    let because = "RBAC: allowed by RoleBinding \"far/a\" of ClusterRole \"view\" to ServiceAccount \"ci/b\"";
    world.expect(&account("b"), "get", "a", Ok(because));
    world.bind("", "none", ("ClusterRole", "view"), json!([{"kind": "ServiceAccount", "name": "ci"}])).await;
    world.expect(&account("c"), "get", "a", Err(""));
    let group = json!([{"kind": "Group", "name": "system:serviceaccounts:c"}]);
    world.bind("", "group", ("ClusterRole", "view"), group).await;
    assert!(world.ask(&account("c"), "get", "a").is_allowed());
}

#[tokio::test]
async fn what_changes_is_understood_at_once() {
    let world = World::new().await;
    world.bind("a", "b", ("Role", "r"), json!([user("ann")])).await;
    world.expect(&ann(), "get", "a", Err("RBAC: role.rbac.authorization.k8s.io \"r\" not found"));
    world.role("a", "r", "get", "secrets").await;
    assert!(world.ask(&ann(), "get", "a").is_allowed());
    world.role("a", "r", "update", "secrets").await;
    assert!(!world.ask(&ann(), "get", "a").is_allowed());
    assert!(world.ask(&ann(), "update", "a").is_allowed());
    world.bind("a", "b", ("Role", "r"), json!([user("bob"), user("bob")])).await;
    assert!(!world.ask(&ann(), "update", "a").is_allowed());
    let bob = Identity::new("bob", []);
    assert!(world.ask(&bob, "update", "a").is_allowed());
    world.remove("rolebindings", "a", "b").await;
    world.expect(&bob, "update", "a", Err(""));
    world.remove("roles", "a", "r").await;
    world.bind("a", "b", ("Role", "r"), json!([user("bob")])).await;
    world.expect(&bob, "update", "a", Err("RBAC: role.rbac.authorization.k8s.io \"r\" not found"));
}

#[tokio::test]
async fn the_index_holds_nothing_of_what_is_gone() {
    let world = World::new().await;
    for name in ["r1", "r2"] {
        world.role("a", name, "get", "secrets").await;
        let everybody =
            json!([user("ann"), {"kind": "Group", "name": "team"}, {"kind": "ServiceAccount", "name": "ci"}]);
        world.bind("a", name, ("Role", name), everybody).await;
    }
    assert!(world.ask(&ann(), "get", "a").is_allowed());
    for name in ["r1", "r2"] {
        world.remove("roles", "a", name).await;
        world.remove("rolebindings", "a", name).await;
    }
    world.expect(&ann(), "get", "a", Err(""));
    assert!(world.rules.ask(Index::is_empty));
}

#[tokio::test]
async fn several_missing_roles_are_told_once_each() {
    let world = World::new().await;
    for (name, role) in [("b1", "r1"), ("b2", "r2"), ("b3", "r2")] {
        world.bind("", name, ("ClusterRole", role), json!([user("ann")])).await;
    }
    world.expect(
        &ann(),
        "get",
        "a",
        Err("RBAC: [clusterrole.rbac.authorization.k8s.io \"r1\" not found, clusterrole.rbac.authorization.k8s.io \"r2\" \
             not found]"),
    );
}

#[tokio::test]
async fn rights_are_all_rules_of_all_bindings() {
    let world = World::new().await;
    world.role("", "view", "get", "secrets").await;
    world.role("a", "edit", "update", "secrets").await;
    let twice = json!([user("ann"), {"kind": "Group", "name": "team"}]);
    world.bind("a", "b1", ("ClusterRole", "view"), twice).await;
    world.bind("a", "b2", ("Role", "edit"), json!([user("ann")])).await;
    world.bind("b", "b3", ("ClusterRole", "view"), json!([user("ann")])).await;
    world.bind("a", "b4", ("Role", "none"), json!([user("ann")])).await;
    let rights = world.rules.rights(&ann(), "a");
    let of_secrets: Vec<&str> =
        rights.rules.iter().filter(|rule| rule.resources == ["secrets"]).map(|rule| rule.verbs[0].as_str()).collect();
    assert_eq!(of_secrets, ["get", "update"]);
    assert_eq!(rights.problem, "role.rbac.authorization.k8s.io \"none\" not found");
    let master = world.rules.rights(&Identity::master("root"), "a");
    assert!(master.rules.iter().any(|rule| rule.resources == ["*"] && rule.verbs == ["*"]));
}
