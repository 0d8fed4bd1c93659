//! Three apiservers on one PostgreSQL: what is written through one is read and watched through the others, in order and
//! with nothing missing, while each in turn is killed, and the database too.

mod credentials;
mod load;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use apiserver_store_postgres::testing::PostgresServer;
use e2e::{Cloud, Role, Store, eventually, eventually_within};
use kube::config::{KubeConfigOptions, Kubeconfig};

use load::{Seen, Written};

/// Writers through each server.
const WRITERS: usize = 2;
/// Writes that every writer must get through between two blows.
const PROGRESS: u64 = 20;

fn three(url: &str) -> Vec<Cloud> {
    let apiserver = || Cloud::builder().role(Role::Apiserver).store(Store::Postgres(url.to_owned()));
    let first = apiserver().start();
    let others = [apiserver().joining(&first).start(), apiserver().joining(&first).start()];
    [first].into_iter().chain(others).collect()
}

async fn client(cloud: &Cloud) -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(cloud.kubeconfig()).expect("the kubeconfig can be read");
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("the kubeconfig is one");
    config.connect_timeout = Some(Duration::from_secs(2));
    config.proxy_url = None;
    kube::Client::try_from(config).expect("a client")
}

#[test]
fn one_certificate_authority_and_token_serve_three_servers() {
    let Some(server) = PostgresServer::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clouds = three(&runtime.block_on(server.create_database()));
    let authority = |cloud: &Cloud| std::fs::read_to_string(cloud.data_dir().join("pki/ca.crt")).unwrap();
    for cloud in &clouds[1..] {
        assert_eq!(authority(cloud), authority(&clouds[0]));
        assert_eq!(cloud.installation(), clouds[0].installation());
    }
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  word: hush\n";
    clouds[1].apply(secret);
    assert_eq!(clouds[2].object("secrets", "s")["data"]["word"], "aHVzaA==");
    let refused = clouds[0].cloudctl(&["logs", "nobody"]).failed();
    assert!(refused.contains("not found"), "{refused}");
}

#[test]
fn a_kind_declared_through_one_is_served_by_the_others_within_a_second() {
    let Some(server) = PostgresServer::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clouds = three(&runtime.block_on(server.create_database()));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    runtime.block_on(async {
        let mut clients = Vec::new();
        for cloud in &clouds {
            clients.push(client(cloud).await);
        }
        for number in 0..6 {
            let plural = format!("gizmos{number}");
            load::declare(&clients[number % 3], &plural).await;
            let declared = Instant::now();
            let last = load::served_by_all(&clients, &plural).await - declared;
            assert!(last < Duration::from_secs(1), "{plural} was served after {last:?}");
        }
    });
}

#[test]
fn no_acknowledged_write_and_no_event_is_lost_while_everything_is_killed_in_turn() {
    let Some(server) = PostgresServer::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut clouds = three(&runtime.block_on(server.create_database()));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let stop = Arc::new(AtomicBool::new(false));
    let progress: Arc<Vec<AtomicU64>> = Arc::new((0..3 * WRITERS).map(|_| AtomicU64::new(0)).collect());
    let (mut writing, mut watching) = (Vec::new(), Vec::new());
    for (place, cloud) in clouds.iter().enumerate() {
        for writer in place * WRITERS..(place + 1) * WRITERS {
            let client = runtime.block_on(client(cloud));
            writing.push(runtime.spawn(load::write(client, writer, Arc::clone(&progress), Arc::clone(&stop))));
        }
        let seen = Arc::new(Seen::default());
        let client = runtime.block_on(client(cloud));
        watching.push((Arc::clone(&seen), runtime.spawn(load::watch(client, seen))));
    }
    let goes_on = |what: &str| {
        let before: Vec<u64> = progress.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        eventually_within(Duration::from_secs(120), &format!("all writers to go on {what}"), || {
            let now: Vec<u64> = progress.iter().map(|count| count.load(Ordering::Relaxed)).collect();
            if before.iter().zip(&now).all(|(before, now)| *now >= before + PROGRESS) { Ok(()) } else { Err(now) }
        });
    };
    goes_on("at first");
    for place in [0, 1, 2] {
        clouds[place].kill();
        clouds[place].launch();
        goes_on("after a kill");
    }
    runtime.block_on(load::cut_connections(&server));
    goes_on("after their connections to the database were cut");
    server.crash();
    server.resume();
    goes_on("after the database crashed");

    stop.store(true, Ordering::Relaxed);
    let mut written = Written::default();
    for writer in writing {
        written.extend(runtime.block_on(writer).unwrap());
    }
    // Whatever the writers did last, a deletion too, lies before this.
    let last = runtime.block_on(async { load::end(&client(&clouds[0]).await, &mut written).await });
    for (seen, watcher) in &watching {
        eventually("every watcher to see the last write", || {
            if seen.revision() >= last { Ok(()) } else { Err((seen.revision(), last)) }
        });
        watcher.abort();
    }
    let held = runtime.block_on(async { load::list(&client(&clouds[0]).await).await });
    written.check_held(&held);
    for (seen, _) in &watching {
        seen.check(&written, &held);
    }
}
