//! Networks as Docker bridges with a name, range and gateway of our choice.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bollard::models::{Ipam, IpamConfig, Network as DockerNetwork, NetworkCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use controller_backend::{Conflict, Error, Network, NetworkSpec, Networks, OccupiedRange, machine_name};
use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::{message, translate};
use crate::machines::resolvers;
use crate::turns::Turns;
use crate::{labels, routes};

const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

pub(crate) struct DockerNetworks {
    engine: Arc<Engine>,
    /// Docker lets two networks have one name, so that looking and making must not interleave for any owner.
    turns: Turns,
}

/// A network of ours, with the name that Docker knows it by.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) network: Network,
}

impl DockerNetworks {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, turns: Turns::default() }
    }

    async fn make(&self, spec: &NetworkSpec) -> Result<(), Error> {
        let routes = routes::read().await.map_err(|error| Error::failed("read the host's routes", error))?;
        if routes.iter().any(|route| route.device != spec.bridge && overlap(&route.cidr, &spec.cidr)) {
            return Err(Error::conflict(Conflict::RangeTaken { cidr: spec.cidr }));
        }
        let request = NetworkCreateRequest {
            name: machine_name(&spec.owner),
            driver: Some("bridge".to_owned()),
            // On an internal one Docker publishes nothing: that there is no way out is the packet filter's to see to.
            internal: Some(false),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(spec.cidr.to_string()),
                    gateway: Some(spec.gateway.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            options: Some(HashMap::from([(BRIDGE_NAME.to_owned(), spec.bridge.clone())])),
            labels: Some(labels::of_network(spec)),
            ..NetworkCreateRequest::default()
        };
        match self.engine.client().await?.create_network(request).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = message(&error).map(|(_, text)| text).unwrap_or_default();
                let conflict = if text.contains("Pool overlaps") || text.contains("overlaps with") {
                    Some(Conflict::RangeTaken { cidr: spec.cidr })
                } else if text.contains("same bridge name") || text.contains("already exists") {
                    Some(Conflict::NameTaken { name: spec.bridge.clone() })
                } else {
                    None
                };
                let what = format!("network of {}", spec.owner);
                Err(match conflict {
                    Some(conflict) => Error::Conflict { conflict, source: Some(error.into()) },
                    None => translate(&what, &format!("create {what}"), error),
                })
            }
        }
    }

    /// The names of what is running in a network.
    async fn users(&self, id: &str) -> Result<Vec<String>, Error> {
        let inspected = self.engine.client().await?.inspect_network(id, None::<InspectNetworkOptions>).await;
        let network = inspected.map_err(|error| translate("network", "look who is in a network", error))?;
        let mut users: Vec<String> =
            network.containers.into_iter().flatten().filter_map(|(_, endpoint)| endpoint.name).collect();
        users.sort_unstable();
        Ok(users)
    }
}

