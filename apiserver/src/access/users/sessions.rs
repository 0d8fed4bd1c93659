//! Sessions: begun by a password, kept by a refresh token that counts once, ended by whoever uses one a second time.

use apiserver_store::WriteError;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::access_token::{AccessClaims, Login, TYPE};
use super::records::{self, SessionRecord, sessions};
use super::{Account, Refusal, Users};
use crate::access::{TokenHash, generate_token};

/// Sessions of one user; a further one ends the longest unused.
const PER_USER: usize = 32;

/// What a login gives.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) user: String,
    pub(crate) access: String,
    pub(crate) access_ends: Timestamp,
    pub(crate) refresh: String,
    pub(crate) refresh_ends: Timestamp,
}

/// A refresh token, taken apart: whose, of which session, and what proves it.
struct Presented<'a> {
    user: &'a str,
    session: &'a str,
    secret: &'a str,
}

/// Tells our refresh tokens from other texts, to people and to tools that look for leaked ones.
const PREFIX: &str = "tcr_";

impl<'a> Presented<'a> {
    fn parse(token: &'a str) -> Option<Self> {
        let mut parts = token.strip_prefix(PREFIX)?.split('.');
        let presented = Self { user: parts.next()?, session: parts.next()?, secret: parts.next()? };
        parts.next().is_none().then_some(presented)
    }

    fn fits(&self, record: &SessionRecord) -> bool {
        TokenHash::parse(&record.secret).is_some_and(|kept| kept.is(&TokenHash::of(self.secret)))
    }
}

impl Users {
    /// Begins a session.
    pub(super) async fn begin_session(&self, account: &Account) -> Result<Tokens, Refusal> {
        self.make_room(&account.name).await?;
        let session = Uuid::new_v4().simple().to_string();
        let (secret, record) = self.next(account);
        records::put(&self.storage, SessionRecord::key(&account.name, &session), None, &record).await?;
        tracing::info!(user = account.name, "somebody logged in");
        self.tokens(account, &session, &secret, record.ends)
    }

    /// Goes on with a session. The refresh token counts once: whoever brings one again isn't who had it first, or the other
    /// one isn't, so the session ends.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Tokens, Refusal> {
        let presented = Presented::parse(token).ok_or(Refusal::Wrong)?;
        self.storage.fresh().await?;
        let key = SessionRecord::key(presented.user, presented.session);
        let entry = self.storage.get(&key).ok_or(Refusal::Wrong)?;
        let record: Option<SessionRecord> = records::read(&entry);
        let record = record.filter(|record| presented.fits(record));
        let Some(record) = record else { return self.revoke(&presented).await };
        let account = Account::find(&self.storage, presented.user).filter(|account| account.uid == record.user);
        let account = account.filter(|account| account.may_come_in && record.ends > self.clock.now());
        let account = account.ok_or(Refusal::Wrong)?;
        let (secret, next) = self.next(&account);
        match records::put(&self.storage, key, Some(&entry), &next).await {
            Ok(_) => self.tokens(&account, presented.session, &secret, next.ends),
            Err(WriteError::Unavailable(error)) => Err(Refusal::Store(error)),
            // Somebody used it at the same moment.
            Err(_) => self.revoke(&presented).await,
        }
    }

    /// Ends a session, or all of its user.
    pub(crate) async fn log_out(&self, token: &str, everywhere: bool) -> Result<(), Refusal> {
        let presented = Presented::parse(token).ok_or(Refusal::Wrong)?;
        self.storage.fresh().await?;
        let key = SessionRecord::key(presented.user, presented.session);
        let entry = self.storage.get(&key).ok_or(Refusal::Wrong)?;
        let is_proven = records::read(&entry).is_some_and(|record| presented.fits(&record));
        if everywhere && is_proven {
            return self.end_sessions(presented.user).await;
        }
        // Who brings an old one may have stolen it, or have been stolen from: no reason to let it go on.
        records::remove(&self.storage, &key).await?;
        if is_proven { Ok(()) } else { Err(Refusal::Wrong) }
    }

    /// Ends all sessions of a user.
    pub(super) async fn end_sessions(&self, user: &str) -> Result<(), Refusal> {
        self.storage.fresh().await?;
        let snapshot = self.storage.snapshot(&sessions());
        for entry in snapshot.entries.within(user) {
            records::remove(&self.storage, &entry.key).await?;
        }
        Ok(())
    }

    async fn revoke(&self, presented: &Presented<'_>) -> Result<Tokens, Refusal> {
        tracing::warn!(user = presented.user, "a refresh token was used twice, so its session ends");
        self.storage.fresh().await?;
        records::remove(&self.storage, &SessionRecord::key(presented.user, presented.session)).await?;
        Err(Refusal::Wrong)
    }

    /// Ends the longest unused sessions of a user who has as many as may be.
    async fn make_room(&self, user: &str) -> Result<(), Refusal> {
        let snapshot = self.storage.snapshot(&sessions());
        let used = |record: Option<SessionRecord>| record.map_or(Timestamp::MIN, |record| record.used);
        let mut open: Vec<_> = snapshot.entries.within(user).map(|entry| (used(records::read(entry)), entry)).collect();
        open.sort_by_key(|(used, _)| *used);
        for (_, entry) in open.iter().take((open.len() + 1).saturating_sub(PER_USER)) {
            records::remove(&self.storage, &entry.key).await?;
        }
        Ok(())
    }

    /// The next secret of a session, and what is kept of it.
    fn next(&self, account: &Account) -> (String, SessionRecord) {
        let (secret, now) = (generate_token(), self.clock.now());
        let lifetime = SignedDuration::try_from(self.logins.refresh).unwrap_or(SignedDuration::MAX);
        let ends = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let hash = TokenHash::of(&secret).to_string();
        (secret, SessionRecord { user: account.uid.clone(), secret: hash, used: now, ends })
    }

    fn tokens(
        &self,
        account: &Account,
        session: &str,
        secret: &str,
        refresh_ends: Timestamp,
    ) -> Result<Tokens, Refusal> {
        let now = self.clock.now();
        let lifetime = i64::try_from(self.logins.access.as_secs()).unwrap_or(i64::MAX);
        let exp = now.as_second().saturating_add(lifetime);
        let claims = AccessClaims {
            aud: self.signer.issuers.names().to_vec(),
            exp,
            iat: now.as_second(),
            iss: self.signer.issuers.issuer().to_owned(),
            jti: Uuid::new_v4().to_string(),
            sub: account.name.clone(),
            login: Login { uid: account.uid.clone(), session: session.to_owned() },
        };
        let access = self.signer.sign(&claims, TYPE).ok_or(Refusal::Unsigned)?;
        let refresh = format!("{PREFIX}{}.{session}.{secret}", account.name);
        let access_ends = Timestamp::from_second(exp).unwrap_or(Timestamp::MAX);
        Ok(Tokens { user: account.name.clone(), access, access_ends, refresh, refresh_ends })
    }
}
