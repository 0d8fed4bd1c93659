//! Logins of users: what is kept of one between commands, and how its tokens are had and renewed. A file, for its owner
//! alone, holds the tokens of one user at one server; who renews them holds its lock, because a refresh token counts once.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::api::Session;
use crate::error::{Error, chain};

pub(crate) mod kubeconfig;
pub(crate) mod oidc;
mod password;

use oidc::{Granted, Issuer};
pub(crate) use password::{ask, ask_new, of_stdin};

/// A token that ends so soon isn't handed out: a request takes a while.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// A server, and what proves that it is that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Server {
    pub(crate) address: String,
    /// PEM; without it the system's authorities count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authority: Option<String>,
}

/// A user who has logged in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Login {
    pub(crate) server: Server,
    /// Who gives the tokens, where the server doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<Issuer>,
    pub(crate) tokens: Tokens,
}

/// What the server or the issuer gave.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    pub(crate) username: String,
    /// What requests bear: an issuer's is its ID token.
    pub(crate) access_token: String,
    pub(crate) access_token_expires: Timestamp,
    /// An issuer may give none: such a login ends with its first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
}

impl Server {
    /// A session without credentials.
    pub(crate) fn session(&self) -> Result<Session, Error> {
        self.session_of(None)
    }

    /// A session that bears a token.
    pub(crate) fn session_of(&self, token: Option<&str>) -> Result<Session, Error> {
        let failed = |why: String| Error::Failed(format!("{} cannot be asked: {why}", self.address));
        let url = self.address.parse().map_err(|_| Error::Usage(format!("`{}` is not a URL", self.address)))?;
        let mut config = Config::new(url);
        config.root_cert = match &self.authority {
            Some(pem) => Some(vec![certificate(pem)?]),
            None => None,
        };
        config.auth_info.token = token.map(Into::into);
        config.connect_timeout = Some(crate::connect::CONNECT_TIMEOUT);
        config.proxy_url = None;
        // Whoever is to wait is told so, and doesn't try again unasked.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| failed(chain(&error)))?;
        Ok(Session::new(client, "default".to_owned(), self.address.clone()))
    }

    /// Logs in, or goes on with a login: `what` is the last part of the path.
    pub(crate) async fn ask(&self, what: &str, question: &Value) -> Result<Tokens, Error> {
        let answer = self.session()?.post(&format!("/auth/v1/{what}"), question).await?;
        serde_json::from_value(answer)
            .map_err(|_| Error::Failed(format!("{} does not answer as The Cloud does", self.address)))
    }
}

fn certificate(pem: &str) -> Result<Vec<u8>, Error> {
    let read = CertificateDer::from_pem_slice(pem.as_bytes());
    Ok(read.map_err(|_| Error::Usage("the certificate authority is no certificate in PEM".to_owned()))?.to_vec())
}

/// Where the login of a user at a server is kept.
pub(crate) fn file(server: &Server, user: &str) -> Result<PathBuf, Error> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("CLOUD_HOME").or_else(|| variable("HOME").map(|home| home.join(".cloud")));
    let home = home.ok_or_else(|| Error::Usage("neither CLOUD_HOME nor HOME says where logins are kept".to_owned()))?;
    let home = std::path::absolute(home)?;
    let digest = Sha256::digest(format!("{}\n{user}", server.address));
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(home.join("credentials").join(format!("{name}.json")))
}

/// A login that nobody else renews meanwhile.
pub(crate) struct Held {
    path: PathBuf,
    _lock: File,
}

impl Held {
    /// Waits until nobody else holds it.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let lock = path.with_extension("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(io::Error::from)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// What is kept.
    pub(crate) fn read(&self) -> Result<Login, Error> {
        let unknown = || Error::Failed("nobody is logged in here; use `cloudctl login`".to_owned());
        let text = fs::read(&self.path).map_err(|_| unknown())?;
        serde_json::from_slice(&text).map_err(|_| unknown())
    }

    /// Keeps a login, for its owner alone, whole or not at all.
    pub(crate) fn write(&self, login: &Login) -> Result<(), Error> {
        write_private(&self.path, &json!(login).to_string())?;
        Ok(())
    }

    /// Forgets it.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        fs::remove_file(&self.path)?;
        Ok(())
    }

    /// Tokens that count for a while yet, renewed if need be.
    pub(crate) async fn current(&self) -> Result<Tokens, Error> {
        let login = self.read()?;
        if Timestamp::now() + MARGIN < login.tokens.access_token_expires {
            return Ok(login.tokens);
        }
        let tokens = login.renewed().await?;
        self.write(&Login { tokens: tokens.clone(), ..login })?;
        Ok(tokens)
    }
}

impl Login {
    /// New tokens.
    async fn renewed(&self) -> Result<Tokens, Error> {
        let Tokens { username, access_token, refresh_token, .. } = &self.tokens;
        match &self.issuer {
            None => self.server.ask("refresh", &json!({"refreshToken": refresh_token})).await,
            Some(issuer) => {
                let granted = issuer.renew(access_token, refresh_token.as_deref()).await?;
                Ok(Tokens::of_issuer(username.clone(), granted))
            }
        }
    }
}

impl Tokens {
    /// What an issuer granted to a user.
    pub(crate) fn of_issuer(username: String, granted: Granted) -> Self {
        let Granted { id_token, ends, refresh_token } = granted;
        Self { username, access_token: id_token, access_token_expires: ends, refresh_token }
    }
}

/// Writes a file for its owner alone, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.as_file().set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_kept_for_its_owner_alone_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials/one.json");
        let held = Held::take(&path).unwrap();
        assert!(held.read().is_err());
        let server = Server { address: "https://cloud:6443".to_owned(), authority: None };
        let tokens = Tokens {
            username: "ann".to_owned(),
            access_token: "a".to_owned(),
            access_token_expires: Timestamp::MAX - SignedDuration::from_hours(48),
            refresh_token: Some("r".to_owned()),
        };
        held.write(&Login { server: server.clone(), issuer: None, tokens }).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(held.read().unwrap().server, server);
        held.remove().unwrap();
        assert!(held.read().is_err());
    }

    #[test]
    fn one_who_renews_keeps_others_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.json");
        let held = Held::take(&path).unwrap();
        let again = File::open(path.with_extension("lock")).unwrap();
        let try_lock = || rustix::fs::flock(&again, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        assert!(try_lock().is_err());
        drop(held);
        assert!(try_lock().is_ok());
    }
}
