//! `explain`: what the fields of a kind mean, from the server's OpenAPI document.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::api::{ApiError, Catalog, Resource, Session};
use crate::args::Global;
use crate::args::objects::ExplainArgs;
use crate::connect;
use crate::error::Error;
use crate::output::{Colour, Paint, Screen};

const WIDTH: usize = 100;
/// A schema may contain itself; nobody reads deeper than this.
const DEEPEST: usize = 12;

/// Explains.
pub(super) async fn run(args: &ExplainArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let (resource, fields) = understood(&args.path, &catalog)?;
    let document = document(&session, resource).await?;
    let text = explain(&document, resource, &fields, args.recursive, screen.paint()).map_err(Error::NotFound)?;
    screen.text(&text)?;
    Ok(())
}

/// `instance.spec.ports`, where the kind itself may be `instance.thecloud.dev`.
fn understood<'a, 'b>(path: &'b str, catalog: &'a Catalog) -> Result<(&'a Resource, Vec<&'b str>), Error> {
    let dots: Vec<_> = path.match_indices('.').map(|(index, _)| index).chain([path.len()]).collect();
    // The longest beginning that names a kind, so that a group's dots are not taken for fields.
    for end in dots.iter().rev() {
        if let Ok(resource) = catalog.of_word(&path[..*end]) {
            let fields = path[*end..].split('.').filter(|field| !field.is_empty()).collect();
            return Ok((resource, fields));
        }
    }
    let first = path.split('.').next().unwrap_or(path);
    catalog.of_word(first).map(|resource| (resource, Vec::new()))
}

/// The OpenAPI document that describes a kind.
pub(super) async fn document(session: &Session, resource: &Resource) -> Result<Value, ApiError> {
    let index = session.get("/openapi/v3").await?;
    let place = if resource.group.is_empty() {
        format!("api/{}", resource.version)
    } else {
        format!("apis/{}", resource.api_version())
    };
    let fallback = format!("/openapi/v3/{place}");
    let url = index["paths"][&place]["serverRelativeURL"].as_str().unwrap_or(&fallback).to_owned();
    session.get(&url).await
}

fn explain(
    document: &Value,
    resource: &Resource,
    fields: &[&str],
    recursive: bool,
    paint: Paint,
) -> Result<String, String> {
    let schemas = Schemas { all: document["components"]["schemas"].as_object().cloned().unwrap_or_default() };
    let root = schemas.of_kind(resource).ok_or_else(|| format!("the server does not describe {}", resource.kind))?;
    let mut schema = schemas.resolved(root);
    let mut description = text(&schema, "description");
    let mut kind = type_name(&schema, &schemas);
    let mut walked = resource.singular.clone();
    for field in fields {
        let inside = schemas.inside(&schema);
        let Some(next) = inside["properties"].get(*field) else {
            return Err(format!("`{walked}` has no field `{field}`; {}", meant(field, &inside)));
        };
        let own = text(next, "description");
        schema = schemas.resolved(next);
        description = if own.is_empty() { text(&schema, "description") } else { own };
        kind = type_name(&schema, &schemas);
        let _ = write!(walked, ".{field}");
    }
    let mut out = String::new();
    let _ = writeln!(out, "{} ({})", paint.colour(Colour::Bold, &walked), resource.api_version());
    let _ = writeln!(out, "\nTYPE: {kind}");
    facts(&mut out, &schema, "");
    if !description.is_empty() {
        let _ = writeln!(out, "\nDESCRIPTION:");
        paragraph(&mut out, &description, 2);
    }
    let inside = schemas.inside(&schema);
    if inside["properties"].is_object() {
        let _ = writeln!(out, "\nFIELDS:");
        list(&mut out, &inside, &schemas, recursive, 1, paint);
    }
    Ok(out)
}

/// Which field was meant by the last one of a path that a kind does not have; `None` when the path has other faults.
pub(super) fn nearest(document: &Value, resource: &Resource, path: &str) -> Option<String> {
    let schemas = Schemas { all: document["components"]["schemas"].as_object().cloned().unwrap_or_default() };
    let mut inside = schemas.inside(&schemas.resolved(schemas.of_kind(resource)?));
    let mut fields = path.split('.').map(|field| field.split('[').next().unwrap_or(field)).peekable();
    while let Some(field) = fields.next() {
        match inside["properties"].get(field) {
            Some(next) => inside = schemas.inside(&schemas.resolved(next)),
            None => return fields.peek().is_none().then(|| meant(field, &inside)),
        }
    }
    None
}

/// What somebody may have meant by a field that is not there.
fn meant(field: &str, inside: &Value) -> String {
    let known: Vec<_> = inside["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let nearest =
        known.iter().map(|name| (crate::api::distance(field, name), *name)).filter(|(far, _)| *far <= 2).min();
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "it has no fields".to_owned(),
        None => format!("it has {}", known.join(", ")),
    }
}

fn list(out: &mut String, schema: &Value, schemas: &Schemas, recursive: bool, depth: usize, paint: Paint) {
    let indent = "  ".repeat(depth);
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let resolved = schemas.resolved(field);
        let kind = type_name(&resolved, schemas);
        let mark = if required.contains(&name.as_str()) { "  required" } else { "" };
        let shown = paint.colour(Colour::Cyan, name);
        let kind = paint.colour(Colour::Dim, &format!("<{kind}>"));
        let mark = paint.colour(Colour::Yellow, mark);
        let _ = writeln!(out, "{indent}{shown}  {kind}{mark}");
        if !recursive {
            let own = text(field, "description");
            let description = if own.is_empty() { text(&resolved, "description") } else { own };
            if !description.is_empty() {
                paragraph(out, &description, depth * 2 + 4);
            }
            facts(out, &resolved, &" ".repeat(depth * 2 + 4));
        } else if depth < DEEPEST && name != "managedFields" {
            list(out, &schemas.inside(&resolved), schemas, recursive, depth + 1, paint);
        }
    }
}

