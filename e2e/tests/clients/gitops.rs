//! What Argo CD and Flux send, replayed: neither runs here, as both would need Pods.

use crate::python::runs_through;

#[test]
fn argo_cd_caches_everything_and_keeps_a_machine_in_sync() {
    runs_through("argo.py");
}

#[test]
fn flux_keeps_adopts_and_prunes() {
    runs_through("flux.py");
}
