//! Decides how a request that does not fit reads to a person: an object its kind, a selector its grammar. The server words it
//! as upstream does, for whoever wrote the server; here it names the field, what is wrong with it, and the way out.

/// What comes before the findings when an applied object has no place for something.
const TYPED: &str = "failed to create typed patch object (";
const UNKNOWN: &str = "field not declared in schema";
const QUOTES: &str = "; put it in quotes";

/// The message in other words, if it is about a misfit.
pub(super) fn words(message: &str) -> Option<String> {
    typed(message)
        .or_else(|| unmarshalled(message))
        .or_else(|| strict(message))
        .or_else(|| selector(message))
        // What concerns the whole object has no field to name.
        .or_else(|| message.contains(" is invalid: : ").then(|| message.replace(" is invalid: : ", " is invalid: ")))
}

/// The paths of fields that a kind does not have.
pub(super) fn unknown_fields(message: &str) -> Vec<String> {
    let found = findings(message).into_iter().flat_map(|(_, lines)| lines);
    found.filter(|(_, what)| *what == UNKNOWN).map(|(field, _)| field.to_owned()).collect()
}

/// `failed to create typed patch object (default/web; thecloud.dev/v1alpha1, Kind=Instance): .spec.x: field not declared`
fn typed(message: &str) -> Option<String> {
    let (object, found) = findings(message)?;
    let (name, kind) = object.split_once("; ")?;
    let kind = kind.rsplit_once("Kind=").map_or(kind, |(_, kind)| kind);
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let lines: Vec<_> = found
        .into_iter()
        .map(|(field, what)| match what {
            UNKNOWN => format!("  {field}: there is no such field"),
            what if is_text_wanted(what) => format!("  {field}: {what}{QUOTES}"),
            what => format!("  {field}: {what}"),
        })
        .collect();
    Some(format!("{kind} \"{name}\" does not fit its kind:\n{}", lines.join("\n")))
}

/// The object, and each field with what is wrong there.
fn findings(message: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let (object, found) = message.strip_prefix(TYPED)?.split_once("): ")?;
    let found = found.strip_prefix("errors:\n").unwrap_or(found);
    let found = found.lines().map(|line| {
        let line = line.trim().trim_start_matches('.');
        line.split_once(": ").unwrap_or(("metadata", line))
    });
    Some((object, found.collect()))
}

fn is_text_wanted(what: &str) -> bool {
    ["expected string, got a number", "expected string, got a boolean"].iter().any(|start| what.starts_with(start))
}

/// `ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field
/// ConfigMap.data of type string`
fn unmarshalled(message: &str) -> Option<String> {
    let (front, rest) = message.split_once(": json: cannot unmarshal ")?;
    let kind = front.split(' ').next()?;
    let (found, rest) = rest.split_once(" into Go struct field ")?;
    let (place, wanted) = rest.split_once(" of type ")?;
    let field = match place.split_once('.') {
        Some(("ObjectMeta", field)) => format!("metadata.{field}"),
        Some((_, field)) => field.to_owned(),
        None => place.to_owned(),
    };
    let wanted = match wanted {
        "map[string]string" => "a map of strings",
        wanted => wanted,
    };
    let hint = if wanted == "string" && matches!(found, "number" | "bool") { QUOTES } else { "" };
    Some(format!("{kind} does not fit its kind:\n  {field}: expected {wanted}, got {found}{hint}"))
}

/// `Instance in version "v1alpha1" cannot be handled as a Instance: strict decoding error: unknown field "spec.x"`
fn strict(message: &str) -> Option<String> {
    let (front, found) = message.split_once(": strict decoding error: ")?;
    let kind = front.split(' ').next()?;
    Some(format!("{kind} does not fit its kind:\n{}", unfit(found)))
}

/// What a patch makes of an object, shown whole before what is wrong with it: `Invalid value: "{...}": strict decoding
/// error: unknown field "spec.x"`
pub(super) fn patched(message: &str) -> Option<String> {
    let (_, found) = message.rsplit_once(": strict decoding error: ")?;
    Some(format!("the patch does not fit the object's kind:\n{}", unfit(found)))
}

/// Each finding of a strict decoder in a line.
fn unfit(found: &str) -> String {
    let lines: Vec<_> = found
        .split(", ")
        .map(|what| match what.split_once(" field \"").map(|(what, field)| (what, field.trim_end_matches('"'))) {
            Some(("unknown", field)) => format!("  {field}: there is no such field"),
            Some(("duplicate", field)) => format!("  {field}: it is there twice"),
            _ => format!("  {what}"),
        })
        .collect();
    lines.join("\n")
}

/// `found '==', expected: ...` and `field label not supported: status.phase`
fn selector(message: &str) -> Option<String> {
    if message.starts_with("found '") || message.starts_with("unable to parse requirement") {
        return Some(format!("the label selector makes no sense: {message}\nWrite for example -l app=web,tier!=db"));
    }
    let field = message.strip_prefix("field label not supported: ")?;
    Some(format!(
        "objects of this kind cannot be selected by the field `{field}`; by metadata.name and metadata.namespace they always can"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misfits_name_the_field_and_the_way_out() {
        let messages = [
            "failed to create typed patch object (default/b1; thecloud.dev/v1alpha1, Kind=Instance): .spec.imgae: field not declared in schema",
            "failed to create typed patch object (/b1; v1, Kind=Namespace): errors:\n  .spec.image: expected string, got a number\n  .spec.ports: duplicate entries for key [port=80,protocol=\"TCP\"]",
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            "Instance in version \"v1alpha1\" cannot be handled as a Instance: json: cannot unmarshal array into Go struct field ObjectMeta.labels of type map[string]string",
            "Instance in version \"v1alpha1\" cannot be handled as a Instance: strict decoding error: unknown field \"spec.imgae\", duplicate field \"spec.image\"",
            "ConfigMap \"big\" is invalid: : Too long: may not be more than 1048576 bytes",
            "found '==', expected: !, identifier, or 'end of string'",
            "field label not supported: status.phase",
        ];
        let told: Vec<_> = messages.iter().map(|message| words(message).unwrap()).collect();
        insta::assert_snapshot!(told.join("\n"));
        assert_eq!(unknown_fields(messages[0]), ["spec.imgae"]);
        let patch = "Invalid value: \"{\\\"spec\\\":{\\\"imgae\\\":\\\"x\\\"}}\": strict decoding error: unknown field \"spec.imgae\"";
        let told = "the patch does not fit the object's kind:\n  spec.imgae: there is no such field";
        assert_eq!(patched(patch).as_deref(), Some(told));
        assert_eq!(patched("Invalid value: \"x\": must be positive"), None);
        assert_eq!(unknown_fields(messages[1]), [""; 0]);
    }

    #[test]
    fn other_messages_are_left_alone() {
        for message in
            ["", "namespaces \"x\" not found", "failed to create typed patch object (", "a: json: cannot unmarshal x"]
        {
            assert_eq!(words(message), None, "{message}");
        }
    }
}
