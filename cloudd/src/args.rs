//! The command line of `cloudd`. Every option has an environment variable beside it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use apiserver_store::ResourceId;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::Ipv4Net;

use crate::issuers::IssuerArgs;
use crate::kubeconfig;
use crate::oidc::OidcArgs;

/// The daemon of The Cloud: apiserver and controllers in one process.
///
/// It keeps everything it must remember in one store below --data-dir (SQLite) or in a PostgreSQL database, and
/// drives the Docker daemon of this host. Stop it with SIGTERM; killing it loses nothing.
#[derive(Parser, Debug, Clone)]
#[command(name = "cloudd", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    #[command(flatten)]
    pub(crate) all: AllInOneArgs,
}

/// A part of the daemon that runs alone.
#[derive(Subcommand, Debug, Clone)]
pub(crate) enum Role {
    /// Serve the API and nothing else: any number of these on one PostgreSQL.
    ///
    /// All of an installation share its sealing key (--key-file); certificates and the administrator's token are kept
    /// in the store, sealed with it. Logs and exec sessions are served where the controllers run.
    Apiserver(Box<ApiserverArgs>),
    /// Bring the schema of the store up to date and say what was done. Starting any other role does the same.
    Migrate(MigrateArgs),
    /// Print a new master key: a line to append to the key file of every apiserver, before `cloudctl admin rotate-key`.
    NewKey,
    /// Make a client certificate for a user in groups, and write a kubeconfig with it: for tools that know nothing else.
    ///
    /// It is signed with the cloud's own authority, which lies in --data-dir once cloudd has started there. No User has to be made.
    /// It can't be taken back: give it few days, or make a User of the name and disable it.
    NewCertificate(NewCertificateArgs),
    /// Look at what this host offers a cloud, and say what is missing and what to do about it. Changes nothing.
    ///
    /// Takes the options of the daemon. Ends with 1 if something fails; warnings are no failure.
    Doctor(Box<AllInOneArgs>),
}

/// Everything in one process.
#[derive(Args, Debug, Clone)]
pub(crate) struct AllInOneArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

/// `apiserver`.
#[derive(Args, Debug, Clone)]
pub(crate) struct ApiserverArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

/// `migrate`.
#[derive(Args, Debug, Clone)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Change nothing; fail if something is missing.
    #[arg(long)]
    pub(crate) check: bool,
}

/// `new-certificate`.
#[derive(Args, Debug, Clone)]
pub(crate) struct NewCertificateArgs {
    /// The user's name.
    #[arg(value_name = "USER")]
    pub(crate) user: String,
    /// A group that the user is in; may be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// For how many days it counts.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub(crate) days: u16,
    /// The kubeconfig to write (mode 0600), which must not be there yet.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// How the user reaches the server, as https://HOST:PORT. Default: as the administrator's kubeconfig beside --data-dir has it.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Where the daemon keeps its certificates.
    #[arg(long, env = "CLOUD_DATA_DIR", default_value = ".cloud/data")]
    pub(crate) data_dir: PathBuf,
}

/// What is remembered, and where.
#[derive(Args, Debug, Clone)]
pub(crate) struct StateArgs {
    /// Where the database, keys, certificates and Volumes are kept. Made with mode 0700 if it is missing.
    #[arg(long, env = "CLOUD_DATA_DIR", default_value = ".cloud/data")]
    pub(crate) data_dir: PathBuf,

    /// `sqlite` (below --data-dir), `memory` (nothing is kept), or the URL of a PostgreSQL database.
    #[arg(long, env = "CLOUD_STORE_URL", default_value = "sqlite", hide_env_values = true, value_parser = parse_store)]
    pub(crate) store: StoreChoice,

    /// The file with the key that Secrets are sealed with. Default: `secret.key` in --data-dir. Made with a new store.
    ///
    /// It may hold several, one a line, the newest last: `cloudctl admin rotate-key` takes that one.
    ///
    /// Its content may come from the environment variable CLOUD_MASTER_KEY or from --key-command instead.
    #[arg(long, env = "CLOUD_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,

