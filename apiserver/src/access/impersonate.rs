//! Decides for whom somebody may stand: `Impersonate-User`, `-Group`, `-Uid` and `-Extra-*`, each of them allowed by the
//! verb `impersonate`. They are never ignored: who may not stand for another is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{AUTHENTICATED, Attributes, Authorizer, Identity, Object, ResourceAttributes, service_account};
use crate::error::ApiError;

const ANY: &str = "impersonate-";
const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

/// The group of users and programs that are not known.
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ANONYMOUS: &str = "system:anonymous";

/// The group of what is special to impersonation; users, groups and service accounts are of the core group.
const AUTHENTICATION: &str = "authentication.k8s.io";

/// Whom the request is to be answered as.
pub(crate) fn impersonated(
    headers: &HeaderMap,
    identity: Arc<Identity>,
    rules: &dyn Authorizer,
) -> Result<Arc<Identity>, ApiError> {
    if !headers.keys().any(|name| name.as_str().starts_with(ANY)) {
        return Ok(identity);
    }
    let wish = Wish::read(headers)?;
    wish.authorize(&identity, rules)?;
    Ok(Arc::new(wish.into_identity()))
}

/// Whom somebody wants to stand for.
#[derive(Debug)]
struct Wish {
    user: String,
    groups: Vec<String>,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

impl Wish {
    fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        let user = texts(headers, USER)?.into_iter().next().unwrap_or_default();
        if user.is_empty() {
            return Err(ApiError::bad_request(
                "requested impersonation of a group, a uid or extras without impersonating a user",
            ));
        }
        let mut extra = BTreeMap::new();
        for name in headers.keys() {
            if let Some(key) = name.as_str().strip_prefix(EXTRA) {
                let key = percent_decode_str(key).decode_utf8().map_or_else(|_| key.to_owned(), |key| key.into_owned());
                extra.insert(key, texts(headers, name.as_str())?);
            }
        }
        let uid = texts(headers, UID)?.into_iter().next().unwrap_or_default();
        Ok(Self { user, groups: texts(headers, GROUP)?, uid, extra })
    }

    /// Asks for every part by itself.
    fn authorize(&self, who: &Identity, rules: &dyn Authorizer) -> Result<(), ApiError> {
        let core = ResourceAttributes::default();
        let special = ResourceAttributes { group: AUTHENTICATION, ..core };
        let user = match service_account::parts(&self.user) {
            Some((namespace, name)) => ResourceAttributes { resource: "serviceaccounts", namespace, name, ..core },
            None => ResourceAttributes { resource: "users", name: &self.user, ..core },
        };
        let groups = self.groups.iter().map(|name| ResourceAttributes { resource: "groups", name, ..core });
        let extras = self.extra.iter().flat_map(|(key, values)| {
            let of = ResourceAttributes { resource: "userextras", subresource: key, ..special };
            values.iter().map(move |name| ResourceAttributes { name, ..of })
        });
        let uid = (!self.uid.is_empty()).then(|| ResourceAttributes { resource: "uids", name: &self.uid, ..special });
        for part in std::iter::once(user).chain(groups).chain(extras).chain(uid) {
            Attributes { verb: "impersonate", object: Object::Resource(part) }.permit(who, rules)?;
        }
        Ok(())
    }

    /// Groups that follow from the name are added where none are given; that somebody is known, unless the groups say.
    fn into_identity(self) -> Identity {
        let Self { user, mut groups, uid, extra } = self;
        if groups.is_empty()
            && let Some((namespace, _)) = service_account::parts(&user)
        {
            groups = service_account::groups(namespace).into();
        }
        let says = |group: &str| groups.iter().any(|known| known == group);
        if user == ANONYMOUS {
            if !says(UNAUTHENTICATED) {
                groups.push(UNAUTHENTICATED.to_owned());
            }
        } else if !says(AUTHENTICATED) && !says(UNAUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Identity { user, uid, groups, extra }
    }
}

/// The values of a header.
fn texts(headers: &HeaderMap, name: &str) -> Result<Vec<String>, ApiError> {
    let read = |value: &http::HeaderValue| {
        let text = std::str::from_utf8(value.as_bytes());
        text.map(str::to_owned).map_err(|_| ApiError::bad_request(format!("the header {name} is not UTF-8")))
    };
    headers.get_all(name).iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Decision, Grant, Rights};
    use crate::error::Reason;

