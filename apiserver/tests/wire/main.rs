//! The apiserver as clients see it: requests to the whole service over a store in memory.

mod access;
mod admin;
mod apply;
mod apply_properties;
mod built_in;
mod create;
mod definitions;
mod delete;
mod discovery;
mod forms;
mod harness;
mod kube;
mod lifecycle;
mod limits;
mod list;
mod patch;
mod paths;
mod protobuf;
mod quota;
mod rbac;
mod reviews;
mod service_accounts;
mod sockets;
mod streams;
mod update;
mod watch;
