//! Carries out the verbs, one file a verb. `Target` words and files become objects here; what several verbs need to find them
//! is in `targets`.

use crate::args::instances::DemoCommand;
use crate::args::{Cli, Command};
use crate::error::Error;
use crate::output::Screen;
use power::Power;

mod admin;
mod annotate;
mod api_resources;
mod apply;
mod audit;
mod completion;
mod cp;
mod create;
mod delete;
mod demo_heal;
mod describe;
mod diff;
mod edit;
mod events;
mod exec;
mod explain;
mod failures;
mod get;
mod label;
mod login;
mod logs;
mod patch;
mod port_forward;
mod power;
mod readiness;
mod run;
mod scale;
mod secret;
mod ssh;
mod targets;
mod top;
mod users;
mod version;
mod wait;
mod whoami;

/// Carries out a command line.
pub(crate) async fn run(cli: Cli, screen: &Screen) -> Result<(), Error> {
    let global = &cli.global;
    match &cli.command {
        Command::Audit(args) => audit::run(args, global, screen).await,
        Command::Apply(args) => apply::run(args, global, screen).await,
        Command::Get(args) => get::run(args, global, screen).await,
        Command::Describe(args) => describe::run(args, global, screen).await,
        Command::Logs(args) => logs::run(args, global, screen).await,
        Command::Exec(args) => exec::run(args, global, screen).await,
        Command::Console(args) => exec::console(args, global, screen).await,
        Command::Cp(args) => cp::run(args, global, screen).await,
        Command::PortForward(args) => port_forward::run(args, global, screen).await,
        Command::Ssh(args) => ssh::run(args, global, screen).await,
        Command::Top(args) => top::run(args, global, screen).await,
        Command::Delete(args) => delete::run(args, global, screen).await,
        Command::Diff(args) => diff::run(args, global, screen).await,
        Command::Wait(args) => wait::run(args, global, screen).await,
        Command::Run(args) => run::run(args, global, screen).await,
        Command::Stop(args) => power::run(Power::Stop, args, global, screen).await,
        Command::Start(args) => power::run(Power::Start, args, global, screen).await,
        Command::Restart(args) => power::run(Power::Restart, args, global, screen).await,
        Command::Demo(DemoCommand::Heal(args)) => demo_heal::run(args, global, screen).await,
        Command::Create(command) => create::run(command, global, screen).await,
        Command::Edit(args) => edit::run(args, global, screen).await,
        Command::Patch(args) => patch::run(args, global, screen).await,
        Command::Secret(command) => secret::run(command, global, screen).await,
        Command::Scale(args) => scale::run(args, global, screen).await,
        Command::Label(args) => label::run(args, global, screen).await,
        Command::Annotate(args) => annotate::run(args, global, screen).await,
        Command::Events(args) => events::run(args, global, screen).await,
        Command::Explain(args) => explain::run(args, global, screen).await,
        Command::ApiResources(args) => api_resources::run(args, global, screen).await,
        Command::Admin(command) => admin::run(command, global, screen).await,
        Command::Login(args) => login::login(args, global, screen).await,
        Command::Logout(args) => login::logout(args, global, screen).await,
        Command::Token => login::token(global, screen).await,
        Command::Credential(args) => login::credential(args, screen).await,
        Command::Passwd(args) => users::passwd(args, global, screen).await,
        Command::ApiKey(command) => users::api_key(command, global, screen).await,
        Command::User(command) => users::user(command, global, screen).await,
        Command::Whoami => whoami::run(global, screen).await,
        Command::Version(args) => version::run(args, global, screen).await,
        Command::Completion(args) => completion::run(args, screen),
    }
}