    /// A command, run by `sh`, that writes what a key file holds: for a vault. Run at each start.
    #[arg(long, env = "CLOUD_KEY_COMMAND", hide_env_values = true)]
    pub(crate) key_command: Option<String>,

    /// Kinds that are sealed as Secrets are, each as PLURAL.GROUP, such as `configmaps,instances.thecloud.dev`.
    ///
    /// What is there is sealed, or unsealed, at the start. Every server of one store must be told the same.
    #[arg(long, env = "CLOUD_SEAL", value_delimiter = ',', value_parser = parse_resource)]
    pub(crate) seal: Vec<ResourceId>,

    /// How log lines are written to standard error. What is logged is set by RUST_LOG (default: info).
    #[arg(long, env = "CLOUD_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// How clients reach the API.
#[derive(Args, Debug, Clone)]
pub(crate) struct ServeArgs {
    /// The address to serve HTTPS on.
    #[arg(long, env = "CLOUD_LISTEN", default_value = "127.0.0.1:6443")]
    pub(crate) listen: SocketAddr,

    /// Further names or addresses that clients reach the server by; they go into its certificate.
    #[arg(long = "server-name", env = "CLOUD_SERVER_NAMES", value_delimiter = ',')]
    pub(crate) server_names: Vec<String>,

    /// Where to write the administrator's kubeconfig (mode 0600). Default: `kubeconfig` beside --data-dir.
    #[arg(long, env = "CLOUD_KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// For how many seconds an access token of a user counts; the login goes on by its refresh token.
    #[arg(long, env = "CLOUD_ACCESS_TOKEN_SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) access_token_seconds: u64,

    /// The InstanceType of Instances that name none. Every server of one store must be told the same: quotas count by it.
    #[arg(long, env = "CLOUD_INSTANCE_TYPE", default_value = crds::compute::instance_type::DEFAULT)]
    pub(crate) instance_type: String,

    /// Requests a second that one user may send over time, 0 for no limit. Administrators (`system:masters`) have none.
    #[arg(long, env = "CLOUD_USER_REQUESTS_PER_SECOND", default_value_t = 500)]
    pub(crate) user_requests_per_second: u32,

    /// Requests that one user may send at once after a pause.
    #[arg(long, env = "CLOUD_USER_REQUEST_BURST", default_value_t = 2000)]
    pub(crate) user_request_burst: u32,

    /// A file with certificates (PEM) of authorities whose client certificates let somebody in: the common name is the user, the
    /// organizations are the groups. Those that the cloud's own authority has signed always count.
    #[arg(long, env = "CLOUD_CLIENT_CA_FILE", value_name = "FILE")]
    pub(crate) client_ca_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) issuers: IssuerArgs,

    #[command(flatten)]
    pub(crate) oidc: OidcArgs,

    #[command(flatten)]
    pub(crate) audit: AuditArgs,
}

/// What is remembered of who did what.
#[derive(Args, Debug, Clone)]
pub(crate) struct AuditArgs {
    /// A file with an audit policy (`audit.k8s.io/v1`), or `off`. Without it every write and every read of a Secret is logged.
    #[arg(long, env = "CLOUD_AUDIT_POLICY", value_name = "FILE")]
    pub(crate) audit_policy: Option<String>,

    /// Where the audit log is. Default: `audit` in --data-dir. Each process needs its own.
    #[arg(long, env = "CLOUD_AUDIT_DIR")]
    pub(crate) audit_dir: Option<PathBuf>,

    /// How large a file of the audit log gets before the next begins.
    #[arg(long, env = "CLOUD_AUDIT_FILE_SIZE", default_value = "100Mi", value_parser = parse_size)]
    pub(crate) audit_file_size: u64,

    /// How many files of the audit log are kept; the oldest go.
    #[arg(long, env = "CLOUD_AUDIT_FILES", default_value_t = 10)]
    pub(crate) audit_files: usize,
}

/// What runs, and how.
#[derive(Args, Debug, Clone)]
pub(crate) struct ComputeArgs {
    /// What runs Instances that don't say. `fake` runs nothing: it is for benchmarks of everything else.
    #[arg(long, env = "COMPUTE_BACKEND", value_enum, default_value_t = BackendChoice::Docker)]
    pub(crate) compute_backend: BackendChoice,

