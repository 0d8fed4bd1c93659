//! Tokens that somebody brings.

use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::first_line;
use crate::access::signing::Keys;
use crate::access::users::{is_access_token, is_api_key};
use crate::access::{ServiceAccountIssuers, ServiceAccountKey};

/// A token as it came, and a good one of which some bytes were changed, each pair of bytes a place and what is put there:
/// neither proves anything.
pub fn token(data: &[u8]) {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let keys = KEYS.get_or_init(|| Keys::first(&ServiceAccountKey::generate()));
    let issuers = ServiceAccountIssuers::default();
    let read = |token: &str| keys.read::<Value>(token, &issuers, Timestamp::UNIX_EPOCH);
    if let Some((text, _)) = first_line(data) {
        is_access_token(text);
        is_api_key(text);
        assert_eq!(read(text), None);
    }
    let claims = json!({"iss": issuers.issuer(), "sub": "ann", "exp": 2});
    let good = keys.sign(&claims, "JWT", Timestamp::UNIX_EPOCH).expect("the key signs");
    let mut changed = good.clone().into_bytes();
    for pair in data.chunks_exact(2) {
        let place = usize::from(pair[0]) * changed.len() / 256;
        changed[place] = pair[1];
    }
    let Ok(changed) = String::from_utf8(changed) else { return };
    let expected = (changed == good).then_some(claims);
    assert_eq!(read(&changed), expected, "{changed} is made of {good}");
    for length in [data.len() % good.len(), good.len() - 1] {
        assert_eq!(read(&good[..length]), None);
    }
}
