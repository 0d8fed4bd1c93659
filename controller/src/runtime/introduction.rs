//! Says who writes: the apiserver notes the owner of every field by what the client calls itself.

use http::header::{HeaderValue, USER_AGENT};
use kube::Client;

use super::recorder::COMPONENT;

/// The same client of an account, which introduces itself with every request.
pub(crate) fn introduced(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let introduce = move |mut request: http::Request<kube::client::Body>| {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(COMPONENT));
        let client = client.clone();
        async move { client.send(request).await }
    };
    Client::new(tower::service_fn(introduce), namespace)
}
