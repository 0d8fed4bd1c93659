//! `admin`: what concerns the whole cloud and no single object.

mod backup;
mod create_tenant;
mod orphans;
mod restore;
mod rotate_key;
mod rotate_signing_key;
mod sweep;

use crate::args::Global;
use crate::args::admin::AdminCommand;
use crate::error::Error;
use crate::output::Screen;

/// Carries out one of its verbs.
pub(super) async fn run(command: &AdminCommand, global: &Global, screen: &Screen) -> Result<(), Error> {
    match command {
        AdminCommand::Backup(args) => backup::run(args, global, screen).await,
        AdminCommand::Restore(args) => restore::run(args, global, screen).await,
        AdminCommand::CreateTenant(args) => create_tenant::run(args, global, screen).await,
        AdminCommand::RotateKey(args) => rotate_key::run(args, global, screen).await,
        AdminCommand::RotateSigningKey(args) => rotate_signing_key::run(args, global, screen).await,
        AdminCommand::Sweep(command) => sweep::run(command, global, screen).await,
        AdminCommand::Orphans(command) => orphans::run(command, global, screen).await,
    }
}
