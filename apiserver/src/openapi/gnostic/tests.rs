use prost::Message as _;
use serde_json::json;

use crate::fixtures;
use crate::openapi::Documents;

use super::messages::{AdditionalPropertiesForm, Document};
use super::*;

#[test]
fn the_bytes_are_those_of_the_published_messages() {
    let value = json!({
        "swagger": "2.0",
        "info": {"title": "T", "version": "1"},
        "definitions": {"a.B": {"type": "object", "x-k": [1]}},
    });
    let expected = [
        &b"\x0a\x032.0"[..],           // 1 swagger
        b"\x12\x06\x0a\x01T\x12\x011", // 2 info { 1 title, 2 version }
        b"\x4a\x24\x0a\x22",           // 9 definitions { 1 named schema {
        b"\x0a\x03a.B\x12\x1b",        //     1 name, 2 schema {
        b"\xb2\x01\x08\x0a\x06object", //       22 type { 1 value }
        b"\xfa\x01\x0d\x0a\x03x-k",    //       31 extension { 1 name,
        b"\x12\x06\x12\x04[1]\n",      //         2 value { 2 yaml }
    ]
    .concat();
    assert_eq!(document(&value).encode_to_vec(), expected);
}

#[test]
fn the_parts_of_the_document_add_up_to_one_message() {
    let documents = Documents::new(fixtures::registry());
    let decoded = Document::decode(documents.v2_protobuf().body).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&documents.v2_json().body).unwrap();
    assert_eq!(decoded.swagger, "2.0");
    let names: Vec<String> =
        decoded.definitions.unwrap().additional_properties.into_iter().map(|schema| schema.name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, json["definitions"].as_object().unwrap().keys().cloned().collect::<Vec<_>>());
    let mut paths: Vec<String> = decoded.paths.unwrap().path.into_iter().map(|path| path.name).collect();
    paths.sort();
    assert_eq!(paths, json["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>());
}

#[test]
fn a_schema_keeps_what_merging_clients_read() {
    let documents = Documents::new(fixtures::registry());
    let decoded = Document::decode(documents.v2_protobuf().body).unwrap();
    let definitions = decoded.definitions.unwrap().additional_properties;
    let widget =
        definitions.iter().find(|schema| schema.name == "com.example.v1.Widget").unwrap().value.clone().unwrap();
    let kinds = widget.vendor_extension.iter().find(|any| any.name == "x-kubernetes-group-version-kind").unwrap();
    assert_eq!(
        kinds.value.clone().unwrap().yaml,
        "[{\"group\":\"example.com\",\"kind\":\"Widget\",\"version\":\"v1\"}]\n"
    );
    let property = |schema: &super::messages::Schema, name: &str| {
        let properties = schema.properties.clone().unwrap().additional_properties;
        properties.into_iter().find(|property| property.name == name).unwrap().value.unwrap()
    };
    assert_eq!(
        property(&widget, "metadata").reference,
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    let ports = property(&property(&widget, "spec"), "ports");
    assert_eq!(ports.type_.clone().unwrap().value, ["array"]);
    assert_eq!(ports.items.clone().unwrap().schema.len(), 1);
    let names: Vec<&str> = ports.vendor_extension.iter().map(|any| any.name.as_str()).collect();
    assert_eq!(names, ["x-kubernetes-list-map-keys", "x-kubernetes-list-type"]);
    let config_map = definitions.iter().find(|schema| schema.name == "io.k8s.api.core.v1.ConfigMap").unwrap();
    let data = property(config_map.value.as_ref().unwrap(), "data").additional_properties.unwrap();
    let Some(AdditionalPropertiesForm::Schema(values)) = data.form else { panic!("the values have no schema") };
    assert_eq!(values.type_.unwrap().value, ["string"]);
}
