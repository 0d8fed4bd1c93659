//! Says in Events what the server found out by itself and nobody would see otherwise.

use apiserver_store::{Entry, Key};
use serde_json::json;

use super::graph::Owner;
use super::{Lifecycle, rules};
use crate::error::{ApiError, Reason};
use crate::managed_fields::Author;
use crate::query::WriteOptions;
use crate::verbs::create;
use crate::verbs::served::Served;

/// The name under which tools know the collector.
const COLLECTOR: &str = "garbage-collector-controller";

impl Lifecycle {
    /// An object names an owner that is in another namespace.
    pub(super) async fn report_foreign_owner(
        &self,
        served: &Served,
        entry: &Entry,
        owner: &Owner,
    ) -> Result<(), ApiError> {
        let Key { namespace, name, .. } = &entry.key;
        let message = format!(
            "ownerRef [{}/{}, namespace: {namespace}, name: {}, uid: {}] does not exist in namespace {}",
            owner.api_version,
            owner.kind,
            owner.name,
            owner.uid,
            serde_json::Value::from(namespace.as_str()),
        );
        let Some(events) = self.served(&Key::new(rules::events(), "", "")) else { return Ok(()) };
        let place = if namespace.is_empty() { rules::DEFAULT_NAMESPACE } else { namespace };
        let (now, time) = (self.state.timestamp(), self.state.config.clock.now());
        let event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": format!("{name}.{:x}", time.as_nanosecond())},
            "involvedObject": {
                "apiVersion": served.api_version(),
                "kind": served.kind.kind,
                "namespace": namespace,
                "name": name,
                "uid": entry.uid.to_string(),
            },
            "reason": "OwnerRefInvalidNamespace",
            "message": message,
            "type": "Warning",
            "source": {"component": COLLECTOR},
            "reportingComponent": COLLECTOR,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        });
        let options = WriteOptions::default();
        match create::make(&self.state, &events, place, event.into(), &options, &Author::server("")).await {
            Ok(_) => Ok(()),
            // The namespace goes, or this was said before: nobody needs to hear of it.
            Err(error) if matches!(error.reason, Reason::NotFound | Reason::Forbidden | Reason::AlreadyExists) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
