//! Decides how a collection is watched for as long as the caller likes: list, watch from there, and begin again where it broke
//! off. A lost connection is told once and survived; only the very first list may fail.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;

use super::{ApiError, Query, Session};

/// After how many seconds a watch is renewed.
const RENEW_SECONDS: &str = "290";
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What a watch has to tell.
#[derive(Debug)]
pub(crate) enum News {
    /// The whole collection: at the start, and again when the server no longer remembers where we were.
    Listed(Value),
    /// One object (or a Table with one row) was added or changed.
    Changed(Value),
    /// One object was deleted; this is its last state.
    Deleted(Value),
}

/// A watch on a collection.
pub(crate) struct Watch<'a> {
    session: &'a Session,
    path: String,
    query: Query,
    accept: &'static str,
    version: Option<String>,
    stream: Option<BoxStream<'static, Result<Value, ApiError>>>,
    began: bool,
    pause: Duration,
    lost: bool,
}

impl<'a> Watch<'a> {
    /// A watch on `path`, with the selectors in `query`.
    pub(crate) fn new(session: &'a Session, path: String, query: Query, accept: &'static str) -> Self {
        Self {
            session,
            path,
            query,
            accept,
            version: None,
            stream: None,
            began: false,
            pause: FIRST_PAUSE,
            lost: false,
        }
    }

    /// Goes on from a revision that was listed already.
    pub(crate) fn after_version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self.began = true;
        self
    }

    /// The next thing that happened.
    pub(crate) async fn next(&mut self) -> Result<News, ApiError> {
        loop {
            match self.step().await {
                Ok(Some(news)) => {
                    self.recovered();
                    return Ok(news);
                }
                Ok(None) => {}
                Err(error) if self.began && error.is_passing() => self.rest(&error).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn step(&mut self) -> Result<Option<News>, ApiError> {
        let Some(version) = self.version.clone() else {
            let listed = self.session.get_as(&self.query.on(&self.path), self.accept).await?;
            self.version = listed["metadata"]["resourceVersion"].as_str().map(str::to_owned);
            self.began = true;
            return Ok(Some(News::Listed(listed)));
        };
        let Some(stream) = &mut self.stream else {
            let query = self
                .query
                .clone()
                .with("watch", "true")
                .with("allowWatchBookmarks", "true")
                .with("timeoutSeconds", RENEW_SECONDS)
                .with("resourceVersion", version);
            match self.session.lines(&query.on(&self.path), self.accept).await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    self.recovered();
                }
                Err(ApiError::Status { status }) if status.code == 410 => self.version = None,
                Err(error) => return Err(error),
            }
            return Ok(None);
        };
        match stream.next().await {
            Some(Ok(event)) => Ok(self.event(event)),
            Some(Err(error)) => {
                self.stream = None;
                // A line cut off in the middle is a lost connection, too.
                match error {
                    ApiError::NotJson { request, source } => {
                        Err(ApiError::Broken { request, source: Box::new(source) })
                    }
                    error => Err(error),
                }
            }
            None => {
                self.stream = None;
                // A server that ends every watch at once must not be asked in a tight loop.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(None)
            }
        }
    }

    fn event(&mut self, mut event: Value) -> Option<News> {
        let object = event["object"].take();
        let kind = event["type"].as_str().unwrap_or_default();
        if kind == "ERROR" {
            self.stream = None;
            self.version = None;
            return None;
        }
        if let Some(version) = revision(&object) {
            self.version = Some(version.to_owned());
        }
        match kind {
            "ADDED" | "MODIFIED" => Some(News::Changed(object)),
            "DELETED" => Some(News::Deleted(object)),
            _ => None,
        }
    }

    async fn rest(&mut self, error: &ApiError) {
        self.stream = None;
        if !self.lost && self.pause > FIRST_PAUSE {
            self.lost = true;
            self.session.screen().note(&format!("connection lost ({}); trying again", crate::error::chain(error)));
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn recovered(&mut self) {
        self.pause = FIRST_PAUSE;
        if std::mem::take(&mut self.lost) {
            self.session.screen().note("connected again");
        }
    }
}

/// The revision that an event brings: the object's, or that of the row of a Table.
fn revision(object: &Value) -> Option<&str> {
    let row = &object["rows"][0]["object"]["metadata"]["resourceVersion"];
    [&object["metadata"]["resourceVersion"], row]
        .into_iter()
        .find_map(|value| value.as_str().filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use crate::api::tests::{Answer, session};

    use super::*;

    fn line(kind: &str, name: &str, version: &str) -> Value {
        json!({"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}})
    }

    #[tokio::test]
    async fn watch_goes_on_where_a_closed_stream_ended_and_lists_again_after_410() {
        let calls = Arc::new(AtomicUsize::new(0));
        let session = session(move |request| {
            let path = request.uri().to_string();
            match calls.fetch_add(1, Ordering::SeqCst) {
                0 => Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": []})),
                1 => {
                    assert!(path.contains("resourceVersion=5"), "{path}");
                    Answer::lines(&[line("ADDED", "a", "7"), line("BOOKMARK", "", "9")])
                }
                2 => {
                    assert!(path.contains("resourceVersion=9"), "{path}");
                    Answer::lines(&[json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}})])
                }
                3 => Answer::json(200, json!({"metadata": {"resourceVersion": "20"}, "items": [1]})),
                _ => Answer::lines(&[line("DELETED", "a", "21")]),
            }
        });
        let mut watch = Watch::new(&session, "/apis/x/v1/things".into(), Query::new(), super::super::JSON);
        assert!(matches!(watch.next().await, Ok(News::Listed(_))));
        assert!(matches!(watch.next().await, Ok(News::Changed(_))));
        assert!(matches!(watch.next().await, Ok(News::Listed(_))));
        assert!(matches!(watch.next().await, Ok(News::Deleted(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn watch_survives_a_server_that_is_away_for_a_while() {
        let calls = Arc::new(AtomicUsize::new(0));
        let session = session(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::json(200, json!({"metadata": {"resourceVersion": "5"}, "items": []})),
            1..=4 => Answer::json(502, json!("bad gateway")),
            _ => Answer::lines(&[line("ADDED", "a", "7")]),
        });
        let mut watch = Watch::new(&session, "/p".into(), Query::new(), super::super::JSON);
        assert!(matches!(watch.next().await, Ok(News::Listed(_))));
        assert!(matches!(watch.next().await, Ok(News::Changed(_))));
    }

    #[tokio::test]
    async fn first_list_may_fail() {
        let session = session(|_| Answer::status(403, "Forbidden", "no"));
        let mut watch = Watch::new(&session, "/p".into(), Query::new(), super::super::JSON);
        assert!(watch.next().await.is_err());
    }
}
