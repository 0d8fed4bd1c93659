//! What happens when Docker stops answering: every call says so, and events come back by themselves. The daemon itself
//! is never stopped: the adapter talks to it through a socket of the test's, which is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use controller_backend::{Event, EventStream, Happening};
use controller_backend_docker::{DEFAULT_SOCKET, DockerOptions, open};
use futures::StreamExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::daemon;

/// A socket that leads to Docker until it is cut.
struct Relay {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Relay {
    fn open(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let task = tokio::spawn(async move {
            // Dropped with the task, and all connections with it.
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut far = UnixStream::connect(DEFAULT_SOCKET).await.expect("Docker answers");
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { path: path.to_owned(), task }
    }

    /// Cuts all connections, as a daemon does that is killed: the socket stays and nobody listens.
    async fn cut(self) {
        self.task.abort();
        let _ = self.task.await;
        assert!(self.path.exists());
    }
}

async fn next(events: &mut EventStream) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(15), events.next()).await;
    event.expect("an event in time").expect("the stream never ends")
}

#[tokio::test]
async fn lost_connection_is_told_and_made_again() {
    daemon::run_with(async |world| {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("docker.sock");
        let options = DockerOptions { socket: socket.clone(), ..world.options.clone() };
        // Before there is any socket: the adapter can be set up, and what is called says what is wrong.
        let backend =
            open(&options, controller_backend_host::firewall(options.installation), controller_backend_host::names())
                .expect("the adapter is set up");
        let error = backend.host.reachable().await.expect_err("nobody is there");
        assert!(error.is_unavailable() && error.to_string().contains("docker.sock"), "{error:?}");
        let mut events = backend.events.watch();
        let early = tokio::time::timeout(Duration::from_millis(300), events.next()).await;
        assert!(early.is_err(), "nothing is told before there is a connection");

        let relay = Relay::open(&socket);
        assert_eq!(next(&mut events).await, Event::Resync);
        let spec = world.fixture.machine("watched", 2);
        let id = backend.machines.create(&spec).await.expect("create");
        let made = Event::Changed { owner: spec.owner.clone(), happening: Happening::Created };
        assert_eq!(next(&mut events).await, made);

        relay.cut().await;
        assert!(backend.machines.start(&id).await.expect_err("cut").is_unavailable());
        assert!(backend.machines.find(spec.owner.uid).await.expect_err("cut").is_unavailable());
        assert!(backend.networks.ensure(&world.fixture.network()).await.expect_err("cut").is_unavailable());
        // What happens meanwhile is missed, and that something was is told.
        world.fixture.backend.machines.start(&id).await.expect("start");
        std::fs::remove_file(&socket).expect("remove the socket");
        let relay = Relay::open(&socket);
        assert_eq!(next(&mut events).await, Event::Resync);
        backend.machines.stop(&id, Duration::ZERO).await.expect("it works again");
        let ended = Event::Changed { owner: spec.owner.clone(), happening: Happening::Died };
        assert_eq!(next(&mut events).await, ended);
        relay.cut().await;
    })
    .await;
}
