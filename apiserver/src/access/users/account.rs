//! A User as far as it counts for who comes in.

use apiserver_store::{Entry, Key, ResourceId, Storage};

use crate::admission::metadata;
use crate::reviews::texts;

/// The group and the plural of the kind.
pub(crate) const GROUP: &str = "thecloud.dev";
pub(crate) const USERS: &str = "users";

/// A User.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    /// Whether the user is neither disabled nor being deleted.
    pub(crate) may_come_in: bool,
}

impl Account {
    pub(crate) fn key(name: &str) -> Key {
        Key::new(ResourceId::new(GROUP, USERS), "", name)
    }

    pub(crate) fn find(storage: &Storage, name: &str) -> Option<Self> {
        storage.get(&Self::key(name)).map(|entry| Self::of(&entry))
    }

    pub(crate) fn of(entry: &Entry) -> Self {
        let object = entry.value();
        Self {
            name: entry.key.name.clone(),
            uid: entry.uid.to_string(),
            groups: texts(object["spec"].get("groups")),
            may_come_in: object["spec"]["disabled"] != true && !metadata::is_deleting(&object),
        }
    }
}
