//! Kills the controllers after a chosen change: the change took place, and whoever made it never learns.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use controller_backend::{
    Backend, Detached, DiskImage, DiskImageSpec, DiskImages, Error, FileSet, Files, Image, Images, ImportError,
    Machine, MachineId, MachineSnapshot, MachineSnapshotSpec, MachineSnapshots, MachineSpec, MachineSummary, Machines,
    Mount, Mounting, Network, NetworkAttachment, NetworkSpec, Networks, OccupiedRange, Owner, Progress, PullError,
    Resources, Snapshot, SnapshotSpec, Snapshots, Usage, Volume, VolumeSpec, Volumes,
};
use http::{Method, Request};
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::Service;
use uuid::Uuid;

/// Counts the changes that the controllers make, and trips at one of them.
#[derive(Debug, Clone, Default)]
pub struct Tripwire(Arc<State>);

#[derive(Debug, Default)]
struct State {
    changes: AtomicU64,
    /// 0 is never.
    at: AtomicU64,
    tripped: Notify,
}

impl Tripwire {
    /// Trips after this change (the first is 1).
    pub fn set(&self, at: u64) {
        self.0.at.store(at, Ordering::SeqCst);
    }

    /// How many changes were made.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::SeqCst)
    }

    /// Waits until it trips.
    pub async fn tripped(&self) {
        self.0.tripped.notified().await;
    }

    /// A change took place. Never returns if it is the one.
    async fn changed(&self) {
        let count = self.0.changes.fetch_add(1, Ordering::SeqCst) + 1;
        if count == self.0.at.load(Ordering::SeqCst) {
            self.0.tripped.notify_one();
            std::future::pending().await
        }
    }
}

/// The apiserver, with the wire across every write.
#[derive(Debug, Clone)]
pub(crate) struct Wired<S> {
    pub(crate) inner: S,
    pub(crate) wire: Tripwire,
}

impl<S, B> Service<Request<B>> for Wired<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        // Neither the Lease nor Events belong to the work: they come in the background, by the clock.
        let counts = request.method() != Method::GET && !path.contains("/leases") && !path.contains("/events");
        let (wire, answer) = (self.wire.clone(), self.inner.call(request));
        Box::pin(async move {
            let answer = answer.await;
            if counts {
                wire.changed().await;
            }
            answer
        })
    }
}

/// A backend with the wire across every change.
pub(crate) fn wired(backend: Backend, wire: &Tripwire) -> Backend {
    let ports = Arc::new(Ports { backend: backend.clone(), wire: wire.clone() });
    Backend {
        machines: ports.clone(),
        mounting: backend.mounting.as_ref().map(|_| ports.clone() as Arc<dyn Mounting>),
        networks: ports.clone(),
        volumes: ports.clone(),
        snapshots: ports.clone(),
        machine_snapshots: ports.clone(),
        images: ports.clone(),
        disk_images: backend.disk_images.as_ref().map(|_| ports.clone() as Arc<dyn DiskImages>),
        files: ports,
        ..backend
    }
}

struct Ports {
    backend: Backend,
    wire: Tripwire,
}

impl Ports {
    async fn after<T>(&self, answer: T) -> T {
        self.wire.changed().await;
        answer
    }
}

#[async_trait]
impl Machines for Ports {
    async fn list(&self) -> Result<Vec<MachineSummary>, Error> {
        self.backend.machines.list().await
    }

    async fn find(&self, owner: Uuid) -> Result<Vec<Machine>, Error> {
        self.backend.machines.find(owner).await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<MachineId, Error> {
        self.after(self.backend.machines.create(spec).await).await
    }

    async fn start(&self, id: &MachineId) -> Result<(), Error> {
        self.after(self.backend.machines.start(id).await).await
    }

    async fn stop(&self, id: &MachineId, grace: Duration) -> Result<(), Error> {
        self.after(self.backend.machines.stop(id, grace).await).await
    }

    async fn pause(&self, id: &MachineId) -> Result<(), Error> {
        self.after(self.backend.machines.pause(id).await).await
    }

    async fn unpause(&self, id: &MachineId) -> Result<(), Error> {
        self.after(self.backend.machines.unpause(id).await).await
    }

    async fn resize(&self, id: &MachineId, resources: Resources) -> Result<(), Error> {
        self.after(self.backend.machines.resize(id, resources).await).await
    }

    async fn restore(&self, id: &MachineId, name: &str, network: Option<&NetworkAttachment>) -> Result<(), Error> {
        self.after(self.backend.machines.restore(id, name, network).await).await
    }

    async fn usage(&self, id: &MachineId) -> Result<Usage, Error> {
        self.backend.machines.usage(id).await
    }

    async fn remove(&self, id: &MachineId) -> Result<(), Error> {
        self.after(self.backend.machines.remove(id).await).await
    }
}

impl Ports {
    fn mounting(&self) -> &dyn Mounting {
        self.backend.mounting.as_deref().expect("the port is only offered where the backend has it")
    }
}

#[async_trait]
impl Mounting for Ports {
    async fn define(&self, id: &MachineId, mounts: &[Mount]) -> Result<(), Error> {
        self.after(self.mounting().define(id, mounts).await).await
    }

