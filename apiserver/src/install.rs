//! Decides what becomes of the product's own definitions at start: made where they are missing, replaced where they
//! are older, left alone where they are newer. They go the same way as anybody's.

use std::time::Duration;

use apiserver_store::Key;
use serde_json::Value;

use crate::error::{ApiError, Reason};
use crate::lifecycle::rules;
use crate::lifecycle::settled::becomes;
use crate::managed_fields::Author;
use crate::query::{FieldValidation, WriteOptions};
use crate::server::ApiServer;
use crate::verbs::create;
use crate::verbs::served::Served;
use crate::verbs::write::{self, Failure, Owners, Part, Proposal};

/// The annotation that counts up with every change of a definition of ours.
pub const SCHEMA_VERSION: &str = "thecloud.dev/schema-version";

/// How long a definition may take until its kind is served.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why a definition is not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It is refused, like anybody's would be.
    #[error("failed to install the definition `{name}`")]
    Refused {
        /// The definition.
        name: String,
        /// Why.
        #[source]
        source: ApiError,
    },
    /// A role, binding or account that is shipped is refused.
    #[error("failed to install `{name}`, which is shipped")]
    Shipped {
        /// The object.
        name: String,
        /// Why.
        #[source]
        source: ApiError,
    },
    /// It is there, but its kind is not served.
    #[error("the definition `{name}` was not established in time")]
    NotEstablished {
        /// The definition.
        name: String,
    },
}

impl ApiServer {
    /// Installs these CustomResourceDefinitions and waits until their kinds are served.
    ///
    /// One that exists is replaced only by a higher [`SCHEMA_VERSION`], so that an older program never takes fields
    /// away from a newer one.
    ///
    /// # Errors
    /// For the first that is refused or does not become served.
    pub async fn install_kinds(&self, definitions: &[Value]) -> Result<(), InstallError> {
        for definition in definitions {
            let name = definition["metadata"]["name"].as_str().unwrap_or_default();
            let refused = |source| InstallError::Refused { name: name.to_owned(), source };
            self.install(name, definition).await.map_err(refused)?;
        }
        for definition in definitions {
            let name = definition["metadata"]["name"].as_str().unwrap_or_default();
            self.established(name).await?;
        }
        Ok(())
    }

    async fn install(&self, name: &str, definition: &Value) -> Result<(), ApiError> {
        let edition = self.state.catalog.edition();
        let kind = rules::definitions();
        let served = Served::find(&edition, &kind.group, "v1", &kind.plural)
            .ok_or_else(|| ApiError::internal("the kind CustomResourceDefinition is not compiled in"))?;
        let options = WriteOptions { validation: FieldValidation::Strict, ..WriteOptions::default() };
        let author = Author::server("");
        loop {
            self.state.refresh().await?;
            let Some(current) = self.state.storage().get(&served.key("", name)) else {
                let wish = definition.clone().into();
                match create::make(&self.state, &served, "", wish, &options, &author).await {
                    Err(error) if error.reason == Reason::AlreadyExists => continue,
                    made => return made.map(|_| ()),
                }
            };
            if version(definition) <= version(&current.value()) {
                return Ok(());
            }
            let mut value = definition.clone();
            value["metadata"]["resourceVersion"] = current.revision.to_string().into();
            let proposal = Proposal { value, part: Part::Object, owners: Owners::Followed };
            match write::attempt(&self.state, &served, &current, proposal, &options, &author).await {
                Ok(_) => return Ok(()),
                Err(Failure::Lost) => {}
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
    }

    /// Waits until the kind of a definition is served.
    async fn established(&self, name: &str) -> Result<(), InstallError> {
        let key = Key::new(rules::definitions(), "", name);
        if becomes(self.state.storage(), &key, PATIENCE, is_established).await {
            Ok(())
        } else {
            Err(InstallError::NotEstablished { name: name.to_owned() })
        }
    }
}

fn version(definition: &Value) -> u64 {
    definition["metadata"]["annotations"][SCHEMA_VERSION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Established" && one["status"] == "True"))
}
