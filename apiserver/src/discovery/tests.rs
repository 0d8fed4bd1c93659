use std::collections::BTreeSet;

use serde_json::json;

use crate::fixtures;

use super::*;

fn parsed(document: &Document) -> Value {
    serde_json::from_slice(&document.body).unwrap()
}

#[test]
fn the_resources_of_a_version_are_listed_with_their_subresources() {
    insta::assert_json_snapshot!(resource_list(&fixtures::registry(), "example.com", "v1").unwrap());
}

#[test]
fn the_aggregated_document_holds_every_group_but_core() {
    insta::assert_json_snapshot!(parsed(&aggregated_apis(&fixtures::registry())));
}

#[test]
fn the_core_group_has_its_own_document() {
    let document = parsed(&aggregated_api(&fixtures::registry()));
    assert_eq!(document["items"].as_array().unwrap().len(), 1);
    assert_eq!(document["items"][0]["metadata"], json!({}));
    let resources = document["items"][0]["versions"][0]["resources"].as_array().unwrap();
    let names: Vec<_> = resources.iter().map(|resource| resource["resource"].clone()).collect();
    assert_eq!(names, ["configmaps", "namespaces"]);
    assert_eq!(resources[1]["subresources"][0]["subresource"], "finalize");
}

#[test]
fn both_forms_list_the_same() {
    let registry = fixtures::registry();
    let mut aggregated = BTreeSet::new();
    for document in [aggregated_api(&registry), aggregated_apis(&registry)] {
        let document = parsed(&document);
        for group in document["items"].as_array().unwrap() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().unwrap() {
                for resource in version["resources"].as_array().unwrap() {
                    let plural = resource["resource"].as_str().unwrap();
                    aggregated.insert(format!("{name} {plural} {}", resource["verbs"]));
                    for sub in resource["subresources"].as_array().into_iter().flatten() {
                        aggregated.insert(format!(
                            "{name} {plural}/{} {}",
                            sub["subresource"].as_str().unwrap(),
                            sub["verbs"]
                        ));
                    }
                }
            }
        }
    }
    let mut legacy = BTreeSet::new();
    for group in ["", "example.com", "apiextensions.k8s.io"] {
        let list = resource_list(&registry, group, "v1").unwrap();
        for row in list["resources"].as_array().unwrap() {
            legacy.insert(format!("{group} {} {}", row["name"].as_str().unwrap(), row["verbs"]));
        }
    }
    assert_eq!(aggregated, legacy);
}

#[test]
fn groups_are_listed_built_in_first_with_their_preferred_version() {
    let list = group_list(&fixtures::registry());
    let names: Vec<_> = list["groups"].as_array().unwrap().iter().map(|group| group["name"].clone()).collect();
    assert_eq!(names, ["apiextensions.k8s.io", "example.com"]);
    let group = group(&fixtures::registry(), "example.com").unwrap();
    assert_eq!(group["kind"], "APIGroup");
    assert_eq!(group["preferredVersion"], json!({"groupVersion": "example.com/v1", "version": "v1"}));
}

#[test]
fn what_is_not_served_is_not_listed() {
    let registry = fixtures::registry();
    assert_eq!(super::group(&registry, "none.example"), None);
    assert_eq!(resource_list(&registry, "example.com", "v2"), None);
    let mut widget = fixtures::widget();
    std::sync::Arc::get_mut(&mut widget).unwrap().versions[0].served = false;
    assert_eq!(group_list(&Registry::new([widget]))["groups"], json!([]));
}

#[test]
fn versions_are_preferred_as_kubernetes_orders_them() {
    let mut versions = [
        "v1alpha1",
        "foo1",
        "v10",
        "v1",
        "v2beta1",
        "v11alpha2",
        "v1beta1",
        "v2",
        "foo10",
        "v12alpha1",
        "v3beta1",
        "v10beta3",
    ];
    versions.sort_by_key(|name| std::cmp::Reverse(preference(name)));
    assert_eq!(
        versions,
        [
            "v10",
            "v2",
            "v1",
            "v10beta3",
            "v3beta1",
            "v2beta1",
            "v1beta1",
            "v12alpha1",
            "v11alpha2",
            "v1alpha1",
            "foo1",
            "foo10"
        ]
    );
}

#[test]
fn the_etag_follows_the_bytes() {
    let one = aggregated_apis(&fixtures::registry());
    assert_eq!(one, aggregated_apis(&fixtures::registry()));
    assert!(one.etag.starts_with('"') && one.etag.ends_with('"'));
    assert_ne!(one.etag, aggregated_apis(&Registry::default()).etag);
}
