//! The API's words: the Rust type of every kind of the group `thecloud.dev`, one file or folder a kind, from which the
//! CustomResourceDefinitions are made.
//!
//! Field names are the contract; doc comments become `kubectl explain`. No I/O, and no decision about the world.

// The derived schemas are deep.
#![recursion_limit = "256"]
#![expect(clippy::duplicated_attributes, reason = "each printcolumn names its own type_ and priority")]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub mod access;
pub mod compute;
pub mod iam;
pub mod network;
pub mod quantity;
pub mod status;
pub mod storage;

/// The API group of every kind of ours.
pub const GROUP: &str = "thecloud.dev";

/// Annotation on a CustomResourceDefinition of ours: the schema's number. A server replaces a stored definition
/// only by one with a higher number, so an older binary never shrinks a newer schema and prunes data.
pub const SCHEMA_VERSION: &str = "thecloud.dev/schema-version";

/// Annotation on a CustomResourceDefinition: the connect subresources (`log,exec`) its objects have.
pub const CONNECT: &str = "thecloud.dev/connect";

/// Annotation on a CustomResourceDefinition: the amounts that its objects are charged for in a ResourceQuota, as a JSON
/// list of names and of the fields that hold them.
pub const CHARGES: &str = "thecloud.dev/charges";

/// The server's setting that charges refer to for the InstanceType of an Instance that names none.
pub const INSTANCE_TYPE_SETTING: &str = "instanceType";

/// The finalizer on every object while something real stands behind it.
pub const FINALIZER: &str = "thecloud.dev/real";

/// The name of the Vpc that an Instance joins when it names none. It is made when first needed.
pub const DEFAULT_VPC: &str = "default";

/// The CustomResourceDefinition of every kind, in the order in which they are installed.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        iam::user::User::crd(),
        iam::api_key::ApiKey::crd(),
        compute::instance_type::InstanceType::crd(),
        compute::instance_policy::InstancePolicy::crd(),
        compute::cluster_image::ClusterImage::crd(),
        compute::image::Image::crd(),
        compute::instance::Instance::crd(),
        compute::instance_snapshot::InstanceSnapshot::crd(),
        network::vpc::Vpc::crd(),
        network::security_group::SecurityGroup::crd(),
        network::vpc_peering::VpcPeering::crd(),
        storage::volume::Volume::crd(),
        storage::volume_snapshot::VolumeSnapshot::crd(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_is_in_our_group_and_carries_a_schema_version() {
        for crd in all() {
            assert_eq!(crd.spec.group, GROUP);
            let annotations = crd.metadata.annotations.unwrap_or_default();
            let number = annotations.get(SCHEMA_VERSION).and_then(|n| n.parse::<u32>().ok());
            assert!(number.is_some_and(|n| n > 0), "{:?} has no {SCHEMA_VERSION}", crd.metadata.name);
        }
    }

    #[test]
    fn every_kind_is_in_the_categories_all_and_cloud_and_names_are_unique() {
        let mut seen = BTreeSet::new();
        for crd in all() {
            let names = crd.spec.names;
            let categories = names.categories.unwrap_or_default();
            assert_eq!(categories, ["all", "cloud"], "{}", names.kind);
            for name in
                names.short_names.unwrap_or_default().into_iter().chain([names.plural, names.kind.to_lowercase()])
            {
                assert!(seen.insert(name.clone()), "`{name}` is taken twice");
            }
        }
    }

    #[test]
    fn what_is_charged_is_a_field_of_the_kind_or_of_the_one_it_names() {
        let schemas: Vec<(String, serde_json::Value)> = all()
            .into_iter()
            .map(|crd| (crd.metadata.name.unwrap(), serde_json::to_value(&crd.spec.versions[0].schema).unwrap()))
            .collect();
        let has = |kind: &str, path: &serde_json::Value| {
            let schema = &schemas.iter().find(|(name, _)| name == kind).unwrap().1["openAPIV3Schema"];
            let path = path.as_str().unwrap();
            let found = path.split('.').try_fold(schema, |schema, step| schema["properties"].get(step));
            assert!(found.is_some(), "{kind} has no {path}");
        };
        let mut charged = 0;
        for crd in all() {
            let kind = crd.metadata.name.as_deref().unwrap();
            let annotations = crd.metadata.annotations.unwrap_or_default();
            let Some(charges) = annotations.get(CHARGES) else { continue };
            let charges: serde_json::Value = serde_json::from_str(charges).unwrap();
            for source in charges.as_array().unwrap().iter().flat_map(|charge| charge["amount"].as_array().unwrap()) {
                charged += 1;
                let Some(of) = source.get("of") else {
                    has(kind, &source["field"]);
                    continue;
                };
                has(kind, &of["nameField"]);
                has(of["resource"].as_str().unwrap(), &source["field"]);
                assert_eq!(of["nameSetting"], INSTANCE_TYPE_SETTING);
            }
        }
        assert_eq!(charged, 6);
    }

    #[test]
    fn every_field_is_explained() {
        fn walk(path: &str, schema: &serde_json::Value, bare: &mut Vec<String>) {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                if property["description"].as_str().is_none_or(str::is_empty) {
                    bare.push(path.clone());
                }
                walk(&path, property, bare);
                walk(&path, &property["items"], bare);
            }
        }
        let mut bare = Vec::new();
        for crd in all() {
            let kind = &crd.spec.names.kind;
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            for part in ["spec", "status"] {
                walk(&format!("{kind}.{part}"), &schema["openAPIV3Schema"]["properties"][part], &mut bare);
            }
        }
        assert!(bare.is_empty(), "no doc comment on {bare:?}");
    }
}
