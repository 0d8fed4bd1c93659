//! Which ClusterRoles another is put together of: selectors over their labels. They are checked here; the
//! server puts roles together by itself.

use serde_json::Value;

use super::items;
use crate::error::FieldError;
use crate::registry::builtin::label_selector;
use crate::schema::words;

/// What is wrong with an `aggregationRule`.
pub(super) fn validate(rule: &Value, errors: &mut Vec<FieldError>) {
    let place = "aggregationRule.clusterRoleSelectors";
    let selectors = items(rule, "clusterRoleSelectors");
    if selectors.is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(words::required(place, detail));
    }
    for (index, selector) in selectors.iter().enumerate() {
        label_selector::validate(selector, &format!("{place}[{index}]"), errors);
    }
}