    /// Allows what is listed, and writes down nothing.
    struct Allowing(&'static [(&'static str, &'static str)]);

    impl Authorizer for Allowing {
        fn authorize(&self, _: &Identity, wish: &Attributes<'_>) -> Decision {
            let Object::Resource(of) = wish.object else { panic!("{wish:?}") };
            assert_eq!(wish.verb, "impersonate");
            let slash = if of.subresource.is_empty() { "" } else { "/" };
            let resource = format!("{}{slash}{}", of.resource, of.subresource);
            let is_listed = self.0.iter().any(|(known, name)| *known == resource && *name == of.name);
            if is_listed { Decision::Allow(Grant::Master) } else { Decision::Deny(String::new()) }
        }

        fn rights(&self, _: &Identity, _: &str) -> Rights {
            Rights::default()
        }
    }

    fn ask(headers: &[(&'static str, &str)], rules: &dyn Authorizer) -> Result<Arc<Identity>, ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        impersonated(&map, Arc::new(Identity::new("ann", [])), rules)
    }

    const EVERYTHING: Allowing = Allowing(&[
        ("users", "bob"),
        ("users", "system:anonymous"),
        ("groups", "g"),
        ("groups", "system:unauthenticated"),
        ("serviceaccounts", "ci"),
        ("uids", "7"),
        ("userextras/scopes.example.com/x", "read"),
        ("userextras/scopes.example.com/x", "write"),
    ]);

    #[test]
    fn who_asks_for_nothing_stays_who_they_are() {
        assert_eq!(ask(&[("user-agent", "x")], &Allowing(&[])).unwrap().user, "ann");
    }

    #[test]
    fn a_whole_user_is_impersonated() {
        let bob = ask(
            &[
                ("impersonate-user", "bob"),
                ("impersonate-group", "g"),
                ("impersonate-uid", "7"),
                ("impersonate-extra-scopes.example.com%2Fx", "read"),
                ("impersonate-extra-scopes.example.com%2fx", "write"),
            ],
            &EVERYTHING,
        )
        .unwrap();
        assert_eq!((bob.user.as_str(), bob.uid.as_str()), ("bob", "7"));
        assert_eq!(bob.groups, ["g", "system:authenticated"]);
        assert_eq!(bob.extra["scopes.example.com/x"], ["read", "write"]);
    }

    #[test]
    fn groups_follow_from_the_name_where_none_are_given() {
        type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);
        let cases: [Case; 5] = [
            (&[("impersonate-user", "bob")], &["system:authenticated"]),
            (
                &[("impersonate-user", "system:serviceaccount:a:ci")],
                &["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"],
            ),
            (
                &[("impersonate-user", "system:serviceaccount:a:ci"), ("impersonate-group", "g")],
                &["g", "system:authenticated"],
            ),
            (&[("impersonate-user", "system:anonymous")], &["system:unauthenticated"]),
            (
                &[("impersonate-user", "bob"), ("impersonate-group", "system:unauthenticated")],
                &["system:unauthenticated"],
            ),
        ];
        for (headers, groups) in cases {
            assert_eq!(ask(headers, &EVERYTHING).unwrap().groups, groups, "{headers:?}");
        }
    }

    #[test]
    fn every_part_must_be_allowed_and_is_refused_in_upstreams_words() {
        let user = ("impersonate-user", "bob");
        let cases: [(&[(&str, &str)], &str); 5] = [
            (
                &[("impersonate-user", "carol")],
                "users \"carol\" is forbidden: User \"ann\" cannot impersonate resource \"users\" in API group \"\" at \
                 the cluster scope",
            ),
            (
                &[("impersonate-user", "system:serviceaccount:a:other")],
                "serviceaccounts \"other\" is forbidden: User \"ann\" cannot impersonate resource \"serviceaccounts\" in \
                 API group \"\" in the namespace \"a\"",
            ),
            (
                &[user, ("impersonate-group", "g"), ("impersonate-group", "system:masters")],
                "groups \"system:masters\" is forbidden: User \"ann\" cannot impersonate resource \"groups\" in API \
                 group \"\" at the cluster scope",
            ),
            (
                &[user, ("impersonate-uid", "8")],
                "uids.authentication.k8s.io \"8\" is forbidden: User \"ann\" cannot impersonate resource \"uids\" in \
                 API group \"authentication.k8s.io\" at the cluster scope",
            ),
            (
                &[user, ("impersonate-extra-scopes", "all")],
                "userextras.authentication.k8s.io \"all\" is forbidden: User \"ann\" cannot impersonate resource \
                 \"userextras/scopes\" in API group \"authentication.k8s.io\" at the cluster scope",
            ),
        ];
        for (headers, sentence) in cases {
            let refused = ask(headers, &EVERYTHING).unwrap_err();
            assert_eq!((refused.reason, refused.message.as_str()), (Reason::Forbidden, sentence));
        }
    }

    #[test]
    fn nothing_is_impersonated_without_a_user() {
        for headers in [
            &[("impersonate-group", "system:masters")][..],
            &[("impersonate-uid", "7")],
            &[("impersonate-extra-a", "b")],
            &[("impersonate-user", "")],
        ] {
            assert_eq!(ask(headers, &EVERYTHING).unwrap_err().reason, Reason::BadRequest, "{headers:?}");
        }
    }
}