    async fn attach(&self, id: &MachineId, volume: Uuid) -> Result<(), Error> {
        self.after(self.mounting().attach(id, volume).await).await
    }

    async fn detach(&self, id: &MachineId, volume: Uuid) -> Result<Detached, Error> {
        self.after(self.mounting().detach(id, volume).await).await
    }
}

#[async_trait]
impl Networks for Ports {
    async fn list(&self) -> Result<Vec<Network>, Error> {
        self.backend.networks.list().await
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Network>, Error> {
        self.backend.networks.find(owner).await
    }

    async fn ensure(&self, spec: &NetworkSpec) -> Result<Network, Error> {
        self.after(self.backend.networks.ensure(spec).await).await
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.networks.remove(owner).await).await
    }

    async fn occupied_ranges(&self) -> Result<Vec<OccupiedRange>, Error> {
        self.backend.networks.occupied_ranges().await
    }
}

impl Ports {
    fn disk_images(&self) -> &dyn DiskImages {
        self.backend.disk_images.as_deref().expect("the port is only offered where the backend has it")
    }
}

#[async_trait]
impl DiskImages for Ports {
    async fn list(&self) -> Result<Vec<DiskImage>, Error> {
        self.disk_images().list().await
    }

    async fn find(&self, owner: Uuid) -> Result<Option<DiskImage>, Error> {
        self.disk_images().find(owner).await
    }

    async fn ensure(&self, spec: &DiskImageSpec, progress: &Progress) -> Result<DiskImage, ImportError> {
        self.after(self.disk_images().ensure(spec, progress).await).await
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.disk_images().remove(owner).await).await
    }
}

#[async_trait]
impl Volumes for Ports {
    async fn list(&self) -> Result<Vec<Volume>, Error> {
        self.backend.volumes.list().await
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Volume>, Error> {
        self.backend.volumes.find(owner).await
    }

    async fn ensure(&self, spec: &VolumeSpec) -> Result<Volume, Error> {
        self.after(self.backend.volumes.ensure(spec).await).await
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.volumes.remove(owner).await).await
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.volumes.retain(owner).await).await
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        self.after(self.backend.volumes.hand_over(owner, namespace).await).await
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.volumes.purge(owner).await).await
    }
}

#[async_trait]
impl Snapshots for Ports {
    async fn list(&self) -> Result<Vec<Snapshot>, Error> {
        self.backend.snapshots.list().await
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Snapshot>, Error> {
        self.backend.snapshots.find(owner).await
    }

    async fn ensure(&self, spec: &SnapshotSpec, progress: &Progress) -> Result<Snapshot, Error> {
        self.after(self.backend.snapshots.ensure(spec, progress).await).await
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.snapshots.remove(owner).await).await
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.snapshots.retain(owner).await).await
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        self.after(self.backend.snapshots.hand_over(owner, namespace).await).await
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.snapshots.purge(owner).await).await
    }
}

#[async_trait]
impl MachineSnapshots for Ports {
    async fn list(&self) -> Result<Vec<MachineSnapshot>, Error> {
        self.backend.machine_snapshots.list().await
    }

    async fn find(&self, owner: Uuid) -> Result<Option<MachineSnapshot>, Error> {
        self.backend.machine_snapshots.find(owner).await
    }

    async fn ensure(&self, spec: &MachineSnapshotSpec, progress: &Progress) -> Result<MachineSnapshot, Error> {
        self.after(self.backend.machine_snapshots.ensure(spec, progress).await).await
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.machine_snapshots.remove(owner).await).await
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.machine_snapshots.retain(owner).await).await
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        self.after(self.backend.machine_snapshots.hand_over(owner, namespace).await).await
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.machine_snapshots.purge(owner).await).await
    }

    async fn thaw(&self, machine: &MachineId) -> Result<(), Error> {
        self.after(self.backend.machine_snapshots.thaw(machine).await).await
    }

    fn held_still(&self, machine: &MachineId, since: Instant) -> bool {
        self.backend.machine_snapshots.held_still(machine, since)
    }
}

#[async_trait]
impl Images for Ports {
    async fn resolve(&self, reference: &str) -> Result<Option<Image>, Error> {
        self.backend.images.resolve(reference).await
    }

    async fn pull(&self, reference: &str) -> Result<Image, PullError> {
        self.after(self.backend.images.pull(reference).await).await
    }
}

#[async_trait]
impl Files for Ports {
    async fn list(&self) -> Result<Vec<Uuid>, Error> {
        self.backend.files.list().await
    }

    async fn ensure(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error> {
        self.after(self.backend.files.ensure(owner, sets).await).await
    }

    async fn refresh(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error> {
        self.after(self.backend.files.refresh(owner, sets).await).await
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.after(self.backend.files.remove(owner).await).await
    }

    fn directory(&self, owner: Uuid, name: &str) -> Option<PathBuf> {
        self.backend.files.directory(owner, name)
    }
}
