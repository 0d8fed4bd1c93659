//! `user create`, `passwd` and `apikey create`: users, their passwords, and the keys of programs.

use serde_json::{Value, json};

use super::login::{in_use, no_login};
use crate::api::Query;
use crate::args::Global;
use crate::args::logins::{ApiKeyCommand, PasswdArgs, UserCommand};
use crate::connect;
use crate::error::Error;
use crate::login::{Held, Login, ask, ask_new, of_stdin};
use crate::output::{Colour, Screen};

const USERS: &str = "/apis/thecloud.dev/v1alpha1/users";
const API_KEYS: &str = "/apis/thecloud.dev/v1alpha1/apikeys";

/// Makes a user.
pub(super) async fn user(command: &UserCommand, global: &Global, screen: &Screen) -> Result<(), Error> {
    let UserCommand::Create(args) = command;
    let mut spec = json!({"groups": args.groups});
    if let Some(name) = &args.display_name {
        spec["displayName"] = name.as_str().into();
    }
    let name = &args.name;
    let user = json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "User", "metadata": {"name": name}, "spec": spec});
    let query = Query::new().with("fieldManager", "cloudctl-create").with("fieldValidation", "Strict");
    connect::connect(global, screen).await?.post(&query.on(USERS), &user).await?;
    screen.line(&format!("user.thecloud.dev/{name} {}", screen.paint().colour(Colour::Green, "created")))?;
    screen.note(&format!("There is no login without a password: cloudctl passwd {name}"));
    Ok(())
}

/// Makes an API key. The key goes to standard output alone, so that it can be put where it belongs.
pub(super) async fn api_key(command: &ApiKeyCommand, global: &Global, screen: &Screen) -> Result<(), Error> {
    let ApiKeyCommand::Create(args) = command;
    let session = connect::connect(global, screen).await?;
    let owner = match (&args.user, &args.service_account) {
        (Some(user), _) => json!({"kind": "User", "name": user}),
        (None, account) => json!({"kind": "ServiceAccount", "namespace": session.namespace(), "name": account}),
    };
    let mut spec = json!({"owner": owner});
    if let Some(expires) = args.expires {
        spec["expires"] = json!(expires);
    }
    let name = &args.name;
    let key =
        json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name}, "spec": spec});
    let query = Query::new().with("fieldManager", "cloudctl-create").with("fieldValidation", "Strict");
    session.post(&query.on(API_KEYS), &key).await?;
    let made = session.post(&format!("{API_KEYS}/{name}/token"), &json!({})).await?;
    screen.note(&format!("apikey.thecloud.dev/{name} created. This is the only time that the key is shown:"));
    Ok(screen.line(made["status"]["key"].as_str().unwrap_or_default())?)
}

/// Changes one's own password, or sets somebody else's.
pub(super) async fn passwd(args: &PasswdArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    if let Some(user) = &args.user {
        let session = connect::connect(global, screen).await?;
        let password = if args.password_stdin {
            let [password] = of_stdin()?;
            password
        } else {
            ask_new()?
        };
        session.post(&format!("{USERS}/{user}/password"), &json!({"password": password})).await?;
        return Ok(screen.line(&format!("The password of {user} is set; {user}'s logins have ended."))?);
    }
    let held = Held::take(&in_use(global)?.1.ok_or_else(no_login)?)?;
    let Login { server, issuer, tokens } = held.read()?;
    if let Some(issuer) = issuer {
        return Err(Error::Usage(format!(
            "the password of {} is kept at {}: change it there",
            tokens.username, issuer.url
        )));
    }
    let [present, new] = if args.password_stdin { of_stdin()? } else { [ask("Present password")?, ask_new()?] };
    let question: Value = json!({"username": tokens.username, "password": present, "newPassword": new});
    let tokens = server.ask("password", &question).await?;
    held.write(&Login { server, issuer: None, tokens })?;
    Ok(screen.line("The password is changed; your other logins have ended.")?)
}
