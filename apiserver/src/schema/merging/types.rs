//! What merging needs to know of a schema: which maps and lists are one value, and which merge by what.

use std::collections::BTreeMap;

use serde_json::Value;

/// A type, by its place in [`Types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeId(usize);

/// The types of a schema. They refer to each other, also in circles.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    types: Vec<Type>,
}

/// What values a type takes. More than one of these: the value decides.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Type {
    pub(crate) map: Option<Map>,
    pub(crate) scalar: Option<Scalar>,
    pub(crate) list: Option<List>,
}

/// Values without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    String,
    Number,
    Boolean,
    /// Any of them.
    Untyped,
}

/// Objects.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Map {
    pub(crate) fields: BTreeMap<String, Field>,
    /// Of keys that aren't fields; `None` where there may be none.
    pub(crate) element: Option<TypeId>,
    /// One value: whoever sets a part owns all of it.
    pub(crate) atomic: bool,
}

/// A declared field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) of: TypeId,
    /// Stands in for a key of a list's items that is missing.
    pub(crate) default: Option<Value>,
}

/// Arrays.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct List {
    pub(crate) element: TypeId,
    pub(crate) relationship: Relationship,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Relationship {
    /// Not at all: the list is one value.
    Atomic,
    /// By their value.
    Set,
    /// By these fields of them.
    Map(Vec<String>),
}

impl Types {
    /// With the type of what no schema describes: maps merge by key, lists are one value.
    pub(crate) fn new() -> Self {
        let deduced = Self::DEDUCED;
        Self {
            types: vec![Type {
                map: Some(Map { fields: BTreeMap::new(), element: Some(deduced), atomic: false }),
                scalar: Some(Scalar::Untyped),
                list: Some(List { element: deduced, relationship: Relationship::Atomic }),
            }],
        }
    }

    /// The type of what no schema describes.
    pub(crate) const DEDUCED: TypeId = TypeId(0);

    /// Adds a type.
    pub(crate) fn add(&mut self, of: Type) -> TypeId {
        self.types.push(of);
        TypeId(self.types.len() - 1)
    }

    /// Says what a type that was added to be referred to is.
    #[cfg(test)]
    pub(crate) fn set(&mut self, id: TypeId, of: Type) {
        self.types[id.0] = of;
    }

    pub(crate) fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0]
    }
}

/// Which of its shapes a type has for a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape<'a> {
    Map(&'a Map),
    Scalar(Scalar),
    List(&'a List),
    /// A type without any shape takes nothing.
    None,
}

impl Type {
    /// The value decides where it can; null and what fits nothing are left to the order of the shapes.
    pub(crate) fn shape(&self, value: Option<&Value>) -> Shape<'_> {
        match value {
            Some(Value::Array(_)) => {
                if let Some(list) = &self.list {
                    return Shape::List(list);
                }
            }
            Some(Value::Object(_)) | None | Some(Value::Null) => {}
            Some(_) => {
                if let Some(scalar) = self.scalar {
                    return Shape::Scalar(scalar);
                }
            }
        }
        match self {
            Self { map: Some(map), .. } => Shape::Map(map),
            Self { scalar: Some(scalar), .. } => Shape::Scalar(*scalar),
            Self { list: Some(list), .. } => Shape::List(list),
            _ => Shape::None,
        }
    }

    /// Whether both values have one shape, or the type leaves no choice.
    pub(crate) fn is_one_shape(&self, left: &Value, right: &Value) -> bool {
        let choices =
            usize::from(self.map.is_some()) + usize::from(self.scalar.is_some()) + usize::from(self.list.is_some());
        // What null is is not known: as upstream, it is unlike a value whose shape is.
        choices <= 1
            || (left.is_null() && right.is_null())
            || (!left.is_null() && !right.is_null() && same_kind(left, right))
    }
}

fn same_kind(left: &Value, right: &Value) -> bool {
    left.is_object() == right.is_object() && left.is_array() == right.is_array()
}

impl Map {
    /// The type of a key, if it may be there.
    pub(crate) fn of(&self, key: &str) -> Option<TypeId> {
        self.fields.get(key).map(|field| field.of).or(self.element)
    }

    /// Whether the map is that of what no schema describes.
    pub(crate) fn is_deduced(&self) -> bool {
        self.fields.is_empty() && self.element == Some(Types::DEDUCED)
    }
}

/// Whether two values are equal. Numbers are by what they are worth.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|((key, one), (same, other))| key == same && equal(one, other))
        }
        _ => left == right,
    }
}
