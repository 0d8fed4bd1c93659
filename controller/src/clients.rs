//! Decides under which account each part speaks to the apiserver: what all share under one, what a kind's controller
//! writes under its own, so that no controller can do what is another's, and the audit log says which it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;

use crate::rights::{ACCOUNT, account_of};
use crate::runtime::Kind;
use crate::runtime::introduction::introduced;

/// The clients of all accounts. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Clients(Arc<Shared>);

struct Shared {
    /// Makes the client of an account.
    of: Box<dyn Fn(&str) -> Client + Send + Sync>,
    made: Mutex<BTreeMap<String, Client>>,
}

impl Clients {
    pub(crate) fn new(of: impl Fn(&str) -> Client + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { of: Box::new(of), made: Mutex::default() }))
    }

    /// What follows objects, and keeps what all controllers share.
    pub(crate) fn shared(&self) -> Client {
        self.of(ACCOUNT)
    }

    /// What a kind's controller writes with.
    pub(crate) fn of_kind<K: Kind>(&self) -> Client {
        self.of(&account_of(K::NAME))
    }

    /// The client of this account, made when it is first needed.
    pub(crate) fn of(&self, account: &str) -> Client {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(account.to_owned()).or_insert_with(|| introduced((self.0.of)(account))).clone()
    }
}
