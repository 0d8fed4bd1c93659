//! A server made of a closure, for tests of what a command sends and how it takes the answer.

use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::error::Exit;

/// What the test server answers.
pub(crate) struct Answer(Response<UnsyncBoxBody<Bytes, std::convert::Infallible>>);

impl Answer {
    /// A JSON document.
    pub(crate) fn json(code: u16, value: Value) -> Self {
        let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
        Self(Response::builder().status(code).header("content-type", JSON).body(body).unwrap())
    }

    /// A Status that says no.
    pub(crate) fn status(code: u16, reason: &str, message: &str) -> Self {
        Self::json(
            code,
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code}),
        )
    }

    /// A watch that ends after these lines.
    pub(crate) fn lines(lines: &[Value]) -> Self {
        let frames: Vec<_> = lines.iter().map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n"))))).collect();
        Self(Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync()))
    }

    /// With a header more.
    pub(crate) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.0.headers_mut().append(name, value.parse().unwrap());
        self
    }
}

/// A session with a server that answers each request by a closure.
pub(crate) fn session(answer: impl Fn(Request<Bytes>) -> Answer + Send + Sync + 'static) -> Session {
    let answer = std::sync::Arc::new(answer);
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await?.to_bytes();
            Ok::<_, kube::Error>(answer(Request::from_parts(parts, bytes)).0)
        }
    });
    Session::new(Client::new(service, "default"), "default".into(), "https://test".into())
}

#[tokio::test]
async fn status_of_the_server_becomes_its_message_and_exit_code() {
    let session = session(|_| Answer::status(404, "NotFound", "instances.thecloud.dev \"web\" not found"));
    let error = session.get("/x").await.unwrap_err();
    assert_eq!(error.to_string(), "instances.thecloud.dev \"web\" not found");
    assert_eq!(error.exit(), Exit::NotFound);
}

#[tokio::test]
async fn several_causes_are_a_list() {
    let session = session(|_| {
        Answer::json(
            422,
            json!({"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422, "message": "long",
                "details": {"name": "web", "group": "thecloud.dev", "kind": "Instance", "causes": [
                    {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.image"},
                    {"reason": "FieldValueInvalid", "message": "Invalid value: 99999", "field": "spec.ports[0].port"}]}}),
        )
    });
    let error = session.get("/x").await.unwrap_err();
    insta::assert_snapshot!(error, @r#"
    Instance.thecloud.dev "web" is invalid:
      spec.image: Required value
      spec.ports[0].port: Invalid value: 99999
    "#);
}

#[tokio::test]
async fn page_that_is_no_status_is_quoted() {
    let session = session(|_| Answer::json(502, json!("<html>bad gateway</html>")));
    let error = session.get("/x").await.unwrap_err();
    assert!(error.to_string().contains("502") && error.to_string().contains("bad gateway"), "{error}");
    assert!(error.is_passing());
}

#[tokio::test]
async fn lost_server_is_exit_code_five() {
    let service = tower::service_fn(|_: Request<Body>| async {
        Err::<Response<Full<Bytes>>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
    });
    let session = Session::new(Client::new(service, "default"), "default".into(), "https://test".into());
    assert_eq!(session.get("/x").await.unwrap_err().exit(), Exit::Unreachable);
}

#[tokio::test]
async fn warnings_of_the_server_reach_the_user() {
    let (screen, printed) = Screen::captured();
    let session =
        session(|_| Answer::json(200, json!({})).with_header("warning", "299 - \"unknown field \\\"spec.bogus\\\"\""))
            .with_trace(screen, 0);
    session.get("/x").await.unwrap();
    assert_eq!(printed.text(), "Warning: unknown field \"spec.bogus\"\n");
}
