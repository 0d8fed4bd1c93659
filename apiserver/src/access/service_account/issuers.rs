//! Decides by which names tokens that are made here go: who says to have issued them, and for whom they are meant.

use std::collections::BTreeSet;

use url::Url;

/// Who issues tokens where nobody says otherwise: the name that upstream's installations go by, because tools have it
/// built in.
pub const SERVICE_ACCOUNT_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The names of the issuer of service accounts' and users' tokens. This API is the audience of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccountIssuers {
    /// The first issues tokens, all are accepted. There is one at least.
    names: Vec<String>,
    jwks_uri: Option<String>,
}

/// Why an issuer can't be named so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableIssuer {
    /// No name at all, or one without letters.
    #[error("an issuer has no name: give a https:// address")]
    Nameless,
    /// Neither an address nor a word.
    #[error("the issuer {name:?} has a `:` but is no address: give a https:// address, or a word without `:`")]
    NoAddress {
        /// What it was to be called.
        name: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// One name, twice.
    #[error("the issuer {name:?} is given twice: give it once")]
    Twice {
        /// Which name.
        name: String,
    },
    /// Not where clients can be sent.
    #[error("the keys can't be at {uri:?}: give a https:// address")]
    JwksUri {
        /// Where they were to be.
        uri: String,
    },
}

impl Default for ServiceAccountIssuers {
    fn default() -> Self {
        Self { names: vec![SERVICE_ACCOUNT_ISSUER.to_owned()], jwks_uri: None }
    }
}

impl ServiceAccountIssuers {
    /// The first issues tokens, and the tokens of all count. `jwks_uri` is where discovery says that the keys are, if not
    /// at this server.
    ///
    /// # Errors
    /// For what upstream refuses as well.
    pub fn new(names: Vec<String>, jwks_uri: Option<String>) -> Result<Self, UnusableIssuer> {
        let mut seen = BTreeSet::new();
        for name in &names {
            if name.is_empty() {
                return Err(UnusableIssuer::Nameless);
            }
            if name.contains(':') {
                let unusable = |source| UnusableIssuer::NoAddress { name: name.clone(), source };
                Url::parse(name).map_err(unusable)?;
            }
            if !seen.insert(name) {
                return Err(UnusableIssuer::Twice { name: name.clone() });
            }
        }
        if names.is_empty() {
            return Err(UnusableIssuer::Nameless);
        }
        match jwks_uri {
            Some(uri) if https(&uri).is_none() => Err(UnusableIssuer::JwksUri { uri }),
            jwks_uri => Ok(Self { names, jwks_uri }),
        }
    }

    /// Whether this is one of the names.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|one| one == name)
    }

    /// Who issues tokens.
    pub(crate) fn issuer(&self) -> &str {
        self.names.first().map_or(SERVICE_ACCOUNT_ISSUER, String::as_str)
    }

    /// Whose tokens count, and the audiences that this API is.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Those of the audiences that are asked for which this API is: all if there are none. `None` if it is none of them.
    pub(crate) fn meant(&self, asked: &[String]) -> Option<Vec<String>> {
        let is_asked = |name: &&String| asked.is_empty() || asked.contains(name);
        let meant: Vec<String> = self.names.iter().filter(is_asked).cloned().collect();
        (!meant.is_empty()).then_some(meant)
    }

    /// Where discovery says that the keys are, if not at this server.
    pub(crate) fn jwks_uri(&self) -> Option<&str> {
        self.jwks_uri.as_deref()
    }

    /// Whether others can discover the issuer: OpenID wants a https:// address without a query or a fragment.
    pub(crate) fn is_discovered(&self) -> bool {
        https(self.issuer()).is_some_and(|url| url.query().is_none() && url.fragment().is_none())
    }
}

fn https(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| url.scheme() == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuers(names: &[&str]) -> Result<ServiceAccountIssuers, String> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        ServiceAccountIssuers::new(names, None).map_err(|error| error.to_string())
    }

    #[test]
    fn issuers_are_addresses_or_words_each_once() {
        for names in [&["https://a.example"][..], &["https://a.example/x", "http://b"], &["cloud"], &["a/b", "urn:x"]] {
            assert_eq!(issuers(names).unwrap().names(), names);
        }
        for (names, says) in [
            (&[][..], "no name"),
            (&["https://a", ""], "no name"),
            (&["https://[::1]:port"], "[::1]:port"),
            (&[":cloud"], ":cloud"),
            (&["https://a", "b", "https://a"], "\"https://a\" is given twice"),
        ] {
            let error = issuers(names).unwrap_err();
            assert!(error.contains(says), "{names:?}: {error}");
        }
    }

    #[test]
    fn only_who_has_an_address_is_discovered() {
        for (name, is_discovered) in [
            ("https://a.example/x", true),
            ("http://a.example", false),
            ("cloud", false),
            ("https://a?q", false),
            ("https://a#f", false),
        ] {
            assert_eq!(issuers(&[name]).unwrap().is_discovered(), is_discovered, "{name}");
        }
    }

    #[test]
    fn keys_are_only_said_to_be_where_nobody_else_can_put_them() {
        let at = |uri: &str| ServiceAccountIssuers::new(vec!["a".into()], Some(uri.into()));
        assert_eq!(at("https://keys.example/jwks").unwrap().jwks_uri(), Some("https://keys.example/jwks"));
        for uri in ["http://keys.example", "keys", "https://host:port"] {
            assert!(at(uri).unwrap_err().to_string().contains(uri));
        }
    }
}
