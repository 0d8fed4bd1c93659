//! Leader election by a Lease, as controllers made with kube-rs do it: made once, then applied with the revision that
//! was read, so that of two who reach for it one gets it.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

pub(super) const NAME: &str = "lamp-controller";
/// How long a silent leader stays it.
const DURATION: Duration = Duration::from_secs(1);

/// Reaches for the Lease once.
async fn claim(leases: &Api<Lease>, identity: &str) -> Result<bool, kube::Error> {
    let Some(lease) = leases.get_opt(NAME).await? else {
        let lease = Lease { metadata: ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() }, spec: None };
        return match leases.create(&PostParams::default(), &lease).await {
            Ok(_) => Ok(false),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        };
    };
    let spec = lease.spec.unwrap_or_default();
    let now = Timestamp::now();
    if let LeaseSpec { holder_identity: Some(holder), renew_time: Some(renewed), .. } = &spec
        && holder != identity
        && now.duration_since(renewed.0).unsigned_abs() < DURATION
    {
        return Ok(false);
    }
    let config = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "resourceVersion": lease.metadata.resource_version},
        "spec": {
            "holderIdentity": identity,
            "renewTime": MicroTime(now),
            "leaseDurationSeconds": 1,
            "leaseTransitions": spec.lease_transitions.unwrap_or_default()
                + i32::from(spec.holder_identity.as_deref() != Some(identity)),
        },
    });
    match leases.patch(NAME, &PatchParams::apply(identity).force(), &Patch::Apply(config)).await {
        Ok(lease) => Ok(lease.spec.and_then(|spec| spec.holder_identity).as_deref() == Some(identity)),
        Err(kube::Error::Api(status)) if status.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits until it leads, then works while it does.
pub(super) async fn lead(client: Client, identity: &str, work: impl Future<Output = ()>) {
    let leases: Api<Lease> = Api::default_namespaced(client);
    let mut look = tokio::time::interval(DURATION / 4);
    while !claim(&leases, identity).await.expect("the Lease can be read and applied") {
        look.tick().await;
    }
    let renew = async {
        while claim(&leases, identity).await.expect("the Lease can be applied") {
            look.tick().await;
        }
    };
    tokio::select! {
        () = renew => {}
        () = work => {}
    }
}

/// Whether this one leads, after so many changes.
pub(super) fn led_by(identity: &'static str, transitions: i32) -> impl Fn(Option<&Lease>) -> bool {
    move |lease| {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        spec.is_some_and(|spec| {
            spec.holder_identity.as_deref() == Some(identity) && spec.lease_transitions == Some(transitions)
        })
    }
}
