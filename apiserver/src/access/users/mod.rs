//! Decides who comes in by a password, and for how long: a login begins a session, whose refresh token changes with each
//! use and whose access tokens count for minutes. Both end with the session, and the session with its user, its password
//! or a refresh token that is used twice.

mod access_token;
mod account;
mod api_keys;
mod attempts;
mod hashing;
mod membership;
pub(super) mod records;
mod sessions;
mod upkeep;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use apiserver_store::{Revision, Storage, StoreError, WriteError};
use arc_swap::ArcSwapOption;
use jiff::SignedDuration;

use self::access_token::AccessClaims;
use self::attempts::Attempts;
use self::hashing::{Busy, Hasher, Verdict};
use self::records::{PasswordRecord, SessionRecord};
use super::Identity;
use super::authenticate::Found;
use super::service_account::CREDENTIAL;
use super::signing::{self, Signer};
use crate::clock::Clock;

pub(crate) use self::access_token::is_access_token;
pub(crate) use self::account::{Account, GROUP, USERS};
pub(crate) use self::api_keys::{API_KEYS, ApiKeys, Owner, is_api_key};
pub(crate) use self::hashing::Password;
pub use self::hashing::PasswordCost;
pub(crate) use self::membership::refusals;
pub use self::records::private_resources;
pub(crate) use self::sessions::Tokens;
pub(crate) use self::upkeep::INTERVAL;

/// How users log in.
#[derive(Debug, Clone, Copy)]
pub struct Logins {
    /// How long an access token counts.
    pub access: Duration,
    /// How long a refresh token counts that isn't used.
    pub refresh: Duration,
    /// What it costs to try a password.
    pub cost: PasswordCost,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            access: Duration::from_secs(15 * 60),
            refresh: Duration::from_secs(7 * 24 * 3600),
            cost: PasswordCost::default(),
        }
    }
}

/// The users of an installation.
pub(crate) struct Users {
    storage: Storage,
    clock: Arc<dyn Clock>,
    signer: Arc<Signer>,
    logins: Logins,
    hasher: Hasher,
    attempts: Attempts,
    proven: signing::Proven<ProvenToken>,
}

/// A token whose signature is good.
struct ProvenToken {
    claims: AccessClaims,
    /// Whose it is by the User as it was at a revision: nearly always it still is that one.
    known: ArcSwapOption<(Revision, Arc<Identity>)>,
}

/// Why nobody comes in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Name and password, or the token, don't fit; nobody is told what of it.
    Wrong,
    /// Too many have been tried: the next after this.
    Wait(SignedDuration),
    /// The new password is a poor one.
    Poor(&'static str),
    /// The store can't be asked or written.
    Store(Arc<StoreError>),
    /// The key can't sign.
    Unsigned,
}

impl From<Busy> for Refusal {
    fn from(_: Busy) -> Self {
        Self::Wait(SignedDuration::from_secs(1))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Unavailable(error) => Self::Store(error),
            // Somebody else was faster: what this one brought doesn't count any more.
            _ => Self::Wrong,
        }
    }
}

impl Users {
    pub(crate) fn new(signer: Arc<Signer>, storage: Storage, clock: Arc<dyn Clock>, logins: Logins) -> Self {
        Self {
            storage,
            clock,
            signer,
            logins,
            hasher: Hasher::new(logins.cost),
            attempts: Attempts::default(),
            proven: signing::Proven::default(),
        }
    }

    /// Whose an access token is, if it counts for one of the audiences that are asked for (this API if there are none).
    ///
    /// # Errors
    /// Why it doesn't; `None` for what is none of ours.
    pub(crate) async fn owner(&self, token: &str, asked: &[String]) -> Result<Found, Option<String>> {
        let read = || self.signer.read(token).map(|claims| ProvenToken { claims, known: ArcSwapOption::empty() });
        let proven = self.proven.of(self.signer.revision(), token, read).ok_or(None)?;
        let claims = &proven.claims;
        if self.clock.now().as_second() >= claims.exp {
            return Err(Some("the access token has expired".to_owned()));
        }
        let not_meant = || Some(format!("an access token of a user is not meant for {asked:?}"));
        let audiences = self.signer.issuers.meant(asked).ok_or_else(not_meant)?;
        let identity = match self.identity(&proven) {
            Some(identity) => identity,
            None => {
                // Another apiserver may have begun the session just now.
                let _stays_unknown = self.storage.fresh().await;
                self.identity(&proven).ok_or_else(|| Some("the login has ended".to_owned()))?
            }
        };
        Ok(Found { identity, audiences })
    }

