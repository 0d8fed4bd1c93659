use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::Reason;

// What kubectl 1.33 sends for `create namespace dev`, and so on.
const NAMESPACE: &str = "6b3873000a0f0a02763112094e616d657370616365121b0a130a0364657612001a0022002a003200380042001200\
    1a020a001a002200";
const CONFIG_MAP: &str = "6b3873000a0f0a0276311209436f6e6669674d617012370a1b0a0873657474696e677312001a036465762200\
    2a00320038004200120c0a05636f6c6f721203726564120a0a0473697a65120231301a002200";
const SECRET: &str = "6b3873000a0c0a0276311206536563726574122d0a170a046b65797312001a0364657622002a00320038004200\
    12100a05746f6b656e120768756e746572321a001a002200";
const QUOTA: &str = "6b3873000a130a027631120d5265736f7572636551756f746112300a110a017112001a0022002a00320038004200\
    12190a0a0a0363707512030a01310a0b0a04706f647312030a01321a001a002200";
const ACCESS_REVIEW: &str = "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a6563\
    74416363657373526576696577123c0a100a0012001a0022002a00320038004200121e0a1c0a0764656661756c7412036765741a0022002a04\
    706f647332003a001a08080012001a0020001a002200";
const TOKEN_REQUEST: &str = "6b3873000a280a1861757468656e7469636174696f6e2e6b38732e696f2f7631120c546f6b656e52657175\
    657374121d0a100a0012001a0022002a0032003800420012 0320d8041a040a0012001a002200";
const ROLE_BINDING: &str = "6b3873000a2b0a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f7631120b526f6c654269\
    6e64696e6712640a120a02726212001a0022002a0032003800420012280a04557365721219726261632e617574686f72697a6174696f6e2e6b\
    38732e696f1a03626f6222001a240a19726261632e617574686f72697a6174696f6e2e6b38732e696f1204526f6c651a01721a002200";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn decoded(hex: &str) -> Value {
    protobuf(&bytes(hex)).unwrap().value
}

/// A field with a length.
fn field(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

/// A field with a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn body(api_version: &str, kind: &str, object: impl AsRef<[u8]>) -> Vec<u8> {
    let type_meta = [field(1, api_version), field(2, kind)].concat();
    [PREFIX.to_vec(), field(1, type_meta), field(2, object), field(3, ""), field(4, "")].concat()
}

fn refusal(body: &[u8]) -> String {
    let error = protobuf(body).unwrap_err();
    assert_eq!(error.reason, Reason::BadRequest);
    error.message
}

#[test]
fn what_kubectl_creates_reads_as_if_it_were_json() {
    assert_eq!(decoded(NAMESPACE), json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dev"}}));
    assert_eq!(
        decoded(CONFIG_MAP),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "dev"},
            "data": {"color": "red", "size": "10"},
        })
    );
    assert_eq!(
        decoded(SECRET),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "dev"},
            "data": {"token": "aHVudGVyMg=="},
        })
    );
    assert_eq!(
        decoded(QUOTA),
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
            "spec": {"hard": {"cpu": "1", "pods": "2"}},
        })
    );
    assert_eq!(
        decoded(ROLE_BINDING),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "rb"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "bob"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        })
    );
}

#[test]
fn what_kubectl_asks_reads_as_if_it_were_json() {
    assert_eq!(
        decoded(ACCESS_REVIEW),
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
            "status": {"allowed": false},
        })
    );
    let request = decoded(TOKEN_REQUEST);
    assert_eq!(request["spec"], json!({"expirationSeconds": 600}));
}

#[test]
fn pointers_keep_zeros_and_scalars_lose_them() {
    let map = decoded_body(&body("v1", "ConfigMap", [field(2, field(1, "k")), number(4, 0)].concat()));
    assert_eq!(map["immutable"], false);
    assert_eq!(map["data"], json!({"k": ""}));
    let review = body("authentication.k8s.io/v1", "TokenReview", field(3, number(1, 0)));
    assert_eq!(decoded_body(&review).get("status"), None);
    let options = body("apps/v1", "DeleteOptions", [number(1, 0), field(4, "Orphan"), field(5, "All")].concat());
    let options = decoded_body(&options);
    assert_eq!(options["gracePeriodSeconds"], 0);
    assert_eq!(options["propagationPolicy"], "Orphan");
    assert_eq!(options["dryRun"], json!(["All"]));
}

fn decoded_body(body: &[u8]) -> Value {
    protobuf(body).unwrap().value
}