/// The values that a field may have.
fn facts(out: &mut String, schema: &Value, indent: &str) {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(crate::jsonpath::plain).collect();
        let _ = writeln!(out, "{indent}one of: {}", values.join(", "));
    }
    if !schema["default"].is_null() && schema["default"] != serde_json::json!({}) {
        let _ = writeln!(out, "{indent}default: {}", crate::jsonpath::plain(&schema["default"]));
    }
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(least), Some(most)) => drop(writeln!(out, "{indent}from {least} to {most}")),
        (Some(least), None) => drop(writeln!(out, "{indent}at least {least}")),
        (None, Some(most)) => drop(writeln!(out, "{indent}at most {most}")),
        (None, None) => {}
    }
}

/// Text in lines of a readable width.
fn paragraph(out: &mut String, text: &str, indent: usize) {
    let indent = " ".repeat(indent);
    for part in text.lines() {
        let mut line = String::new();
        for word in part.split_whitespace() {
            if !line.is_empty() && indent.len() + line.len() + 1 + word.len() > WIDTH {
                let _ = writeln!(out, "{indent}{line}");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let _ = writeln!(out, "{}", format!("{indent}{line}").trim_end());
    }
}

fn type_name(schema: &Value, schemas: &Schemas) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", type_name(&schemas.resolved(&schema["items"]), schemas)),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", type_name(&schemas.resolved(&schema["additionalProperties"]), schemas))
        }
        Some(kind) => kind.to_owned(),
        None => "object".to_owned(),
    }
}

fn text(schema: &Value, key: &str) -> String {
    schema[key].as_str().unwrap_or_default().trim().to_owned()
}

/// The schemas of a document, which refer to each other.
struct Schemas {
    all: Map<String, Value>,
}

impl Schemas {
    fn of_kind(&self, resource: &Resource) -> Option<&Value> {
        self.all.values().find(|schema| {
            schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten().any(|named| {
                named["kind"] == resource.kind
                    && named["group"].as_str().unwrap_or_default() == resource.group
                    && named["version"] == resource.version
            })
        })
    }

    /// Follows a reference, also one wrapped in `allOf` to give it a description of its own.
    fn resolved(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        for _ in 0..DEEPEST {
            let target = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
            let Some(name) = target.and_then(|path| path.rsplit('/').next()) else { break };
            schema = self.all.get(name).cloned().unwrap_or(Value::Null);
        }
        schema
    }

    /// What a list or a map is made of, or the schema itself.
    fn inside(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        for _ in 0..DEEPEST {
            let below = if schema["items"].is_object() { &schema["items"] } else { &schema["additionalProperties"] };
            if !below.is_object() {
                break;
            }
            schema = self.resolved(below);
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({"components": {"schemas": {
            "dev.thecloud.v1alpha1.Instance": {
                "type": "object", "description": "One machine.", "required": ["spec"],
                "x-kubernetes-group-version-kind": [{"group": "thecloud.dev", "version": "v1alpha1", "kind": "Instance"}],
                "properties": {
                    "metadata": {"description": "Standard metadata.", "allOf": [{"$ref": "#/components/schemas/Meta"}]},
                    "spec": {"type": "object", "required": ["image"], "properties": {
                        "image": {"type": "string", "description": "What it runs."},
                        "powerState": {"type": "string", "enum": ["Running", "Stopped"], "default": "Running", "description": "Whether it runs."},
                        "ports": {"type": "array", "description": "Ports that it serves.", "items": {"type": "object", "required": ["port"],
                            "properties": {"port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "The port inside."}}}}}}}},
            "Meta": {"type": "object", "properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "name": {"type": "string", "description": "Its name."}}}}}})
    }

    fn resource() -> Resource {
        Resource {
            group: "thecloud.dev".into(),
            version: "v1alpha1".into(),
            kind: "Instance".into(),
            plural: "instances".into(),
            singular: "instance".into(),
            preferred: true,
            ..Resource::default()
        }
    }

    fn explained(fields: &[&str], recursive: bool) -> Result<String, String> {
        explain(&document(), &resource(), fields, recursive, Paint::new(false))
    }

    #[test]
    fn kind_and_fields_are_explained() {
        let mut text = explained(&[], false).unwrap();
        text.push_str("=====\n");
        text.push_str(&explained(&["spec"], false).unwrap());
        text.push_str("=====\n");
        text.push_str(&explained(&["spec", "ports", "port"], false).unwrap());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn recursive_shows_the_whole_tree() {
        insta::assert_snapshot!(explained(&[], true).unwrap());
    }

    #[test]
    fn unknown_field_suggests_one() {
        assert_eq!(
            explained(&["spec", "imgae"], false).unwrap_err(),
            "`instance.spec` has no field `imgae`; did you mean `image`?"
        );
        assert!(explained(&["spec", "zzzzzz"], false).unwrap_err().contains("image, ports, powerState"));
    }

    #[test]
    fn group_in_the_path_is_not_taken_for_fields() {
        let catalog = Catalog::of(vec![resource()]);
        let (_, fields) = understood("instance.thecloud.dev.spec.ports", &catalog).unwrap();
        assert_eq!(fields, ["spec", "ports"]);
        let (_, fields) = understood("instance.spec", &catalog).unwrap();
        assert_eq!(fields, ["spec"]);
        assert!(understood("nope.spec", &catalog).is_err());
    }
}
