use std::sync::atomic::{AtomicI64, Ordering};

use apiserver_store::memory::MemoryStore;
use apiserver_store::{Change, Expect, StorageOptions, Write};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::access::{SERVICE_ACCOUNT_ISSUER as AUDIENCE, ServiceAccountKey};

/// A clock that the test sets.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

const UID: u128 = 7;

struct World {
    storage: Storage,
    clock: Arc<Hands>,
    accounts: Accounts,
}

impl World {
    /// With the service account `ci` in the namespace `a`.
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new(Uuid::from_u128(1)));
        let storage = Storage::open(store, StorageOptions::default()).await.unwrap();
        let clock = Arc::new(Hands(AtomicI64::new(1_000_000)));
        let shared: Arc<dyn Clock> = Arc::<Hands>::clone(&clock);
        let signer = Signer::new(&ServiceAccountKey::generate(), Arc::default(), storage.clone(), Arc::clone(&shared));
        let accounts = Accounts::new(Arc::new(signer), storage.clone(), shared);
        let world = Self { storage, clock, accounts };
        world.put("serviceaccounts", "ci", UID, json!({})).await;
        world
    }

    fn key(plural: &str, name: &str) -> Key {
        Key::new(ResourceId::new("", plural), "a", name)
    }

    async fn put(&self, plural: &str, name: &str, uid: u128, metadata: Value) {
        let key = Self::key(plural, name);
        let old = self.storage.get(&key);
        let expect = old.map_or(Expect::Absent, |old| Expect::Revision(old.revision));
        let body = json!({"metadata": metadata}).to_string().into_bytes();
        let change = Change::Put { uid: Uuid::from_u128(uid), body };
        self.storage.write(Write { key, expect, change }).await.unwrap();
    }

    async fn remove(&self, plural: &str, name: &str) {
        let key = Self::key(plural, name);
        let old = self.storage.get(&key).unwrap();
        let change = Change::Delete { body: old.body.to_vec() };
        self.storage.write(Write { key, expect: Expect::Revision(old.revision), change }).await.unwrap();
    }

    fn token(&self, audiences: &[&str], secret: Option<Reference>) -> String {
        let now = self.clock.now();
        let wish = Wish {
            namespace: "a".into(),
            account: reference("ci", UID),
            secret,
            audiences: texts(audiences),
            begins: now,
            ends: now + SignedDuration::from_secs(600),
            id: "j".into(),
        };
        self.accounts.issue(wish).unwrap()
    }

    async fn ask(&self, token: &str, asked: &[&str]) -> Result<Vec<String>, String> {
        let answer = self.accounts.owner(token, &texts(asked)).await;
        answer.map(|found| found.audiences).map_err(|why| why.unwrap_or_else(|| "no token of ours".into()))
    }
}

fn reference(name: &str, uid: u128) -> Reference {
    Reference { name: name.into(), uid: Uuid::from_u128(uid).to_string() }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn a_token_says_who_its_owner_is() {
    let world = World::new().await;
    let token = world.token(&[AUDIENCE], None);
    for _ in 0..2 {
        let found = world.accounts.owner(&token, &[]).await.unwrap();
        let Identity { user, uid, groups, extra } = &*found.identity;
        assert_eq!((user.as_str(), uid), ("system:serviceaccount:a:ci", &Uuid::from_u128(UID).to_string()));
        assert_eq!(groups, &["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]);
        assert_eq!(extra[CREDENTIAL], ["JTI=j"]);
    }
    assert_eq!(world.ask("not.a.token", &[]).await, Err("no token of ours".into()));
}

#[tokio::test]
async fn a_token_counts_between_its_beginning_and_its_end() {
    let world = World::new().await;
    let token = world.token(&[AUDIENCE], None);
    let began = world.clock.0.load(Ordering::Relaxed);
    for (passed, is_good) in [(-61, false), (-60, true), (0, true), (599, true), (600, false)] {
        world.clock.0.store(began + passed, Ordering::Relaxed);
        assert_eq!(world.ask(&token, &[]).await.is_ok(), is_good, "after {passed} s");
    }
    assert_eq!(world.ask(&token, &[]).await, Err("service account token has expired".into()));
}

#[tokio::test]
async fn a_token_counts_for_those_it_is_meant_for() {
    let world = World::new().await;
    let token = world.token(&["vault", "db"], None);
    assert_eq!(world.ask(&token, &["db", "x", "vault"]).await, Ok(texts(&["vault", "db"])));
    for asked in [&[][..], &["x"], &[AUDIENCE]] {
        assert!(world.ask(&token, asked).await.unwrap_err().starts_with("token audiences"), "{asked:?}");
    }
    world.clock.0.fetch_add(600, Ordering::Relaxed);
    assert_eq!(
        world.ask(&token, &["x", "y"]).await,
        Err(r#"token audiences ["vault" "db"] is invalid for the target audiences ["x" "y"]"#.into())
    );
    let here = world.ask(&token, &[]).await.unwrap_err();
    assert!(here.ends_with(&format!("audiences [{AUDIENCE:?}]")), "{here}");
}

#[tokio::test]
async fn a_token_dies_with_its_account() {
    let world = World::new().await;
    let token = world.token(&[AUDIENCE], None);
    assert!(world.ask(&token, &[]).await.is_ok());
    world.remove("serviceaccounts", "ci").await;
    assert_eq!(world.ask(&token, &[]).await, Err("serviceaccounts \"ci\" not found".into()));
    world.put("serviceaccounts", "ci", 8, json!({})).await;
    assert!(world.ask(&token, &[]).await.unwrap_err().starts_with("service account UID"), "another of the same name");
}

#[tokio::test]
async fn a_token_outlives_the_beginning_of_the_end_by_a_minute() {
    let world = World::new().await;
    let token = world.token(&[AUDIENCE], None);
    let now = world.clock.now().to_string();
    world.put("serviceaccounts", "ci", UID, json!({"deletionTimestamp": now})).await;
    assert!(world.ask(&token, &[]).await.is_ok());
    world.clock.0.fetch_add(61, Ordering::Relaxed);
    assert_eq!(world.ask(&token, &[]).await, Err("service account a/ci has been deleted".into()));
}

#[tokio::test]
async fn a_token_may_be_bound_to_a_secret() {
    let world = World::new().await;
    world.put("secrets", "s", 9, json!({})).await;
    let token = world.token(&[AUDIENCE], Some(reference("s", 9)));
    assert!(world.ask(&token, &[]).await.is_ok());
    world.remove("secrets", "s").await;
    assert_eq!(world.ask(&token, &[]).await, Err("service account token has been invalidated".into()));
    world.put("secrets", "s", 10, json!({})).await;
    assert!(world.ask(&token, &[]).await.unwrap_err().starts_with("secret UID"), "another of the same name");
}
