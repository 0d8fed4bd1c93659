//! Decides which answers are indented for people's eyes, and indents them while they are sent, in the form of Go's
//! `json.MarshalIndent`. Never a watch, whose events are lines.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use crate::body::{BoxError, ResponseBody};
use crate::negotiate;
use crate::query::Query;
use crate::response::{Answer, JSON};

/// Bytes that are indented at a time: of deep things they become many times as many.
const PART: usize = 4 << 10;
/// Who is taken for a person.
const PEOPLE: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];

/// Whether the answer to a request is for people: as `Accept` or `pretty` says, else by what the client calls itself.
pub(crate) fn is_wanted(headers: &HeaderMap, query: &Query) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if negotiate::accepts_pretty(text(header::ACCEPT)) {
        return true;
    }
    match query.text("pretty") {
        Some(said) => matches!(said, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        None => text(header::USER_AGENT).is_some_and(|agent| PEOPLE.iter().any(|name| agent.starts_with(name))),
    }
}

/// The answer, indented if it is JSON.
pub(crate) fn indented(answer: Answer) -> Answer {
    let is_json = answer.headers().get(header::CONTENT_TYPE).is_some_and(|name| {
        name.as_bytes().strip_prefix(JSON.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b';')))
    });
    if !is_json {
        return answer;
    }
    answer.map(|body| Indented { body, rest: Bytes::new(), indenter: Indenter::default() }.boxed_unsync())
}

struct Indented {
    body: ResponseBody,
    /// What is left of a frame.
    rest: Bytes,
    indenter: Indenter,
}

impl Body for Indented {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            }
        }
        let part = this.rest.split_to(this.rest.len().min(PART));
        Poll::Ready(Some(Ok(Frame::data(this.indenter.indent(&part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }
}

/// Where in a document the indenter is.
#[derive(Debug, Default)]
struct Indenter {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// Behind a bracket: what is empty stays on one line.
    has_opened: bool,
}

impl Indenter {
    /// The next part of a compact document, indented.
    fn indent(&mut self, part: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(part.len() * 2);
        for &byte in part {
            if self.in_string {
                self.in_string = self.is_escaped || byte != b'"';
                self.is_escaped = !self.is_escaped && byte == b'\\';
                out.extend_from_slice(&[byte]);
                continue;
            }
            // Only a compact document ends with its line.
            if byte == b'\n' {
                continue;
            }
            let closes = matches!(byte, b'}' | b']');
            if closes {
                self.depth = self.depth.saturating_sub(1);
            }
            if self.has_opened != closes {
                self.line(&mut out);
            }
            self.has_opened = matches!(byte, b'{' | b'[');
            self.depth += usize::from(self.has_opened);
            self.in_string = byte == b'"';
            out.extend_from_slice(&[byte]);
            match byte {
                b',' => self.line(&mut out),
                b':' => out.extend_from_slice(b" "),
                _ => {}
            }
        }
        out.freeze()
    }

    fn line(&self, out: &mut BytesMut) {
        out.extend_from_slice(b"\n");
        out.resize(out.len() + 2 * self.depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_indented_as_go_does_it_however_it_is_cut() {
        let document = json!({"a": {}, "b": [], "c": [1, {"d": "{[,:\\\"]}"}, [[]]], "e\\": {"f": null}, "g": "\\"});
        let compact = format!("{document}\n");
        let pretty = serde_json::to_string_pretty(&document).unwrap();
        for size in [1, 2, 7, compact.len()] {
            let mut indenter = Indenter::default();
            let parts: Vec<Bytes> = compact.as_bytes().chunks(size).map(|part| indenter.indent(part)).collect();
            assert_eq!(String::from_utf8(parts.concat()).unwrap(), pretty);
        }
        assert_eq!(&Indenter::default().indent(b"{}")[..], b"{}");
    }

    #[test]
    fn people_are_known_by_their_tools_and_have_the_last_word() {
        let wants = |agent: &'static str, accept: &'static str, query| {
            let headers = [(header::USER_AGENT, agent), (header::ACCEPT, accept)];
            let headers = headers.into_iter().map(|(name, value)| (name, value.parse().unwrap()));
            is_wanted(&headers.collect(), &Query::parse(Some(query)))
        };
        assert!(wants("curl/8.5.0", "*/*", ""));
        assert!(wants("Wget/1.21", "*/*", "pretty="));
        assert!(!wants("curl/8.5.0", "*/*", "pretty=false"));
        assert!(!wants("kubectl/v1.37.0", "*/*", ""));
        assert!(!wants("kubectl/v1.37.0", "*/*", "pretty=yes"));
        assert!(wants("kubectl/v1.37.0", "*/*", "pretty=true"));
        assert!(wants("x", "text/html, application/json;pretty=1", ""));
        assert!(!wants("x", "application/json, application/json;pretty=1", ""));
    }
}
