//! `api-resources`: the kinds that the server knows, and how they may be called.

use crate::api::{Catalog, Resource};
use crate::args::Global;
use crate::args::objects::ApiResourcesArgs;
use crate::connect;
use crate::error::Error;
use crate::output::{Screen, table};

/// Lists the kinds.
pub(super) async fn run(args: &ApiResourcesArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let wanted = |resource: &&Resource| args.api_group.as_ref().is_none_or(|group| &resource.group == group);
    let resources: Vec<_> = catalog.preferred().filter(wanted).collect();
    if let (Some(group), true) = (&args.api_group, resources.is_empty()) {
        return Err(Error::NotFound(format!("the server has no kinds of the group `{group}`")));
    }
    if args.output.as_deref() == Some("name") {
        for resource in resources {
            screen.line(&resource.full_plural())?;
        }
        return Ok(());
    }
    let wide = args.output.as_deref() == Some("wide");
    let rows: Vec<_> = resources.into_iter().map(|resource| row(resource, wide)).collect();
    let headings: &[&str] = if wide {
        &["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS", "CATEGORIES"]
    } else {
        &["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
    };
    for line in table::lines(headings, &rows, screen.paint()).into_iter().skip(usize::from(args.no_headers)) {
        screen.line(&line)?;
    }
    Ok(())
}

fn row(resource: &Resource, wide: bool) -> Vec<String> {
    let mut row = vec![
        resource.plural.clone(),
        resource.short_names.join(","),
        resource.api_version(),
        resource.namespaced.to_string(),
        resource.kind.clone(),
    ];
    if wide {
        row.push(resource.verbs.join(","));
        row.push(resource.categories.join(","));
    }
    row
}
