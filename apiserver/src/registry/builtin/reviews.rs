//! Decides what the questions are that somebody asks by creating an object (`authorization.k8s.io`,
//! `authentication.k8s.io`). How they are answered is [`crate::reviews`]' matter; none is ever stored.

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest, TokenReview};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use serde_json::{Value, json};

use super::{Declaration, Kind, openapi};
use crate::registry::{Review, Version};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// All questions.
pub(super) fn kinds() -> [Kind; 6] {
    let subject_access = || {
        let mut schema = openapi::schema::<SubjectAccessReview>();
        openapi::set_atomic_list(&mut schema, &["spec", "groups"]);
        schema
    };
    let local_access = || {
        let mut schema = openapi::schema::<LocalSubjectAccessReview>();
        openapi::set_atomic_list(&mut schema, &["spec", "groups"]);
        schema
    };
    let token = || {
        let mut schema = openapi::schema::<TokenReview>();
        openapi::set_atomic_list(&mut schema, &["spec", "audiences"]);
        openapi::set_atomic_list(&mut schema, &["status", "audiences"]);
        schema
    };
    [
        myself(),
        declared(AUTHENTICATION, "TokenReview", Review::Token, token()),
        declared(AUTHORIZATION, "SubjectAccessReview", Review::SubjectAccess, subject_access()),
        declared(AUTHORIZATION, "LocalSubjectAccessReview", Review::LocalSubjectAccess, local_access()),
        declared(
            AUTHORIZATION,
            "SelfSubjectAccessReview",
            Review::SelfSubjectAccess,
            openapi::schema::<SelfSubjectAccessReview>(),
        ),
        declared(
            AUTHORIZATION,
            "SelfSubjectRulesReview",
            Review::SelfSubjectRules,
            openapi::schema::<SelfSubjectRulesReview>(),
        ),
    ]
}

/// kubectl 1.27 asks in the version that upstream had first.
fn myself() -> Kind {
    let declared =
        || declared(AUTHENTICATION, "SelfSubjectReview", Review::SelfSubject, openapi::schema::<SelfSubjectReview>());
    let beta = declared().versions.into_iter().map(|version| Version { name: "v1beta1".to_owned(), ..version });
    let mut kind = declared();
    kind.versions.extend(beta);
    kind
}

fn declared(group: &'static str, kind: &'static str, review: Review, schema: Value) -> Kind {
    let declaration = Declaration {
        group,
        version: "v1",
        kind,
        plural: "",
        short_names: &[],
        categories: &[],
        namespaced: review == Review::LocalSubjectAccess,
        status: false,
        selectable_fields: &[],
        columns: Vec::new(),
        openapi: schema,
    };
    let kind = declaration.into_kind_that_asks_for_its_fields();
    Kind { plural: format!("{}s", kind.singular), review: Some(review), verbs: vec!["create"], ..kind }
}

/// The question for a token. It is asked at a service account, so it is none of the kinds that are served.
pub(crate) fn token_request() -> Arc<Kind> {
    static KIND: LazyLock<Arc<Kind>> = LazyLock::new(|| {
        let mut schema = openapi::schema::<TokenRequest>();
        openapi::set_atomic_list(&mut schema, &["spec", "audiences"]);
        let kind = declared(AUTHENTICATION, "TokenRequest", Review::Token, schema);
        Arc::new(Kind { namespaced: true, review: None, ..kind })
    });
    Arc::clone(&KIND)
}

/// The structs that the question for a token always has.
pub(super) fn blank_token_request() -> Value {
    json!({"spec": {"audiences": null, "boundObjectRef": null}, "status": {"expirationTimestamp": null, "token": ""}})
}

/// The structs that a question always has.
pub(super) fn blank(review: Review) -> Value {
    let status = match review {
        Review::SubjectAccess | Review::LocalSubjectAccess | Review::SelfSubjectAccess => json!({"allowed": false}),
        Review::SelfSubjectRules => json!({"incomplete": false, "nonResourceRules": null, "resourceRules": null}),
        Review::SelfSubject => return json!({"status": {"userInfo": {}}}),
        Review::Token => json!({"user": {}}),
    };
    json!({"spec": {}, "status": status})
}
