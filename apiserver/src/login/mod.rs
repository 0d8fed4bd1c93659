//! `/auth/v1`: how users log in, stay in and leave, by what they bring in the body instead of a bearer token. None of it
//! is Kubernetes'. It decides nothing itself: [`crate::access::users`] does.

mod api_key;
mod password;

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::access::users::{Account, Password, Refusal, Tokens};
use crate::audit::Named;
use crate::body::{RequestBody, read};
use crate::clock::whole_seconds;
use crate::error::{ApiError, Reason};
use crate::negotiate::Encoding;
use crate::response::{self, Answer, no_such_path};
use crate::state::{State, store_refused};
use crate::verbs::not_allowed;

pub(crate) use api_key::issue as issue_api_key;
pub(crate) use password::{remove as remove_password, set as set_password};

/// Bytes of a body: names, passwords and tokens are short.
const BODY: usize = 8 << 10;

/// The address that a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    LogIn,
    Refresh,
    LogOut,
    ChangePassword,
    /// Which OpenID issuer's users come in.
    Issuer,
    Unknown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogIn {
    username: String,
    password: Password,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Refresh {
    refresh_token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogOut {
    refresh_token: String,
    /// All sessions of the user.
    #[serde(default)]
    everywhere: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ChangePassword {
    username: String,
    password: Password,
    new_password: Password,
}

impl Question {
    /// `None` for paths elsewhere.
    pub(crate) fn of(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("/auth/v1/")? {
            "login" => Self::LogIn,
            "refresh" => Self::Refresh,
            "logout" => Self::LogOut,
            "password" => Self::ChangePassword,
            "oidc" => Self::Issuer,
            _ => Self::Unknown,
        })
    }
}

/// Answers a stranger.
pub(crate) async fn answer(state: &Arc<State>, question: Question, request: Request<RequestBody>) -> Answer {
    let timeout = state.config.limits.request_timeout;
    let mut user = None;
    let answered = tokio::time::timeout(timeout, decide(state, question, request, &mut user)).await;
    let answered = answered.unwrap_or_else(|_| Err(ApiError::new(Reason::Timeout, "the login was not done in time")));
    let mut answer = answered.unwrap_or_else(|error| response::error(&error, Encoding::Json));
    if let Some(user) = user.filter(|user| Account::find(state.storage(), user).is_some()) {
        answer.extensions_mut().insert(Named(user));
    }
    answer
}

/// `user` becomes whoever is told to log in.
async fn decide(
    state: &State,
    question: Question,
    request: Request<RequestBody>,
    user: &mut Option<String>,
) -> Result<Answer, ApiError> {
    if question == Question::Unknown {
        return Ok(no_such_path());
    }
    let method = if question == Question::Issuer { Method::GET } else { Method::POST };
    if request.method() != method {
        return Err(not_allowed());
    }
    let users = &state.authenticator.users;
    let from = request.extensions().get::<Peer>().map(|peer| peer.0);
    match question {
        Question::LogIn => {
            let LogIn { username, password } = body(request).await?;
            *user = Some(username.clone());
            let tokens = users.log_in(&username, &password, from).await;
            Ok(shown(&tokens.map_err(|why| refused(&why, "the user name or the password is wrong"))?))
        }
        Question::Refresh => {
            let Refresh { refresh_token } = body(request).await?;
            let tokens = users.refresh(&refresh_token).await;
            Ok(shown(&tokens.map_err(|why| refused(&why, ENDED))?))
        }
        Question::LogOut => {
            let LogOut { refresh_token, everywhere } = body(request).await?;
            users.log_out(&refresh_token, everywhere).await.map_err(|why| refused(&why, ENDED))?;
            Ok(done())
        }
        Question::ChangePassword => {
            let ChangePassword { username, password, new_password } = body(request).await?;
            *user = Some(username.clone());
            let tokens = users.change_password(&username, &password, &new_password, from).await;
            Ok(shown(&tokens.map_err(|why| refused(&why, "the user name or the present password is wrong"))?))
        }
        Question::Issuer => issuer(state),
        Question::Unknown => Ok(no_such_path()),
    }
}

fn issuer(state: &State) -> Result<Answer, ApiError> {
    let none =
        || ApiError::new(Reason::NotFound, "no OpenID issuer lets users in here; cloudd's --oidc-issuer-url names one");
    let oidc = state.config.oidc.as_ref().ok_or_else(none)?;
    Ok(response::json(StatusCode::OK, &oidc.told()))
}

const ENDED: &str = "the login has ended; log in again";

/// What a body says. The error never shows what is in it.
async fn body<T: DeserializeOwned>(request: Request<RequestBody>) -> Result<T, ApiError> {
    let bytes = read(request.into_body(), BODY).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::bad_request(format!(
            "the body is not the JSON that is asked for here, at line {line} column {column}; docs/security.md shows it"
        ))
    })
}

fn shown(tokens: &Tokens) -> Answer {
    let Tokens { user, access, access_ends, refresh, refresh_ends } = tokens;
    let answer = response::json(
        StatusCode::OK,
        &json!({
            "username": user,
            "accessToken": access,
            "accessTokenExpires": whole_seconds(*access_ends),
            "refreshToken": refresh,
            "refreshTokenExpires": whole_seconds(*refresh_ends),
        }),
    );
    secret(answer)
}

fn done() -> Answer {
    response::json(StatusCode::OK, &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}))
}

/// Nobody on the way may keep it.
fn secret(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A refusal in words; `wrong` where what was brought doesn't fit.
fn refused(why: &Refusal, wrong: &str) -> ApiError {
    match why {
        Refusal::Wrong => ApiError::new(Reason::Unauthorized, wrong),
        Refusal::Poor(problem) => ApiError::new(Reason::Invalid, *problem),
        Refusal::Wait(wait) => {
            let seconds = (*wait + SignedDuration::from_millis(999)).as_secs().max(1);
            let message = format!("too many logins were tried, please try again in {seconds} s");
            let mut error = ApiError::new(Reason::TooManyRequests, message);
            error.details.insert("retryAfterSeconds".into(), seconds.into());
            error
        }
        Refusal::Store(error) => {
            tracing::warn!(error = error.as_ref() as &dyn std::error::Error, "the store took no part in a login");
            store_refused(error)
        }
        Refusal::Unsigned => ApiError::internal("the key of tokens cannot sign"),
    }
}
