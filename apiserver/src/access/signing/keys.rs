//! Which keys there are, which of them signs at a moment, and which prove what they signed. A key is published a while before
//! it signs, and proves for as long as a token of it may count: both are times that stand beside it, so nobody has to do
//! anything when they come.

use apiserver_store::Revision;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::service_account::{LONGEST_TOKEN, ServiceAccountKey, UnusableKey};
use crate::clock::whole_seconds;

/// How long whoever proves tokens may go on with keys that they have read.
pub(crate) const CACHED: SignedDuration = SignedDuration::from_secs(60);
/// How long a key is known before it signs: every apiserver has heard of it by then, and who reads the published keys has read
/// them again.
const GRACE: SignedDuration = SignedDuration::from_secs(120);
/// Keys of an installation at the same time.
const MOST: usize = 16;

/// The keys of an installation, oldest first.
pub(crate) struct Keys {
    /// Of the object that they are from.
    pub(crate) revision: Revision,
    keys: Vec<SigningKey>,
}

/// A key and its times.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pem: String,
    id: String,
    published: Value,
    pub(super) signing: EncodingKey,
    pub(super) proving: DecodingKey,
    /// From when it signs; always did where this is absent.
    signs: Option<Timestamp>,
    /// Until when it proves; without end as long as no other signs.
    ends: Option<Timestamp>,
}

/// How a key is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pem: String,
    signs: Option<Timestamp>,
    ends: Option<Timestamp>,
}

/// What becomes of the keys that a new one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    /// They prove what they signed until the last of it has ended.
    Proves,
    /// They prove nothing from now on, because somebody else may have them.
    Revoked,
}

/// No further key can be made: too many still prove tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// When the next one ends.
    pub(crate) until: Timestamp,
}

impl Keys {
    /// The only key, which nobody has replaced yet.
    pub(crate) fn first(key: &ServiceAccountKey) -> Self {
        Self { revision: Revision::ZERO, keys: vec![SigningKey::new(key, None)] }
    }

    /// None, because those that are kept can't be read.
    pub(super) fn none(revision: Revision) -> Self {
        Self { revision, keys: Vec::new() }
    }

    pub(super) fn of(revision: Revision, kept: Vec<Kept>) -> Result<Self, UnusableKey> {
        let read = |kept: Kept| {
            let key = ServiceAccountKey::from_pem(&kept.pem)?;
            Ok(SigningKey { ends: kept.ends, ..SigningKey::new(&key, kept.signs) })
        };
        Ok(Self { revision, keys: kept.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    pub(super) fn kept(&self) -> Vec<Kept> {
        let kept = |key: &SigningKey| Kept { pem: key.pem.clone(), signs: key.signs, ends: key.ends };
        self.keys.iter().map(kept).collect()
    }

    /// The key that signs now: the newest whose time has come.
    pub(crate) fn signing(&self, now: Timestamp) -> Option<&SigningKey> {
        self.keys.iter().rev().find(|key| key.signs.is_none_or(|signs| signs <= now))
    }

    /// The key of an id, if it proves anything now.
    pub(super) fn proving(&self, id: &str, now: Timestamp) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.id == id && key.proves(now))
    }

    /// Whether a key has ended, so that it can be forgotten.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.keys.iter().any(|key| !key.proves(now))
    }

    /// These without those that have ended.
    pub(super) fn without_ended(&self, now: Timestamp) -> Self {
        let keys = self.keys.iter().filter(|key| key.proves(now)).cloned().collect();
        Self { revision: self.revision, keys }
    }

    /// These and a fresh key. `None` where one waits to sign already: whoever asks again, because the answer got lost, gets no
    /// second.
    pub(super) fn rotated(&self, fresh: &ServiceAccountKey, old: Old, now: Timestamp) -> Result<Option<Self>, TooMany> {
        if old == Old::Revoked {
            return Ok(Some(Self { revision: self.revision, keys: vec![SigningKey::new(fresh, Some(now))] }));
        }
        if self.keys.iter().any(|key| key.signs.is_some_and(|signs| signs > now)) {
            return Ok(None);
        }
        let mut rotated = self.without_ended(now);
        if rotated.keys.len() >= MOST {
            let until = rotated.keys.iter().filter_map(|key| key.ends).min().unwrap_or(Timestamp::MAX);
            return Err(TooMany { until });
        }
        let signs = if rotated.signing(now).is_some() { now + GRACE } else { now };
        for key in &mut rotated.keys {
            // Its last token is signed when the fresh key begins, by a clock that may be late.
            key.ends.get_or_insert(signs + LONGEST_TOKEN + GRACE);
        }
        rotated.keys.push(SigningKey::new(fresh, Some(signs)));
        Ok(Some(rotated))
    }

