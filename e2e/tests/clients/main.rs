//! Real clients, as they are published: each drives a cloud of its own over the wire, with the fake backend, so that
//! no Docker is needed. What a client can't do here is a fault of the apiserver, or stands in docs/compatibility.md.

mod certificates;
mod fuzzing;
mod gitops;
mod helm;
mod issuer;
mod kube_rs;
mod kubectl;
mod logins;
mod node;
mod oidc_logins;
mod python;
mod widget;
