//! An apiserver alone: it serves the API from a store that others may serve from too.

use super::{Ended, end_in_order};
use crate::args::ApiserverArgs;
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
    while let Ended::Outdated(why) = round(&args, &door, &mut stop).await? {
        tracing::info!(why, "the apiserver starts anew");
    }
    Ok(())
}

async fn round(args: &ApiserverArgs, door: &Door, stop: &mut Stop) -> anyhow::Result<Ended> {
    let storage = state::open(&args.state).await?;
    let serving = Serving::start(&args.state, &args.serve, door, &storage, TokenRule::Kept, Parts::default()).await?;
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