#[test]
fn times_have_seconds_or_six_digits() {
    let time = |seconds, nanos| [number(1, seconds), number(2, nanos)].concat();
    let spec = [
        field(1, "me"),
        number(2, 15),
        field(3, time(1_700_000_000, 123_456_789)),
        // An empty one is no time.
        field(4, ""),
    ];
    let metadata = [field(1, "l"), field(8, time(1_700_000_000, 5)), field(9, "")].concat();
    let lease = body("coordination.k8s.io/v1", "Lease", [field(1, metadata), field(2, spec.concat())].concat());
    assert_eq!(
        decoded_body(&lease),
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "l", "creationTimestamp": "2023-11-14T22:13:20Z"},
            "spec": {
                "holderIdentity": "me", "leaseDurationSeconds": 15, "acquireTime": "2023-11-14T22:13:20.123456Z",
            },
        })
    );
    for (seconds, nanos) in [(u64::MAX / 2, 0), (0, u64::MAX / 2), (1 << 63, 0)] {
        let spec = field(2, field(3, time(seconds, nanos)));
        assert_eq!(
            refusal(&body("coordination.k8s.io/v1", "Lease", spec)),
            "field acquireTime: the time is out of range"
        );
    }
}

#[test]
fn maps_hold_lists_bytes_and_messages() {
    let extra = [field(1, "scopes"), field(2, [field(1, "a"), field(1, "b")].concat())].concat();
    let review = body("authorization.k8s.io/v1", "SubjectAccessReview", field(2, field(5, extra)));
    assert_eq!(decoded_body(&review)["spec"]["extra"], json!({"scopes": ["a", "b"]}));
    let map = body("v1", "ConfigMap", field(3, [field(1, "k"), field(2, [0xff, 0])].concat()));
    assert_eq!(decoded_body(&map)["binaryData"], json!({"k": "/wA="}));
}

#[test]
fn definitions_come_with_their_schemas() {
    let double = |number: u64, value: f64| [varint(number << 3 | 1), value.to_le_bytes().to_vec()].concat();
    let entry = |name: &str, schema: Vec<u8>| field(29, [field(1, name), field(2, schema)].concat());
    let color = [field(5, "string"), field(8, field(1, "\"red\"")), field(20, field(1, "\"red\"")), field(6, "")];
    let size = [double(11, 0.0), double(9, 2.5), number(40, 1)].concat();
    let list = [field(5, "array"), field(24, field(1, field(5, "string"))), field(42, "set"), number(14, 3)].concat();
    let open = [field(30, [number(1, 1), field(2, field(5, "integer"))].concat()), number(38, 1)].concat();
    let any = field(30, number(1, 1));
    let schema = [
        field(5, "object"),
        entry("color", color.concat()),
        entry("size", size),
        entry("list", list),
        entry("open", open),
        entry("any", any),
        field(44, [field(1, "true"), field(2, "never")].concat()),
    ];
    let version =
        [field(1, "v1"), number(2, 1), number(3, 1), field(4, field(1, schema.concat())), field(5, field(1, ""))];
    let definition = body(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        field(2, [field(1, "wire.test"), field(7, version.concat())].concat()),
    );
    assert_eq!(
        decoded_body(&definition)["spec"],
        json!({"group": "wire.test", "versions": [{
            "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {
                    "color": {"type": "string", "default": "red", "enum": ["red"]},
                    "size": {"minimum": 0, "maximum": 2.5, "x-kubernetes-int-or-string": true},
                    "list": {
                        "type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set", "minLength": 3,
                    },
                    "open": {
                        "additionalProperties": {"type": "integer"}, "x-kubernetes-preserve-unknown-fields": true,
                    },
                    "any": {"additionalProperties": true},
                },
                "x-kubernetes-validations": [{"rule": "true", "message": "never"}],
            }},
        }]})
    );
}

#[test]
fn what_stands_twice_is_merged_as_protobuf_has_it() {
    let twice = [
        field(1, field(1, "first")),
        field(1, field(3, "ns")),
        field(1, field(14, "a")),
        field(1, [field(14, "b"), field(1, "second")].concat()),
    ];
    let map = decoded_body(&body("v1", "ConfigMap", twice.concat()));
    assert_eq!(map["metadata"], json!({"name": "second", "namespace": "ns", "finalizers": ["a", "b"]}));
}

