//! Fits sets of fields to a schema: when it has changed since they were written, and before fields are removed by them.

use super::element::{field, field_name};
use super::set::Set;
use crate::schema::merging::{Relationship, Shape, Type, TypeId, Types};

/// The set with every declared field above a member being a member too, so that removing can take it as a whole.
pub(crate) fn with_named_fields(types: &Types, of: Option<TypeId>, set: &Set) -> Set {
    let of = of.map(|of| types.get(of));
    let map = of.and_then(|of| of.map.as_ref());
    let list = of.and_then(|of| of.list.as_ref());
    set.rebuild(|element, owned, below| {
        let name = field_name(element);
        let is_declared = name.is_some_and(|name| map.is_some_and(|map| map.fields.contains_key(name)));
        let inner = match name {
            Some(name) => map.and_then(|map| map.of(name)),
            None => list.filter(|_| element.starts_with("k:")).map(|list| list.element),
        };
        (owned || (is_declared && !below.is_empty()), with_named_fields(types, inner, below))
    })
}

/// The set after parts of the schema have become one value each; `None` if nothing has.
pub(crate) fn with_schema(types: &Types, of: TypeId, set: &Set) -> Option<Set> {
    let mut whole = Set::default();
    find_wholes(types, types.get(of), set, &mut whole);
    if whole.is_empty() {
        return None;
    }
    let mut fitted = set.clone();
    fitted.subtract_recursively(&whole);
    fitted.add(&whole);
    Some(fitted)
}

/// Notes in `whole` the elements below `set` that are one value now, but whose parts the set has.
fn find_wholes(types: &Types, of: &Type, set: &Set, whole: &mut Set) {
    match of.shape(None) {
        Shape::Map(map) if !map.is_deduced() => {
            for (element, owned, below) in set.iter() {
                let inner = field_name(element).map_or(map.element, |name| map.of(name));
                if let Some(inner) = inner {
                    visit(types, types.get(inner), element, owned, below, whole);
                }
            }
        }
        Shape::List(list) => {
            for (element, owned, below) in set.iter() {
                visit(types, types.get(list.element), element, owned, below, whole);
            }
        }
        _ => {}
    }
}

fn visit(types: &Types, of: &Type, element: &str, owned: bool, below: &Set, whole: &mut Set) {
    let is_leaf = owned && below.is_empty();
    let has_become_whole = match of.shape(None) {
        Shape::Map(map) => !map.is_deduced() && map.atomic && !is_leaf && !below.is_empty(),
        Shape::List(list) => list.relationship == Relationship::Atomic && !is_leaf,
        _ => false,
    };
    if has_become_whole {
        whole.insert(element.to_owned());
        return;
    }
    let mut inside = Set::default();
    find_wholes(types, of, below, &mut inside);
    whole.insert_below(element.to_owned(), inside);
}

/// The set of some fields at the top, such as those that an endpoint ignores.
pub(crate) fn of_fields(names: &[&str]) -> Set {
    let mut set = Set::default();
    for name in names {
        set.insert(field(name));
    }
    set
}