#[async_trait]
impl Networks for DockerNetworks {
    async fn list(&self) -> Result<Vec<Network>, Error> {
        let mut networks: Vec<Network> =
            list(&self.engine, &[]).await?.into_iter().map(|found| found.network).collect();
        networks.sort_by_key(|network| network.owner.uid);
        Ok(networks)
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Network>, Error> {
        Ok(find(&self.engine, owner).await?.map(|found| found.network))
    }

    async fn ensure(&self, spec: &NetworkSpec) -> Result<Network, Error> {
        if !spec.cidr.contains(&spec.gateway) {
            return Err(Error::invalid(format!("gateway {} is not in {}", spec.gateway, spec.cidr)));
        }
        let _turn = self.turns.take(spec.owner.uid).await;
        let found = match find(&self.engine, spec.owner.uid).await? {
            Some(found) => found.network,
            None => {
                self.make(spec).await?;
                let what = format!("network of {}", spec.owner);
                let found = find(&self.engine, spec.owner.uid).await?;
                found.ok_or_else(|| Error::not_found(what))?.network
            }
        };
        match found.difference(spec) {
            None => Ok(found),
            Some(field) => Err(Error::conflict(Conflict::Different {
                what: format!("network of {}", spec.owner),
                field: field.to_owned(),
            })),
        }
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.turns.take(owner).await;
        // More than one only if somebody copied our labels onto another: then each goes, by id.
        for found in list(&self.engine, &[(labels::UID, owner.to_string())]).await? {
            let what = format!("network of {}", found.network.owner);
            let removed = self.engine.client().await?.remove_network(&found.network.id).await;
            let Err(error) = removed else { continue };
            match message(&error) {
                Some((404, _)) => {}
                Some((_, text)) if text.contains("active endpoints") => {
                    let users = self.users(&found.network.id).await?;
                    let conflict = Conflict::InUse { what, users };
                    return Err(Error::Conflict { conflict, source: Some(error.into()) });
                }
                _ => return Err(translate(&what, &format!("remove {what}"), error)),
            }
        }
        Ok(())
    }

    async fn occupied_ranges(&self) -> Result<Vec<OccupiedRange>, Error> {
        let networks = self.engine.client().await?.list_networks(None).await;
        let networks = networks.map_err(|error| translate("Docker", "list all networks", error))?;
        let mut ranges = Vec::new();
        for network in &networks {
            let ours = found(network).filter(|found| found.network.owner.installation == self.engine.installation());
            for cidr in ranges_of(network) {
                ranges.push(OccupiedRange { cidr, owner: ours.as_ref().map(|found| found.network.owner.uid) });
            }
        }
        let routes = routes::read().await.map_err(|error| Error::failed("read the host's routes", error))?;
        for route in routes {
            // A network's own bridge has a route too.
            if ranges.iter().all(|range| range.cidr != route.cidr) {
                ranges.push(OccupiedRange { cidr: route.cidr, owner: None });
            }
        }
        // Reached by no route of their own, they would be hidden by a network with their addresses.
        let resolvers = resolvers::of_host().await.into_iter();
        ranges.extend(resolvers.map(|address| OccupiedRange { cidr: Ipv4Net::from(address), owner: None }));
        ranges.sort_unstable();
        Ok(ranges)
    }
}

fn overlap(left: &Ipv4Net, right: &Ipv4Net) -> bool {
    left.contains(right) || right.contains(left)
}

/// The network of one owner.
pub(crate) async fn find(engine: &Engine, owner: Uuid) -> Result<Option<Found>, Error> {
    Ok(list(engine, &[(labels::UID, owner.to_string())]).await?.into_iter().next())
}

pub(crate) async fn list(engine: &Engine, more: &[(&str, String)]) -> Result<Vec<Found>, Error> {
    let options = ListNetworksOptionsBuilder::default().filters(&engine.filter(more)).build();
    let networks = engine.client().await?.list_networks(Some(options)).await;
    let networks = networks.map_err(|error| translate("Docker", "list networks", error))?;
    Ok(networks.iter().filter_map(found).collect())
}

fn found(network: &DockerNetwork) -> Option<Found> {
    let config = network.ipam.as_ref()?.config.as_ref()?.first()?;
    let options = network.options.as_ref();
    Some(Found {
        name: network.name.clone()?,
        network: Network {
            id: network.id.clone()?,
            owner: labels::owner(network.labels.as_ref()?)?,
            cidr: config.subnet.as_ref()?.parse().ok()?,
            gateway: config.gateway.as_ref()?.parse().ok()?,
            internal: labels::is_internal(network.labels.as_ref()?) || network.internal.unwrap_or_default(),
            bridge: options.and_then(|options| options.get(BRIDGE_NAME)).cloned().unwrap_or_default(),
        },
    })
}

fn ranges_of(network: &DockerNetwork) -> Vec<Ipv4Net> {
    let configs = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    configs.filter_map(|config| config.subnet.as_ref()?.parse().ok()).collect()
}
