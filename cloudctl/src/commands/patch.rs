//! `patch`: changes some fields of one object.

use super::apply::substance;
use super::targets;
use crate::api::{Catalog, Patch, Query};
use crate::args::Global;
use crate::args::changes::{PatchArgs, PatchType};
use crate::connect;
use crate::error::Error;
use crate::manifests;
use crate::output::Screen;

/// Patches.
pub(super) async fn run(args: &PatchArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let patch = match (&args.patch, &args.patch_file) {
        (Some(text), _) => manifests::value("--patch", text)?,
        (None, Some(file)) => manifests::read_value(file)?,
        (None, None) => return Err(Error::Usage("give the patch with -p or --patch-file".to_owned())),
    };
    let kind = match args.kind {
        PatchType::Merge => Patch::Merge,
        PatchType::Json => Patch::Json,
        PatchType::Strategic => Patch::Strategic,
    };
    match (kind, patch.is_object(), patch.is_array()) {
        (Patch::Json, _, false) => {
            return Err(Error::Usage(
                "a patch of the type json is a list of operations: [{\"op\": \"replace\", \"path\": \"/spec/image\", \"value\": ...}]"
                    .to_owned(),
            ));
        }
        (Patch::Merge | Patch::Strategic, false, _) => {
            return Err(Error::Usage("the patch is not an object, such as {\"spec\": {\"image\": ...}}".to_owned()));
        }
        _ => {}
    }
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let named = targets::single(&args.target, &catalog, session.namespace())?;
    let path = match &args.subresource {
        Some(below) => {
            targets::require(&named.resource, below, &catalog)?;
            named.resource.below(&named.namespace, &named.name, below)
        }
        None => named.path(),
    };
    let before = session.get(&path).await?;
    let query = Query::new().with("fieldManager", "cloudctl-patch").with("fieldValidation", "Strict");
    let after = match session.patch(&query.on(&path), kind, &patch).await {
        Err(error) if kind == Patch::Strategic && error.is_unknown_format() => {
            let kinds = &named.resource.plural;
            return Err(Error::Usage(format!("{kinds} take no patch of the type strategic; use merge or json")));
        }
        result => result?,
    };
    let same = match &args.subresource {
        Some(_) => before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"],
        None => substance(&before, &named) == substance(&after, &named),
    };
    screen.line(&format!("{} {}", named.full(), if same { "unchanged" } else { "patched" }))?;
    Ok(())
}
