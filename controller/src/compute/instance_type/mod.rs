//! The kind InstanceType: nothing real stands behind it. A new installation gets the shipped types once; who deletes
//! one later does not get it back.

use crds::compute::instance_type::{InstanceType, InstanceTypeSpec, SHIPPED};
use crds::quantity::Quantity;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::host;
use crate::runtime::failure::is_already_exists;

/// The key in the controllers' notebook that says that the types were shipped.
const SHIPPED_KEY: &str = "instance-types-shipped";

/// Makes the shipped types, once in the life of an installation.
pub(crate) async fn ship(client: &Client) -> Result<(), kube::Error> {
    if host::notes(client).await?.contains_key(SHIPPED_KEY) {
        return Ok(());
    }
    let api: Api<InstanceType> = Api::all(client.clone());
    for (name, cpu, memory) in SHIPPED {
        let spec = InstanceTypeSpec { cpu: Quantity::from(cpu), memory: Quantity::from(memory), disk: None };
        let mut type_ = InstanceType::new(name, spec);
        // The derived constructor copies the definition's annotations.
        type_.metadata.annotations = None;
        match api.create(&PostParams::default(), &type_).await {
            Ok(_) => {}
            Err(error) if is_already_exists(&error) => {}
            Err(error) => return Err(error),
        }
    }
    host::note(client, &[(SHIPPED_KEY, "true")]).await
}
