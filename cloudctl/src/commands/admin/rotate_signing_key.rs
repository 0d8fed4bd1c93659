//! `admin rotate-signing-key`: a new key signs tokens from then on; the old ones prove theirs until the last has ended, or
//! no more.

use serde_json::{Value, json};

use crate::args::Global;
use crate::args::admin::RotateSigningKeyArgs;
use crate::connect;
use crate::error::Error;
use crate::output::{Screen, table};

/// Rotates, and shows the keys that there are then.
pub(super) async fn run(args: &RotateSigningKeyArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let told = session.post(&format!("/admin/v1/signing-keys/rotate?revoke={}", args.revoke_old), &json!({})).await?;
    let rows: Vec<Vec<String>> = told["items"].as_array().into_iter().flatten().map(row).collect();
    for line in table::lines(&["KEY", "STATE", "SIGNS FROM", "PROVES UNTIL"], &rows, screen.paint()) {
        screen.line(&line)?;
    }
    screen.note(if args.revoke_old {
        "Every token from before has ended. Users go on by themselves; make new tokens for service accounts."
    } else {
        "Tokens from before count until they end."
    });
    Ok(())
}

fn row(key: &Value) -> Vec<String> {
    ["id", "state", "signsFrom", "provesUntil"].map(|field| key[field].as_str().unwrap_or("-").to_owned()).into()
}
