//! Decides who is asking: the owner of the client certificate, or else of the bearer token.

use std::sync::Arc;

use apiserver_store::Storage;
use http::{HeaderMap, header};

use super::oidc::IdTokens;
use super::service_account::{self, Accounts};
use super::signing::Signer;
use super::users::{Account, ApiKeys, Users, is_access_token, is_api_key};
use super::{ClientCertificate, Identity, TokenTable};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{ApiError, Reason};

/// What upstream says of a token that nobody knows.
const UNKNOWN: &str = "invalid bearer token";

/// Whoever knows tokens.
pub(crate) struct Authenticator {
    storage: Storage,
    clock: Arc<dyn Clock>,
    tokens: TokenTable,
    pub(crate) signer: Arc<Signer>,
    pub(crate) accounts: Accounts,
    pub(crate) users: Users,
    pub(crate) api_keys: Arc<ApiKeys>,
    id_tokens: Option<IdTokens>,
}

/// Whose a token is, and for whom it is meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) identity: Arc<Identity>,
    pub(crate) audiences: Vec<String>,
}

/// Somebody who came in, and what they brought: no token where that was a certificate.
#[derive(Debug, Clone)]
pub(crate) struct CameIn {
    identity: Arc<Identity>,
    token: Option<String>,
}

impl Authenticator {
    pub(crate) fn new(config: &Config) -> Self {
        let Config { storage, clock, tokens: table, logins, tasks, oidc, .. } = config;
        let (key, issuers) = (&config.service_account_key, &config.service_account_issuers);
        let signer = Arc::new(Signer::new(key, Arc::clone(issuers), storage.clone(), Arc::clone(clock)));
        Self {
            storage: storage.clone(),
            clock: Arc::clone(clock),
            tokens: table.clone(),
            id_tokens: oidc
                .as_ref()
                .map(|oidc| IdTokens::new(oidc, Arc::clone(issuers), Arc::clone(clock), tasks.clone())),
            accounts: Accounts::new(Arc::clone(&signer), storage.clone(), Arc::clone(clock)),
            api_keys: Arc::new(ApiKeys::new(Arc::clone(issuers), storage.clone(), Arc::clone(clock), tasks.clone())),
            signer: Arc::clone(&signer),
            users: Users::new(signer, storage.clone(), Arc::clone(clock), *logins),
        }
    }

