//! Holds the connection to libvirt: made when first needed, and made anew after it was lost. The library blocks, so each
//! call runs on a thread that may; decides nothing else.

use std::sync::{Arc, PoisonError, RwLock};

use controller_backend::{Error, MachineId, Stillness};
use tokio::sync::Semaphore;
use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error as LibvirtError, ErrorNumber};

use crate::marks::{self, Marks};

/// Calls at a time; libvirt serves five of one client before the others wait there.
const CALLS: usize = 5;
/// A daemon that says nothing for so long, asked so often, is gone.
const KEEPALIVE_SECONDS: i32 = 5;
const KEEPALIVE_COUNT: u32 = 3;

pub(crate) struct Engine {
    uri: String,
    installation: Uuid,
    connection: RwLock<Option<Arc<Connection>>>,
    places: Arc<Semaphore>,
    /// The guests that are frozen for a moment.
    pub(crate) stillness: Arc<Stillness>,
}

/// A connection that is given back when nobody uses it any more.
pub(crate) struct Connection(Connect);

impl std::ops::Deref for Connection {
    type Target = Connect;

    fn deref(&self) -> &Connect {
        &self.0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The binding does not do it. That a lost connection can't be closed in order is no news.
        let _ = self.0.close();
    }
}

/// A domain of this installation, with its marks.
pub(crate) struct Owned {
    pub(crate) domain: Domain,
    pub(crate) marks: Marks,
}

/// Why a call failed, before it is known what it was about.
pub(crate) enum CallError {
    /// libvirt's own words.
    Libvirt(LibvirtError),
    /// The thing is not there, or is not this installation's.
    NotOurs,
    /// Already in the ports' words.
    Told(Error),
}

impl From<LibvirtError> for CallError {
    fn from(error: LibvirtError) -> Self {
        if error.code() == ErrorNumber::NoDomain { Self::NotOurs } else { Self::Libvirt(error) }
    }
}

impl Engine {
    pub(crate) fn new(uri: &str, installation: Uuid) -> Self {
        Self {
            uri: uri.to_owned(),
            installation,
            connection: RwLock::new(None),
            places: Arc::new(Semaphore::new(CALLS)),
            stillness: Arc::default(),
        }
    }

    pub(crate) fn installation(&self) -> Uuid {
        self.installation
    }

    /// What does not answer, for people.
    pub(crate) fn name(&self) -> String {
        format!("libvirt at `{}`", self.uri)
    }

    /// Runs a call; `what` is the thing that it is about, `action` completes "failed to ...".
    pub(crate) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        what: &str,
        action: &str,
        call: impl FnOnce(&Connection) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.places.clone().acquire_owned().await;
        let engine = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            let connection = engine.connect()?;
            match call(&connection) {
                Err(CallError::Libvirt(error)) if !connection.is_alive().unwrap_or(false) => {
                    engine.forget(&connection);
                    Err(CallError::Told(Error::unavailable(engine.name(), error)))
                }
                outcome => outcome,
            }
        });
        match done.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(CallError::Libvirt(error))) => Err(crate::error::translate(what, action, error)),
            Ok(Err(CallError::NotOurs)) => Err(Error::not_found(what)),
            Ok(Err(CallError::Told(error))) => Err(error),
            Err(ended) => Err(Error::failed(action, ended)),
        }
    }

    /// Runs a call on a machine of this installation.
    pub(crate) async fn on_machine<T: Send + 'static>(
        self: &Arc<Self>,
        id: &MachineId,
        action: &str,
        call: impl FnOnce(&Owned) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, Error> {
        self.on_definition(id, action, move |_, owned| call(owned)).await
    }

    /// Runs a call that defines a machine of this installation anew.
    pub(crate) async fn on_definition<T: Send + 'static>(
        self: &Arc<Self>,
        id: &MachineId,
        action: &str,
        call: impl FnOnce(&Connection, &Owned) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, Error> {
        let what = format!("machine `{id}`");
        let action = format!("{action} {what}");
        let (id, installation) = (id.clone(), self.installation);
        self.call(&what, &action, move |connection| call(connection, &owned(connection, &id, installation)?)).await
    }

    /// A connection of its own, for who keeps it: the events.
    pub(crate) fn connect_anew(&self) -> Result<Connection, Error> {
        let unanswered = |error| Error::unavailable(self.name(), error);
        // The library prints every error by itself otherwise, though each is told by whoever asked.
        virt::error::clear_error_callback();
        let connection = Connection(Connect::open(Some(&self.uri)).map_err(unanswered)?);
        // A driver inside this process has nothing to keep alive.
        let _ = connection.set_keep_alive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
        Ok(connection)
    }

    fn connect(&self) -> Result<Arc<Connection>, CallError> {
        let known = self.connection.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(connection) = known.filter(|connection| connection.is_alive().unwrap_or(false)) {
            return Ok(connection);
        }
        let connection = Arc::new(self.connect_anew().map_err(CallError::Told)?);
        *self.connection.write().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
        Ok(connection)
    }

    fn forget(&self, lost: &Arc<Connection>) {
        let mut known = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, lost)) {
            *known = None;
        }
    }
}

fn owned(connection: &Connect, id: &MachineId, installation: Uuid) -> Result<Owned, CallError> {
    let uuid: Uuid = id.0.parse().map_err(|_| CallError::NotOurs)?;
    let domain = Domain::lookup_by_uuid(connection, uuid)?;
    let marks = marks::read(&domain)?.filter(|marks| marks.owner.installation == installation);
    Ok(Owned { domain, marks: marks.ok_or(CallError::NotOurs)? })
}

/// Every domain of this installation.
pub(crate) fn all_owned(connection: &Connect, installation: Uuid) -> Result<Vec<Owned>, CallError> {
    let mut found = Vec::new();
    for domain in connection.list_all_domains(0)? {
        // One that went between the two calls is not there.
        let Ok(Some(marks)) = marks::read(&domain) else { continue };
        if marks.owner.installation == installation {
            found.push(Owned { domain, marks });
        }
    }
    Ok(found)
}