    /// Who came in by an access token, if its login goes on, whether the token itself has ended by its time or not.
    pub(crate) fn still(&self, token: &str) -> Option<Arc<Identity>> {
        let claims = self.signer.read(token)?;
        self.identity(&ProvenToken { claims, known: ArcSwapOption::empty() })
    }

    /// Who comes in by a token, as long as the user may and the session goes on.
    fn identity(&self, token: &ProvenToken) -> Option<Arc<Identity>> {
        let AccessClaims { sub, login, jti, .. } = &token.claims;
        self.storage.get(&SessionRecord::key(sub, &login.session))?;
        let entry = self.storage.get(&Account::key(sub))?;
        if let Some(known) = token.known.load_full().filter(|known| known.0 == entry.revision) {
            return Some(Arc::clone(&known.1));
        }
        let account = Account::of(&entry);
        if !account.may_come_in || account.uid != login.uid {
            return None;
        }
        let mut identity = Identity::new(account.name, account.groups);
        identity.uid = account.uid;
        identity.extra.insert(CREDENTIAL.to_owned(), vec![format!("JTI={jti}")]);
        let identity = Arc::new(identity);
        token.known.store(Some(Arc::new((entry.revision, Arc::clone(&identity)))));
        Some(identity)
    }

    /// Lets somebody in by name and password.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        password: &Password,
        from: Option<IpAddr>,
    ) -> Result<Tokens, Refusal> {
        let account = self.known(name, password, from).await?;
        self.begin_session(&account).await
    }

    /// Changes the password of somebody who knows the present one. All their sessions end, and a new one begins.
    pub(crate) async fn change_password(
        &self,
        name: &str,
        password: &Password,
        new: &Password,
        from: Option<IpAddr>,
    ) -> Result<Tokens, Refusal> {
        let account = self.known(name, password, from).await?;
        self.set_password(&account, new).await?;
        self.begin_session(&account).await
    }

    /// Sets a password, whatever it was, and ends all sessions of the user.
    pub(crate) async fn set_password(&self, account: &Account, new: &Password) -> Result<(), Refusal> {
        if let Some(problem) = new.problem(&account.name) {
            return Err(Refusal::Poor(problem));
        }
        let hash = self.hasher.hash(new).await?;
        let record = PasswordRecord { user: account.uid.clone(), hash };
        let key = PasswordRecord::key(&account.name);
        loop {
            let old = self.storage.get(&key);
            match records::put(&self.storage, key.clone(), old.as_deref(), &record).await {
                Ok(_) => break,
                Err(WriteError::Unavailable(error)) => return Err(Refusal::Store(error)),
                Err(_) => self.storage.fresh().await?,
            };
        }
        self.attempts.succeeded(&account.name);
        self.end_sessions(&account.name).await
    }

    /// Takes the password away: nobody logs in by it, and all sessions of the user end.
    pub(crate) async fn remove_password(&self, name: &str) -> Result<(), Refusal> {
        records::remove(&self.storage, &PasswordRecord::key(name)).await?;
        self.end_sessions(name).await
    }

    /// The user of this name, if this is their password and they may come in. All else takes as long, and looks the same.
    async fn known(&self, name: &str, password: &Password, from: Option<IpAddr>) -> Result<Account, Refusal> {
        self.attempts.begin(name, from, self.clock.now()).map_err(Refusal::Wait)?;
        self.storage.fresh().await?;
        let key = PasswordRecord::key(name);
        let entry = self.storage.get(&key);
        let account = Account::find(&self.storage, name);
        let record: Option<PasswordRecord> = entry.as_deref().and_then(records::read);
        let record = record.filter(|record| account.as_ref().is_some_and(|account| account.uid == record.user));
        let verdict = self.hasher.check(password, record.as_ref().map(|record| record.hash.as_str())).await?;
        let account =
            account.filter(|account| verdict != Verdict::Wrong && account.may_come_in).ok_or(Refusal::Wrong)?;
        self.attempts.succeeded(name);
        if verdict == Verdict::Outdated {
            let hash = self.hasher.hash(password).await?;
            let record = PasswordRecord { user: account.uid.clone(), hash };
            // Somebody may have set another one meanwhile, which then stays.
            let _stays = records::put(&self.storage, key, entry.as_deref(), &record).await;
        }
        Ok(account)
    }
}

#[cfg(test)]
mod tests;
