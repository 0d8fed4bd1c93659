//! A cloud grows: what ran on SQLite is backed up and restored into PostgreSQL. No machine is made anew, Secrets are
//! readable, and nothing is swept before somebody says so.

use std::time::Duration;

use apiserver_store_postgres::testing::PostgresServer;
use e2e::{Cloud, Store, docker_is_there, eventually, eventually_within, skip_unless};

use crate::machine::sleeper;
use crate::tour::{get, tour};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  word: hush\n";

#[test]
fn the_tour_moves_from_sqlite_to_postgres_and_no_machine_is_made_anew() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let Some(server) = PostgresServer::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = runtime.block_on(server.create_database());
    let mut cloud = Cloud::start();
    cloud.apply(&tour());
    cloud.apply(SECRET);
    let web = cloud.await_ready("instances", "web");
    cloud.await_ready("instances", "client");
    let containers = ["web", "client"].map(|name| cloud.container(name));
    let installation = cloud.installation();

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let file = file.to_str().unwrap();
    let said = cloud.cloudctl(&["admin", "backup", "-o", file]).ok();
    assert!(said.contains(" objects, "), "{said}");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains("aHVzaA") && !text.contains("hush"), "a Secret is in the clear");
    // Made after the backup: no object will tell of it.
    cloud.apply(&sleeper("late", ""));
    cloud.await_ready("instances", "late");
    let late = cloud.container("late");

    // The same host and data directory, the same sealing key, another store.
    assert_eq!(cloud.stop(), 0);
    cloud.keep_state_in(Store::Postgres(url));
    cloud.launch();
    assert_ne!(cloud.installation(), installation, "a new store is a new installation");
    let cut = folder.path().join("cut");
    std::fs::write(&cut, &text[..text.len() - 100]).unwrap();
    let refused = cloud.cloudctl(&["admin", "restore", cut.to_str().unwrap()]).failed();
    assert!(refused.contains("cut off"), "{refused}");
    let said = cloud.cloudctl(&["admin", "restore", file]).ok();
    assert!(said.contains("are back"), "{said}");
    assert_eq!(cloud.installation(), installation);

    let again = cloud.await_ready("instances", "web");
    assert_eq!(again["metadata"]["uid"], web["metadata"]["uid"]);
    assert_eq!(["web", "client"].map(|name| cloud.container(name)), containers, "nothing is made anew");
    assert_eq!(cloud.object("secrets", "s")["data"]["word"], "aHVzaA==");
    let address = again["status"]["published"].as_str().expect("the port is published").to_owned();
    assert_eq!(get(&address), "Hello from The Cloud\n");
    let refused = cloud.cloudctl(&["admin", "restore", file]).failed();
    assert!(refused.contains("not empty") && refused.contains("force"), "{refused}");

    let said = cloud.cloudctl(&["admin", "sweep", "status"]).ok();
    assert!(said.contains("Kept:"), "{said}");
    assert!(cloud.docker().containers(&installation).contains(&late), "what has no object is kept");
    let _ = cloud.cloudctl(&["admin", "sweep", "confirm"]).ok();
    // What is suspected is looked at twice, half a minute apart, and first half a minute after the start.
    eventually_within(Duration::from_secs(150), "the orphan to be swept", || {
        let there = cloud.docker().containers(&installation);
        if there.contains(&late) { Err(there) } else { Ok(()) }
    });

    let _ = cloud.cloudctl_with(&["delete", "-f", "-"], &tour()).ok();
    eventually("nothing to be left", || {
        let _ = cloud.cloudctl(&["delete", "vpc", "--all"]);
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}