    /// The host's address that published ports listen on, unless an Instance says otherwise.
    #[arg(long, env = "CLOUD_PUBLISH_ADDRESS", default_value = "127.0.0.1")]
    pub(crate) publish_address: IpAddr,

    /// The ports that the server picks published ports from: FIRST-LAST, below the kernel's ephemeral ports.
    #[arg(long, env = "CLOUD_PUBLISH_RANGE", default_value = "20000-29999", value_parser = parse_range)]
    pub(crate) publish_range: PortRange,

    /// Where the ranges of Vpcs may be, in CIDR form; more than one with commas. What is in the world or in your network must
    /// not be: the host itself reaches nothing else there once a Vpc has it.
    #[arg(
        long = "vpc-range",
        env = "CLOUD_VPC_RANGE",
        value_name = "CIDR",
        value_delimiter = ',',
        default_value = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16"
    )]
    pub(crate) vpc_ranges: Vec<Ipv4Net>,

    /// The Docker daemon's socket.
    #[arg(long, env = "CLOUD_DOCKER_SOCKET", default_value = "/var/run/docker.sock")]
    pub(crate) docker_socket: PathBuf,

    /// Where libvirt is reached, which runs virtual machines. Only in a cloudd that was built with the feature `libvirt`.
    #[arg(long, env = "CLOUD_LIBVIRT_URI", default_value = "qemu:///system")]
    pub(crate) libvirt_uri: String,

    /// Where the disks of virtual machines are kept: QEMU's own user must be able to enter it.
    #[arg(long, env = "CLOUD_MACHINE_DIR", default_value = "/var/lib/the-cloud/machines")]
    pub(crate) machine_dir: PathBuf,

    /// The only directory that a ClusterImage may name a file of. Without it none can be imported by path.
    #[arg(long, env = "CLOUD_IMAGE_DIR")]
    pub(crate) image_dir: Option<PathBuf>,

    /// Lets images be downloaded from addresses that aren't public. Whoever may make an image can then look at what this
    /// host can reach: its own services, its network's, a cloud's metadata.
    #[arg(long, env = "CLOUD_IMAGE_ALLOW_PRIVATE")]
    pub(crate) image_allow_private: bool,

    /// The most that an image may have: as a file that is downloaded, and as a disk.
    #[arg(long, env = "CLOUD_IMAGE_MAX_SIZE", default_value = "64Gi", value_parser = parse_size)]
    pub(crate) image_max_size: u64,
}

/// Which database holds the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreChoice {
    /// A file below the data directory.
    Sqlite,
    /// The process's memory.
    Memory,
    /// A PostgreSQL database, by URL.
    Postgres(String),
}

/// What runs Instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendChoice {
    /// Containers on the Docker daemon of this host.
    Docker,
    /// Virtual machines on the libvirt of this host, whose networks are Docker's.
    Libvirt,
    /// Nothing real.
    Fake,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Ports from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRange {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

fn parse_store(text: &str) -> Result<StoreChoice, String> {
    match text {
        "sqlite" => Ok(StoreChoice::Sqlite),
        "memory" => Ok(StoreChoice::Memory),
        url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(StoreChoice::Postgres(url.to_owned()))
        }
        _ => Err("must be sqlite, memory or a URL such as postgres://user@host/database".to_owned()),
    }
}

fn parse_range(text: &str) -> Result<PortRange, String> {
    let (first, last) = text.split_once('-').ok_or("must be FIRST-LAST, such as 20000-29999")?;
    let port = |text: &str| text.trim().parse::<u16>().map_err(|_| format!("`{text}` is not a port"));
    let range = PortRange { first: port(first)?, last: port(last)? };
    if range.first == 0 || range.first > range.last {
        return Err("must not be empty or start at 0".to_owned());
    }
    Ok(range)
}

fn parse_resource(text: &str) -> Result<ResourceId, String> {
    let (plural, group) = text.split_once('.').unwrap_or((text, ""));
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
    };
    if plural.is_empty() || !is_name(plural) || !is_name(group) {
        return Err("must be a plural and its group, such as configmaps or instances.thecloud.dev".to_owned());
    }
    Ok(ResourceId::new(group, plural))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let bytes = crds::quantity::Quantity::from(text).units().map_err(|error| error.to_string())?;
    if bytes == 0 { Err("must be more than nothing".to_owned()) } else { Ok(bytes) }
}

