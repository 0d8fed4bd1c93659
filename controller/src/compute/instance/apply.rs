//! Does one step for an Instance.

use controller_backend::{Backend, Conflict, Detached, Error as BackendError, Mounting, Publish};
use crds::compute::instance::Instance;
use crds::network::vpc::{Vpc, VpcSpec};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use uuid::Uuid;

use super::projected::Projected;
use super::taking::take;
use super::{InstanceKind, Step, secrets, stall};
use crate::claims::{Claim, HostPort};
use crate::network::firewall::address;
use crate::runtime::failure::is_already_exists;
use crate::runtime::{Applied, Failure, Note, uid_of};

pub(super) async fn apply(kind: &InstanceKind, instance: &Instance, step: &Step) -> Result<Applied<Instance>, Failure> {
    let world = kind.world.as_ref();
    let backend = world.backend_of(instance)?;
    let machines = &backend.machines;
    let uid = uid_of(instance);
    match step {
        Step::MakeDefaultVpc => {
            let client = world.clients.of_kind::<InstanceKind>();
            let api: Api<Vpc> = Api::namespaced(client, &instance.namespace().unwrap_or_default());
            let mut vpc = Vpc::new(crds::DEFAULT_VPC, VpcSpec::default());
            // The derived constructor copies the definition's annotations.
            vpc.metadata.annotations = None;
            match api.create(&PostParams::default(), &vpc).await {
                Ok(_) => Ok(Applied::telling("MadeDefaultVpc", "Made the namespace's Vpc `default`.")),
                Err(error) if is_already_exists(&error) => Ok(Applied::quietly()),
                Err(error) => Err(Failure::api("make the default Vpc")(error)),
            }
        }
        Step::Allocate { network, ip, ports, published, hold } => {
            let mut claims = vec![Claim::Address { network: *network, address: *ip }];
            claims.extend(published.iter().copied().map(Claim::Port));
            if !world.claims.claim(uid, claims) {
                return Err(Failure::Stale);
            }
            // Before anybody is told: what the status says is forwarded.
            if *hold {
                hold_ports(kind, instance, published.iter().copied())?;
            }
            let words: Vec<_> = published.iter().map(HostPort::to_string).collect();
            let status = json!({
                "ip": ip.to_string(),
                "hostname": instance.name_any(),
                "ports": ports,
                "published": (!words.is_empty()).then(|| words.join(",")),
            });
            Ok(Applied::wrote(world.patch_status::<InstanceKind>(instance, status).await?))
        }
        Step::HoldPorts(ports) => {
            hold_ports(kind, instance, ports.iter().copied())?;
            Ok(Applied::quietly())
        }
        Step::Pull(reference) => {
            let image = backend.images.pull(reference).await.map_err(Failure::Pull)?;
            Ok(Applied::telling(
                "Pulled",
                format!("Fetched image `{reference}` ({} MB).", image.size_bytes / 1_000_000),
            ))
        }
        Step::EnsureFiles { sets, digest } => {
            let owner = world.owner(instance);
            backend.files.ensure(&owner, sets).await.map_err(Failure::backend("put the files in place"))?;
            kind.remember_projected(uid, Some(Projected::Exactly(*digest)));
            Ok(Applied::quietly())
        }
        Step::RefreshFiles { sets, digest } => {
            let owner = world.owner(instance);
            backend.files.refresh(&owner, sets).await.map_err(Failure::backend("bring the files up to date"))?;
            kind.remember_projected(uid, Some(Projected::Refreshed(*digest)));
            Ok(Applied::quietly())
        }
        Step::Create(spec) => {
            let _taking = take(kind, instance, &spec.mounts).await?;
            let _place = kind.starts.acquire().await;
            match machines.create(spec).await {
                Ok(_) => {}
                // The machine of an attempt that was cut off: the next look finds it.
                Err(error)
                    if matches!(error.as_conflict(), Some(Conflict::NameTaken { .. }))
                        && is_ours(backend, uid).await? =>
                {
                    return Ok(Applied::quietly());
                }
                Err(error) => return Err(Failure::backend("make the machine")(error)),
            }
            let origin = match &instance.spec.image_snapshot {
                Some(snapshot) => format!("InstanceSnapshot `{snapshot}`"),
                None => format!("image `{}`", instance.spec.image),
            };
            Ok(Applied::telling("Created", format!("Made the machine from {origin}.")))
        }
        Step::Start(id) => {
            let vpc = world.stores.vpcs.get(&instance.namespace().unwrap_or_default(), instance.vpc());
            if let (Some(vpc), Some(address)) = (vpc, address(instance)) {
                world.firewall.admit(uid_of(vpc.as_ref()), address).await?;
            }
            let _place = kind.starts.acquire().await;
            if let Err(error) = machines.start(id).await {
                refuse(kind, &error);
                return Err(Failure::backend("start the machine")(error));
            }
            Ok(Applied::telling("Started", "Started the machine."))
        }
        Step::Pause(id) => {
            machines.pause(id).await.map_err(Failure::backend("pause the machine"))?;
            Ok(Applied::telling("Paused", "Froze the machine."))
        }
        Step::Unpause(id) => {
            machines.unpause(id).await.map_err(|error| stall::failure(kind, error))?;
            Ok(Applied::telling("Unpaused", "Thawed the machine."))
        }
        Step::Resume(id) => {
            machines.unpause(id).await.map_err(|error| stall::failure(kind, error))?;
            Ok(Applied::telling("Resumed", "The host can write again: the machine goes on where it stood still."))
        }
        Step::Thaw(id) => {
            backend.machine_snapshots.thaw(id).await.map_err(Failure::backend("thaw the guest"))?;
            Ok(Applied::telling("Thawed", "The guest goes on: a snapshot that was cut off had left it frozen."))
        }
        Step::Resize { id, resources } => {
            machines.resize(id, *resources).await.map_err(Failure::backend("resize the machine"))?;
            let (cpu, memory) = super::report::words(*resources);
            Ok(Applied::telling("Resized", format!("Changed the limits to cpu {cpu}, memory {memory}.")))
        }
        Step::Restore { id, name, network } => {
            let restored = machines.restore(id, name, network.as_ref()).await;
            restored.map_err(Failure::backend("give the machine back its name and its place in the network"))?;
            let what = if network.is_some() { "back into its network" } else { "back under its name" };
            Ok(Applied::telling("Restored", format!("Put the machine {what}: somebody had taken it away by hand.")))
        }
        Step::DefineMounts { id, mounts } => {
            let _taking = take(kind, instance, mounts).await?;
            mounting(backend)?.define(id, mounts).await.map_err(Failure::backend("define what the machine mounts"))?;
            Ok(Applied::quietly())
        }
        Step::Attach { id, volume } => {
            mounting(backend)?.attach(id, *volume).await.map_err(Failure::backend("plug the Volume in"))?;
            let name = volume_name(kind, *volume);
            Ok(Applied::telling(
                "VolumeAttached",
                format!("The running machine has Volume `{name}`, in its present size."),
            ))
        }
        Step::Detach { id, volume } => {
            let failed = Failure::backend("have the machine let go of the Volume");
            let name = volume_name(kind, *volume);
            match mounting(backend)?.detach(id, *volume).await.map_err(failed)? {
                // Once it was told that it is waited for, the report tells that it has gone.
                Detached::Gone if super::report::is_detaching(instance) => Ok(Applied::quietly()),
                Detached::Gone => Ok(Applied::telling(
                    "VolumeDetached",
                    format!("The running machine has let go of Volume `{name}`."),
                )),
                Detached::Held => Err(Failure::Held { volume: name }),
            }
        }
        Step::Stop { id, grace } => {
            machines.stop(id, *grace).await.map_err(Failure::backend("stop the machine"))?;
            Ok(Applied::telling("Stopped", "Stopped the machine."))
        }
        Step::Remove(id) => {
            machines.remove(id).await.map_err(Failure::backend("remove the machine"))?;
            Ok(Applied::telling("Removed", "Removed the machine."))
        }
        Step::RemoveFiles => {
            backend.files.remove(uid).await.map_err(Failure::backend("remove the projected files"))?;
            kind.remember_projected(uid, None);
            Ok(Applied::quietly())
        }
        Step::RecordEnding(ending) => {
            let status = super::report::ending(instance, ending, world.now());
            let written = world.patch_status::<InstanceKind>(instance, status).await?;
            let (code, reason) = (ending.exit.code, ending.exit.reason.as_str());
            let note = if reason == "Completed" {
                Note::normal("Completed", "The machine ended with exit code 0.")
            } else {
                Note::warning("Exited", format!("The machine ended with exit code {code} ({reason})."))
            };
            Ok(Applied { object: Some(written), note: Some(note) })
        }
        Step::RecordStart => {
            Ok(Applied::wrote(world.patch_status::<InstanceKind>(instance, json!({"nextRestart": null})).await?))
        }
        Step::RecordRestart { token, exit } => {
            let mut status = json!({"restartToken": token, "nextRestart": null, "crashCount": null});
            if let Some(exit) = exit {
                status["lastExit"] = json!(exit);
            }
            Ok(Applied::wrote(world.patch_status::<InstanceKind>(instance, status).await?))
        }
        Step::AnnounceRestart(changed) => {
            let written = world.patch_status::<InstanceKind>(instance, json!({"restartingFor": changed})).await?;
            let why = format!("{}: the machine is restarted, as `secretUpdatePolicy` says.", secrets::words(changed));
            Ok(Applied { object: Some(written), note: Some(Note::normal("SecretChanged", why)) })
        }
        Step::RecordSecrets { secrets, exit } => {
            let mut status = json!({"secrets": secrets, "restartingFor": null});
            if let Some(exit) = exit {
                status["lastExit"] = json!(exit);
                status["nextRestart"] = Value::Null;
                status["crashCount"] = Value::Null;
            }
            Ok(Applied::wrote(world.patch_status::<InstanceKind>(instance, status).await?))
        }
        Step::Probe(spec) => {
            kind.probes.start(uid, spec.clone(), backend.clone());
            Ok(Applied::quietly())
        }
        Step::StopProbe => {
            kind.probes.stop(uid);
            Ok(Applied::quietly())
        }
    }
}

