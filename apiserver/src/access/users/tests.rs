use std::sync::atomic::Ordering;

use apiserver_store::memory::MemoryStore;
use apiserver_store::{Change, Expect, StorageOptions, Write};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::access::ServiceAccountKey;
use crate::clock::SystemClock;

fn password(text: &str) -> Password {
    serde_json::from_value(text.into()).unwrap()
}

async fn make(users: &Users, name: &str, spec: Value) -> Account {
    let uid = Uuid::new_v4();
    let body = json!({"metadata": {"name": name, "uid": uid}, "spec": spec}).to_string().into_bytes();
    let key = Account::key(name);
    users.storage.write(Write { key, expect: Expect::Absent, change: Change::Put { uid, body } }).await.unwrap();
    Account::find(&users.storage, name).unwrap()
}

#[tokio::test]
async fn whoever_does_not_come_in_costs_what_a_wrong_password_costs() {
    let store = Arc::new(MemoryStore::new(Uuid::from_u128(1)));
    let storage = Storage::open(store, StorageOptions::default()).await.unwrap();
    let logins = Logins { cost: PasswordCost::least(), ..Logins::default() };
    let clock = Arc::new(SystemClock);
    let signer = Arc::new(Signer::new(&ServiceAccountKey::generate(), Arc::default(), storage.clone(), clock.clone()));
    let users = Users::new(signer, storage, clock, logins);
    let (known, unknown) = (password("correct horse battery"), password("battery staple horse"));
    for (name, spec) in [("ann", json!({})), ("off", json!({"disabled": true}))] {
        let account = make(&users, name, spec).await;
        users.set_password(&account, &known).await.unwrap();
    }
    make(&users, "bare", json!({})).await;
    let mut costs = Vec::new();
    for (name, password) in
        [("ann", &known), ("ann", &unknown), ("off", &known), ("bare", &known), ("nobody", &known), ("", &known)]
    {
        let before = users.hasher.computed.load(Ordering::Relaxed);
        let answer = users.log_in(name, password, None).await;
        assert_eq!(answer.is_ok(), name == "ann" && std::ptr::eq(password, &known), "{name}");
        costs.push(users.hasher.computed.load(Ordering::Relaxed) - before);
    }
    let least = PasswordCost::least().memory as usize;
    assert_eq!(costs, [least; 6], "KiB that were hashed over");
}
