//! The bytes around a sealed body: what says how, with which key and with which nonce it was sealed.
//!
//! Layout: magic (4), version (1), key id (8), nonce (12), ciphertext with its tag (the rest).

use super::SealError;

/// Distinguishes a sealed body from JSON, which never starts like this.
pub(super) const MAGIC: &[u8] = b"SEAL";

const VERSION: u8 = 1;
const HEADER: usize = MAGIC.len() + 1 + 8 + 12;

pub(super) struct Envelope<'a> {
    pub(super) key_id: [u8; 8],
    pub(super) nonce: [u8; 12],
    pub(super) sealed: &'a [u8],
}

pub(super) fn write(key_id: [u8; 8], nonce: [u8; 12], sealed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + sealed.len());
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&key_id);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(sealed);
    bytes
}

/// The id of the key that sealed these bytes; `None` if they are no envelope.
pub(super) fn key_id(bytes: &[u8]) -> Option<[u8; 8]> {
    read(bytes).ok().map(|envelope| envelope.key_id)
}

pub(super) fn read(bytes: &[u8]) -> Result<Envelope<'_>, SealError> {
    let malformed = |reason| SealError::Envelope { reason };
    let rest = bytes.strip_prefix(MAGIC).ok_or(malformed("no magic"))?;
    let (version, rest) = rest.split_first().ok_or(malformed("too short"))?;
    if *version != VERSION {
        return Err(malformed("unknown version"));
    }
    let (key_id, rest) = rest.split_first_chunk().ok_or(malformed("too short"))?;
    let (nonce, sealed) = rest.split_first_chunk().ok_or(malformed("too short"))?;
    Ok(Envelope { key_id: *key_id, nonce: *nonce, sealed })
}
