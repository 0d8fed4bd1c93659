//! Tenants: what an administrator says once, what a tenant's people may do there and nowhere else, and what is known of it after.

use e2e::{Cloud, Output};

/// What somebody does with kubectl, with a key of theirs.
fn by_key(cloud: &Cloud, key: &str, line: &str) -> Output {
    let token = format!("--token={key}");
    let arguments: Vec<&str> = [token.as_str()].into_iter().chain(line.split(' ')).collect();
    cloud.kubectl(&arguments)
}

#[test]
fn a_tenant_is_run_by_its_own_people_within_its_limits_and_the_audit_log_tells() {
    let cloud = Cloud::builder().fake().start();
    let admin = |line: &str| cloud.cloudctl(&line.split(' ').collect::<Vec<_>>()).ok();
    admin("user create ann");
    admin("admin create-tenant shop --admin ann --cpu 2 --memory 2Gi --storage 1Gi");
    admin("admin create-tenant mall");
    let said = admin("admin create-tenant shop --cpu 4");
    assert!(said.contains("resourcequota/tenant configured"), "{said}");
    let limits = cloud.kubectl(&["get", "quota", "tenant", "-n", "shop", "-o", "jsonpath={.spec.hard}"]).ok();
    assert_eq!(limits, r#"{"cpu":"4","memory":"2Gi","storage":"1Gi"}"#);

    let key = admin("apikey create ci --user ann");
    let key = key.trim();
    let ann = |line: &str| by_key(&cloud, key, line);
    assert!(ann("-n shop create configmap settings --from-literal=colour=blue").ok().contains("created"));
    assert!(ann("-n shop create rolebinding bob --clusterrole=cloud-viewer --user=bob").ok().contains("created"));
    for forbidden in [
        "-n mall get configmaps",
        "-n mall create configmap settings",
        "-n shop delete quota tenant",
        "-n shop create rolebinding eve --clusterrole=cluster-admin --user=eve",
        "get users.thecloud.dev",
    ] {
        let said = ann(forbidden).failed();
        assert!(said.contains("orbidden"), "{forbidden}: {said}");
    }
    let volume = "apiVersion: thecloud.dev/v1alpha1\nkind: Volume\nmetadata: {name: big}\nspec: {size: 2Gi}\n";
    let refused = cloud.kubectl_with(&[&format!("--token={key}"), "-n", "shop", "apply", "-f", "-"], volume).failed();
    assert!(refused.contains("exceeded quota: tenant"), "{refused}");

    let bob = |line: &str| cloud.kubectl(&["--as=bob"].into_iter().chain(line.split(' ')).collect::<Vec<_>>());
    assert!(bob("-n shop get configmap settings -o yaml").ok().contains("colour: blue"));
    for forbidden in ["-n shop get secrets", "-n shop delete configmap settings", "-n mall get configmaps"] {
        assert!(bob(forbidden).failed().contains("orbidden"), "{forbidden}");
    }

    let rows = |said: String| said.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let made = rows(admin("audit --user ann --verb create --kind configmap --since 1h"));
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made[0].contains("shop/configmaps/settings") && made[0].contains("201"), "{made:?}");
    assert!(made[1].contains("mall/configmaps") && made[1].contains("403"), "{made:?}");
    let prefix = cloud.kubectl(&["get", "apikey", "ci", "-o", "jsonpath={.status.prefix}"]).ok();
    let by_it = rows(admin(&format!("audit --credential {prefix}")));
    assert!(by_it.len() >= 6 && by_it.iter().all(|row| row.contains(" ann ")), "{by_it:?}");
    let refusals = rows(admin("audit -n shop --code 403"));
    assert!(refusals.iter().any(|row| row.contains("admin as bob")), "{refusals:?}");
    assert!(admin("audit verify").contains("The audit log is whole"));
}
