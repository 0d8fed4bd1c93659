use serde_json::json;

use super::super::Structural;
use super::*;

fn schema(properties: Value, rules: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {
        "type": "object", "properties": properties, "x-kubernetes-validations": rules,
    }}})
}

fn widget(rule: Value) -> Structural {
    let properties = json!({
        "replicas": {"type": "integer"},
        "max": {"type": "integer"},
        "note": {"type": "string"},
        "text": {"type": "string"},
        "ratio": {"type": "number"},
        "at": {"type": "string", "format": "date-time"},
        "for": {"type": "string", "format": "duration"},
        "x-y": {"type": "string"},
        "names": {"type": "array", "items": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    });
    Structural::parse(&schema(properties, json!([rule]))).unwrap()
}

fn refused(rule: Value) -> String {
    let properties = json!({"replicas": {"type": "integer"}, "names": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}}}}});
    let errors = Structural::parse(&schema(properties, json!([rule]))).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].to_string().replace("properties[spec].x-kubernetes-validations[0]", "rule0")
}

fn check(schema: &Structural, new: Value, old: Option<Value>) -> Vec<String> {
    let old = old.map(|old| json!({"spec": old}));
    schema.validate(&json!({"spec": new}), old.as_ref()).iter().map(ToString::to_string).collect()
}

fn holds(rule: &str, spec: Value) -> bool {
    let errors = check(&widget(json!({"rule": rule})), spec, None);
    assert!(errors.iter().all(|error| error.contains("failed rule")), "{errors:?}");
    errors.is_empty()
}

#[test]
fn a_broken_rule_is_told_by_its_message() {
    let schema = widget(json!({"rule": "self.replicas <= 100", "message": "at most 100 replicas"}));
    assert_eq!(check(&schema, json!({"replicas": 101}), None), ["spec: Invalid value: at most 100 replicas"]);
    assert_eq!(check(&schema, json!({"replicas": 100}), None), [""; 0]);
}

#[test]
fn a_rule_that_cannot_be_evaluated_refuses_the_object() {
    let schema = widget(json!({"rule": "self.replicas <= 100", "message": "at most 100 replicas"}));
    assert_eq!(
        check(&schema, json!({}), None),
        ["spec: Invalid value: \"object\": no such key: replicas evaluating rule: at most 100 replicas"]
    );
}

#[test]
fn rules_are_not_evaluated_where_the_object_has_the_wrong_shape() {
    let schema = widget(json!({"rule": "self.replicas <= 100"}));
    let errors = check(&schema, json!({"replicas": "x"}), None);
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[1], format!("<nil>: Invalid value: null: {}", words::UNCHECKED));
}

#[test]
fn transition_rules_run_on_updates_only() {
    let schema = widget(json!({"rule": "!has(oldSelf.note) || has(self.note)", "message": "note cannot be removed"}));
    assert_eq!(check(&schema, json!({}), None), [""; 0]);
    assert_eq!(check(&schema, json!({}), Some(json!({"note": "x"}))), ["spec: Invalid value: note cannot be removed"]);
    assert_eq!(check(&schema, json!({"note": "y"}), Some(json!({"note": "x"}))), [""; 0]);
}

#[test]
fn an_optional_old_self_runs_on_creation_too() {
    let schema = widget(json!({
        "rule": "oldSelf.hasValue() ? self.replicas >= oldSelf.value().replicas : self.replicas == 1",
        "optionalOldSelf": true,
        "message": "starts with one and grows",
    }));
    assert_eq!(check(&schema, json!({"replicas": 2}), None).len(), 1);
    assert_eq!(check(&schema, json!({"replicas": 1}), None), [""; 0]);
    assert_eq!(check(&schema, json!({"replicas": 1}), Some(json!({"replicas": 2}))).len(), 1);
    assert_eq!(check(&schema, json!({"replicas": 3}), Some(json!({"replicas": 2}))), [""; 0]);
}

