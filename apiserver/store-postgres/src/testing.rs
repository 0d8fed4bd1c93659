//! A Postgres server of one's own for tests: in a temporary folder, reached through a socket file only, gone with
//! its last user. Needs the server's programs, nothing else; never touches a server that is there already.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::str::FromStr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// The server that the tests of this process share.
static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());

/// A running server.
pub struct PostgresServer {
    programs: PathBuf,
    folder: tempfile::TempDir,
    user: Option<User>,
    process: Mutex<Option<Process>>,
}

/// Whom the server runs as when we are root, which it refuses to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

struct Process {
    pid: Pid,
    waiting: JoinHandle<()>,
}

impl PostgresServer {
    /// The server that all tests of this process share, started if it does not run. It stops when the last of them
    /// lets go of it. `None`, after saying so, where Postgres is not installed.
    pub fn shared() -> Option<Arc<PostgresServer>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(PostgresServer::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A new server. `None`, after saying so, where Postgres is not installed.
    ///
    /// # Panics
    /// If it is installed and does not start.
    pub fn start() -> Option<PostgresServer> {
        let Some(programs) = find_programs() else {
            eprintln!("SKIPPED: no `initdb` and `postgres` in PATH or /usr/lib/postgresql/*/bin");
            return None;
        };
        let user = if geteuid().is_root() {
            let Some(user) = find_user() else {
                eprintln!("SKIPPED: Postgres does not run as root, and there is no user `postgres` or `nobody`");
                return None;
            };
            Some(user)
        } else {
            None
        };
        let folder = tempfile::Builder::new().prefix("cloud-postgres-").tempdir().expect("a folder can be made");
        if let Some(User { uid, gid }) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("root may give its folder away");
        }
        let server = PostgresServer { programs, folder, user, process: Mutex::new(None) };
        server.init();
        server.resume();
        Some(server)
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Panics
    /// If the server does not let us.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_create_database(&name).await {
                Ok(()) => return self.url(&name),
                Err(error) if Instant::now() > deadline => {
                    let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                    panic!("no database could be made: {error}; the server says: {log}")
                }
                // It may still be starting.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Cuts the connection of every client, as a failing network or an impatient administrator does. Returns how many
    /// there were.
    ///
    /// # Panics
    /// If the server does not let us.
    pub async fn cut_connections(&self) -> usize {
        let options = PgConnectOptions::from_str(&self.url("postgres")).expect("the URL is one");
        let mut connection = options.disable_statement_logging().connect().await.expect("the server answers");
        let cut: Vec<bool> = sqlx::query_scalar(
            "
            select pg_terminate_backend(pid)
            from pg_stat_activity
            where application_name = 'the-cloud'
            ",
        )
        .fetch_all(&mut connection)
        .await
        .expect("connections can be cut");
        cut.len()
    }

    /// Where the server's socket is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that is in a database, as `pg_dump` writes it.
    pub fn dump(&self, url: &str) -> String {
        let Output { status, stdout, stderr } =
            Command::new(self.programs.join("pg_dump")).arg(url).output().expect("pg_dump can be started");
        assert!(status.success(), "pg_dump failed: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("a dump is text")
    }

    /// Kills the server without giving it time to finish anything, as a crash would.
    pub fn crash(&self) {
        self.stop(Signal::QUIT);
    }

    /// Starts it again after [`PostgresServer::crash`].
    pub fn resume(&self) {
        let mut command = self.command("postgres");
        command.args(["-D", "data", "-c", "listen_addresses=", "-k"]).arg(self.folder.path());
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"));
        let log = log.expect("the log can be written");
        command.stdout(Stdio::null()).stderr(log);
        let (sender, receiver) = mpsc::channel();
        // The server gets a signal when the thread that started it ends, so that not even a killed test leaves one.
        let waiting = std::thread::spawn(move || {
            let mut child = command.spawn().expect("postgres can be started");
            let _ = sender.send(child.id());
            let _ = child.wait();
        });
        let pid = receiver.recv().expect("postgres has been started");
        let pid = Pid::from_raw(pid.cast_signed()).expect("no process has the number 0");
        *self.process() = Some(Process { pid, waiting });
    }

    fn stop(&self, signal: Signal) {
        if let Some(Process { pid, waiting }) = self.process().take() {
            let _ = kill_process(pid, signal);
            let _ = waiting.join();
        }
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.path().display())
    }

    async fn try_create_database(&self, name: &str) -> Result<(), sqlx::Error> {
        let options = PgConnectOptions::from_str(&self.url("postgres"))?.disable_statement_logging();
        let mut connection = options.connect().await?;
        // The name is made of hexadecimal digits.
        let statement = sqlx::AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(statement).execute(&mut connection).await?;
        connection.close().await
    }

    fn init(&self) {
        let mut command = self.command("initdb");
        command.args(["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let Output { status, stdout, stderr } = command.output().expect("initdb can be started");
        assert!(
            status.success(),
            "initdb failed: {}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
    }

    /// A program in the server's folder, as its user, that ends with us.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let setpriv = Path::new("/usr/bin/setpriv");
        let mut command = if setpriv.exists() {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "QUIT"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env("LC_ALL", "C");
        if let Some(User { uid, gid }) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop(Signal::INT);
    }
}

fn find_programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = installed.map(|version| version.path().join("bin")).collect();
    installed.sort();
    folders.extend(installed.into_iter().rev());
    let has_both = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    let folder = folders.into_iter().find(has_both)?;
    // Postgres finds its own files relative to where its program really is.
    let program = fs::canonicalize(folder.join("postgres")).ok()?;
    program.parent().map(Path::to_owned)
}

fn find_user() -> Option<User> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].into_iter().find_map(|wanted| find_user_in(&users, wanted))
}

fn find_user_in(users: &str, wanted: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (name == wanted).then_some(User { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/:/bin/sh\n";
        assert_eq!(find_user_in(users, "postgres"), Some(User { uid: 101, gid: 104 }));
        assert_eq!(find_user_in(users, "nobody"), None);
    }
}
