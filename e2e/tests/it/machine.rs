//! The YAML of machines that several tests use.

/// An Instance that sleeps for ever, with further lines of its spec.
pub(crate) fn sleeper(name: &str, spec: &str) -> String {
    let mut yaml = format!(
        "apiVersion: thecloud.dev/v1alpha1\nkind: Instance\nmetadata:\n  name: {name}\nspec:\n  image: busybox:stable\n  \
         instanceType: nano\n  terminationGracePeriodSeconds: 0\n"
    );
    if !spec.contains("command:") {
        yaml += "  command: [sleep, \"1000000\"]\n";
    }
    for line in spec.lines() {
        yaml += "  ";
        yaml += line;
        yaml += "\n";
    }
    yaml
}

/// A Vpc whose addresses the server chooses.
pub(crate) fn vpc(name: &str) -> String {
    format!("apiVersion: thecloud.dev/v1alpha1\nkind: Vpc\nmetadata:\n  name: {name}\nspec: {{}}\n")
}

/// A Volume of this size.
pub(crate) fn volume(name: &str, size: &str) -> String {
    format!("apiVersion: thecloud.dev/v1alpha1\nkind: Volume\nmetadata:\n  name: {name}\nspec:\n  size: {size}\n")
}

/// Several documents as one text.
pub(crate) fn documents(all: &[String]) -> String {
    all.join("---\n")
}