    /// Whose certificate the connection has, or else the owner of the bearer token that a request brings.
    ///
    /// # Errors
    /// 401, whatever is wrong with it.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Arc<Identity>, ApiError> {
        let unauthorized = || ApiError::new(Reason::Unauthorized, "Unauthorized");
        if let Some(certificate) = certificate.filter(|certificate| certificate.counts(self.clock.now())) {
            let identity = &certificate.identity;
            return if self.keeps_out(identity) { Err(unauthorized()) } else { Ok(Arc::clone(identity)) };
        }
        let token = bearer(headers).ok_or_else(unauthorized)?;
        if let Some(owner) = self.tokens.owner(token) {
            return Ok(Arc::clone(owner));
        }
        // Apart, so that requests with other tokens take no room for it.
        let found = Box::pin(self.made_here(token, &[])).await.map_err(|_| unauthorized())?;
        Ok(found.identity)
    }

    /// What is to be kept of a request whose owner is found, to ask later whether they may still come in.
    pub(crate) fn came_in(
        &self,
        identity: &Arc<Identity>,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
    ) -> CameIn {
        let is_certified = certificate.is_some_and(|certificate| certificate.counts(self.clock.now()));
        let token = if is_certified { None } else { bearer(headers).map(str::to_owned) };
        CameIn { identity: Arc::clone(identity), token }
    }

    /// Who somebody is by now who came in before; `None` where what let them in was taken back. A certificate or a token of
    /// minutes that has ended by its time takes nothing back: their owners bring the next to their next request.
    pub(crate) async fn still(&self, came: &CameIn) -> Option<Arc<Identity>> {
        let CameIn { identity, token } = came;
        let same = || Some(Arc::clone(identity));
        let Some(token) = token else { return same().filter(|_| !self.keeps_out(identity)) };
        if self.tokens.owner(token).is_some() {
            return same();
        }
        if is_api_key(token) {
            return self.api_keys.owner(token, &[]).await.ok().map(|found| found.identity);
        }
        if is_access_token(token) {
            return self.users.still(token);
        }
        match service_account::parts(&identity.user) {
            Some((namespace, name)) => {
                same().filter(|_| service_account::is_there(&self.storage, namespace, name, &identity.uid))
            }
            None => same().filter(|_| !self.keeps_out(identity)),
        }
    }

    /// The owner of a token, and for which of the audiences that are asked for it is meant. None asked for means this
    /// API.
    ///
    /// # Errors
    /// Why the token proves nothing to them.
    pub(crate) async fn owner(&self, token: &str, asked: &[String]) -> Result<Found, String> {
        if let Some(owner) = self.tokens.owner(token) {
            let found = |audiences| Found { identity: Arc::clone(owner), audiences };
            return self.signer.issuers.meant(asked).map(found).ok_or_else(|| UNKNOWN.to_owned());
        }
        self.made_here(token, asked).await.map_err(|why| match why {
            Some(why) => format!("[{UNKNOWN}, {why}]"),
            None => UNKNOWN.to_owned(),
        })
    }

    /// The owner of a token that was made here, or by the issuer that is trusted.
    async fn made_here(&self, token: &str, asked: &[String]) -> Result<Found, Option<String>> {
        if is_api_key(token) {
            return self.api_keys.owner(token, asked).await;
        }
        if is_access_token(token) {
            return self.users.owner(token, asked).await;
        }
        let found = self.accounts.owner(token, asked).await;
        match (&self.id_tokens, found) {
            (Some(id_tokens), Err(None)) => {
                let found = id_tokens.owner(token, asked).await?;
                if self.keeps_out(&found.identity) { Err(Some("the user is disabled".to_owned())) } else { Ok(found) }
            }
            (_, found) => found,
        }
    }

    /// Whether there is a User of the name who is disabled. Who is proven elsewhere may have none.
    fn keeps_out(&self, identity: &Identity) -> bool {
        Account::find(&self.storage, &identity.user).is_some_and(|account| !account.may_come_in)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use apiserver_store::memory::MemoryStore;
    use apiserver_store::{Storage, StorageOptions};

    use super::*;
    use crate::access::{SERVICE_ACCOUNT_ISSUER, TokenHash};

    async fn authenticator() -> Authenticator {
        let store = Arc::new(MemoryStore::new(uuid::Uuid::from_u128(1)));
        let storage = Storage::open(store, StorageOptions::default()).await.unwrap();
        let tokens = TokenTable::new()
            .with(TokenHash::of("t-admin"), Identity::master("admin"))
            .with(TokenHash::of("t-bob"), Identity::new("bob", []));
        Authenticator::new(&Config::new(storage, tokens))
    }

    async fn ask(headers: &[(&'static str, &str)]) -> Result<Arc<Identity>, ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        authenticator().await.authenticate(&map, None).await
    }

    #[tokio::test]
    async fn unknown_missing_and_malformed_tokens_are_refused_alike() {
        for headers in [&[][..], &[("authorization", "Bearer nope")], &[("authorization", "t-admin")]] {
            assert_eq!(ask(headers).await.unwrap_err().reason, Reason::Unauthorized);
        }
    }

    #[tokio::test]
    async fn the_scheme_is_case_insensitive() {
        assert_eq!(ask(&[("authorization", "bearer t-admin")]).await.unwrap().user, "admin");
    }

    #[tokio::test]
    async fn a_token_of_the_table_is_meant_for_this_api() {
        let authenticator = authenticator().await;
        let bob = Ok(("bob".to_owned(), vec![SERVICE_ACCOUNT_ISSUER.to_owned()]));
        let cases = [
            ("t-bob", &[][..], bob.clone()),
            ("t-bob", &["vault", SERVICE_ACCOUNT_ISSUER], bob),
            ("t-bob", &["vault"], Err(UNKNOWN.to_owned())),
            ("nope", &[], Err(UNKNOWN.to_owned())),
        ];
        for (token, asked, answer) in cases {
            let asked: Vec<String> = asked.iter().map(|audience| (*audience).to_owned()).collect();
            let found = authenticator.owner(token, &asked).await;
            assert_eq!(found.map(|found| (found.identity.user.clone(), found.audiences)), answer, "{token} {asked:?}");
        }
    }
}
