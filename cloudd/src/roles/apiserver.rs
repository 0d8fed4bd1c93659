//! An apiserver alone: it serves the API from a store that others may serve from too.

use std::sync::Arc;

use apiserver::Audit;

use super::{Ended, end_in_order};
use crate::args::ApiserverArgs;
use crate::audit;
use crate::serving::{Door, Parts, Serving, TokenRule};
use crate::state;
use crate::stop::Stop;

/// Runs until it is asked to end.
///
/// # Errors
/// A part can't start.
pub(crate) async fn run(args: ApiserverArgs) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let door = Door::open(args.serve.listen).await?;
    let mut kept = None;
    while let Ended::Outdated(why) = round(&args, &door, &mut kept, &mut stop).await? {
        tracing::info!(why, "the apiserver starts anew");
    }
    Ok(())
}

async fn round(
    args: &ApiserverArgs,
    door: &Door,
    kept: &mut Option<Arc<Audit>>,
    stop: &mut Stop,
) -> anyhow::Result<Ended> {
    let storage = state::open(&args.state).await?;
    let parts = Parts { audit: audit::open(kept, &args.state, &args.serve.audit)?, ..Parts::default() };
    let serving = Serving::start(&args.state, &args.serve, door, &storage, TokenRule::Kept, parts).await?;
    tracing::info!(address = %door.address, installation = %storage.installation(), "the apiserver is ready");
    let ended = tokio::select! {
        () = stop.requested() => Ended::Asked,
        why = serving.is_outdated() => Ended::Outdated(why),
    };
    let orderly = async {
        serving.end().await;
        storage.shutdown().await;
    };
    end_in_order(orderly, stop).await;
    Ok(ended)
}
