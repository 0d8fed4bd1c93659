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
        ("/spec/versions/1/schema", json!({}), "spec.versions[1].schema.openAPIV3Schema: Required value"),
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
            "spec.versions[1].additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
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

/// A definition of one version, as nearly all are.
fn alone(version: Value) -> Value {
    let mut definition = definition();
    let mut made =
        json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}});
    for (key, value) in version.as_object().unwrap() {
        made[key] = value.clone();
    }
    definition["spec"]["versions"] = json!([made]);
    definition
}

fn wrong(definition: &Value, old: Option<&Value>) -> Vec<String> {
    validate(definition, old).iter().map(ToString::to_string).collect()
}

/// What is wrong with a schema that stands alone, without the place where it stands.
fn wrong_schema(schema: Value) -> Vec<String> {
    let errors = wrong(&alone(json!({"schema": {"openAPIV3Schema": schema}})), None);
    errors.iter().map(|error| error.replace("spec.validation.openAPIV3Schema", "^")).collect()
}

/// The same of the schema of a field.
fn wrong_field(schema: Value) -> Vec<String> {
    let errors = wrong_schema(json!({"type": "object", "properties": {"x": schema}}));
    errors.iter().map(|error| error.replace("^.properties[x]", "^")).collect()
}

#[test]
fn what_all_versions_have_alike_is_told_beside_them() {
    let untyped = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}});
    let detail = "properties[spec].type: Required value: must not be empty for specified object fields";
    let single = alone(json!({"schema": untyped}));
    assert_eq!(wrong(&single, None), [format!("spec.validation.openAPIV3Schema.{detail}")]);
    let mut double = single.clone();
    double["spec"]["versions"].as_array_mut().unwrap().push(json!({
        "name": "v2", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}},
    }));
    assert_eq!(wrong(&double, None), [format!("spec.versions[0].schema.openAPIV3Schema.{detail}")]);
    let cases = [
        (
            json!({"subresources": {"scale": {"specReplicasPath": "spec.n", "statusReplicasPath": ".spec.n"}}}),
            vec![
                "spec.subresources.scale.specReplicasPath: Invalid value: \"spec.n\": must be a simple json path starting with .",
                "spec.subresources.scale.statusReplicasPath: Invalid value: \".spec.n\": should be a json path under .status",
            ],
        ),
        (
            json!({"additionalPrinterColumns": [{"name": "", "type": "string", "jsonPath": "x"}]}),
            vec![
                "spec.additionalPrinterColumns[0].name: Required value",
                "spec.additionalPrinterColumns[0].JSONPath: Invalid value: \"x\": must be a simple json path starting with .",
            ],
        ),
        (
            json!({"selectableFields": [{"jsonPath": ".spec[0]"}, {"jsonPath": "spec"}, {"jsonPath": ".spec."}, {}]}),
            vec![
                "spec.selectableFields[0].jsonPath: Invalid value: \".spec[0]\": is an invalid path: array notation is not allowed",
                "spec.selectableFields[1].jsonPath: Invalid value: \"spec\": is an invalid path: expected [ or . but got: spec",
                "spec.selectableFields[2].jsonPath: Invalid value: \".spec.\": is an invalid path: does not refer to a valid field",
                "spec.selectableFields[3].jsonPath: Required value",
            ],
        ),
        (
            json!({"deprecated": true, "deprecationWarning": ""}),
            vec!["spec.versions[0].deprecationWarning: Invalid value: \"\": must not be an empty string"],
        ),
        (
            json!({"deprecated": true, "deprecationWarning": "a\nb"}),
            vec![
                "spec.versions[0].deprecationWarning: Invalid value: \"a\\nb\": must only contain printable UTF-8 characters; non-printable character found at index 1",
            ],
        ),
    ];
    for (version, expected) in cases {
        assert_eq!(wrong(&alone(version), None), expected);
    }
}

#[test]
fn selectable_fields_are_few_and_stay_where_there_were_more() {
    let properties: serde_json::Map<String, Value> =
        (0..9).map(|number| (format!("f{number}"), json!({"type": "string"}))).collect();
    let fields: Vec<Value> = (0..9).map(|number| json!({"jsonPath": format!(".f{number}")})).collect();
    let many = alone(json!({
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}, "selectableFields": fields,
    }));
    assert_eq!(wrong(&many, None), ["spec.selectableFields: Too many: 9: must have at most 8 items"]);
    assert_eq!(wrong(&many, Some(&many)), [""; 0]);
    let mut twice = many.clone();
    twice["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".f1"}, {"jsonPath": ".f1"}]);
    assert_eq!(wrong(&twice, None), ["spec.selectableFields[1].jsonPath: Duplicate value: \".f1\""]);
}