#[test]
fn unchanged_parts_are_not_judged_again() {
    let schema = widget(json!({"rule": "self.replicas <= 100"}));
    let old = json!({"replicas": 200});
    assert_eq!(check(&schema, old.clone(), Some(old.clone())), [""; 0]);
    assert_eq!(check(&schema, json!({"replicas": 200, "note": "x"}), Some(old)).len(), 1);
}

#[test]
fn message_expressions_reasons_and_field_paths_are_used() {
    let schema = widget(json!({
        "rule": "self.replicas <= self.max",
        "messageExpression": "'at most ' + string(self.max)",
        "reason": "FieldValueForbidden",
        "fieldPath": ".replicas",
    }));
    assert_eq!(check(&schema, json!({"replicas": 3, "max": 2}), None), ["spec.replicas: Forbidden: at most 2"]);
    let schema = widget(
        json!({"rule": "has(self.note)", "message": "say why", "reason": "FieldValueRequired", "fieldPath": "['x-y']"}),
    );
    assert_eq!(check(&schema, json!({}), None), ["spec.x-y: Required value: say why"]);
}

#[test]
fn values_have_the_types_that_the_schema_says() {
    assert!(holds("self.ratio > 0.5", json!({"ratio": 1})));
    assert!(holds("self.at > timestamp('2024-01-01T00:00:00Z')", json!({"at": "2026-01-01T00:00:00Z"})));
    assert!(!holds("self.__for__ < duration('1h')", json!({"for": "90m"})));
    assert!(holds("self.x__dash__y == 'a'", json!({"x-y": "a"})));
    assert!(holds("self.labels['a-b'] == 'c' && 'a-b' in self.labels", json!({"labels": {"a-b": "c"}})));
}

#[test]
fn optional_fields_can_be_asked_for() {
    assert!(holds("self.?note.orValue('none') == 'none'", json!({})));
    assert!(holds("self.?note.orValue('none') == 'x'", json!({"note": "x"})));
    assert!(holds("!self.?note.hasValue()", json!({})));
    assert!(holds("self.?note.hasValue() && self.?note.value() == 'x'", json!({"note": "x"})));
    assert!(holds("self.?labels.?app.orValue('none') == 'none'", json!({})));
    assert!(holds("self.?labels[?'app'].orValue('none') == 'x'", json!({"labels": {"app": "x"}})));
    assert!(holds("self.?ports[?0].?name.orValue('none') == 'none'", json!({"ports": []})));
}

#[test]
fn kubernetes_functions_are_there() {
    assert!(holds("self.names.isSorted() && self.names.all(n, n.matches('^[a-z]+$'))", json!({"names": ["a", "b"]})));
    assert!(holds("quantity('1Gi').isGreaterThan(quantity('500Mi'))", json!({})));
    assert!(holds("isURL('https://example.com') && url('https://example.com').getHost() == 'example.com'", json!({})));
    assert!(holds("cidr('10.0.0.0/8').containsIP('10.1.2.3') && ip('::1').family() == 6", json!({})));
    assert!(holds(
        "self.ports.map(p, p.port).filter(p, p > 1).size() == 1",
        json!({"ports": [{"port": 1}, {"port": 2}]})
    ));
    assert!(holds("self.ports.exists_one(p, p.name == 'a')", json!({"ports": [{"name": "a"}, {"name": "b"}]})));
    assert!(holds("'a-b'.split('-').size() == 2 && 'A'.lowerAscii() == 'a'", json!({})));
    assert!(holds("math.greatest(1, 2) == 2 && sets.contains([1, 2], [1])", json!({})));
}

#[test]
fn the_value_is_shown_unless_it_is_an_object_or_a_list() {
    let schema = json!({"type": "object", "properties": {
        "size": {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 1", "message": "small"}]},
        "name": {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'x'", "reason": "FieldValueDuplicate"}]},
        "list": {"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": "size(self) > 1"}]},
    }});
    let schema = Structural::parse(&schema).unwrap();
    let errors = schema.validate(&json!({"size": 1, "name": "x", "list": ["a"]}), None);
    let mut told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "list: Invalid value: failed rule: size(self) > 1",
            "name: Duplicate value: \"x\"",
            "size: Invalid value: 1: small",
        ]
    );
}

