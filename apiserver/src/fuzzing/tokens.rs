//! Tokens that somebody brings.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::first_line;
use crate::access::service_account::AUDIENCE;
use crate::access::users::{is_access_token, is_api_key};
use crate::access::{ServiceAccountKey, Signer};

/// A token as it came, and a good one of which some bytes were changed, each pair of bytes a place and what is put there:
/// neither proves anything.
pub fn token(data: &[u8]) {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    let signer = SIGNER.get_or_init(|| Signer::new(&ServiceAccountKey::generate()));
    if let Some((text, _)) = first_line(data) {
        is_access_token(text);
        is_api_key(text);
        assert_eq!(signer.read::<Value>(text), None);
    }
    let claims = json!({"iss": AUDIENCE, "sub": "ann", "exp": 2});
    let good = signer.sign(&claims, "JWT").expect("the key signs");
    let mut changed = good.clone().into_bytes();
    for pair in data.chunks_exact(2) {
        let place = usize::from(pair[0]) * changed.len() / 256;
        changed[place] = pair[1];
    }
    let Ok(changed) = String::from_utf8(changed) else { return };
    let expected = (changed == good).then_some(claims);
    assert_eq!(signer.read::<Value>(&changed), expected, "{changed} is made of {good}");
    for length in [data.len() % good.len(), good.len() - 1] {
        assert_eq!(signer.read::<Value>(&good[..length]), None);
    }
}
