//! Reads a structural schema as types. `metadata` is the API's own, whatever the schema says about it.

use std::collections::BTreeMap;

use super::super::node::{Additional, ListType, Node, Type as JsonType};
use super::{Field, List, Map, Merging, Relationship, Scalar, Type, TypeId, Types};

/// The types of a whole object's schema.
pub(in crate::schema) fn declared(root: &Node) -> Merging {
    let mut reader = Reader { types: Types::new(), metadata: None };
    let root = reader.object(root);
    Merging { types: reader.types, root }
}

struct Reader {
    types: Types,
    metadata: Option<TypeId>,
}

impl Reader {
    /// The type of an object with `apiVersion`, `kind` and `metadata`.
    fn object(&mut self, node: &Node) -> TypeId {
        let mut map = self.map(node);
        let text = self.scalar(Scalar::String);
        let metadata = self.metadata();
        for (name, of) in [("apiVersion", text), ("kind", text), ("metadata", metadata)] {
            map.fields.insert(name.to_owned(), Field { of, default: None });
        }
        self.types.add(Type { map: Some(map), ..Type::default() })
    }

    fn node(&mut self, node: &Node) -> TypeId {
        if node.embedded {
            return self.object(node);
        }
        let Some(kind) = node.kind else {
            // Only int-or-string and what may hold anything have no type.
            return if node.int_or_string { self.scalar(Scalar::Untyped) } else { Types::DEDUCED };
        };
        match kind {
            JsonType::Object => {
                let map = self.map(node);
                self.types.add(Type { map: Some(map), ..Type::default() })
            }
            JsonType::Array => {
                let element = node.items.as_deref().map_or(Types::DEDUCED, |items| self.node(items));
                let relationship = match &node.list {
                    ListType::Atomic => Relationship::Atomic,
                    ListType::Set => Relationship::Set,
                    ListType::Map(keys) => Relationship::Map(keys.clone()),
                };
                self.list(element, relationship)
            }
            JsonType::String => self.scalar(Scalar::String),
            JsonType::Integer | JsonType::Number => self.scalar(Scalar::Number),
            JsonType::Boolean => self.scalar(Scalar::Boolean),
        }
    }

    fn map(&mut self, node: &Node) -> Map {
        let fields = node.properties.iter().map(|(name, child)| {
            let default = child.default.clone();
            (name.clone(), Field { of: self.node(child), default })
        });
        let fields: BTreeMap<_, _> = fields.collect();
        let element = match &node.additional {
            Additional::Schema(child) => Some(self.node(child)),
            Additional::Any => Some(Types::DEDUCED),
            Additional::None if node.preserve_unknown || fields.is_empty() => Some(Types::DEDUCED),
            Additional::None => None,
        };
        Map { fields, element, atomic: node.atomic }
    }

    fn scalar(&mut self, scalar: Scalar) -> TypeId {
        self.types.add(Type { scalar: Some(scalar), ..Type::default() })
    }

    fn list(&mut self, element: TypeId, relationship: Relationship) -> TypeId {
        self.types.add(Type { list: Some(List { element, relationship }), ..Type::default() })
    }

    /// `ObjectMeta` as upstream declares it to merging.
    fn metadata(&mut self) -> TypeId {
        if let Some(known) = self.metadata {
            return known;
        }
        let (text, number, flag) =
            (self.scalar(Scalar::String), self.scalar(Scalar::Number), self.scalar(Scalar::Boolean));
        let texts = Map { fields: BTreeMap::new(), element: Some(text), atomic: false };
        let texts = self.types.add(Type { map: Some(texts), ..Type::default() });
        let owner = self.fields(
            &[(&["apiVersion", "kind", "name", "uid"], text), (&["blockOwnerDeletion", "controller"], flag)],
            true,
        );
        let owners = self.list(owner, Relationship::Map(vec!["uid".to_owned()]));
        let finalizers = self.list(text, Relationship::Set);
        let managers = self.list(Types::DEDUCED, Relationship::Atomic);
        let texts_of = ["creationTimestamp", "deletionTimestamp", "generateName", "name", "namespace"];
        let metadata = self.fields(
            &[
                (&texts_of, text),
                (&["resourceVersion", "selfLink", "uid"], text),
                (&["deletionGracePeriodSeconds", "generation"], number),
                (&["annotations", "labels"], texts),
                (&["finalizers"], finalizers),
                (&["managedFields"], managers),
                (&["ownerReferences"], owners),
            ],
            false,
        );
        self.metadata = Some(metadata);
        metadata
    }

