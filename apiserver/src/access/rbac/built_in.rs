//! What is allowed in every installation without a role or binding: what upstream's shipped roles give everybody, in
//! their stead.

use std::sync::LazyLock;

use super::Rule;
use crate::access::{AUTHENTICATED, MASTERS};

/// The rules of a group.
pub(super) struct BuiltIn {
    pub(super) group: &'static str,
    pub(super) rules: Vec<Rule>,
}

/// Everything for masters.
pub(super) static ALL: LazyLock<BuiltIn> =
    LazyLock::new(|| BuiltIn { group: MASTERS, rules: Rule::everything().into() });

/// For everybody that we know: to ask what is here, who they are and what they may.
pub(super) static BASIC: LazyLock<BuiltIn> = LazyLock::new(|| BuiltIn {
    group: AUTHENTICATED,
    rules: vec![
        Rule::of_resources(&["create"], "authentication.k8s.io", &["selfsubjectreviews"]),
        Rule::of_resources(
            &["create"],
            "authorization.k8s.io",
            &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        ),
        Rule::of_paths(
            &["get"],
            &[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ],
        ),
    ],
});