    /// The public keys, as RFC 7517 has them: those that prove, and those that will.
    pub(crate) fn published(&self, now: Timestamp) -> Value {
        let keys: Vec<&Value> = self.keys.iter().filter(|key| key.proves(now)).map(|key| &key.published).collect();
        json!({"keys": keys})
    }

    /// What administrators are told, newest first.
    pub(crate) fn told(&self, now: Timestamp) -> Vec<Value> {
        let signing = self.signing(now).map(|key| &key.id);
        let told = |key: &SigningKey| {
            let state = match () {
                () if Some(&key.id) == signing => "Signs",
                () if key.signs.is_some_and(|signs| signs > now) => "Waits",
                () => "Proves",
            };
            let [signs, ends] = [key.signs, key.ends].map(|time| time.map(whole_seconds));
            json!({"id": key.id, "state": state, "signsFrom": signs, "provesUntil": ends})
        };
        self.keys.iter().rev().filter(|key| key.proves(now)).map(told).collect()
    }
}

impl SigningKey {
    fn new(key: &ServiceAccountKey, signs: Option<Timestamp>) -> Self {
        Self {
            pem: key.to_pem(),
            id: key.id().to_owned(),
            published: published(key),
            signing: key.signing(),
            proving: key.proving(),
            signs,
            ends: None,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn proves(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}

fn published(key: &ServiceAccountKey) -> Value {
    // A point that isn't compressed: a byte that says so, and two numbers of the same length.
    let (x, y) = key.point()[1..].split_at(32);
    let [x, y] = [x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
    json!({"use": "sig", "kty": "EC", "kid": key.id(), "crv": "P-256", "alg": "ES256", "x": x, "y": y})
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn rotated(keys: &Keys, old: Old, now: Timestamp) -> Keys {
        keys.rotated(&ServiceAccountKey::generate(), old, now).unwrap().expect("none waits")
    }

    fn states(keys: &Keys, now: Timestamp) -> Vec<String> {
        keys.told(now).iter().map(|told| told["state"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_fresh_key_is_published_before_it_signs_and_the_old_one_proves_as_long_as_its_tokens_count() {
        let first = Keys::first(&ServiceAccountKey::generate());
        let keys = rotated(&first, Old::Proves, NOW);
        let published = |now| keys.published(now)["keys"].as_array().unwrap().len();
        assert_eq!((states(&keys, NOW), published(NOW)), (vec!["Waits".to_owned(), "Signs".to_owned()], 2));
        let later = NOW + GRACE;
        assert_eq!((states(&keys, later), published(later)), (vec!["Signs".to_owned(), "Proves".to_owned()], 2));
        let last_token_ends = later + LONGEST_TOKEN;
        assert_eq!(states(&keys, last_token_ends), ["Signs", "Proves"]);
        let end = last_token_ends + GRACE;
        assert_eq!((states(&keys, end), published(end)), (vec!["Signs".to_owned()], 1));
        assert_eq!(keys.without_ended(end).keys.len(), 1);
    }

    #[test]
    fn a_second_rotation_waits_for_the_first() {
        let keys = rotated(&Keys::first(&ServiceAccountKey::generate()), Old::Proves, NOW);
        let again = |now| keys.rotated(&ServiceAccountKey::generate(), Old::Proves, now).unwrap();
        assert!(again(NOW).is_none());
        let keys = again(NOW + GRACE).unwrap();
        assert_eq!(states(&keys, NOW + GRACE), ["Waits", "Signs", "Proves"]);
    }

    #[test]
    fn a_revoked_key_proves_nothing_and_its_successor_signs_at_once() {
        let first = Keys::first(&ServiceAccountKey::generate());
        let waiting = rotated(&first, Old::Proves, NOW);
        for keys in [first, waiting] {
            assert_eq!(states(&rotated(&keys, Old::Revoked, NOW), NOW), ["Signs"]);
        }
    }

    #[test]
    fn there_are_no_more_keys_than_may_be() {
        let (mut keys, mut now) = (Keys::first(&ServiceAccountKey::generate()), NOW);
        while keys.keys.len() < MOST {
            keys = rotated(&keys, Old::Proves, now);
            now += GRACE;
        }
        let refused = keys.rotated(&ServiceAccountKey::generate(), Old::Proves, now).err().unwrap();
        assert_eq!(refused.until, NOW + GRACE + LONGEST_TOKEN + GRACE);
        assert_eq!(rotated(&keys, Old::Proves, refused.until).keys.len(), MOST);
        assert_eq!(rotated(&keys, Old::Revoked, now).keys.len(), 1);
    }

    #[test]
    fn keys_survive_being_kept() {
        let keys = rotated(&Keys::first(&ServiceAccountKey::generate()), Old::Proves, NOW);
        let again = Keys::of(Revision(1), keys.kept()).unwrap();
        assert_eq!(again.told(NOW), keys.told(NOW));
        assert!(Keys::of(Revision(1), vec![Kept { pem: "x".into(), signs: None, ends: None }]).is_err());
    }
}
