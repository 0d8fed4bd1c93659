//! `whoami`: which server is used, which file says so, and as whom. The answer to "where would this go?".

use serde_json::{Value, json};

use crate::api::{ApiError, Session};
use crate::args::Global;
use crate::connect;
use crate::error::Error;
use crate::output::{Colour, Screen};

/// Shows it.
pub(super) async fn run(global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let mut rows = vec![
        ("Server", session.address().to_owned()),
        ("Kubeconfig", session.file().display().to_string()),
        ("Context", session.context().to_owned()),
        ("Namespace", session.namespace().to_owned()),
    ];
    match user(&session).await {
        Ok(user) => {
            rows.push(("User", user["username"].as_str().unwrap_or_default().to_owned()));
            let groups: Vec<_> = user["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !groups.is_empty() {
                rows.push(("Groups", groups.join(", ")));
            }
        }
        // A server may not offer to tell.
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(Error::Api(error)),
    }
    for (name, value) in rows {
        let name = format!("{:<12}", format!("{name}:"));
        screen.line(&format!("{}{value}", screen.paint().colour(Colour::Bold, &name)))?;
    }
    Ok(())
}

/// Who the server says that we are.
pub(super) async fn user(session: &Session) -> Result<Value, ApiError> {
    let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let mut answer = session.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &question).await?;
    Ok(answer["status"]["userInfo"].take())
}
