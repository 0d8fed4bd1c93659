//! `scale`: sets how many there shall be of what a kind counts.

use serde_json::json;

use super::targets::{self, Selection};
use crate::api::{Catalog, Patch, Query};
use crate::args::Global;
use crate::args::changes::ScaleArgs;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;

/// Scales.
pub(super) async fn run(args: &ScaleArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let Selection::Objects(objects) = targets::select(&args.targets, &catalog, session.namespace())? else {
        return Err(Error::Usage("name the object: KIND NAME or KIND/NAME".to_owned()));
    };
    for named in objects {
        targets::require(&named.resource, "scale", &catalog)?;
        let path = named.resource.below(&named.namespace, &named.name, "scale");
        let query = Query::new().with("fieldManager", "cloudctl-scale");
        session.patch(&query.on(&path), Patch::Merge, &json!({"spec": {"replicas": args.replicas}})).await?;
        screen.line(&format!("{} scaled", named.full()))?;
    }
    Ok(())
}
