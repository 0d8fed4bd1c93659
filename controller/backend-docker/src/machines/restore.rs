//! Gives a machine back what somebody took away by hand: its name, and its place in its network.

use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::RenameContainerOptionsBuilder;
use controller_backend::{Conflict, Error, Machine, MachineId, NetworkAttachment};

use super::request::endpoint;
use crate::engine::Engine;
use crate::error::{message, translate, translate_start};
use crate::networks;

pub(super) async fn name(engine: &Engine, id: &MachineId, name: &str) -> Result<(), Error> {
    let what = format!("machine `{id}`");
    let options = RenameContainerOptionsBuilder::default().name(name).build();
    match engine.client().await?.rename_container(&id.0, options).await {
        Ok(()) => Ok(()),
        Err(error) if matches!(message(&error), Some((409, _))) => {
            let conflict = Conflict::NameTaken { name: name.to_owned() };
            Err(Error::Conflict { conflict, source: Some(error.into()) })
        }
        Err(error) => Err(translate(&what, &format!("rename {what}"), error)),
    }
}

pub(super) async fn network(engine: &Engine, machine: &Machine, network: &NetworkAttachment) -> Result<(), Error> {
    let found = networks::find(engine, network.network).await?;
    let found = found.ok_or_else(|| Error::not_found(format!("network of `{}`", network.network)))?;
    let join = NetworkConnectRequest { container: machine.id.0.clone(), endpoint_config: Some(endpoint(network)) };
    let joined = engine.client().await?.connect_network(&found.network.id, join).await;
    joined.map_err(|error| match message(&error) {
        Some((_, text)) if text.contains("Address already in use") => {
            let conflict = Conflict::AddressTaken { address: network.address };
            Error::Conflict { conflict, source: Some(error.into()) }
        }
        // Its ports are published anew.
        Some(_) => translate_start(machine, error),
        None => translate("Docker", "put a machine back into its network", error),
    })
}
