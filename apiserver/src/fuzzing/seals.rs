//! Envelopes of what is sealed in the store.

use std::sync::OnceLock;

use apiserver_store::seal::{SealKey, Sealer, is_sealed};
use apiserver_store::{Key, ResourceId};
use uuid::Uuid;

/// Bytes that are sealed: they open for their object and with their key, unless a bit was changed. As they are, without
/// having been sealed, they never open.
pub fn envelope(data: &[u8]) {
    static SEALER: OnceLock<Sealer> = OnceLock::new();
    let sealer = SEALER.get_or_init(|| Sealer::new(&SealKey::generate()));
    let key = |name: &str| Key::new(ResourceId::new("", "secrets"), "default", name);
    let uid = Uuid::from_u128(1);
    assert!(sealer.open(&key("a"), uid, data).is_err());
    let (place, plain) = data.split_at(data.len().min(4));
    let place = place.iter().fold(0, |place, byte| place << 8 | usize::from(*byte));
    let mut sealed = sealer.seal(&key("a"), uid, plain);
    assert!(is_sealed(&sealed));
    assert_eq!(sealer.open(&key("a"), uid, &sealed).expect("it was sealed so"), plain);
    assert!(sealer.open(&key("b"), uid, &sealed).is_err());
    assert!(sealer.open(&key("a"), Uuid::from_u128(2), &sealed).is_err());
    let length = sealed.len();
    assert!(sealer.open(&key("a"), uid, &sealed[..place % length]).is_err());
    sealed[place / 8 % length] ^= 1 << (place % 8);
    assert!(sealer.open(&key("a"), uid, &sealed).is_err(), "bit {place} of {length} bytes was changed");
}
