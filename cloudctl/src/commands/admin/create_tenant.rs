//! `admin create-tenant`: makes what a tenant needs (a namespace, its quota, its default Vpc, who administers it), or
//! brings it to what is said now. Each is applied, so that a second time changes only what was said differently.

use serde_json::{Map, Value, json};

use crate::api::{Patch, Query, Session};
use crate::args::Global;
use crate::args::admin::TenantArgs;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;

/// Who owns the fields, so that what somebody else says of the same objects stays.
const MANAGER: &str = "cloudctl-create-tenant";
/// What every tenant's namespace bears.
const LABEL: &str = "thecloud.dev/tenant";
/// What a tenant's quota bounds.
const LIMITS: [&str; 3] = ["cpu", "memory", "storage"];
const RBAC: &str = "rbac.authorization.k8s.io";

/// Makes it.
pub(super) async fn run(args: &TenantArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    make(&session, args, screen).await
}

async fn make(session: &Session, args: &TenantArgs, screen: &Screen) -> Result<(), Error> {
    if !is_label(&args.name) {
        return Err(Error::Usage(format!(
            "`{}` is no name of a tenant: it takes small letters, digits and inner dashes, 63 at most",
            args.name
        )));
    }
    for (path, mut object) in wanted(args) {
        let before = match session.get(&path).await {
            Ok(found) => {
                keep_limits(&mut object, &found);
                Some(found["metadata"]["resourceVersion"].clone())
            }
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let query = Query::new().with("fieldManager", MANAGER).with("force", "true");
        let now = session.patch(&query.on(&path), Patch::Apply, &object).await?;
        let done = match before {
            None => "created",
            Some(revision) if revision == now["metadata"]["resourceVersion"] => "unchanged",
            Some(_) => "configured",
        };
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        screen.line(&format!("{kind}/{} {done}", object["metadata"]["name"].as_str().unwrap_or_default()))?;
    }
    let has_admins = !args.admin.is_empty() || !args.group.is_empty();
    let is_administered = has_admins || is_there(session, &admins(&args.name)).await?;
    let has_limits = [&args.cpu, &args.memory, &args.storage].into_iter().any(Option::is_some);
    let is_limited = has_limits || is_there(session, &quota(&args.name)).await?;
    screen.line(&next(&args.name, is_administered, is_limited))?;
    Ok(())
}

async fn is_there(session: &Session, path: &str) -> Result<bool, Error> {
    match session.get(path).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Where the tenant's quota is.
fn quota(tenant: &str) -> String {
    format!("/api/v1/namespaces/{tenant}/resourcequotas/tenant")
}

/// Where it is said who administers the tenant.
fn admins(tenant: &str) -> String {
    format!("/apis/{RBAC}/v1/namespaces/{tenant}/rolebindings/tenant-admins")
}

/// The objects, each with its path, in the order in which they are made.
fn wanted(args: &TenantArgs) -> Vec<(String, Value)> {
    let name = &args.name;
    let mut objects = vec![(
        format!("/api/v1/namespaces/{name}"),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: "true"}}}),
    )];
    let hard: Map<String, Value> = LIMITS
        .into_iter()
        .zip([&args.cpu, &args.memory, &args.storage])
        .filter_map(|(resource, limit)| Some((resource.to_owned(), json!(limit.as_ref()?))))
        .collect();
    if !hard.is_empty() {
        objects.push((
            quota(name),
            json!({
                "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tenant", "namespace": name},
                "spec": {"hard": hard},
            }),
        ));
    }
    objects.push((
        format!("/apis/thecloud.dev/v1alpha1/namespaces/{name}/vpcs/default"),
        json!({
            "apiVersion": "thecloud.dev/v1alpha1", "kind": "Vpc", "metadata": {"name": "default", "namespace": name},
            "spec": {},
        }),
    ));
    let subject = |kind: &'static str| move |name: &String| json!({"apiGroup": RBAC, "kind": kind, "name": name});
    let users = args.admin.iter().map(subject("User"));
    let subjects: Vec<Value> = users.chain(args.group.iter().map(subject("Group"))).collect();
    if !subjects.is_empty() {
        objects.push((
            admins(name),
            json!({
                "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding",
                "metadata": {"name": "tenant-admins", "namespace": name},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cloud-admin"}, "subjects": subjects,
            }),
        ));
    }
    objects
}

/// Limits of the quota that aren't said stay as they are: an apply without them would take them away.
fn keep_limits(object: &mut Value, found: &Value) {
    let wanted = object.pointer_mut("/spec/hard").and_then(Value::as_object_mut);
    let (Some(wanted), Some(found)) = (wanted, found["spec"]["hard"].as_object()) else { return };
    for resource in LIMITS {
        if let (None, Some(limit)) = (wanted.get(resource), found.get(resource)) {
            wanted.insert(resource.to_owned(), limit.clone());
        }
    }
}

