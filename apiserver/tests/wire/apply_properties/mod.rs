//! What holds whatever is applied, by whomever, in whatever order: the whole way from the request to the store.

mod kinds;
mod owners;
mod steps;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use apiserver::Clock;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use self::kinds::{ACCOUNT, CONFIG_MAP, GADGET, LEASE, ROLE, SECRET, Target, gadgets};
use self::owners::{at, members, owners, says};
use self::steps::{Step, steps};
use crate::harness::{Reply, Server, namespace};

const APPLY: &str = "application/apply-patch+yaml";

/// A clock by which every look is a second later, so that no two writes seem to be of the same time.
#[derive(Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        const START: i64 = 1_767_225_600;
        Timestamp::from_second(START + self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
}

struct World {
    server: Server,
    target: Target,
}

impl World {
    async fn apply(&self, manager: &str, force: bool, config: &Value) -> Reply {
        let path = format!("{}?fieldManager={manager}&force={force}", self.target.path);
        self.server.send("PATCH", &path, &[("content-type", APPLY)], config.to_string()).await
    }

    async fn take(&self, step: &Step) -> Result<(), TestCaseError> {
        let before = self.server.get(self.target.path).await;
        let before = if before.code == 200 { before.json() } else { json!({}) };
        match step {
            Step::Update { manager, patch } => {
                let path = format!("{}?fieldManager={manager}", self.target.path);
                let reply = self.server.merge(&path, patch.clone()).await;
                prop_assert!(matches!(reply.code, 200 | 404), "{}", reply.text);
            }
            Step::Apply { manager, force, config } => {
                let reply = self.apply(manager, *force, config).await;
                if reply.code == 409 && !force {
                    return self.refused(&before, &reply).await;
                }
                prop_assert!(matches!(reply.code, 200 | 201), "{}", reply.text);
                let after = reply.json();
                prop_assert!(says(&after, config), "{config} is not in {after}");
                self.others_keep_theirs(&before, &after, &format!("{manager} Apply"), *force)?;
                self.what_is_given_up_goes(&before, &after, &format!("{manager} Apply"))?;
                // An object of which nobody owns anything is taken for one from before managers, as upstream does.
                let is_noted = after["metadata"].get("managedFields").is_some();
                for force in [*force, false].into_iter().filter(|_| is_noted) {
                    let again = self.apply(manager, force, config).await;
                    prop_assert_eq!((again.code, again.json()), (200, after.clone()), "applied again");
                }
            }
        }
        Ok(())
    }

    async fn refused(&self, before: &Value, reply: &Reply) -> Result<(), TestCaseError> {
        let status = reply.json();
        let mut owners: BTreeSet<String> = owners(before).into_values().flatten().collect();
        // Where nobody is noted, as after an apply of nothing, what is there is noted as from before.
        if owners.is_empty() {
            owners.insert("before-first-apply Update".into());
        }
        for cause in status["details"]["causes"].as_array().unwrap() {
            prop_assert_eq!(&cause["reason"], "FieldManagerConflict");
            let message = cause["message"].as_str().unwrap();
            let names = owners.iter().filter_map(|owner| owner.split_whitespace().next());
            prop_assert!(names.into_iter().any(|name| message.contains(&format!("\"{name}\""))), "{}", message);
        }
        let now = self.server.get(self.target.path).await.json();
        prop_assert_eq!(&now, before, "a refused apply changed something");
        Ok(())
    }

    /// What one other owns alone is as it was and still theirs; where it is taken by force, it is the taker's.
    fn others_keep_theirs(
        &self,
        before: &Value,
        after: &Value,
        author: &str,
        force: bool,
    ) -> Result<(), TestCaseError> {
        let now = owners(after);
        let parts = members(before);
        for (path, owners) in owners(before).into_iter().filter(|(_, owners)| !owners.contains(author)) {
            // An update may have changed what is in an item that is the applier's alone: it goes with the item.
            let is_within = (1..path.len())
                .any(|end| parts.get(&path[..end]).is_some_and(|owners| owners.len() == 1 && owners.contains(author)));
            if is_within || at(before, &path).is_none() {
                continue;
            }
            let keeps =
                now.get(&path).is_some_and(|now| now.is_superset(&owners)) && at(after, &path) == at(before, &path);
            let moved = force && now.get(&path).is_some_and(|now| now.contains(author));
            prop_assert!(keeps || moved, "{path:?} of {owners:?} changed from {before} to {after}");
        }
        Ok(())
    }

    /// What only the applier owned and no longer says is gone, or has its default.
    fn what_is_given_up_goes(&self, before: &Value, after: &Value, author: &str) -> Result<(), TestCaseError> {
        let now = owners(after);
        let alone = owners(before).into_iter().filter(|(_, owners)| owners.len() == 1 && owners.contains(author));
        for (path, _) in alone.filter(|(path, _)| !now.contains_key(path)) {
            let (last, above) = path.split_last().unwrap();
            // An item stays, and with it its keys, while somebody owns something in it.
            let is_key = above.last().is_some_and(|item| {
                item.starts_with("k:") && item.contains(&format!("\"{}\":", last.trim_start_matches("f:")))
            });
            if is_key && now.keys().any(|other| other.starts_with(above)) {
                continue;
            }
            let default = self.target.defaults.iter().find(|(field, _)| field == last).map(|(_, value)| json!(value));
            let default = default.filter(|_| at(after, above).is_some());
            prop_assert_eq!(at(after, &path), default.as_ref(), "{:?} was given up", path);
        }
        Ok(())
    }
}

fn play(target: Target, steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::with(|config| config.clock = Arc::new(Ticking::default())).await;
        if target.kind == GADGET.kind {
            server.server.install_kinds(&[gadgets()]).await.unwrap();
        }
        server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
        let world = World { server, target };
        for step in steps {
            world.take(step).await?;
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn fields_of_declared_kinds_stay_with_their_owners(steps in steps(GADGET)) {
        play(GADGET, &steps)?;
    }

    #[test]
    fn fields_of_config_maps_stay_with_their_owners(steps in steps(CONFIG_MAP)) {
        play(CONFIG_MAP, &steps)?;
    }

    #[test]
    fn fields_of_secrets_stay_with_their_owners(steps in steps(SECRET)) {
        play(SECRET, &steps)?;
    }

    #[test]
    fn fields_of_service_accounts_stay_with_their_owners(steps in steps(ACCOUNT)) {
        play(ACCOUNT, &steps)?;
    }

    #[test]
    fn fields_of_roles_stay_with_their_owners(steps in steps(ROLE)) {
        play(ROLE, &steps)?;
    }

    #[test]
    fn fields_of_leases_stay_with_their_owners(steps in steps(LEASE)) {
        play(LEASE, &steps)?;
    }
}