    fn fields(&mut self, fields: &[(&[&str], TypeId)], atomic: bool) -> TypeId {
        let named = |(names, of): &(&[&str], TypeId)| {
            let of = *of;
            names.iter().map(move |name| ((*name).to_owned(), Field { of, default: None })).collect::<Vec<_>>()
        };
        let fields = fields.iter().flat_map(named).collect();
        self.types.add(Type { map: Some(Map { fields, element: None, atomic }), ..Type::default() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::Structural;
    use super::super::Shape;
    use super::*;

    fn schema() -> Structural {
        Structural::parse(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "ports": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
                }},
            },
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "args": {"type": "array", "items": {"type": "string"}},
            "place": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"zone": {"type": "string"}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "size": {"x-kubernetes-int-or-string": true},
        }}}}))
        .unwrap()
    }

    /// What stands at a path of the types, without looking at values.
    fn at<'a>(merging: &'a Merging, path: &[&str]) -> &'a Type {
        let mut of = merging.types.get(merging.root);
        for step in path {
            let Shape::Map(map) = of.shape(None) else { panic!("{path:?} has no {step}") };
            of = merging.types.get(map.of(step).unwrap_or_else(|| panic!("{path:?} has no {step}")));
        }
        of
    }

    #[test]
    fn lists_and_maps_merge_as_the_schema_says() {
        let schema = schema();
        let merging = schema.merging();
        let relationship = |name: &str| at(merging, &["spec", name]).list.clone().unwrap().relationship;
        assert_eq!(relationship("ports"), Relationship::Map(vec!["port".into(), "protocol".into()]));
        assert_eq!(relationship("tags"), Relationship::Set);
        assert_eq!(relationship("args"), Relationship::Atomic);
        assert!(at(merging, &["spec", "place"]).map.as_ref().unwrap().atomic);
        assert!(!at(merging, &["spec"]).map.as_ref().unwrap().atomic);
        assert_eq!(at(merging, &["spec", "size"]).scalar, Some(Scalar::Untyped));
        let ports = at(merging, &["spec", "ports"]).list.clone().unwrap();
        let port = merging.types.get(ports.element).map.clone().unwrap();
        assert_eq!(port.fields["protocol"].default, Some(Value::from("TCP")));
    }

    #[test]
    fn what_no_schema_describes_is_deduced_and_what_is_closed_stays_closed() {
        let schema = schema();
        let merging = schema.merging();
        let free = at(merging, &["spec", "free"]).map.clone().unwrap();
        assert_eq!(free.of("anything"), Some(Types::DEDUCED));
        assert_eq!(at(merging, &["spec"]).map.as_ref().unwrap().of("bogus"), None);
        let anything = <Structural as Default>::default();
        assert_eq!(at(anything.merging(), &[]).map.as_ref().unwrap().of("spec"), Some(Types::DEDUCED));
    }

    #[test]
    fn metadata_is_the_api_s_own() {
        let schema = schema();
        let merging = schema.merging();
        let owners = at(merging, &["metadata", "ownerReferences"]).list.clone().unwrap();
        assert_eq!(owners.relationship, Relationship::Map(vec!["uid".into()]));
        assert!(merging.types.get(owners.element).map.as_ref().unwrap().atomic);
        let finalizers = at(merging, &["metadata", "finalizers"]).list.clone().unwrap();
        assert_eq!(finalizers.relationship, Relationship::Set);
        assert_eq!(at(merging, &["metadata"]).map.as_ref().unwrap().of("bogus"), None);
    }
}
