//! Decides how a value that doesn't fit its field is named where a strategic merge patch made it: upstream then fills a
//! struct from a document, and names the types of Go instead of those of JSON.

/// Turns the sentence of the JSON decoder into that of the converter.
pub(super) fn in_go(sentence: &str) -> String {
    let parts = sentence.strip_prefix("json: cannot unmarshal ").and_then(|rest| rest.split_once(" into Go "));
    let Some((found, rest)) = parts else { return sentence.to_owned() };
    let Some((_, wanted)) = rest.rsplit_once(" of type ") else { return sentence.to_owned() };
    let found = match found {
        "number" => "int64",
        "array" => "slice",
        "object" => "map",
        other if other.starts_with("number ") => "float64",
        other => other,
    };
    match wanted {
        map if map.starts_with("map[") => format!("cannot restore map from {found}"),
        slice if slice.starts_with("[]") => format!("cannot restore slice from {found}"),
        "string" | "types.UID" if found == "int64" => format!("cannot convert int64 to {wanted}"),
        "types.UID" => "unrecognized type: string".to_owned(),
        structure if structure.starts_with("v1.") => format!("cannot restore struct from: {found}"),
        simple => format!("unrecognized type: {simple}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_go() {
        let sentence = |found, wanted| {
            in_go(&format!("json: cannot unmarshal {found} into Go struct field ConfigMap.data of type {wanted}"))
        };
        assert_eq!(sentence("number", "map[string]string"), "cannot restore map from int64");
        assert_eq!(sentence("number", "string"), "cannot convert int64 to string");
        assert_eq!(sentence("bool", "string"), "unrecognized type: string");
        assert_eq!(sentence("string", "[]string"), "cannot restore slice from string");
        assert_eq!(sentence("array", "v1.NamespaceSpec"), "cannot restore struct from: slice");
        assert_eq!(in_go("illegal base64 data at input byte 0"), "illegal base64 data at input byte 0");
    }
}
