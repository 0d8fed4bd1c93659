use serde_json::json;

use super::*;

fn definition() -> Value {
    json!({
        "metadata": {"name": "widgets.wire.example", "uid": "u1", "annotations": {"thecloud.dev/connect": "log, exec"}},
        "spec": {
            "group": "wire.example",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList", "shortNames": ["wd"], "categories": ["all"]},
            "scope": "Namespaced",
            "conversion": {"strategy": "None"},
            "versions": [
                {"name": "v1beta1", "served": true, "storage": false, "deprecated": true, "deprecationWarning": "use v1", "schema": {"openAPIV3Schema": {"type": "object"}}},
                {
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                        "color": {"type": "string"}, "replicas": {"type": "integer"}, "map": {"type": "object"},
                    }}}}},
                    "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.ready"}},
                    "additionalPrinterColumns": [{"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1}],
                    "selectableFields": [{"jsonPath": ".spec.color"}],
                },
            ],
        },
    })
}

fn now() -> jiff::Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// The errors after one change to a good definition.
fn changed(pointer: &str, value: Value) -> Vec<String> {
    let mut definition = definition();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match definition.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    validate(&definition, None).iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_definition_makes_a_kind() {
    assert_eq!(validate(&definition(), None), []);
    let kind = kind(&definition()).unwrap();
    assert_eq!(kind.resource().plural, "widgets");
    assert_eq!(kind.versions.iter().map(|version| version.name.as_str()).collect::<Vec<_>>(), ["v1", "v1beta1"]);
    assert_eq!(kind.storage_version, "v1");
    assert_eq!(kind.connects, ["log", "exec"]);
    assert_eq!(kind.origin, Origin::Custom { uid: "u1".to_owned() });
    let version = kind.version("v1").unwrap();
    assert!(version.status);
    assert_eq!(version.scale.as_ref().unwrap().spec_replicas_path, ".spec.replicas");
    assert_eq!(version.selectable_fields, ["spec.color"]);
    assert_eq!(version.columns[0].name, "Color");
    let beta = kind.version("v1beta1").unwrap();
    assert_eq!(beta.deprecation.as_deref(), Some("use v1"));
    assert_eq!(beta.columns[0].name, "Age");
    assert!(!beta.status);
}

#[test]
fn a_deprecated_version_says_what_to_use_instead() {
    let mut definition = definition();
    definition["spec"]["versions"][0].as_object_mut().unwrap().remove("deprecationWarning");
    let kind = kind(&definition).unwrap();
    let warning = kind.version("v1beta1").unwrap().deprecation.as_deref();
    assert_eq!(warning, Some("wire.example/v1beta1 Widget is deprecated; use wire.example/v1 Widget"));
}

#[test]
fn what_is_wrong_with_a_definition_is_told_in_upstreams_words() {
    let cases = [
        (
            "/metadata/name",
            json!("x"),
            "metadata.name: Invalid value: \"x\": must be spec.names.plural+\".\"+spec.group",
        ),
        (
            "/spec/scope",
            json!("Galaxy"),
            "spec.scope: Unsupported value: \"Galaxy\": supported values: \"Cluster\", \"Namespaced\"",
        ),
        (
            "/spec/names/listKind",
            json!("Widget"),
            "spec.names.listKind: Invalid value: \"Widget\": kind and listKind may not be the same",
        ),
        (
            "/spec/versions/1/storage",
            json!(false),
            "spec.versions: Invalid value: [\"v1beta1\",\"v1\"]: must have exactly one version marked as storage version",
        ),
        (
            "/spec/versions/0/name",
            json!("v1"),
            "spec.versions: Invalid value: [\"v1\",\"v1\"]: must contain unique version names",
        ),
        (
            "/spec/versions/1/schema",
            json!({}),
            "spec.versions[1].schema.openAPIV3Schema: Required value: schemas are required",
        ),
        (
            "/spec/versions/1/schema/openAPIV3Schema/properties/spec",
            json!({"properties": {"color": {"type": "string"}}}),
            "spec.versions[1].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
        ),
        (
            "/spec/versions/1/subresources/scale/specReplicasPath",
            json!(".status.x"),
            "spec.versions[1].subresources.scale.specReplicasPath: Invalid value: \".status.x\": should be a json path under .spec",
        ),
        (
            "/spec/versions/1/additionalPrinterColumns/0/type",
            json!("text"),
            "spec.versions[1].additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of integer,number,string,boolean,date",
        ),
        (
            "/spec/versions/1/selectableFields/0/jsonPath",
            json!(".spec.none"),
            "spec.versions[1].selectableFields[0].jsonPath: Invalid value: \".spec.none\": is an invalid path: does not refer to a valid field",
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {}}),
            "spec.conversion.strategy: Forbidden: this server converts between versions by apiVersion only: use strategy None, or serve one version",
        ),
    ];
    for (pointer, value, expected) in cases {
        assert_eq!(changed(pointer, value), [expected]);
    }
    let nine: Vec<Value> = (0..9).map(|_| json!({"jsonPath": ".spec.color"})).collect();
    assert!(
        changed("/spec/versions/1/selectableFields", nine.into())[0]
            .ends_with("Too many: 9: must have at most 8 items")
    );
    assert!(
        changed("/spec/group", json!("widgets"))
            .iter()
            .any(|error| error.ends_with("should be a domain with at least one dot"))
    );
    assert!(
        changed("/spec/group", json!("x.k8s.io"))
            .iter()
            .any(|error| error.contains("protected groups must have approval annotation"))
    );
}

