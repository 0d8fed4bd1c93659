//! Decides how the parameters of a request are written.

use url::form_urlencoded::Serializer;

/// The parameters of a request, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// No parameters.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.pairs.push((name, value.into()));
        self
    }

    /// Adds a parameter that is set.
    pub(crate) fn with_set(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The path with the parameters behind it.
    pub(crate) fn on(&self, path: &str) -> String {
        if self.pairs.is_empty() {
            return path.to_owned();
        }
        let mut serializer = Serializer::new(String::new());
        serializer.extend_pairs(&self.pairs);
        format!("{path}?{}", serializer.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_unset_ones_left_out() {
        let query = Query::new().with("labelSelector", "app in (a,b)").with_set("x", None::<String>).with("limit", "5");
        assert_eq!(query.on("/p"), "/p?labelSelector=app+in+%28a%2Cb%29&limit=5");
        assert_eq!(Query::new().on("/p"), "/p");
    }
}
