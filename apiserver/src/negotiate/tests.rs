use std::sync::Arc;

use crate::error::Reason;
use crate::fixtures;
use crate::patch::PatchType;

use super::*;

const TABLE: Representation =
    Representation { encoding: Encoding::Json, shape: Shape::Table, version: MetaVersion::V1 };
const PARTIAL: Representation =
    Representation { encoding: Encoding::Json, shape: Shape::PartialObject, version: MetaVersion::V1 };

#[test]
fn absent_empty_and_star_accept_mean_json() {
    for header in [None, Some(""), Some("*/*"), Some("*"), Some("application/*"), Some("application/json, */*")] {
        assert_eq!(accept(header).unwrap(), Representation::JSON, "{header:?}");
    }
}

#[test]
fn kubectl_get_is_answered_with_a_table() {
    let header = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    assert_eq!(accept(Some(header)).unwrap(), TABLE);
}

#[test]
fn a_form_nobody_makes_falls_through_to_the_next_entry() {
    let header = "application/json;as=Table;v=v2;g=meta.k8s.io,application/json";
    assert_eq!(accept(Some(header)).unwrap(), Representation::JSON);
    let header = "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    assert_eq!(accept(Some(header)).unwrap(), Representation { version: MetaVersion::V1Beta1, ..TABLE });
    let header = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    assert_eq!(accept(Some(header)).unwrap(), PARTIAL);
    assert_eq!(accept(Some("application/vnd.kubernetes.protobuf,application/json")).unwrap(), Representation::JSON);
    assert_eq!(
        accept(Some("application/cbor;stream=watch,application/json;stream=watch")).unwrap(),
        Representation::JSON
    );
}

#[test]
fn weights_decide_before_order_and_zero_refuses() {
    let yaml = Representation { encoding: Encoding::Yaml, shape: Shape::Object, version: MetaVersion::V1 };
    assert_eq!(accept(Some("application/json;q=0.5, application/yaml")).unwrap(), yaml);
    assert_eq!(accept(Some("application/json;q=0, application/yaml;q=0.1")).unwrap(), yaml);
    assert_eq!(accept(Some("application/json;q=high")).unwrap(), Representation::JSON);
}

#[test]
fn nothing_that_can_be_made_is_406_with_what_can() {
    for header in [
        "application/xml",
        "application/vnd.kubernetes.protobuf",
        "text/html, image/*",
        "garbage",
        "application/json;as=Table;g=example.com;v=v1",
    ] {
        let error = accept(Some(header)).unwrap_err();
        assert_eq!(error.reason, Reason::NotAcceptable);
        assert_eq!(
            error.message,
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
        );
    }
}

#[test]
fn discovery_is_aggregated_for_those_who_ask_for_v2() {
    let new = "application/json;profile=nopeer;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    assert_eq!(accept_discovery(Some(new)).unwrap(), DiscoveryForm::Aggregated);
    let both = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    assert_eq!(accept_discovery(Some(both)).unwrap(), DiscoveryForm::Aggregated);
    let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    assert_eq!(accept_discovery(Some(old)).unwrap(), DiscoveryForm::Legacy);
    assert_eq!(accept_discovery(None).unwrap(), DiscoveryForm::Legacy);
    assert_eq!(accept_discovery(Some("*/*")).unwrap(), DiscoveryForm::Legacy);
    assert_eq!(accept_discovery(Some("text/html")).unwrap_err().reason, Reason::NotAcceptable);
}

#[test]
fn openapi_v2_is_protobuf_under_both_spellings() {
    for name in ["v2@v1.0", "v2.v1.0"] {
        let header = format!("application/com.github.proto-openapi.spec.{name}+protobuf");
        assert_eq!(accept_openapi(Some(&header)).unwrap(), DocumentForm::Protobuf);
    }
    assert_eq!(accept_openapi(Some("*/*")).unwrap(), DocumentForm::Json);
    assert_eq!(accept_openapi(None).unwrap(), DocumentForm::Json);
}

#[test]
fn a_body_without_a_type_is_json() {
    assert_eq!(body(None).unwrap(), BodyFormat::Json);
    assert_eq!(body(Some("")).unwrap(), BodyFormat::Json);
    assert_eq!(body(Some("Application/JSON; charset=utf-8")).unwrap(), BodyFormat::Json);
    assert_eq!(body(Some("application/yaml")).unwrap(), BodyFormat::Yaml);
    assert_eq!(body(Some("application/vnd.kubernetes.protobuf")).unwrap(), BodyFormat::Protobuf);
}

#[test]
fn an_unknown_body_is_415_with_what_is_read() {
    for name in ["text/csv", "application/cbor", "nonsense"] {
        let error = body(Some(name)).unwrap_err();
        assert_eq!(error.reason, Reason::UnsupportedMediaType);
        assert_eq!(
            error.message,
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"
        );
    }
}

#[test]
fn strategic_merge_is_for_built_in_kinds_only() {
    let strategic = Some("application/strategic-merge-patch+json");
    let custom = fixtures::widget();
    let built_in = fixtures::built_in("", "ConfigMap");
    assert_eq!(patch(strategic, &built_in).unwrap(), PatchType::Strategic);
    let error = patch(strategic, &custom).unwrap_err();
    assert_eq!(
        error.message,
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    );
    assert_eq!(patch(Some("application/merge-patch+json; charset=utf-8"), &custom).unwrap(), PatchType::Merge);
    assert_eq!(patch(Some("application/json-patch+json"), &Arc::clone(&custom)).unwrap(), PatchType::Json);
    assert_eq!(patch(None, &custom).unwrap_err().reason, Reason::UnsupportedMediaType);
}
