//! The same cloud on PostgreSQL: the tour runs, a kill loses nothing, a lost database connection heals.

use apiserver_store_postgres::testing::PostgresServer;
use e2e::{Cloud, Store, docker_is_there, skip_unless};

use crate::machine::{sleeper, volume};

#[test]
fn the_cloud_runs_on_postgres_and_survives_a_kill_of_itself_and_of_the_database() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let Some(server) = PostgresServer::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = runtime.block_on(server.create_database());
    let mut cloud = Cloud::builder().store(Store::Postgres(url)).start();
    cloud.apply(&(volume("data", "32Mi") + "---\n" + &sleeper("web", "volumes: [{volume: data, mountPath: /data}]")));
    let web = cloud.await_ready("instances", "web");
    let container = cloud.container("web");

    cloud.kill();
    cloud.launch();
    assert_eq!(cloud.await_ready("instances", "web")["metadata"]["uid"], web["metadata"]["uid"]);
    assert_eq!(cloud.container("web"), container, "nothing is made anew");

    server.crash();
    server.resume();
    // Writes and watches go on over new connections.
    cloud.apply(&sleeper("late", ""));
    cloud.await_ready("instances", "late");
    let _ = cloud.cloudctl(&["delete", "inst", "web", "late"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "default"]).ok();
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
}
