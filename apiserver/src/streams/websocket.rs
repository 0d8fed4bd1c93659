//! The channels of `v4.channel.k8s.io` and `v5.channel.k8s.io`: which byte means what, and how a connection becomes one.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::TerminalSize;
use crate::body::{RequestBody, full};
use crate::error::ApiError;
use crate::response::Answer;

pub(super) const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const ERROR: u8 = 3;
const RESIZE: u8 = 4;
pub(super) const CLOSE: u8 = 255;

/// What kubectl offers for port forwarding: the frames of SPDY in messages of a WebSocket.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// Those of sessions, newest first. Both speak the same but for the end of the input.
pub(super) const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// What a client says in one message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Input(Bytes),
    InputEnds,
    Resize(TerminalSize),
    Nothing,
}

/// Reads one binary message.
pub(super) fn read(message: &Bytes) -> Said {
    match message.first() {
        Some(&STDIN) if message.len() > 1 => Said::Input(message.slice(1..)),
        Some(&RESIZE) => serde_json::from_slice::<serde_json::Value>(&message[1..])
            .ok()
            .and_then(|size| {
                let side = |name: &str| u16::try_from(size.get(name)?.as_u64()?).ok().filter(|side| *side > 0);
                Some(Said::Resize(TerminalSize { width: side("Width")?, height: side("Height")? }))
            })
            .unwrap_or(Said::Nothing),
        Some(&CLOSE) if message.get(1) == Some(&STDIN) => Said::InputEnds,
        _ => Said::Nothing,
    }
}

/// Writes one binary message.
pub(super) fn write(channel: u8, data: &[u8]) -> Bytes {
    [&[channel], data].concat().into()
}

/// Switches to WebSocket and the first of these protocols that the client offers. The connection itself comes later, when
/// the answer has been sent.
pub(super) fn accept(
    request: &mut Request<RequestBody>,
    protocols: &[&'static str],
) -> Result<(Answer, hyper::upgrade::OnUpgrade), ApiError> {
    let headers = request.headers();
    let has = |name, word: &str| {
        let words = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        words.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        return Err(ApiError::bad_request("Upgrade request required: only WebSocket is spoken here"));
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .ok_or_else(|| ApiError::bad_request("`Sec-WebSocket-Key` is missing"))?
        .as_bytes();
    let accepted = derive_accept_key(key);
    let offered = offered(headers);
    let chosen = protocols.iter().copied().find(|known| offered.contains(known));
    let protocol = chosen.ok_or_else(|| {
        let spoken = protocols.join(", ");
        if offered.contains(&TUNNEL) {
            return ApiError::bad_request(format!(
                "this server tunnels no SPDY; it forwards ports over WebSocket by {spoken}, as `cloudctl port-forward` does"
            ));
        }
        ApiError::bad_request(format!("no WebSocket subprotocol in common, this server speaks {spoken}"))
    })?;
    let mut answer = Response::new(full(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = answer.headers_mut();
    out.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    out.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    if let Ok(value) = HeaderValue::from_str(&accepted) {
        out.insert(header::SEC_WEBSOCKET_ACCEPT, value);
    }
    Ok((answer, hyper::upgrade::on(request)))
}

fn offered(headers: &HeaderMap) -> Vec<&str> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty};

    use super::*;

    #[test]
    fn channels_are_told_apart() {
        assert_eq!(read(&Bytes::from_static(b"\x00hi")), Said::Input("hi".into()));
        assert_eq!(read(&Bytes::from_static(b"\x00")), Said::Nothing);
        assert_eq!(read(&Bytes::from_static(b"\xff\x00")), Said::InputEnds);
        let size = read(&Bytes::from_static(b"\x04{\"Width\":80,\"Height\":24}"));
        assert_eq!(size, Said::Resize(TerminalSize { width: 80, height: 24 }));
        assert_eq!(read(&Bytes::from_static(b"\x04nonsense")), Said::Nothing);
    }

    fn asking(protocols: &'static str) -> Request<RequestBody> {
        let request = Request::builder()
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
            .header(header::SEC_WEBSOCKET_PROTOCOL, protocols);
        request.body(RequestBody::new(Empty::new().map_err(|never| match never {}))).unwrap()
    }

    #[test]
    fn the_newest_protocol_in_common_is_chosen() {
        let chosen = |offered, known: &[&'static str]| {
            let (answer, _) = accept(&mut asking(offered), known).map_err(|error| error.to_string())?;
            Ok::<_, String>(answer.headers()[header::SEC_WEBSOCKET_PROTOCOL].to_str().unwrap().to_owned())
        };
        assert_eq!(chosen("v4.channel.k8s.io, v5.channel.k8s.io", &PROTOCOLS).unwrap(), "v5.channel.k8s.io");
        assert_eq!(chosen("v5.channel.k8s.io, v4.channel.k8s.io", &PROTOCOLS[1..]).unwrap(), "v4.channel.k8s.io");
        assert!(chosen("channel.k8s.io", &PROTOCOLS).unwrap_err().contains("no WebSocket subprotocol in common"));
        let tunnel = chosen("SPDY/3.1+portforward.k8s.io", &PROTOCOLS[1..]).unwrap_err();
        assert!(tunnel.contains("tunnels no SPDY") && tunnel.contains("cloudctl port-forward"), "{tunnel}");
    }
}
