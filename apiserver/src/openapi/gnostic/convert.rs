//! Makes the protobuf messages from the JSON of a v2 document.

use serde_json::Value;

use super::messages::{
    AdditionalProperties, AdditionalPropertiesForm, Any, BodyParameter, Definitions, Document, Info, Items, NamedAny,
    NamedPathItem, NamedResponse, NamedSchema, NonBodyParameter, NonBodyParameterForm, Operation, Parameter,
    ParameterForm, ParametersItem, PathItem, PathParameter, Paths, Properties, QueryParameter, Response, ResponseValue,
    Responses, Schema, SchemaItem, Type,
};

/// A whole document, or a part of one.
pub(crate) fn document(value: &Value) -> Document {
    Document {
        swagger: text(value, "swagger"),
        info: value.get("info").map(|info| Info { title: text(info, "title"), version: text(info, "version") }),
        paths: value.get("paths").map(|paths| Paths {
            path: entries(paths).map(|(name, item)| NamedPathItem { name, value: Some(path_item(item)) }).collect(),
        }),
        definitions: value
            .get("definitions")
            .map(|definitions| Definitions { additional_properties: named_schemas(definitions) }),
    }
}

fn path_item(item: &Value) -> PathItem {
    let operation = |name: &str| item.get(name).map(operation);
    PathItem {
        get: operation("get"),
        put: operation("put"),
        post: operation("post"),
        delete: operation("delete"),
        patch: operation("patch"),
        parameters: parameters(item),
    }
}

fn operation(value: &Value) -> Operation {
    Operation {
        tags: texts(value, "tags"),
        description: text(value, "description"),
        operation_id: text(value, "operationId"),
        produces: texts(value, "produces"),
        consumes: texts(value, "consumes"),
        parameters: parameters(value),
        responses: value.get("responses").map(|responses| Responses {
            response_code: entries(responses)
                .map(|(name, value)| NamedResponse {
                    name,
                    value: Some(ResponseValue { response: Some(response(value)) }),
                })
                .collect(),
        }),
        schemes: texts(value, "schemes"),
        vendor_extension: extensions(value),
    }
}

fn response(value: &Value) -> Response {
    Response {
        description: text(value, "description"),
        schema: value.get("schema").map(|value| SchemaItem { schema: Some(schema(value)) }),
    }
}

fn parameters(value: &Value) -> Vec<ParametersItem> {
    let list = value.get("parameters").and_then(Value::as_array);
    list.into_iter().flatten().map(|value| ParametersItem { parameter: Some(parameter(value)) }).collect()
}

fn parameter(value: &Value) -> Parameter {
    let (name, location, required) = (text(value, "name"), text(value, "in"), flag(value, "required"));
    let (description, type_) = (text(value, "description"), text(value, "type"));
    let form = match location.as_str() {
        "body" => {
            let schema = value.get("schema").map(schema);
            ParameterForm::Body(Box::new(BodyParameter { name, location, required, schema }))
        }
        "path" => other(NonBodyParameterForm::Path(PathParameter { required, location, description, name, type_ })),
        _ => other(NonBodyParameterForm::Query(QueryParameter { required, location, description, name, type_ })),
    };
    Parameter { form: Some(form) }
}

fn other(form: NonBodyParameterForm) -> ParameterForm {
    ParameterForm::Other(NonBodyParameter { form: Some(form) })
}

fn schema(value: &Value) -> Schema {
    Schema {
        reference: text(value, "$ref"),
        format: text(value, "format"),
        title: text(value, "title"),
        description: text(value, "description"),
        multiple_of: number(value, "multipleOf"),
        maximum: number(value, "maximum"),
        exclusive_maximum: flag(value, "exclusiveMaximum"),
        minimum: number(value, "minimum"),
        exclusive_minimum: flag(value, "exclusiveMinimum"),
        max_length: count(value, "maxLength"),
        min_length: count(value, "minLength"),
        pattern: text(value, "pattern"),
        max_items: count(value, "maxItems"),
        min_items: count(value, "minItems"),
        unique_items: flag(value, "uniqueItems"),
        max_properties: count(value, "maxProperties"),
        min_properties: count(value, "minProperties"),
        required: texts(value, "required"),
        enumeration: value.get("enum").and_then(Value::as_array).into_iter().flatten().map(any).collect(),
        additional_properties: value.get("additionalProperties").map(|value| {
            let form = match value {
                Value::Bool(allowed) => AdditionalPropertiesForm::Boolean(*allowed),
                value => AdditionalPropertiesForm::Schema(Box::new(schema(value))),
            };
            Box::new(AdditionalProperties { form: Some(form) })
        }),
        type_: value.get("type").and_then(Value::as_str).map(|name| Type { value: vec![name.to_owned()] }),
        items: value.get("items").map(|value| Items { schema: vec![schema(value)] }),
        properties: value
            .get("properties")
            .map(|properties| Properties { additional_properties: named_schemas(properties) }),
        vendor_extension: extensions(value),
    }
}

fn named_schemas(value: &Value) -> Vec<NamedSchema> {
    entries(value).map(|(name, value)| NamedSchema { name, value: Some(schema(value)) }).collect()
}

fn extensions(value: &Value) -> Vec<NamedAny> {
    entries(value)
        .filter(|(name, _)| name.starts_with("x-"))
        .map(|(name, value)| NamedAny { name, value: Some(any(value)) })
        .collect()
}

/// JSON is YAML; readers expect the line's end.
fn any(value: &Value) -> Any {
    Any { yaml: format!("{value}\n") }
}

fn entries(value: &Value) -> impl Iterator<Item = (String, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value))
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> f64 {
    value.get(key).and_then(Value::as_f64).unwrap_or_default()
}

fn count(value: &Value, key: &str) -> i64 {
    value.get(key).and_then(Value::as_i64).unwrap_or_default()
}
