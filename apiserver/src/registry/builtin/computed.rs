//! Decides how a cell is made of more than one field. Such a column's `json_path` starts with `=`; the rest is a
//! function's name and plain paths, separated by spaces:
//!
//! - `=count .data .binaryData`: how many entries the maps or lists have together
//! - `=first .lastTimestamp .eventTime`: the first that holds something
//! - `=usage .status limits.`: `name: used/hard` of every amount whose name begins so (with `!`: doesn't)
//! - `=reference .involvedObject.kind .involvedObject.name`: `kind/name`, the kind in lower case
//! - `=trimmed .message`: the text without spaces around it
//! - `=times .series.count .count`: the first number that is not zero, or else one
//! - `=origin .source.component .reportingComponent .source.host .reportingInstance`: the first that is filled of the
//!   first two, and that of the other two behind a comma
//! - `=slashed .roleRef.kind .roleRef.name`: `Kind/name`
//! - `=set .spec.paramKind.apiVersion .spec.paramKind.kind`: what is filled, joined by slashes, or `<unset>`
//! - `=local .spec.service`: `namespace/name` of a service, or `Local` where there is none
//! - `=each .subjects User name`: the items of that `kind`, their fields joined by slashes, separated by commas

use serde_json::Value;

use super::Column;

/// A column whose cell is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Computed {
    /// How many entries the maps or lists at these paths have together.
    Count(Vec<String>),
    /// The first of these paths that holds something.
    First(Vec<String>),
    /// `name: used/hard` of the amounts below this path.
    Usage {
        /// Where `used` and `hard` are.
        path: String,
        /// What the names begin with.
        prefix: String,
        /// Whether they do.
        with: bool,
    },
    /// `kind/name` of what the paths of a kind and a name hold.
    Reference(String, String),
    /// The text at this path without spaces around it.
    Trimmed(String),
    /// The first number at these paths that is not zero, or else one.
    Times(Vec<String>),
    /// Who reports something: a component or the one behind, and the host or the one behind.
    Origin([String; 2], [String; 2]),
    /// What these paths hold, joined by slashes.
    Slashed(Vec<String>),
    /// What is filled at these paths, joined by slashes, or that nothing is.
    Set(Vec<String>),
    /// `namespace/name` of the service at this path, or that there is none.
    Local(String),
    /// Of the items of a list that are of a kind: their fields joined by slashes.
    Each {
        /// The path of the list.
        list: String,
        /// What an item's `kind` must be.
        kind: String,
        /// What is shown of an item.
        fields: Vec<String>,
    },
}

impl Computed {
    /// The column's computation, if it has one.
    #[must_use]
    pub fn of(column: &Column) -> Option<Self> {
        let mut words = column.json_path.strip_prefix('=')?.split(' ').map(str::to_owned);
        match words.next()?.as_str() {
            "count" => Some(Self::Count(words.collect())),
            "first" => Some(Self::First(words.collect())),
            "trimmed" => Some(Self::Trimmed(words.next()?)),
            "times" => Some(Self::Times(words.collect())),
            "origin" => {
                let [component, reporter, host, instance] =
                    [words.next()?, words.next()?, words.next()?, words.next()?];
                Some(Self::Origin([component, reporter], [host, instance]))
            }
            "set" => Some(Self::Set(words.collect())),
            "local" => Some(Self::Local(words.next()?)),
            "slashed" => Some(Self::Slashed(words.collect())),
            "each" => Some(Self::Each { list: words.next()?, kind: words.next()?, fields: words.collect() }),
            "usage" => {
                let (path, prefix) = (words.next()?, words.next()?);
                let bare = prefix.strip_prefix('!').map(str::to_owned);
                Some(Self::Usage { path, with: bare.is_none(), prefix: bare.unwrap_or(prefix) })
            }
            "reference" => Some(Self::Reference(words.next()?, words.next()?)),
            _ => None,
        }
    }