#[test]
fn rules_of_list_elements_tell_which_element() {
    let schema = json!({"type": "object", "properties": {"ports": {"type": "array", "items": {
        "type": "object",
        "properties": {"port": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.port > 0", "message": "positive"}],
    }}}});
    let schema = Structural::parse(&schema).unwrap();
    let errors = schema.validate(&json!({"ports": [{"port": 1}, {"port": 0}]}), None);
    assert_eq!(errors[0].to_string(), "ports[1]: Invalid value: positive");
}

#[test]
fn rules_that_do_not_compile_are_refused_with_a_reason() {
    assert!(
        refused(json!({"rule": "self.replicas >"}))
            .starts_with("rule0.rule: Invalid value: \"self.replicas >\": compilation failed: ERROR: <input>:1:")
    );
    assert!(refused(json!({"rule": "self.bogus > 1"})).ends_with("compilation failed: undefined field 'bogus'"));
    assert!(refused(json!({"rule": "self.names.all(x, x.m == '')"})).ends_with("undefined field 'm'"));
    assert!(
        refused(json!({"rule": "other.replicas > 1"})).ends_with("undeclared reference to 'other' (in container '')")
    );
    assert!(
        refused(json!({"rule": "self.names.sortBy(x, x.n) == self.names"}))
            .contains("undeclared reference to 'sortBy'")
    );
    assert!(refused(json!({"rule": "frobnicate(self.replicas)"})).contains("undeclared reference to 'frobnicate'"));
    assert!(refused(json!({"rule": "Widget{a: 1} == self"})).contains("undeclared reference to 'Widget'"));
    assert!(refused(json!({"rule": "self.?bogus.hasValue()"})).ends_with("undefined field 'bogus'"));
    assert!(refused(json!({"rule": " "})).ends_with("rule0.rule: Required value: rule is not specified"));
    assert!(
        refused(json!({"rule": "true", "messageExpression": "'x' +"}))
            .starts_with("rule0.messageExpression: Invalid value")
    );
    assert!(refused(json!({"rule": "true", "reason": "Because"})).starts_with("rule0.reason: Unsupported value"));
    assert!(refused(json!({"rule": "true", "fieldPath": ".nope"})).ends_with("must be a valid path"));
}

#[test]
fn rules_that_endanger_the_stack_are_refused() {
    for rule in [
        "(".repeat(5000) + &")".repeat(5000),
        "[".repeat(100) + &"]".repeat(100),
        "self".to_owned() + &".a".repeat(4000),
        "1+".repeat(4000) + "1",
    ] {
        let text = refused(json!({"rule": rule}));
        assert!(text.contains("compilation failed"), "{}", &text[text.len().saturating_sub(200)..]);
    }
}

#[test]
fn a_rule_that_would_run_for_long_is_refused_instead() {
    let schema =
        widget(json!({"rule": "self.names.all(a, self.names.all(b, self.names.all(c, a == b || b == c || a != '')))"}));
    let names: Vec<String> = (0..3000).map(|n| format!("n{n}")).collect();
    let errors = check(&schema, json!({"names": names}), None);
    assert!(errors[0].contains("call cost exceeds limit for rule"), "{errors:?}");
    assert_eq!(check(&schema, json!({"names": ["a", "b"]}), None), [""; 0]);
}

#[test]
fn texts_and_lists_that_grow_without_bound_are_refused() {
    let grown = |grow: &str, times: usize| format!("{}.size() > 0", grow.repeat(times));
    for rule in [
        format!("[self.text]{}", grown(".map(x, x + x)", 40)),
        format!("[[1]]{}", grown(".map(x, x + x)", 40)),
        format!("['ab']{}", grown(".map(x, x + x)", 40)),
        format!("self.text{}", grown(".replace('', self.text)", 3)),
        format!("self.names.map(x, self.text){}", grown(".map(x, self.names.map(y, x).join(x))", 3)),
        format!("(self.text{}).size() > 0", " + self.text".repeat(100)),
    ] {
        let schema = widget(json!({"rule": rule}));
        let object = json!({"text": "0123456789".repeat(100_000), "names": ["a", "b", "c"]});
        let begun = std::time::Instant::now();
        let errors = check(&schema, object, None);
        assert!(errors[0].contains("call cost exceeds limit for rule"), "{rule}: {errors:?}");
        assert!(begun.elapsed().as_secs() < 10, "{rule} took {:?}", begun.elapsed());
    }
}

#[test]
fn texts_and_lists_that_grow_as_far_as_anybody_wants_are_let_through() {
    let names: Vec<String> = (0..500).map(|n| format!("n{n}")).collect();
    let object = json!({"text": "0123456789".repeat(500), "names": names, "ports": [{"name": "a", "port": 1}]});
    for rule in [
        "self.names.map(x, x + '.' + x).filter(x, x.size() > 2).join(',').size() > 0",
        "(self.text + self.text + self.text).size() == 3 * self.text.size()",
        "self.text.replace('0', '').size() < self.text.size()",
        "self.names.all(x, ('pre-' + x).startsWith('pre-'))",
        "self.ports.all(p, p.port + 1 > 1 && p.name + 'x' != '')",
        "(self.names + self.names + ['c']).size() == 1001",
        "self.text.lowerAscii().trim().split('5').size() > 1",
    ] {
        let schema = widget(json!({"rule": rule}));
        assert_eq!(check(&schema, object.clone(), None), [""; 0], "{rule}");
    }
}

#[test]
fn the_most_expensive_rule_that_is_let_through_ends_soon() {
    let schema = widget(json!({"rule": "self.ports.all(x, self.ports.exists_one(y, x.name == y.name))"}));
    let ports = |count: usize| json!({"ports": (0..count).map(|n| json!({"name": format!("n{n}"), "port": n})).collect::<Vec<_>>()});
    let largest = (1..40).map(|n| n * 50).take_while(|n| check_cost(&schema, &ports(*n))).last().unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(check(&schema, ports(largest), None), [""; 0]);
    let took = begun.elapsed();
    assert!(largest >= 250, "a list of {largest} is the largest");
    assert!(took.as_secs() < 30, "{largest} took {took:?}");
    println!("{largest} ports took {took:?}");
}

fn check_cost(schema: &Structural, spec: &Value) -> bool {
    let rule = &schema.root.properties["spec"].rules[0];
    rule.cost.at(&Size::of(spec)) <= RULE_BUDGET
}

#[test]
fn a_field_that_is_null_is_not_there() {
    let properties = json!({
        "note": {"type": "string", "nullable": true, "x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "note cannot be changed"},
        ]},
        "notes": {"type": "object", "additionalProperties": {"type": "string", "nullable": true}},
    });
    let rules = json!([
        {"rule": "!has(oldSelf.note) || has(self.note)", "message": "note cannot be removed"},
        {"rule": "!has(self.notes) || self.notes.all(key, key in self.notes)", "message": "keys of maps are there"},
        {"rule": "!has(self.notes) || self.notes.size() == 1", "message": "one note"},
    ]);
    let schema = Structural::parse(&schema(properties, rules)).unwrap();
    assert_eq!(check(&schema, json!({}), Some(json!({"note": null}))), [""; 0]);
    assert_eq!(check(&schema, json!({"note": "a"}), Some(json!({"note": null}))), [""; 0]);
    assert_eq!(check(&schema, json!({"note": null}), Some(json!({"note": null}))), [""; 0]);
    let removed = ["spec: Invalid value: note cannot be removed"];
    assert_eq!(check(&schema, json!({"note": null}), Some(json!({"note": "a"}))), removed);
    assert_eq!(check(&schema, json!({}), Some(json!({"note": "a"}))), removed);
    assert_eq!(check(&schema, json!({"notes": {"a": null}}), None), [""; 0]);
}