#[test]
fn what_is_no_definition_at_all_is_refused_without_a_panic() {
    for value in [json!({}), json!({"spec": []}), json!({"spec": {"versions": [1, {}], "names": "x"}}), json!(null)] {
        assert!(!validate(&value, None).is_empty());
    }
}

#[test]
fn names_stay_once_objects_may_exist() {
    let mut old = definition();
    old["status"] = status(&old, &Claims::default(), now());
    let mut new = old.clone();
    new["spec"]["scope"] = "Cluster".into();
    assert_eq!(validate(&new, Some(&old))[0].to_string(), "spec.scope: Invalid value: \"Cluster\": field is immutable");
    let mut new = old.clone();
    new["spec"]["versions"][1]["name"] = "v2".into();
    assert_eq!(
        validate(&new, Some(&old))[0].to_string(),
        "status.storedVersions[0]: Invalid value: \"v1\": must appear in spec.versions"
    );
}

#[test]
fn a_definition_with_free_names_is_established() {
    let definition = definition();
    let status = status(&definition, &Claims::default(), now());
    assert_eq!(
        status,
        json!({
            "acceptedNames": definition["spec"]["names"],
            "conditions": [
                {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": "2026-01-02T03:04:05Z"},
                {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted", "lastTransitionTime": "2026-01-02T03:04:05Z"},
            ],
            "storedVersions": ["v1"],
        })
    );
}

#[test]
fn a_status_that_is_right_stays_as_it_is() {
    let mut definition = definition();
    definition["status"] = status(&definition, &Claims::default(), now());
    definition["status"]["conditions"].as_array_mut().unwrap().push(json!({"type": "Terminating", "status": "False"}));
    let mut own = Claims::default();
    own.set("wire.example", "widgets.wire.example", definition["status"]["acceptedNames"].clone());
    let later = now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(status(&definition, &own, later), definition["status"]);
}

/// The status of the definition beside another of its group that has these names.
fn beside(wanted: &Value, names: Value) -> Value {
    let mut claims = Claims::default();
    claims.set("wire.example", "things.wire.example", names.clone());
    claims.set("elsewhere.example", "widgets.elsewhere.example", wanted["spec"]["names"].clone());
    status(wanted, &claims, now())
}

#[test]
fn names_are_accepted_one_by_one() {
    let mut wanted = definition();
    wanted["spec"]["names"] = json!({
        "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
        "shortNames": ["wd", "wi"], "categories": ["all"],
    });
    for (taken, reason, message, lacks) in [
        (json!({"kind": "WidgetList"}), "ListKindConflict", "\"WidgetList\" is already in use", "listKind"),
        (json!({"listKind": "Widget"}), "KindConflict", "\"Widget\" is already in use", "kind"),
        (json!({"plural": "wd"}), "ShortNamesConflict", "\"wd\" is already in use", "shortNames"),
        (
            json!({"shortNames": ["wi", "wd"]}),
            "ShortNamesConflict",
            "[\"wd\" is already in use, \"wi\" is already in use]",
            "shortNames",
        ),
        (json!({"shortNames": ["widget"]}), "SingularConflict", "\"widget\" is already in use", "singular"),
        (json!({"singular": "widgets"}), "PluralConflict", "\"widgets\" is already in use", "plural"),
    ] {
        let found = beside(&wanted, taken);
        let [names, established] = [0, 1].map(|at| &found["conditions"][at]);
        assert_eq!((&names["reason"], &names["message"]), (&json!(reason), &json!(message)));
        assert_eq!((&established["status"], &established["reason"]), (&json!("False"), &json!("NotAccepted")));
        let mut expected = wanted["spec"]["names"].clone();
        match lacks {
            "kind" | "plural" => expected[lacks] = "".into(),
            _ => drop(expected.as_object_mut().unwrap().remove(lacks)),
        }
        assert_eq!(found["acceptedNames"], expected);
    }
    // The last that is looked at is told.
    let both = beside(&wanted, json!({"plural": "widget", "kind": "Widget"}));
    assert_eq!(both["conditions"][0]["reason"], "KindConflict");
}

#[test]
fn a_definition_that_is_served_keeps_its_names_when_it_wants_those_of_another() {
    let mut definition = definition();
    definition["status"] = status(&definition, &Claims::default(), now());
    let had = definition["status"]["acceptedNames"].clone();
    definition["spec"]["names"]["shortNames"] = json!(["wd", "th"]);
    definition["spec"]["names"]["kind"] = "Gadget".into();
    let found = beside(&definition, json!({"plural": "things", "shortNames": ["th"]}));
    assert_eq!(found["acceptedNames"]["shortNames"], had["shortNames"], "all of them or none");
    assert_eq!(found["acceptedNames"]["kind"], "Gadget");
    assert_eq!(found["conditions"][0]["reason"], "ShortNamesConflict");
    assert_eq!(
        (&found["conditions"][1]["type"], &found["conditions"][1]["status"]),
        (&json!("Established"), &json!("True"))
    );
}
