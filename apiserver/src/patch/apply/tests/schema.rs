//! Reads the schemas that the shared cases name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema::merging::{Field, List, Map, Relationship, Scalar, Type, TypeId, Types};

/// A schema's types by name.
pub(super) struct Schema {
    pub(super) types: Types,
    pub(super) names: BTreeMap<String, TypeId>,
}

impl Schema {
    pub(super) fn read(yaml: &str) -> Schema {
        let document: Value = serde_saphyr::from_str(yaml).expect("a schema");
        let mut schema = Schema { types: Types::new(), names: BTreeMap::new() };
        let empty = Vec::new();
        let all = document["types"].as_array().unwrap_or(&empty);
        // Names first, for types refer to each other.
        for named in all {
            let id = schema.types.add(Type::default());
            schema.names.insert(named["name"].as_str().expect("a name").to_owned(), id);
        }
        // References that change a relationship copy what they refer to, which may hold such references itself.
        for _ in 0..3 {
            for named in all {
                let id = schema.names[named["name"].as_str().expect("a name")];
                let atom = schema.atom(named);
                schema.types.set(id, atom);
            }
        }
        schema.names.insert("__untyped_deduced_".into(), Types::DEDUCED);
        schema
    }

    fn atom(&mut self, atom: &Value) -> Type {
        let scalar = atom.get("scalar").map(|scalar| match scalar.as_str().expect("a scalar") {
            "string" => Scalar::String,
            "numeric" => Scalar::Number,
            "boolean" => Scalar::Boolean,
            _ => Scalar::Untyped,
        });
        let map = atom.get("map").map(|map| {
            let empty = Vec::new();
            let fields = map["fields"].as_array().unwrap_or(&empty);
            let fields = fields
                .iter()
                .map(|field| {
                    let of = self.reference(&field["type"]).expect("a field has a type");
                    let name = field["name"].as_str().expect("a name").to_owned();
                    (name, Field { of, default: field.get("default").cloned() })
                })
                .collect();
            let element = map.get("elementType").and_then(|element| self.reference(element));
            Map { fields, element, atomic: map["elementRelationship"] == "atomic" }
        });
        let list = atom.get("list").map(|list| {
            let element = self.reference(&list["elementType"]).unwrap_or(Types::DEDUCED);
            List { element, relationship: relationship(&list["elementRelationship"], &list["keys"]) }
        });
        Type { map, scalar, list }
    }

    fn reference(&mut self, reference: &Value) -> Option<TypeId> {
        if let Some(name) = reference.get("namedType").and_then(Value::as_str) {
            let id = *self.names.get(name).unwrap_or(&Types::DEDUCED);
            let Some(over) = reference.get("elementRelationship") else { return Some(id) };
            let mut of = self.types.get(id).clone();
            if let Some(map) = &mut of.map {
                map.atomic = over == "atomic";
            }
            if let Some(list) = &mut of.list {
                let keys = match &list.relationship {
                    Relationship::Map(keys) => Value::from(keys.clone()),
                    _ => Value::Null,
                };
                list.relationship = relationship(over, &keys);
            }
            return Some(self.types.add(of));
        }
        reference.as_object().filter(|inline| !inline.is_empty())?;
        let of = self.atom(reference);
        Some(self.types.add(of))
    }
}

fn relationship(word: &Value, keys: &Value) -> Relationship {
    match (word.as_str(), keys.as_array()) {
        (Some("associative"), Some(keys)) if !keys.is_empty() => {
            Relationship::Map(keys.iter().map(|key| key.as_str().expect("a key").to_owned()).collect())
        }
        (Some("associative"), _) => Relationship::Set,
        _ => Relationship::Atomic,
    }
}