/// How a machine's mounts change; it is planned only where they can.
fn mounting(backend: &Backend) -> Result<&dyn Mounting, Failure> {
    let missing =
        || Failure::backend("change what the machine mounts")(BackendError::invalid("its mounts don't change"));
    backend.mounting.as_deref().ok_or_else(missing)
}

/// A Volume, for people.
pub(super) fn volume_name(kind: &InstanceKind, uid: Uuid) -> String {
    kind.world.stores.volumes.of_uid(uid).map_or_else(|| uid.to_string(), |volume| volume.name_any())
}

/// Keeps these ports of the host for the Instance, where its engine keeps none.
fn hold_ports(kind: &InstanceKind, instance: &Instance, ports: impl Iterator<Item = HostPort>) -> Result<(), Failure> {
    let Some(host_ports) = &kind.world.backend_of(instance)?.host_ports else { return Ok(()) };
    let ports = ports.map(|port| (port.protocol, Publish { address: port.address, port: port.port })).collect();
    host_ports.hold(uid_of(instance), &ports).map_err(|error| {
        refuse(kind, &error);
        Failure::backend("keep the host's ports")(error)
    })
}

/// Whether this Instance has a machine by now.
async fn is_ours(backend: &Backend, uid: Uuid) -> Result<bool, Failure> {
    let machines = backend.machines.find(uid).await;
    machines.map(|found| !found.is_empty()).map_err(Failure::backend("look for the machine"))
}

/// Remembers a port that the host refused, so that the server doesn't pick it again.
fn refuse(kind: &InstanceKind, error: &BackendError) {
    if let Some(Conflict::PortTaken { address, port, protocol }) = error.as_conflict() {
        let port = HostPort { port: *port, protocol: *protocol, address: *address };
        kind.world.claims.refuse(port, kind.world.now());
    }
}
