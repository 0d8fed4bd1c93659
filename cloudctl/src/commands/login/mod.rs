//! `login`, `logout`, `token` and `credential`: a user's login on this machine, and what other programs need of it.

use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::Global;
use crate::args::logins::{CredentialArgs, LoginArgs, LogoutArgs};
use crate::connect::{Surroundings, find};
use crate::error::Error;
use crate::login::kubeconfig::{self, Context};
use crate::login::{Held, Login, Server, ask, file, of_stdin};
use crate::output::Screen;

mod at_issuer;

/// Logs in, and writes where others find it.
pub(super) async fn login(args: &LoginArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let server = server(args, global)?;
    if args.oidc {
        let login = at_issuer::log_in(server, &args.at_issuer, screen).await?;
        return keep(&login, args, global, screen);
    }
    let user = match &args.user {
        Some(user) => user.clone(),
        None => ask_name(screen)?,
    };
    let password = if args.password_stdin {
        let [password] = of_stdin()?;
        password
    } else {
        ask(&format!("Password of {user} at {}", server.address))?
    };
    let tokens = server.ask("login", &json!({"username": user, "password": password})).await?;
    keep(&Login { server, issuer: None, tokens }, args, global, screen)
}

/// Keeps a login, and adds it to a kubeconfig.
fn keep(login: &Login, args: &LoginArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let (server, user) = (&login.server, &login.tokens.username);
    let path = file(server, user)?;
    Held::take(&path)?.write(login)?;
    let config = match &args.write {
        Some(config) => config.clone(),
        None => path.parent().and_then(|folder| folder.parent()).map(|home| home.join("config")).unwrap_or_default(),
    };
    let context = kubeconfig::add(&config, server, user, &std::env::current_exe()?, &path)?;
    screen.line(&format!("Logged in as {user}. The context {context} is in {}.", config.display()))?;
    let used = find(&Surroundings::of_process(global.kubeconfig.clone())).ok().map(|found| found.path);
    if used.and_then(|used| used.canonicalize().ok()) != config.canonicalize().ok() {
        screen
            .note(&format!("Here another kubeconfig comes first; use it by: export CLOUDCONFIG={}", config.display()));
    }
    Ok(())
}

fn server(args: &LoginArgs, global: &Global) -> Result<Server, Error> {
    let Some(address) = &args.server else {
        let found = find(&Surroundings::of_process(global.kubeconfig.clone()))?;
        return Ok(Context::read(&found.path, global.context.as_deref())?.server);
    };
    if !address.starts_with("https://") {
        return Err(Error::Usage(format!("`{address}` is not https://HOST:PORT: a password is sent over TLS only")));
    }
    let authority = args.certificate_authority.as_deref().map(read).transpose()?;
    Ok(Server { address: address.trim_end_matches('/').to_owned(), authority })
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::NotFound(format!("{} cannot be read: {error}", path.display())))
}

fn ask_name(screen: &Screen) -> Result<String, Error> {
    if !screen.interactive() {
        return Err(Error::Usage("say who logs in, with --user NAME".to_owned()));
    }
    io::stderr().write_all(b"User: ")?;
    let mut name = String::new();
    io::stdin().lock().read_line(&mut name)?;
    Ok(name.trim().to_owned())
}

/// The context in use, and where its login is kept.
pub(super) fn in_use(global: &Global) -> Result<(Context, Option<PathBuf>), Error> {
    let found = find(&Surroundings::of_process(global.kubeconfig.clone()))?;
    let context = Context::read(&found.path, global.context.as_deref())?;
    let login = context.login();
    Ok((context, login))
}

/// The words for a kubeconfig that nobody logged in by.
pub(super) fn no_login() -> Error {
    Error::Usage("the kubeconfig in use is not of a login; `cloudctl login` makes one".to_owned())
}

/// Ends the login.
pub(super) async fn logout(args: &LogoutArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let held = Held::take(&in_use(global)?.1.ok_or_else(no_login)?)?;
    let Login { server, issuer, tokens } = held.read()?;
    if let Some(issuer) = issuer {
        at_issuer::log_out(&issuer, &tokens, args, screen).await?;
        held.remove()?;
        return Ok(screen.line(&format!("{} is logged out.", tokens.username))?);
    }
    let question = json!({"refreshToken": tokens.refresh_token, "everywhere": args.everywhere});
    let ended = server.session()?.post("/auth/v1/logout", &question).await;
    // One that the server doesn't know any more is over, too.
    let is_over = ended.as_ref().err().is_none_or(|error| error.is_unauthorized());
    if is_over {
        held.remove()?;
    }
    match ended {
        Err(error) if !is_over => Err(Error::Api(error)),
        _ => Ok(screen.line(&format!("{} is logged out.", tokens.username))?),
    }
}

/// Prints a token that counts now, for scripts.
pub(super) async fn token(global: &Global, screen: &Screen) -> Result<(), Error> {
    let (context, login) = in_use(global)?;
    let token = match (context.token(), login) {
        (Some(token), _) => token.to_owned(),
        (None, Some(login)) => Held::take(&login)?.current().await?.access_token,
        (None, None) => return Err(no_login()),
    };
    Ok(screen.line(&token)?)
}

/// Tells kubectl and other clients the token, in the form that they ask exec plugins for.
pub(super) async fn credential(args: &CredentialArgs, screen: &Screen) -> Result<(), Error> {
    let tokens = Held::take(&args.file)?.current().await?;
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"expirationTimestamp": tokens.access_token_expires, "token": tokens.access_token},
    });
    Ok(screen.line(&credential.to_string())?)
}