/// What to do now.
fn next(name: &str, is_administered: bool, is_limited: bool) -> String {
    let mut lines = Vec::new();
    if !is_administered {
        lines.push(format!("Nobody administers `{name}` yet: say who with --admin USER or --group GROUP."));
    }
    if !is_limited {
        lines.push(format!("Nothing limits what `{name}` takes: say how much with --cpu, --memory and --storage."));
    }
    lines.push(format!("Its administrators work with `--namespace {name}`, and give others roles there:"));
    lines.push(format!("  kubectl -n {name} create rolebinding NAME --clusterrole=cloud-editor --user=USER"));
    lines.join("\n")
}

fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::api::tests::{Answer, session};

    fn args(name: &str) -> TenantArgs {
        TenantArgs { name: name.into(), admin: vec![], group: vec![], cpu: None, memory: None, storage: None }
    }

    /// A server that keeps what is applied.
    fn keeping(seen: &Arc<Mutex<BTreeMap<String, Value>>>) -> Session {
        let seen = Arc::clone(seen);
        session(move |request| {
            let mut seen = seen.lock().unwrap();
            let path = request.uri().path().to_owned();
            if request.method() == "PATCH" {
                let mut object: Value = serde_json::from_slice(request.body()).unwrap();
                let bare = |object: &Value| [object["spec"].clone(), object["subjects"].clone()];
                let old = seen.get(&path);
                let revision = match old {
                    Some(old) if bare(old) == bare(&object) => old["metadata"]["resourceVersion"].clone(),
                    _ => json!(format!("{}", seen.len() + 100)),
                };
                object["metadata"]["resourceVersion"] = revision;
                seen.insert(path, object.clone());
                return Answer::json(200, object);
            }
            match seen.get(&path) {
                Some(object) => Answer::json(200, object.clone()),
                None => Answer::status(404, "NotFound", "not found"),
            }
        })
    }

    #[tokio::test]
    async fn a_tenant_is_made_once_and_changed_by_saying_something_else() {
        let seen = Arc::default();
        let server = keeping(&seen);
        let told = async |args: &TenantArgs| {
            let (screen, captured) = Screen::captured();
            make(&server, args, &screen).await.unwrap();
            captured.text()
        };
        let mut tenant = TenantArgs { admin: vec!["ann".into()], cpu: Some("4".into()), ..args("shop") };
        let first = told(&tenant).await;
        for object in ["namespace/shop", "resourcequota/tenant", "vpc/default", "rolebinding/tenant-admins"] {
            assert!(first.contains(&format!("{object} created")), "{first}");
        }
        assert!(!told(&tenant).await.contains("created"));
        let unsaid = told(&args("shop")).await;
        assert!(!unsaid.contains("Nobody administers") && !unsaid.contains("configured"), "{unsaid}");
        tenant.group.push("shopkeepers".into());
        let third = told(&tenant).await;
        assert!(third.contains("rolebinding/tenant-admins configured") && third.contains("vpc/default unchanged"));
        let binding =
            &seen.lock().unwrap()["/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/tenant-admins"];
        assert_eq!(binding["roleRef"]["name"], "cloud-admin");
        assert_eq!(binding["subjects"][1]["kind"], "Group");
    }

    #[tokio::test]
    async fn a_limit_that_is_not_said_again_stays() {
        let seen = Arc::default();
        let server = keeping(&seen);
        let said = [
            TenantArgs {
                cpu: Some("2".into()),
                memory: Some("2Gi".into()),
                storage: Some("5Gi".into()),
                ..args("shop")
            },
            TenantArgs { cpu: Some("4".into()), ..args("shop") },
            args("shop"),
        ];
        let (screen, captured) = Screen::captured();
        for args in &said {
            make(&server, args, &screen).await.unwrap();
        }
        assert!(!captured.text().contains("Nothing limits"), "{}", captured.text());
        let quota = &seen.lock().unwrap()["/api/v1/namespaces/shop/resourcequotas/tenant"];
        assert_eq!(quota["spec"]["hard"], json!({"cpu": "4", "memory": "2Gi", "storage": "5Gi"}));
    }

    #[tokio::test]
    async fn what_was_not_said_is_told() {
        let seen = Arc::default();
        let (screen, captured) = Screen::captured();
        make(&keeping(&seen), &args("shop"), &screen).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), 2, "no quota and no binding");
        assert!(captured.text().contains("Nobody administers `shop`"), "{}", captured.text());
        assert!(captured.text().contains("Nothing limits what `shop` takes"));
    }

    #[tokio::test]
    async fn only_a_name_of_a_namespace_becomes_a_part_of_a_path() {
        let seen = Arc::default();
        for name in ["", "../x", "a/b", "A", "-a", "a-"] {
            assert!(make(&keeping(&seen), &args(name), &Screen::plain()).await.is_err(), "{name}");
        }
    }
}
