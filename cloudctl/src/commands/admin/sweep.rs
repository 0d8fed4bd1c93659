//! `admin sweep`: after a restore, machines and networks without an object are kept until somebody says that they may go.

use serde_json::json;

use crate::args::Global;
use crate::args::admin::SweepCommand;
use crate::connect;
use crate::error::Error;
use crate::output::Screen;

/// Tells or confirms.
pub(super) async fn run(command: &SweepCommand, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    match command {
        SweepCommand::Status => {
            let told = session.get("/admin/v1/sweep").await?;
            match told["reason"].as_str().filter(|_| told["held"] == true) {
                Some(reason) => {
                    screen.line(&format!("Kept: {reason}."))?;
                    screen
                        .line("Machines and networks without an object stay until `cloudctl admin sweep confirm`.")?;
                }
                None => screen.line("Nothing is kept: machines and networks without an object are removed.")?,
            }
        }
        SweepCommand::Confirm => {
            let told = session.post("/admin/v1/sweep/confirm", &json!({})).await?;
            match told["confirmed"].as_str().filter(|reason| !reason.is_empty()) {
                Some(_) => {
                    screen.line("Confirmed: machines and networks without an object are removed from now on.")?
                }
                None => screen.line("Nothing was kept.")?,
            }
        }
    }
    Ok(())
}
