//! What others need to prove tokens of service accounts by themselves: who issues them, and the public keys. As
//! OpenID Connect Discovery has it, and upstream serves it.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::access::signing::CACHED;
use crate::body::full;
use crate::response::{Answer, JSON, of_type};
use crate::state::State;

pub(super) const DISCOVERY: &[&str] = &[".well-known", "openid-configuration"];
pub(super) const KEYS: &[&str] = &["openid", "v1", "jwks"];

/// Whether this is served: nothing is where the issuer has no address that others could look at.
pub(super) fn is_known(state: &State, parts: &[&str]) -> bool {
    (parts == DISCOVERY || parts == KEYS) && state.config.service_account_issuers.is_discovered()
}

/// Who issues tokens, and where the keys are.
pub(super) fn discovery(state: &State) -> Answer {
    let issuers = &state.config.service_account_issuers;
    let here = || format!("https://{}/{}", state.config.public_address, KEYS.join("/"));
    let document = json!({
        "issuer": issuers.issuer(),
        "jwks_uri": issuers.jwks_uri().map_or_else(here, str::to_owned),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    });
    kept_a_while(JSON, &document)
}

/// The public keys.
pub(super) fn keys(state: &State) -> Answer {
    let keys = state.authenticator.signer.keys();
    kept_a_while("application/jwk-set+json", &keys.published(state.config.clock.now()))
}

fn kept_a_while(content_type: &'static str, document: &Value) -> Answer {
    let mut answer = of_type(StatusCode::OK, content_type, full(document.to_string()));
    let control = HeaderValue::try_from(format!("public, max-age={}", CACHED.as_secs()));
    if let Ok(control) = control {
        answer.headers_mut().insert(header::CACHE_CONTROL, control);
    }
    answer
}
