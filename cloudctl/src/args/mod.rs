//! Decides what may be written on the command line. Holds no behaviour: each verb's own arguments are in the file named
//! after what they act on, and `crate::commands` carries them out.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub(crate) mod admin;
pub(crate) mod audit;
pub(crate) mod changes;
pub(crate) mod instances;
pub(crate) mod logins;
pub(crate) mod manifests;
pub(crate) mod objects;
pub(crate) mod secrets;
pub(crate) mod time;

/// Shown at the foot of `--help`; `docs/cloudctl.md` has the same table.
const AFTER_HELP: &str = "\
Exit codes:
  0  it worked
  1  it failed; for `diff`: there are differences
  2  the command line is wrong
  3  not found
  4  a wait ran out of time
  5  no connection: no server, another server, or credentials that it refuses
  `exec` and `ssh` end with the exit code of the command they ran.

The first of these says where the server is:
  --kubeconfig FILE, $CLOUDCONFIG, $CLOUD_HOME/kubeconfig,
  .cloud/kubeconfig here or in a folder above, ~/.cloud/config
  $KUBECONFIG and ~/.kube/config are never read.";

/// Drives The Cloud: describe what you want in YAML, and it runs.
#[derive(Debug, Parser)]
#[command(
    name = "cloudctl",
    version,
    disable_version_flag = true,
    propagate_version = false,
    max_term_width = 120,
    after_help = AFTER_HELP,
    arg_required_else_help = true,
    subcommand_required = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Arguments that every command takes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Global {
    /// The kubeconfig file of the server to talk to
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use instead of its current one
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) context: Option<String>,
    /// The namespace to act in instead of the context's
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) namespace: Option<String>,
    /// Talk to a server even when it is not The Cloud
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) any_cluster: bool,
    /// Print every request and how long it took
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the cloud match YAML files
    #[command(display_order = 1)]
    Apply(manifests::ApplyArgs),
    /// List objects
    #[command(display_order = 2)]
    Get(objects::GetArgs),
    /// Show an object in full, with its conditions and events
    #[command(display_order = 3)]
    Describe(objects::DescribeArgs),
    /// Print what an Instance writes to its console
    #[command(display_order = 4, visible_alias = "log")]
    Logs(instances::LogsArgs),
    /// Run a command inside an Instance
    #[command(display_order = 5)]
    Exec(instances::ExecArgs),
    /// Sit at the serial console of a virtual machine
    #[command(display_order = 5)]
    Console(instances::ConsoleArgs),
    /// Copy files and folders into and out of an Instance
    #[command(display_order = 5)]
    Cp(instances::CpArgs),
    /// Reach ports of an Instance from here
    #[command(name = "port-forward", display_order = 5)]
    PortForward(instances::PortForwardArgs),
    /// Log in to an Instance by ssh
    #[command(display_order = 5)]
    Ssh(instances::SshArgs),
    /// Show what Instances use of what they were given
    #[command(display_order = 5)]
    Top(instances::TopArgs),
    /// Delete objects and wait until they are gone
    #[command(display_order = 6)]
    Delete(objects::DeleteArgs),
    /// Show what `apply` would change
    #[command(display_order = 7)]
    Diff(manifests::DiffArgs),
    /// Wait until objects are in a state
    #[command(display_order = 8)]
    Wait(objects::WaitArgs),
    /// Start an Instance from an image and wait until it is ready
    #[command(display_order = 9)]
    Run(instances::RunArgs),
    /// Stop Instances; address, Volumes and disks are kept
    #[command(display_order = 9)]
    Stop(instances::PowerArgs),
    /// Start Instances that were stopped or paused
    #[command(display_order = 9)]
    Start(instances::PowerArgs),
    /// Stop Instances and start them again
    #[command(display_order = 9)]
    Restart(instances::PowerArgs),
    /// See the cloud at work
    #[command(display_order = 10, subcommand)]
    Demo(instances::DemoCommand),
    /// Make a Namespace, ConfigMap or Secret without a file
    #[command(display_order = 11, subcommand)]
    Create(changes::CreateCommand),
    /// Keep passwords and keys, with their versions
    #[command(display_order = 11, subcommand)]
    Secret(secrets::SecretCommand),
    /// Change an object in your editor
    #[command(display_order = 11)]
    Edit(changes::EditArgs),
    /// Change some fields of an object
    #[command(display_order = 11)]
    Patch(changes::PatchArgs),
    /// Set how many there shall be, for kinds that are counted
    #[command(display_order = 11)]
    Scale(changes::ScaleArgs),
    /// Set or remove labels
    #[command(display_order = 11)]
    Label(objects::LabelArgs),
    /// Set or remove annotations
    #[command(display_order = 12)]
    Annotate(objects::AnnotateArgs),
    /// List what happened
    #[command(display_order = 13, visible_alias = "event")]
    Events(objects::EventsArgs),
    /// Explain the fields of a kind
    #[command(display_order = 14)]
    Explain(objects::ExplainArgs),
    /// List the kinds that the server knows
    #[command(name = "api-resources", display_order = 15)]
    ApiResources(objects::ApiResourcesArgs),
    /// Log in as a user, for cloudctl, kubectl and other clients
    #[command(display_order = 16)]
    Login(logins::LoginArgs),
    /// End a login
    #[command(display_order = 16)]
    Logout(logins::LogoutArgs),
    /// Change your password, or set somebody else's
    #[command(display_order = 16)]
    Passwd(logins::PasswdArgs),
    /// Make users
    #[command(display_order = 16, subcommand)]
    User(logins::UserCommand),
    /// Make API keys, by which programs come in
    #[command(name = "apikey", display_order = 16, subcommand)]
    ApiKey(logins::ApiKeyCommand),
    /// Print a token that counts now, for scripts
    #[command(display_order = 16)]
    Token,
    /// Tell other clients the token of a login; kubeconfigs name it
    #[command(hide = true)]
    Credential(logins::CredentialArgs),
    /// Show which server is used, which file says so, and as whom
    #[command(display_order = 16)]
    Whoami,
    /// Show the versions of cloudctl and of the server
    #[command(display_order = 17)]
    Version(objects::VersionArgs),
    /// Print a completion script for a shell
    #[command(display_order = 18)]
    Completion(objects::CompletionArgs),
    /// Show who did what, from the audit log
    #[command(display_order = 19)]
    Audit(audit::AuditArgs),
    /// Back up and restore the whole cloud
    #[command(display_order = 19, subcommand)]
    Admin(admin::AdminCommand),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_every_verb_and_exit_code() {
        let help = Cli::command().term_width(100).render_long_help().to_string();
        insta::assert_snapshot!(help);
    }

    #[test]
    fn global_flags_may_follow_the_verb() {
        let cli = Cli::try_parse_from(["cloudctl", "get", "inst", "-n", "shop", "--any-cluster"]).unwrap();
        assert_eq!(cli.global.namespace.as_deref(), Some("shop"));
        assert!(cli.global.any_cluster);
    }
}
