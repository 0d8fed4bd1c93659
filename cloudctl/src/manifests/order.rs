//! Decides in which order objects are applied: what others need comes first. Nothing breaks in another order (an object waits
//! for what it names), but this one is faster and quieter. Deleting goes the other way round.

use super::Manifest;

/// Sorts for applying; objects of the same rank keep the order in which they were written.
pub(crate) fn sort(manifests: &mut [Manifest]) {
    manifests.sort_by_key(|manifest| rank(&manifest.kind));
}

/// Where a kind stands in that order: the lower, the earlier.
pub(crate) fn rank(kind: &str) -> u8 {
    match kind {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "ResourceQuota" | "ServiceAccount" | "Role" | "ClusterRole" => 2,
        "RoleBinding" | "ClusterRoleBinding" => 3,
        "InstanceType" | "InstancePolicy" | "ClusterImage" | "Image" => 4,
        "Secret" | "ConfigMap" => 5,
        "Vpc" => 6,
        "VpcPeering" | "SecurityGroup" => 7,
        "Volume" | "VolumeSnapshot" => 8,
        "Database" | "Cache" => 9,
        "Instance" | "InstanceSnapshot" => 11,
        "ScalingGroup" => 12,
        "LoadBalancer" => 13,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn what_others_need_comes_first() {
        let kinds = ["Instance", "Widget", "Volume", "Vpc", "Secret", "CustomResourceDefinition", "Namespace"];
        let text: Vec<_> =
            kinds.iter().map(|kind| format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\n")).collect();
        let mut manifests = parse("f", &text.join("---\n")).unwrap();
        sort(&mut manifests);
        let sorted: Vec<_> = manifests.iter().map(|manifest| manifest.kind.as_str()).collect();
        assert_eq!(sorted, ["Namespace", "CustomResourceDefinition", "Secret", "Vpc", "Volume", "Widget", "Instance"]);
    }
}
