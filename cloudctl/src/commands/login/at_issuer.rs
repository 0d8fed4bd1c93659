//! `login --oidc`: somebody logs in at the OpenID issuer that the server trusts, in a browser, here or elsewhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::read;
use crate::args::logins::{AtIssuerArgs, LogoutArgs};
use crate::commands::whoami;
use crate::error::{Error, chain};
use crate::login::oidc::{
    Attempt, Browser, Callback, ClientSecret, Granted, Issuer, IssuerError, Provider, authorities,
};
use crate::login::{Login, Server, Tokens};
use crate::output::Screen;

/// How long somebody may take to log in.
const PATIENCE: Duration = Duration::from_secs(300);

/// Logs in at the issuer, and sees who that is at the server.
pub(super) async fn log_in(server: Server, args: &AtIssuerArgs, screen: &Screen) -> Result<Login, Error> {
    let issuer = issuer(&server, args).await?;
    let provider = issuer.discover().await?;
    let granted = if args.device {
        elsewhere(&issuer, &provider, args, screen).await?
    } else {
        here(&issuer, &provider, args, screen).await?
    };
    let username = username(&server, &issuer, &granted.id_token).await?;
    if granted.refresh_token.is_none() {
        let ends = granted.ends;
        screen.warning(&format!("{} gave nothing to renew the login by; it ends at {ends}", issuer.url));
    }
    Ok(Login { server, issuer: Some(issuer), tokens: Tokens::of_issuer(username, granted) })
}

/// A browser on this machine brings the answer.
async fn here(
    issuer: &Issuer,
    provider: &Provider,
    args: &AtIssuerArgs,
    screen: &Screen,
) -> Result<Granted, IssuerError> {
    let callback = Callback::open(args.port).await?;
    let (attempt, redirect) = (Arc::new(Attempt::new()?), callback.redirect());
    let page = provider.page(issuer, &attempt, &redirect, &args.scopes);
    let browser = if args.no_browser { Browser::Nowhere } else { Browser::of_process() };
    screen.note(&format!("Log in at {} with a browser on this machine:\n\n{page}\n", issuer.url));
    if browser == Browser::Elsewhere {
        let port = callback.port();
        screen.note(&format!(
            "You came here by ssh. For a browser where you sit, use --device, or run there first: ssh -L {port}:127.0.0.1:{port} THIS_HOST\n"
        ));
    }
    browser.open(&page);
    let code = callback.code(&attempt, &issuer.url, PATIENCE, screen).await?;
    issuer.redeem(provider, &code, &attempt, &redirect).await
}

/// A browser anywhere confirms a code.
async fn elsewhere(
    issuer: &Issuer,
    provider: &Provider,
    args: &AtIssuerArgs,
    screen: &Screen,
) -> Result<Granted, IssuerError> {
    let login = issuer.begin_device(provider, &args.scopes).await?;
    screen.note(&format!(
        "Log in at {} with a browser anywhere:\n\n{}\n\nand confirm the code {}\n",
        issuer.url, login.page, login.user_code
    ));
    issuer.finish_device(provider, &login).await
}

/// Has the issuer forget a login. It is gone from here in any case.
pub(super) async fn log_out(issuer: &Issuer, tokens: &Tokens, args: &LogoutArgs, screen: &Screen) -> Result<(), Error> {
    if args.everywhere {
        let message =
            format!("the logins of {} elsewhere are for {} to end, not for cloudctl", tokens.username, issuer.url);
        return Err(Error::Usage(message));
    }
    if let Some(token) = &tokens.refresh_token
        && let Err(error) = issuer.revoke(token).await
    {
        screen.warning(&format!("{} was not told of the logout: {}", issuer.url, chain(&error)));
    }
    Ok(())
}

/// The issuer that somebody named, or that the server tells.
async fn issuer(server: &Server, args: &AtIssuerArgs) -> Result<Issuer, Error> {
    let mut issuer = match (&args.issuer, &args.client_id) {
        (Some(url), Some(id)) => {
            let (url, client_id) = (url.clone(), id.clone());
            Issuer { url, client_id, client_secret: None, certificate_authorities: Vec::new() }
        }
        _ => told(server).await?,
    };
    if let Some(path) = &args.client_secret_file {
        let empty = || Error::Usage(format!("{} holds no secret", path.display()));
        issuer.client_secret = Some(ClientSecret::read(&read(path)?).ok_or_else(empty)?);
    }
    if let Some(path) = &args.issuer_certificate_authority {
        issuer.certificate_authorities = of_file(path)?;
    }
    Ok(issuer)
}

async fn told(server: &Server) -> Result<Issuer, Error> {
    let answer = server.session()?.get("/auth/v1/oidc").await;
    let answer: Value = answer.map_err(|error| {
        if !error.is_not_found() {
            return Error::Api(error);
        }
        Error::NotFound(format!(
            "{} lets nobody in by an OpenID issuer: its operator names one with cloudd's --oidc-issuer-url\nWithout \
             --oidc there is a login by password.",
            server.address
        ))
    })?;
    serde_json::from_value(answer)
        .map_err(|_| Error::Failed(format!("{} does not answer as The Cloud does", server.address)))
}

fn of_file(path: &Path) -> Result<Vec<String>, Error> {
    let found = authorities(&read(path)?);
    if found.is_empty() {
        return Err(Error::Usage(format!("{} holds no certificate in PEM", path.display())));
    }
    Ok(found)
}

/// Who the server says that somebody is.
async fn username(server: &Server, issuer: &Issuer, id_token: &str) -> Result<String, Error> {
    let user = whoami::user(&server.session_of(Some(id_token))?).await.map_err(|error| {
        if !error.is_unauthorized() {
            return Error::Api(error);
        }
        Error::Failed(format!(
            "{} let you in, but {} does not take its ID token for the client `{}`: is cloudd told of this issuer and \
             client, and of claims that you have? A TokenReview of an administrator says why.",
            issuer.url, server.address, issuer.client_id
        ))
    })?;
    Ok(user["username"].as_str().unwrap_or_default().to_owned())
}
