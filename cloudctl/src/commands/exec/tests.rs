//! Commands in a machine made of a WebSocket server.

use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::*;
use crate::api::Session;

/// A machine that takes one connection: it sends what `command` says, after all input was read.
async fn session(command: impl FnOnce(Vec<u8>) -> Vec<Vec<u8>> + Send + 'static) -> Session {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let choose = |request: &Request, mut response: Response| {
            let offered = request.headers()["sec-websocket-protocol"].to_str().unwrap();
            assert!(offered.contains("v5.channel.k8s.io"), "{offered}");
            assert!(request.uri().to_string().contains("command=a+b&command=c"), "{}", request.uri());
            response.headers_mut().insert("sec-websocket-protocol", "v5.channel.k8s.io".parse().unwrap());
            Ok(response)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, choose).await.unwrap();
        let mut input = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            match message.into_data().as_ref() {
                [255, 0] => break,
                [0, bytes @ ..] => input.extend_from_slice(bytes),
                other => panic!("unexpected frame {other:?}"),
            }
        }
        for frame in command(input) {
            socket.send(Message::binary(frame)).await.unwrap();
        }
        let _ = socket.close(None).await;
    });
    let config = Config::new(format!("http://{address}").parse().unwrap());
    Session::new(Client::try_from(config).unwrap(), "default".into(), "http://test".into())
}

async fn ended(session: &Session, input: &[u8]) -> (Result<u8, Error>, String) {
    ended_by(session, input, None).await
}

async fn ended_by(session: &Session, input: &[u8], leave: Option<u8>) -> (Result<u8, Error>, String) {
    let connection = session.websocket("/exec?command=a+b&command=c").await.unwrap();
    let closes = connection.supports_stream_close();
    assert!(closes);
    let (screen, printed) = Screen::captured();
    let (sender, receiver) = connection.into_stream().split();
    let pump = Pump { sender, closes, stdin: true, tty: false, leave, output: &screen };
    let result = tokio::time::timeout(Duration::from_secs(10), pump.run(receiver, input)).await.unwrap();
    (result, printed.text())
}

#[tokio::test]
async fn input_goes_in_output_comes_out_and_the_exit_code_is_passed_on() {
    let session = session(|input| {
        assert_eq!(input, b"hello");
        let status = br#"_{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;
        let mut status = status.to_vec();
        status[0] = 3;
        vec![b"\x01out\n".to_vec(), b"\x02err\n".to_vec(), status]
    })
    .await;
    let (result, printed) = ended(&session, b"hello").await;
    assert_eq!(result.unwrap(), 7);
    assert_eq!(printed, "out\nerr\n");
}

#[tokio::test]
async fn key_that_leaves_ends_the_session_after_what_was_typed_before_it() {
    let (tell, told) = std::sync::mpsc::channel();
    let session = session(move |input| {
        tell.send(input).unwrap();
        Vec::new()
    })
    .await;
    let (result, _) = ended_by(&session, b"ls\n\x1dnever", Some(LEAVE)).await;
    assert_eq!(result.unwrap(), 0);
    let received = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_secs(10)));
    assert_eq!(received.await.unwrap().unwrap(), b"ls\n");
}

#[tokio::test]
async fn connection_that_ends_without_a_status_is_a_failure() {
    let session = session(|_| vec![b"\x01half".to_vec()]).await;
    let (result, printed) = ended(&session, b"").await;
    assert!(result.unwrap_err().to_string().contains("lost before the command ended"));
    assert_eq!(printed, "half");
}

#[tokio::test]
async fn refusal_of_the_server_is_told_in_its_words() {
    let session =
        crate::api::tests::session(|_| crate::api::tests::Answer::status(404, "NotFound", "instances \"x\" not found"));
    let Err(error) = session.websocket("/exec").await else { panic!("connected") };
    assert_eq!(error.to_string(), "instances \"x\" not found");
    assert!(error.is_not_found());
}