#[test]
fn a_new_schema_must_leave_its_objects_comparable() {
    let list = |kind: &str, keys: Value, items: Value| json!({"type": "array", "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": keys, "items": items});
    let item = |key: Value| json!({"type": "object", "required": ["k"], "properties": {"k": key}});
    let text = json!({"type": "string"});
    let cases = [
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}),
            "^.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
        ),
        (
            list("map", json!(["k", "k"]), item(text.clone())),
            "^.x-kubernetes-list-map-keys: Invalid value: [\"k\",\"k\"]: must not contain duplicate entries",
        ),
        (
            list("set", json!(["k"]), text.clone()),
            "^.x-kubernetes-list-type: Invalid value: \"set\": must be map if x-kubernetes-list-map-keys is non-empty",
        ),
        (
            list("map", json!(["k"]), item(json!({"type": "string", "nullable": true}))),
            "^.items.properties[k].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string", "nullable": true}}),
            "^.items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set",
        ),
        (
            json!({"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true}),
            "^.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true",
        ),
        (
            json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true, "additionalProperties": true}),
            "^.additionalProperties: Forbidden: must not be used if x-kubernetes-embedded-resource is set",
        ),
        (
            json!({"type": "object", "anyOf": [{"properties": {"metadata": {"minProperties": 1}}}], "properties": {"metadata": {"type": "object"}}}),
            "^.anyOf[0].properties[metadata]: Forbidden: must not be specified in a nested context",
        ),
        (
            json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}),
            "^.items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": oldSelf cannot be used on the uncorrelatable portion of the schema within ^",
        ),
    ];
    for (schema, expected) in cases {
        assert_eq!(wrong_field(schema.clone()), [expected], "{schema}");
    }
    let keyed = list(
        "map",
        json!(["k"]),
        json!({
            "type": "object", "required": ["k"], "properties": {"k": text},
            "x-kubernetes-validations": [{"rule": "self.k == oldSelf.k"}],
        }),
    );
    assert_eq!(wrong_field(keyed), [""; 0]);
}

#[test]
fn the_root_of_a_schema_is_an_object_of_the_api() {
    let cases = [
        (
            json!({"type": "object", "additionalProperties": true}),
            "^.additionalProperties: Forbidden: must not be used at the root",
        ),
        (json!({"type": "object", "nullable": true}), "^.nullable: Forbidden: nullable cannot be true at the root"),
        (
            json!({"type": "object", "properties": {"metadata": {"type": "object", "default": {}}}}),
            "^.properties[metadata].default: Forbidden: must not be set in top-level metadata",
        ),
        (
            json!({"type": "object", "properties": {"kind": {"type": "integer"}}}),
            "^.properties[kind].type: Invalid value: \"integer\": must be string",
        ),
    ];
    for (schema, expected) in cases {
        assert_eq!(wrong_schema(schema), [expected]);
    }
    let either = json!({"openAPIV3Schema": {"type": "object", "anyOf": [{"required": ["a"]}]}});
    assert_eq!(wrong(&alone(json!({"schema": either})), None), [""; 0]);
    let with_status = alone(json!({"schema": either, "subresources": {"status": {}}}));
    let told = wrong(&with_status, None);
    assert!(
        told[0].contains(
            "XValidations] fields are allowed at the root of the schema if the status subresource is enabled"
        ),
        "{told:?}"
    );
    // What was taken once is taken again.
    assert_eq!(wrong(&with_status, Some(&with_status)), [""; 0]);
}

#[test]
fn defaults_keep_the_rules_of_their_field() {
    let schema = json!({"type": "object", "default": {"n": 1}, "properties": {"n": {
        "type": "integer", "default": 2, "x-kubernetes-validations": [{"rule": "self > 1", "message": "too few"}],
    }}});
    assert_eq!(wrong_field(schema), ["^.default.n: Invalid value: 1: too few"]);
    // A default is looked at as it is written, before defaults come in it.
    let schema = json!({"type": "object", "default": {}, "required": ["n"], "properties": {
        "n": {"type": "integer", "default": 2},
    }});
    assert_eq!(wrong_field(schema), ["^.default.n: Required value"]);
}

#[test]
fn a_group_of_the_community_says_where_it_was_approved() {
    let approved = |annotation: &str| {
        let mut definition = alone(json!({}));
        definition["metadata"]["name"] = "widgets.x.k8s.io".into();
        definition["spec"]["group"] = "x.k8s.io".into();
        if !annotation.is_empty() {
            definition["metadata"]["annotations"]["api-approved.kubernetes.io"] = annotation.into();
        }
        definition
    };
    assert_eq!(wrong(&approved("https://github.com/x/y/pull/1"), None), [""; 0]);
    assert_eq!(wrong(&approved("unapproved, experimental"), None), [""; 0]);
    assert!(wrong(&approved("yes"), None)[0].contains("with either a URL or a reason starting with \"unapproved\""));
    let missing = approved("");
    assert_eq!(wrong(&missing, None).len(), 1);
    assert_eq!(wrong(&missing, Some(&missing)), [""; 0]);
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
        "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions"
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
