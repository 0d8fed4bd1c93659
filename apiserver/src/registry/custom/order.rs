//! Decides which version of a kind clients should prefer: `v2`, `v1`, `v2beta1`, `v1beta2`, `v1alpha1`, then the rest
//! by name. <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority>

use std::cmp::Reverse;

/// What versions are sorted by, best first: stability, the number, the number of the alpha or beta, the name.
pub(super) type Priority = (u8, Reverse<u64>, Reverse<u64>, String);

/// The priority of a version's name.
pub(super) fn priority(name: &str) -> Priority {
    let parsed = parse(name);
    let (stability, major, minor) = parsed.unwrap_or((3, 0, 0));
    let name = if parsed.is_some() { String::new() } else { name.to_owned() };
    (stability, Reverse(major), Reverse(minor), name)
}

fn parse(name: &str) -> Option<(u8, u64, u64)> {
    let rest = name.strip_prefix('v')?;
    let (stability, major, minor) = match (rest.split_once("alpha"), rest.split_once("beta")) {
        (Some((major, minor)), _) => (2, major, minor),
        (None, Some((major, minor))) => (1, major, minor),
        (None, None) => (0, rest, "0"),
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    Some((stability, number(major)?, number(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let expected =
            ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"];
        let mut shuffled = expected;
        shuffled.reverse();
        shuffled.sort_by_cached_key(|name| priority(name));
        assert_eq!(shuffled, expected);
    }
}
