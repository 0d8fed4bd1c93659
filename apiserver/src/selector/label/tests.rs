use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn selects(selector: &str, pairs: &[(&str, &str)]) -> bool {
    Selector::parse(selector).unwrap().matches(&labels(pairs))
}

#[test]
fn every_operator_selects_what_it_says() {
    let web = [("app", "web"), ("tier", "front"), ("n", "5")];
    for selector in [
        "",
        "app",
        "!gone",
        "app=web",
        "app==web",
        "app!=db",
        "gone!=x",
        "app in (web,db)",
        "app in (web, db),tier",
        "app notin (db)",
        "gone notin (x)",
        "n>4",
        "n<6",
        " app = web , tier in ( front ) ",
        "app in (web),app!=db",
    ] {
        assert!(selects(selector, &web), "{selector}");
    }
    for selector in [
        "gone",
        "!app",
        "app=db",
        "app!=web",
        "app in (db)",
        "app notin (web)",
        "n>5",
        "n<5",
        "app>1",
        "gone=",
        "app=web,tier=back",
    ] {
        assert!(!selects(selector, &web), "{selector}");
    }
}

#[test]
fn an_empty_value_is_a_value() {
    assert!(selects("app=", &[("app", "")]));
    assert!(selects("app in (,x)", &[("app", "")]));
    assert!(selects("app in (x,)", &[("app", "")]));
    assert!(!selects("app=", &[("app", "x")]));
}

#[test]
fn words_of_the_language_are_also_keys_and_values() {
    assert!(selects("in=notin", &[("in", "notin")]));
    assert!(selects("notin in (in)", &[("notin", "in")]));
}

#[test]
fn the_canonical_text_is_sorted_and_reads_back_the_same() {
    for (text, canonical) in [
        ("", ""),
        ("b = 1,a", "a,b=1"),
        ("x in (c, a ,b),! y", "x in (a,b,c),!y"),
        ("k==v, l!=w,m>1,n<2,o notin (p)", "k==v,l!=w,m>1,n<2,o notin (p)"),
    ] {
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.to_string(), canonical);
        assert_eq!(Selector::parse(canonical).unwrap(), selector);
    }
}

#[test]
fn what_can_not_be_read_is_refused_in_kubernetes_words() {
    for (text, message) in [
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        (
            "a in ()",
            "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
        ),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ] {
        let error = Selector::parse(text).unwrap_err();
        assert_eq!(error.message, message, "{text}");
        assert_eq!(error.reason.code(), 400);
    }
}

#[test]
fn keys_and_values_must_be_valid_labels() {
    assert!(Selector::parse("example.com/app=web").is_ok());
    for text in ["-a=b", "a/b/c=d", "/a=b", "Upper.Case/a=b", "a=-b", "a=b_"] {
        assert!(Selector::parse(text).is_err(), "{text}");
    }
    let long = "x".repeat(64);
    assert!(Selector::parse(&format!("{long}=a")).is_err());
    assert!(Selector::parse(&format!("a={long}")).is_err());
}

proptest::proptest! {
    #[test]
    fn what_was_read_is_printed_so_that_it_reads_the_same(text in "([ab!=<>,() ]|in|notin|1){0,12}") {
        if let Ok(selector) = Selector::parse(&text) {
            let printed = selector.to_string();
            proptest::prop_assert_eq!(Selector::parse(&printed), Ok(selector), "{}", printed);
        }
    }
}

/// What one requirement says by itself.
fn holds(requirement: &Requirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let values = &requirement.values;
    let both = || Some((value?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match requirement.operator {
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::Equals | Operator::DoubleEquals | Operator::In => value.is_some_and(|value| values.contains(value)),
        Operator::NotEquals | Operator::NotIn => value.is_none_or(|value| !values.contains(value)),
        Operator::GreaterThan => both().is_some_and(|(label, limit)| label > limit),
        Operator::LessThan => both().is_some_and(|(label, limit)| label < limit),
    }
}

proptest::proptest! {
    #[test]
    fn a_selector_is_all_of_its_requirements_together(
        texts in proptest::collection::vec(
            "[ab]((=|==|!=)[123]|>[12]|<[23]| in \\([123](,[12])?\\)| notin \\([123](,[12])?\\))?|![abc]", 1..7,
        ),
        labels in proptest::collection::btree_map("[abcd]", "[123x]", 0..4),
    ) {
        let text = texts.join(",");
        let selector = Selector::parse(&text).unwrap();
        let each = selector.requirements.iter().all(|requirement| holds(requirement, &labels));
        proptest::prop_assert_eq!(selector.matches(&labels), each, "{}", text);
    }
}

#[test]
fn an_object_costs_no_more_under_a_long_selector() {
    let of = |term: fn(usize) -> String| (0..10_000).map(term).collect::<Vec<_>>().join(",");
    let object = labels(&[("app", "web")]);
    let begun = std::time::Instant::now();
    for text in
        [of(|n| format!("!a{n}")), of(|n| format!("a{n}!=b")), of(|n| format!("app!=b{n}")), of(|n| format!("a{n}"))]
    {
        let selector = Selector::parse(&text).unwrap();
        for _ in 0..20_000 {
            std::hint::black_box(selector.matches(&object));
        }
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}
