//! kube-rs: a controller as its users write them, of which only one of two replicas works, and every kind of watcher.

mod controller;
mod election;
mod ports;
mod watchers;

use e2e::Cloud;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind as a user of kube-rs declares it.
#[derive(CustomResource, Serialize, Deserialize, JsonSchema, Debug, Clone)]
#[kube(group = "kube.example.com", version = "v1", kind = "Lamp", namespaced, status = "LampStatus")]
#[serde(rename_all = "camelCase")]
pub(crate) struct LampSpec {
    color: String,
}

#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LampStatus {
    lit: Option<bool>,
    lit_by: Option<String>,
    observed_generation: Option<i64>,
}

/// A client made from the cloud's kubeconfig.
pub(crate) async fn client_of(cloud: &Cloud) -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(cloud.kubeconfig()).expect("the kubeconfig can be read");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("the kubeconfig is whole")).expect("a client can be made")
}

/// Applies the kind, and waits until it is served.
async fn install_lamps(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = Lamp::crd_name();
    let owner = PatchParams::apply("lamps").force();
    definitions.patch(name, &owner, &Patch::Apply(Lamp::crd())).await.expect("the kind can be applied");
    await_condition(definitions, name, conditions::is_crd_established()).await.expect("the kind is served");
}