impl Cli {
    /// How log lines look, whatever runs.
    pub(crate) fn log_format(&self) -> LogFormat {
        match &self.role {
            None => self.all.state.log_format,
            Some(Role::Apiserver(args)) => args.state.log_format,
            Some(Role::Migrate(args)) => args.state.log_format,
            Some(Role::Doctor(args)) => args.state.log_format,
            Some(Role::NewKey | Role::NewCertificate(_)) => LogFormat::Text,
        }
    }
}

impl StateArgs {
    /// Where the sealing key is.
    pub(crate) fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data_dir.join("secret.key"))
    }

    /// The kinds that no database sees in the clear.
    pub(crate) fn sealed_kinds(&self) -> BTreeSet<ResourceId> {
        self.seal.iter().cloned().chain([ResourceId::new("", "secrets")]).collect()
    }

    /// Where the embedded database is.
    pub(crate) fn database_path(&self) -> PathBuf {
        self.data_dir.join("cloud.db")
    }
}

impl ServeArgs {
    /// Where the administrator's kubeconfig goes.
    pub(crate) fn kubeconfig_path(&self, state: &StateArgs) -> PathBuf {
        self.kubeconfig.clone().unwrap_or_else(|| kubeconfig::beside(&state.data_dir))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_role_everything_runs() {
        let cli = Cli::try_parse_from(["cloudd", "--store", "memory", "--compute-backend", "fake"]).unwrap();
        assert!(cli.role.is_none());
        assert_eq!((cli.all.state.store, cli.all.compute.compute_backend), (StoreChoice::Memory, BackendChoice::Fake));
    }

    #[test]
    fn a_role_has_its_own_options_and_no_others() {
        let cli = Cli::try_parse_from(["cloudd", "apiserver", "--store", "memory", "--listen", "[::1]:1"]).unwrap();
        assert!(matches!(cli.role, Some(Role::Apiserver(args)) if args.state.store == StoreChoice::Memory));
        assert!(Cli::try_parse_from(["cloudd", "apiserver", "--compute-backend", "fake"]).is_err());
        assert!(Cli::try_parse_from(["cloudd", "--store", "memory", "apiserver"]).is_err(), "it would go unheard");
        assert!(Cli::try_parse_from(["cloudd", "migrate", "--check"]).is_ok());
        let doctor =
            Cli::try_parse_from(["cloudd", "doctor", "--data-dir", "/d", "--compute-backend", "fake"]).unwrap();
        assert!(matches!(doctor.role, Some(Role::Doctor(args)) if args.compute.compute_backend == BackendChoice::Fake));
    }

    #[test]
    fn a_store_is_named_or_a_postgres_url() {
        assert_eq!(parse_store("sqlite"), Ok(StoreChoice::Sqlite));
        assert!(matches!(parse_store("postgres://a@b/c"), Ok(StoreChoice::Postgres(_))));
        assert!(parse_store("mysql://a@b/c").is_err());
    }

    #[test]
    fn a_kind_to_seal_is_a_plural_and_its_group() {
        assert_eq!(parse_resource("configmaps"), Ok(ResourceId::new("", "configmaps")));
        assert_eq!(parse_resource("instances.thecloud.dev"), Ok(ResourceId::new("thecloud.dev", "instances")));
        for text in ["", ".thecloud.dev", "ConfigMaps", "config maps"] {
            assert!(parse_resource(text).is_err(), "{text}");
        }
        let cli = Cli::try_parse_from(["cloudd", "--seal", "configmaps,vpcs.thecloud.dev"]).unwrap();
        assert_eq!(cli.all.state.seal.len(), 2);
    }

    #[test]
    fn a_port_range_has_two_ends_in_order() {
        assert_eq!(parse_range("20000-29999"), Ok(PortRange { first: 20000, last: 29999 }));
        for text in ["20000", "2-1", "0-5", "a-b", "1-70000"] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }
}
