//! Where the browser comes back to: a listener on this machine's loopback, as RFC 8252 has it, for one answer. Whatever else comes
//! there is refused, and the wait goes on.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::attempt::Brought;
use super::{Attempt, IssuerError};
use crate::output::Screen;

const PATH: &str = "/callback";
/// Browsers open some at once, and leave them.
const CONNECTIONS: usize = 32;
/// How long one may stay.
const PATIENCE: Duration = Duration::from_secs(10);

const THANKS: &str = "cloudctl has the answer. Close this window and go on in the terminal.\n";

/// The listener.
pub(crate) struct Callback {
    listener: TcpListener,
    port: u16,
}

/// What the answers are held against.
struct Awaited {
    attempt: Arc<Attempt>,
    issuer: String,
    screen: Screen,
    /// Any page in the browser may come here as often as it likes.
    is_warned: AtomicBool,
    found: mpsc::Sender<Result<String, IssuerError>>,
}

impl Callback {
    /// Listens; 0 is any port that is free.
    pub(crate) async fn open(port: u16) -> Result<Self, IssuerError> {
        let unusable = |source| IssuerError::Port { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(unusable)?;
        let port = listener.local_addr().map_err(unusable)?.port();
        Ok(Self { listener, port })
    }

    /// The port that it has.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the issuer sends the browser.
    pub(crate) fn redirect(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// The code that the browser brings.
    pub(crate) async fn code(
        self,
        attempt: &Arc<Attempt>,
        issuer: &str,
        limit: Duration,
        screen: &Screen,
    ) -> Result<String, IssuerError> {
        let nobody = || IssuerError::Nobody { issuer: issuer.to_owned(), minutes: limit.as_secs() / 60 };
        let (found, mut answers) = mpsc::channel(1);
        let awaited = Awaited {
            attempt: Arc::clone(attempt),
            issuer: issuer.to_owned(),
            screen: screen.clone(),
            is_warned: AtomicBool::default(),
            found,
        };
        let found = async {
            tokio::select! {
                never = self.accept(Arc::new(awaited)) => never,
                answer = answers.recv() => answer,
            }
        };
        tokio::time::timeout(limit, found).await.ok().flatten().unwrap_or_else(|| Err(nobody()))
    }

    /// Takes connections for as long as somebody waits. Never has an answer itself.
    async fn accept(&self, awaited: Arc<Awaited>) -> Option<Result<String, IssuerError>> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(tokio::time::timeout(PATIENCE, serve(stream, Arc::clone(&awaited))));
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// Answers one request, and says what it brought once the page is sent: nobody waits afterwards.
async fn serve(stream: TcpStream, awaited: Arc<Awaited>) {
    let kept = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let (answer, brought) = respond(&request, &awaited);
        if brought.is_some() {
            *kept.lock().expect("nobody panics while keeping an answer") = brought;
        }
        async { Ok::<_, std::convert::Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service);
    // A browser that goes away early has brought its answer all the same.
    let _ = served.await;
    if let Some(brought) = kept.into_inner().expect("nobody panics while keeping an answer") {
        let _ = awaited.found.try_send(brought);
    }
}

fn respond(request: &Request<Incoming>, awaited: &Awaited) -> (Response<String>, Option<Result<String, IssuerError>>) {
    let page = |status: StatusCode, text: &str| {
        let mut page = Response::new(text.to_owned());
        *page.status_mut() = status;
        let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
        page.headers_mut().insert(header::CONTENT_TYPE, kind);
        page
    };
    if request.method() != Method::GET || request.uri().path() != PATH {
        return (page(StatusCode::NOT_FOUND, "there is nothing here\n"), None);
    }
    match awaited.attempt.judge(request.uri().query().unwrap_or_default(), &awaited.issuer) {
        Brought::Answer(answer) => (page(StatusCode::OK, THANKS), Some(answer)),
        Brought::Stray(why) => {
            if !awaited.is_warned.swap(true, Ordering::Relaxed) {
                awaited.screen.warning(&format!("somebody came to {PATH} and was refused: {why}"));
            }
            (page(StatusCode::BAD_REQUEST, &format!("{why}; cloudctl goes on waiting\n")), None)
        }
    }
}
