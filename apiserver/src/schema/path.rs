//! Decides how the place of a value is written: `spec.ports[0].name`, or `<nil>` for the object itself. Paths are
//! linked on the stack, so that walking a valid object allocates nothing.

use std::fmt;

/// Where in an object we are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    /// The object itself.
    Root,
    /// A field, or a key of a map where upstream writes it with a dot.
    Field(&'a Path<'a>, &'a str),
    /// An element of a list.
    Index(&'a Path<'a>, usize),
    /// A key of a map where upstream writes it in brackets.
    Key(&'a Path<'a>, &'a str),
}

impl<'a> Path<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// The path inside a message, where the root is empty rather than `<nil>`.
    pub(crate) fn in_message(&self) -> String {
        match self {
            Self::Root => String::new(),
            path => path.to_string(),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("<nil>"),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(Path::Root, index) => write!(f, "[{index}]"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(Path::Root, key) => write!(f, "[{key}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_upstream_writes_them() {
        let spec = Path::Root.field("spec");
        let ports = spec.field("ports");
        let port = ports.index(1);
        let name = port.field("name");
        assert_eq!(name.to_string(), "spec.ports[1].name");
        assert_eq!(ports.key("a").to_string(), "spec.ports[a]");
        assert_eq!(Path::Root.to_string(), "<nil>");
        assert_eq!(Path::Root.in_message(), "");
    }
}