    /// The cell's value before it is formatted by the column's type; null where there is nothing.
    #[must_use]
    pub fn cell(&self, object: &Value) -> Value {
        let at = |path: &String| path.trim_start_matches('.').split('.').try_fold(object, |value, key| value.get(key));
        let filled = |value: &&Value| !value.is_null() && value.as_str() != Some("");
        match self {
            Self::Count(paths) => {
                let size = |value: &Value| {
                    value.as_object().map_or(0, serde_json::Map::len) + value.as_array().map_or(0, Vec::len)
                };
                Value::from(paths.iter().filter_map(at).map(size).sum::<usize>())
            }
            Self::First(paths) => paths.iter().filter_map(at).find(filled).cloned().unwrap_or(Value::Null),
            Self::Usage { path, prefix, with } => {
                let hard = at(path).and_then(|status| status["hard"].as_object()).into_iter().flatten();
                let shown: Vec<String> = hard
                    .filter(|(name, _)| name.starts_with(prefix.as_str()) == *with)
                    .map(|(name, hard)| {
                        let used = at(path).and_then(|status| status["used"][name].as_str()).unwrap_or("0");
                        format!("{name}: {used}/{}", hard.as_str().unwrap_or_default())
                    })
                    .collect();
                shown.join(", ").into()
            }
            Self::Reference(kind, name) => {
                let kind = at(kind).and_then(Value::as_str).unwrap_or_default().to_lowercase();
                match at(name).and_then(Value::as_str).unwrap_or_default() {
                    "" => kind.into(),
                    name => format!("{kind}/{name}").into(),
                }
            }
            Self::Trimmed(path) => at(path).and_then(Value::as_str).unwrap_or_default().trim().into(),
            Self::Times(paths) => {
                let mut numbers = paths.iter().filter_map(at).filter_map(Value::as_i64);
                numbers.find(|number| *number != 0).unwrap_or(1).into()
            }
            Self::Origin(component, host) => {
                let text = |path: &String| at(path).and_then(Value::as_str).filter(|text| !text.is_empty());
                let component = component.iter().find_map(text).unwrap_or_default();
                match host.iter().find_map(text) {
                    Some(host) => format!("{component}, {host}").into(),
                    None => component.into(),
                }
            }
            Self::Slashed(paths) => {
                let parts: Vec<&str> = paths.iter().filter_map(at).filter_map(Value::as_str).collect();
                parts.join("/").into()
            }
            Self::Set(paths) => {
                let parts: Vec<&str> = paths.iter().filter_map(at).filter(filled).filter_map(Value::as_str).collect();
                if parts.is_empty() { "<unset>".into() } else { parts.join("/").into() }
            }
            Self::Local(path) => match at(path).filter(filled) {
                Some(service) => {
                    let text = |field: &str| service[field].as_str().unwrap_or_default().to_owned();
                    format!("{}/{}", text("namespace"), text("name")).into()
                }
                None => "Local".into(),
            },
            Self::Each { list, kind, fields } => {
                let items = at(list).and_then(Value::as_array).into_iter().flatten();
                let shown = items.filter(|item| item["kind"] == kind.as_str()).map(|item| {
                    let parts: Vec<&str> =
                        fields.iter().map(|field| item[field].as_str().unwrap_or_default()).collect();
                    parts.join("/")
                });
                shown.collect::<Vec<_>>().join(", ").into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::CellForm;

    fn cell(path: &str, object: &Value) -> Value {
        let column = super::super::column("C", CellForm::Text, "", path);
        Computed::of(&column).map_or(Value::Null, |computed| computed.cell(object))
    }

    #[test]
    fn cells_are_made_of_several_fields() {
        let object = json!({"data": {"a": 1, "b": 2}, "bin": {"c": 3}, "of": {"kind": "Widget", "name": "w"}, "t": ""});
        assert_eq!(cell("=count .data .bin .none", &object), 3);
        assert_eq!(cell("=first .t .none .of.name", &object), "w");
        assert_eq!(cell("=first .t", &object), Value::Null);
        assert_eq!(cell("=reference .of.kind .of.name", &object), "widget/w");
        assert_eq!(cell(".data.a", &object), Value::Null);
        assert_eq!(cell("=set .none .of.name", &object), "w");
        assert_eq!(cell("=set .none .t", &object), "<unset>");
        assert_eq!(cell("=local .none", &object), "Local");
        assert_eq!(cell("=local .service", &json!({"service": {"namespace": "a", "name": "s"}})), "a/s");
        assert_eq!(cell("=slashed .of.kind .of.name", &object), "Widget/w");
        let quota = json!({"status": {"hard": {"pods": "4", "cpu": "2", "limits.cpu": "3"}, "used": {"cpu": "500m"}}});
        assert_eq!(cell("=usage .status !limits.", &quota), "cpu: 500m/2, pods: 0/4");
        assert_eq!(cell("=usage .status limits.", &quota), "limits.cpu: 0/3");
        let quota = json!({"status": {"hard": {"services.nodeports": "1", "services": "2"}}});
        assert_eq!(cell("=usage .status !limits.", &quota), "services: 0/2, services.nodeports: 0/1");
    }

    #[test]
    fn items_of_a_kind_are_listed() {
        let object = json!({"subjects": [
            {"kind": "User", "name": "ann"}, {"kind": "Group", "name": "g"}, {"kind": "User", "name": "bob"},
            {"kind": "ServiceAccount", "name": "ci", "namespace": "a"},
        ]});
        assert_eq!(cell("=each .subjects User name", &object), "ann, bob");
        assert_eq!(cell("=each .subjects ServiceAccount namespace name", &object), "a/ci");
        assert_eq!(cell("=each .none User name", &object), "");
    }
}
