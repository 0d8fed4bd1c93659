//! Keys by which programs come in as a user or a service account. What is kept of one is a hash; it counts as long as its
//! ApiKey, its time and its owner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use apiserver_store::{Change, Expect, Key, ResourceId, Storage, Write, WriteError};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_util::task::TaskTracker;

use super::records::{self, ApiKeyRecord};
use super::{Account, GROUP, Refusal};
use crate::access::authenticate::Found;
use crate::access::service_account;
use crate::access::{Identity, ServiceAccountIssuers, TokenHash, generate_token};
use crate::admission::metadata;
use crate::clock::{Clock, whole_seconds};
use crate::response::to_bytes;

/// The plural of the kind.
pub(crate) const API_KEYS: &str = "apikeys";

/// Tells keys from other tokens, to people and to tools that look for leaked ones.
const PREFIX: &str = "tck_";
/// Letters of the secret that are shown.
const SHOWN: usize = 4;
/// The time between two notes that a key was used.
const NOTED: SignedDuration = SignedDuration::from_secs(60);
/// Notes that are remembered.
const REMEMBERED: usize = 1_024;

/// The API keys of an installation.
pub(crate) struct ApiKeys {
    /// Which audiences this API is.
    issuers: Arc<ServiceAccountIssuers>,
    storage: Storage,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    noted: Mutex<HashMap<String, Timestamp>>,
}

/// Whether a token calls itself an API key.
pub(crate) fn is_api_key(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// What of a key may be shown: by it, logs and people say which one they mean.
fn shown(name: &str, secret: &str) -> String {
    format!("{PREFIX}{name}.{}", secret.get(..SHOWN).unwrap_or_default())
}

/// As whom a key lets come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    User(Account),
    ServiceAccount { namespace: String, name: String, uid: String },
}

impl Owner {
    /// The owner that an ApiKey names, if it is there and may come in.
    pub(crate) fn of(storage: &Storage, api_key: &Value) -> Option<Self> {
        let owner = &api_key["spec"]["owner"];
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        if text("kind") == "User" {
            return Account::find(storage, name).filter(|account| account.may_come_in).map(Self::User);
        }
        let entry = storage.get(&Key::new(ResourceId::new("", "serviceaccounts"), namespace, name))?;
        let uid = entry.uid.to_string();
        let owner = Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned(), uid };
        (!metadata::is_deleting(&entry.value())).then_some(owner)
    }

    fn uid(&self) -> &str {
        match self {
            Self::User(account) => &account.uid,
            Self::ServiceAccount { uid, .. } => uid,
        }
    }

    fn into_identity(self) -> Identity {
        match self {
            Self::User(account) => Identity { uid: account.uid, ..Identity::new(account.name, account.groups) },
            Self::ServiceAccount { namespace, name, uid } => {
                let groups = service_account::groups(&namespace);
                Identity { uid, ..Identity::new(service_account::user(&namespace, &name), groups) }
            }
        }
    }
}

impl ApiKeys {
    pub(crate) fn new(
        issuers: Arc<ServiceAccountIssuers>,
        storage: Storage,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
    ) -> Self {
        Self { issuers, storage, clock, tasks, noted: Mutex::default() }
    }

    pub(crate) fn object_key(name: &str) -> Key {
        Key::new(ResourceId::new(GROUP, API_KEYS), "", name)
    }

    /// Makes a key for an ApiKey of this uid, in the place of the one that it had. Returns it, and how it begins.
    pub(crate) async fn issue(&self, name: &str, uid: &str, owner: &Owner) -> Result<(String, String), Refusal> {
        let secret = generate_token();
        let record = ApiKeyRecord {
            api_key: uid.to_owned(),
            owner: owner.uid().to_owned(),
            secret: TokenHash::of(&secret).to_string(),
        };
        let key = ApiKeyRecord::key(name);
        let old = self.storage.get(&key);
        records::put(&self.storage, key, old.as_deref(), &record).await?;
        let prefix = shown(name, &secret);
        self.note(name, uid, "prefix", &prefix).await?;
        Ok((format!("{PREFIX}{name}.{secret}"), prefix))
    }

    /// Whose a key is, if it counts for one of the audiences that are asked for (this API if there are none).
    ///
    /// # Errors
    /// Why it doesn't; `None` for what is none of ours.
    pub(crate) async fn owner(self: &Arc<Self>, token: &str, asked: &[String]) -> Result<Found, Option<String>> {
        let (name, secret) = token.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('.')).ok_or(None)?;
        let not_meant = || Some(format!("an API key is not meant for {asked:?}"));
        let audiences = self.issuers.meant(asked).ok_or_else(not_meant)?;
        let presented = TokenHash::of(secret);
        let known = || {
            let record: ApiKeyRecord = records::read(&*self.storage.get(&ApiKeyRecord::key(name))?)?;
            TokenHash::parse(&record.secret).is_some_and(|kept| kept.is(&presented)).then_some(record)
        };
        let record = match known() {
            Some(record) => record,
            None => {
                // Another apiserver may have made it just now.
                let _stays_unknown = self.storage.fresh().await;
                known().ok_or(None)?
            }
        };
        let revoked = || Some("the API key has been revoked".to_owned());
        let entry = self.storage.get(&Self::object_key(name)).ok_or_else(revoked)?;
        let object = entry.value();
        if entry.uid.to_string() != record.api_key || metadata::is_deleting(&object) {
            return Err(revoked());
        }
        let now = self.clock.now();
        // What is no time has passed.
        let expires = object["spec"]["expires"].as_str().map(|text| text.parse().unwrap_or(Timestamp::MIN));
        if expires.is_some_and(|expires| expires <= now) {
            return Err(Some("the API key has expired".to_owned()));
        }
        let owner = Owner::of(&self.storage, &object).filter(|owner| owner.uid() == record.owner);
        let owner = owner.ok_or_else(|| Some("the owner of the API key is gone or disabled".to_owned()))?;
        self.used(name, &record.api_key, now);
        let mut identity = owner.into_identity();
        let credential = format!("ApiKey={}", shown(name, secret));
        identity.extra.insert(service_account::CREDENTIAL.to_owned(), vec![credential]);
        Ok(Found { identity: Arc::new(identity), audiences })
    }

    /// Notes that a key was used, now and then, without keeping anybody waiting.
    fn used(self: &Arc<Self>, name: &str, uid: &str, now: Timestamp) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(name).is_some_and(|last| now.duration_since(*last) < NOTED) {
            return;
        }
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(name.to_owned(), now);
        let (keys, name, uid) = (Arc::clone(self), name.to_owned(), uid.to_owned());
        self.tasks.spawn(async move {
            // The next use notes it.
            let _unnoted = keys.note(&name, &uid, "lastUsed", &whole_seconds(now)).await;
        });
    }

    /// Writes a field of the status of an ApiKey, as long as it is that one.
    async fn note(&self, name: &str, uid: &str, field: &str, text: &str) -> Result<(), WriteError> {
        let key = Self::object_key(name);
        while let Some(entry) = self.storage.get(&key).filter(|entry| entry.uid.to_string() == uid) {
            let mut object = entry.value();
            object["status"][field] = text.into();
            let change = Change::Put { uid: entry.uid, body: to_bytes(&object) };
            match self.storage.write(Write { key: key.clone(), expect: Expect::Revision(entry.revision), change }).await
            {
                Ok(_) | Err(WriteError::NotFound) => return Ok(()),
                Err(WriteError::Conflict { .. }) => {
                    self.storage.fresh().await.map_err(|error| WriteError::Unavailable(Arc::new(error)))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
