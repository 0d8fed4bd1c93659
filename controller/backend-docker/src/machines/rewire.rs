//! Puts a stopped machine back into its network after that was removed and made anew: Docker remembers the network by
//! an id that is gone, although the name is the same.

use bollard::models::{
    ContainerInspectResponse, EndpointIpamConfig, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest,
};
use controller_backend::{Error, Machine};

use crate::engine::Engine;
use crate::error::translate;
use crate::networks;

/// Whether there was anything to mend.
pub(super) async fn rewire(
    engine: &Engine,
    machine: &Machine,
    container: &ContainerInspectResponse,
) -> Result<bool, Error> {
    let Some(attachment) = machine.attachment else { return Ok(false) };
    let Some(network) = networks::find(engine, attachment.network).await? else { return Ok(false) };
    let wires = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let Some(wire) = wires.and_then(|wires| wires.get(&network.name)) else { return Ok(false) };
    if wire.network_id.as_deref() == Some(network.network.id.as_str()) {
        return Ok(false);
    }
    let what = format!("machine `{}`", machine.id);
    let action = format!("put {what} back into its network");
    let failed = |error| translate(&what, &action, error);
    let client = engine.client().await?;
    let leave = NetworkDisconnectRequest { container: machine.id.0.clone(), force: Some(true) };
    client.disconnect_network(&network.name, leave).await.map_err(failed)?;
    let join = NetworkConnectRequest {
        container: machine.id.0.clone(),
        endpoint_config: Some(EndpointSettings {
            ipam_config: Some(EndpointIpamConfig {
                ipv4_address: Some(attachment.address.to_string()),
                ..EndpointIpamConfig::default()
            }),
            aliases: wire.aliases.clone(),
            ..EndpointSettings::default()
        }),
    };
    client.connect_network(&network.network.id, join).await.map_err(failed)?;
    Ok(true)
}