#[test]
fn unknown_fields_are_ignored() {
    let unknown = [number(900, 7), field(901, "x"), varint(902 << 3 | 5), vec![0; 4], varint(903 << 3 | 1), vec![0; 8]];
    let object = [unknown.concat(), field(1, field(1, "c"))].concat();
    assert_eq!(decoded_body(&body("v1", "ConfigMap", object))["metadata"], json!({"name": "c"}));
}

#[test]
fn hostile_bytes_are_refused() {
    assert!(refusal(b"{}").contains("expected prefix [107 56 115 0]"));
    assert_eq!(refusal(PREFIX), "Object 'Kind' is missing in the protobuf envelope");
    assert_eq!(refusal(&body("v1", "Pod", "")), "no kind \"Pod\" is registered for version \"v1\"");
    let config_map = |object: Vec<u8>| refusal(&body("v1", "ConfigMap", object));
    // A length of 2^63, of one byte too many, of none.
    let far = [varint(1 << 3 | 2), varint(1 << 63)].concat();
    assert_eq!(config_map(far), "unexpected EOF");
    assert_eq!(config_map([varint(1 << 3 | 2), varint(2), vec![0]].concat()), "unexpected EOF");
    assert_eq!(config_map(varint(1 << 3 | 2)), "unexpected EOF");
    assert_eq!(config_map(vec![0xff; 11]), "proto: integer overflow");
    // A group, no number, a wire type that there isn't.
    assert_eq!(config_map(varint(7 << 3 | 3)), "proto: illegal tag 7 (wire type 3)");
    assert_eq!(config_map(varint(2)), "proto: illegal tag 0 (wire type 2)");
    assert_eq!(config_map(varint(1 << 3 | 7)), "proto: illegal tag 1 (wire type 7)");
    // Another type than the table says.
    assert_eq!(config_map(number(1, 5)), "proto: wrong wireType = 0 for field metadata");
    assert_eq!(config_map(field(4, "x")), "proto: wrong wireType = 2 for field immutable");
    assert_eq!(config_map(field(2, number(1, 5))), "proto: wrong wireType = 0 for field data");
    assert_eq!(config_map(field(1, field(1, [0xff]))), "proto: field name contains invalid UTF-8");
    let fields = field(1, field(17, field(7, field(1, "{\"f:spec\":"))));
    assert_eq!(config_map(fields), "field raw: unexpected end of JSON input");
}

#[test]
fn a_schema_that_nests_too_deep_is_refused() {
    let nested = |levels: usize| {
        let schema = (0..levels).fold(field(5, "object"), |inner, _| field(28, inner));
        let version = field(4, field(1, schema));
        body("apiextensions.k8s.io/v1", "CustomResourceDefinition", field(2, field(7, version)))
    };
    assert!(protobuf(&nested(80)).is_ok());
    for levels in [100, 250, 5_000] {
        assert_eq!(refusal(&nested(levels)), "exceeded max depth");
    }
}

#[test]
fn a_body_that_is_cut_off_is_no_panic() {
    for hex in [NAMESPACE, CONFIG_MAP, SECRET, QUOTA, ACCESS_REVIEW, TOKEN_REQUEST, ROLE_BINDING] {
        let whole = bytes(hex);
        for length in 0..whole.len() {
            if let Err(error) = protobuf(&whole[..length]) {
                assert_eq!(error.reason, Reason::BadRequest);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_object_or_a_bad_request(noise in prop::collection::vec(any::<u8>(), 0..200), kind in 0..6_usize) {
        let kinds = [
            ("v1", "Event"),
            ("v1", "DeleteOptions"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("coordination.k8s.io/v1", "Lease"),
            ("authorization.k8s.io/v1", "SubjectAccessReview"),
            ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ];
        let (version, kind) = kinds[kind];
        for body in [body(version, kind, &noise), [PREFIX, &noise].concat(), noise] {
            match protobuf(&body) {
                Ok(decoded) => prop_assert!(decoded.value.is_object()),
                Err(error) => prop_assert_eq!(error.reason, Reason::BadRequest),
            }
        }
    }

    #[test]
    fn a_valid_body_with_a_few_bytes_changed_is_no_panic(
        which in 0..7_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let hex = [NAMESPACE, CONFIG_MAP, SECRET, QUOTA, ACCESS_REVIEW, TOKEN_REQUEST, ROLE_BINDING][which];
        let mut body = bytes(hex);
        for (place, byte) in changes {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Err(error) = protobuf(&body) {
            prop_assert_eq!(error.reason, Reason::BadRequest);
        }
    }
}
