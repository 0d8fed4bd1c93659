//! Removes what nobody can use any more: sessions that were not gone on with, and what is left of users that are gone.

use std::time::Duration;

use apiserver_store::Entry;

use super::records::{self, ApiKeyRecord, PasswordRecord, SessionRecord, api_keys, passwords, sessions};
use super::{Account, ApiKeys, Users};

/// The time between two looks.
pub(crate) const INTERVAL: Duration = Duration::from_secs(600);

impl Users {
    /// Looks once. What can't be removed now is removed at the next look.
    pub(crate) async fn tidy(&self) {
        let now = self.clock.now();
        let is_of =
            |user: &str, uid: &str| Account::find(&self.storage, user).is_some_and(|account| account.uid == uid);
        let password = |entry: &Entry| {
            records::read::<PasswordRecord>(entry).is_none_or(|record| !is_of(&entry.key.name, &record.user))
        };
        let session = |entry: &Entry| {
            records::read::<SessionRecord>(entry)
                .is_none_or(|record| record.ends <= now || !is_of(&entry.key.namespace, &record.user))
        };
        let api_key = |entry: &Entry| {
            let object = self.storage.get(&ApiKeys::object_key(&entry.key.name));
            let uid = object.map(|object| object.uid.to_string());
            records::read::<ApiKeyRecord>(entry).is_none_or(|record| uid != Some(record.api_key))
        };
        let api_keys = self.storage.snapshot(&api_keys());
        let (passwords, sessions) = (self.storage.snapshot(&passwords()), self.storage.snapshot(&sessions()));
        let useless = passwords.entries.iter().filter(|entry| password(entry));
        let useless = useless.chain(api_keys.entries.iter().filter(|entry| api_key(entry)));
        for entry in useless.chain(sessions.entries.iter().filter(|entry| session(entry))) {
            if let Err(error) = records::remove(&self.storage, &entry.key).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "what is left of a login stays for now");
            }
        }
    }
}
