use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::*;
use crate::error::{Exit, chain};
use crate::output::Screen;

const URL: &str = "https://issuer/realm";

fn issuer() -> Issuer {
    Issuer {
        url: URL.to_owned(),
        client_id: "cloud".to_owned(),
        client_secret: None,
        certificate_authorities: Vec::new(),
    }
}

fn document() -> Value {
    json!({
        "issuer": URL,
        "authorization_endpoint": "https://issuer/auth?tenant=1",
        "token_endpoint": "https://issuer/token",
        "scopes_supported": ["email", "openid", "offline_access", "phone"],
    })
}

fn page(document: &Value, attempt: &Attempt, scopes: &[&str]) -> Url {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Provider::read(URL, document).unwrap().page(&issuer(), attempt, "http://127.0.0.1:1/callback", &scopes)
}

fn asked(page: &Url, name: &str) -> String {
    page.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn token(claims: &Value) -> String {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[test]
fn the_page_asks_for_a_code_that_nobody_else_can_use() {
    let (attempt, other) = (Attempt::new().unwrap(), Attempt::new().unwrap());
    let page = page(&document(), &attempt, &[]);
    assert!(page.as_str().starts_with("https://issuer/auth?tenant=1&"), "{page}");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "cloud"),
        ("redirect_uri", "http://127.0.0.1:1/callback"),
        ("scope", "openid offline_access email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked(&page, name), value);
    }
    assert_eq!(asked(&page, "code_challenge").len(), 43);
    assert!(!page.as_str().contains(attempt.verifier()), "the page may be seen by others");
    for (ours, theirs) in [
        (attempt.state(), other.state()),
        (attempt.nonce(), other.nonce()),
        (attempt.verifier(), other.verifier()),
        (attempt.state(), attempt.verifier()),
    ] {
        assert_ne!(ours, theirs);
    }
}

#[test]
fn scopes_are_those_wished_for_or_those_offered() {
    let attempt = Attempt::new().unwrap();
    assert_eq!(asked(&page(&document(), &attempt, &["roles", "openid"]), "scope"), "openid roles");
    let mut silent = document();
    silent.as_object_mut().unwrap().remove("scopes_supported");
    assert_eq!(asked(&page(&silent, &attempt, &[]), "scope"), "openid");
}

#[test]
fn an_issuer_that_is_another_or_has_no_safe_address_is_not_used() {
    let with = |field: &str, value: Value| {
        let mut document = document();
        document[field] = value;
        chain(&Provider::read(URL, &document).unwrap_err())
    };
    assert!(with("issuer", json!("https://issuer/other")).contains("it calls itself `https://issuer/other`"));
    assert!(with("token_endpoint", json!(null)).contains("its document has no token_endpoint"));
    for address in ["http://issuer/token", "file:///etc/passwd", "issuer"] {
        assert!(with("token_endpoint", json!(address)).contains("is not an https:// address"));
        assert!(with("authorization_endpoint", json!(address)).contains("is not an https:// address"));
        assert!(with("revocation_endpoint", json!(address)).contains("is not an https:// address"));
    }
}

#[test]
fn a_secret_is_sent_in_a_header_unless_the_issuer_takes_forms_alone() {
    let secret_in = |ways: Value| {
        let mut document = document();
        document["token_endpoint_auth_methods_supported"] = ways;
        Provider::read(URL, &document).unwrap().secret_in
    };
    for ways in [json!(null), json!(["client_secret_basic"]), json!(["client_secret_post", "client_secret_basic"])] {
        assert_eq!(secret_in(ways), proof::SecretIn::Header);
    }
    assert_eq!(secret_in(json!(["none", "client_secret_post"])), proof::SecretIn::Form);
}

#[test]
fn an_id_token_is_taken_if_it_is_of_the_issuer_and_for_us() {
    let claims = json!({"iss": URL, "aud": "cloud", "exp": 1_900_000_000});
    let check = |field: &str, value: Value| {
        let mut claims = claims.clone();
        claims[field] = value;
        IdToken::read(&token(&claims)).unwrap().check(URL, "cloud")
    };
    assert_eq!(check("x", json!(1)).unwrap().as_second(), 1_900_000_000);
    assert!(check("aud", json!(["other", "cloud"])).is_ok());
    for (field, value) in [
        ("iss", json!("https://elsewhere")),
        ("aud", json!("other")),
        ("aud", json!(["other"])),
        ("aud", json!(null)),
        ("exp", json!(null)),
        ("exp", json!(1e300)),
    ] {
        assert!(check(field, value.clone()).is_err(), "{field} {value}");
    }
    for text in ["", "a.b", "a.!.c", "e30.W10.x"] {
        assert!(IdToken::read(text).is_none(), "{text}");
    }
}

#[test]
fn a_refusal_says_whose_it_is_and_why_and_nothing_that_a_terminal_obeys() {
    let refused = |answer: Value| chain(&IssuerError::refused(URL, StatusCode::BAD_REQUEST, &answer));
    let known = refused(json!({"error": "invalid_client", "error_description": "no\u{1b}[2J such client"}));
    let expected = format!("the OpenID issuer {URL} refused the login: no[2J such client (invalid_client)\n");
    assert!(known.starts_with(&expected) && known.contains("--client-secret-file"), "{known}");
    assert!(refused(json!("what?")).ends_with("400 Bad Request"));
    assert!(refused(json!({"error": "x".repeat(10_000)})).len() < 400);
}

#[test]
fn a_code_gives_the_tokens_of_its_own_login_or_says_what_is_missing() {
    let given = |claims: Value| json!({"id_token": token(&claims), "refresh_token": "r"});
    let claims = json!({"iss": URL, "aud": "cloud", "exp": 1_900_000_000, "nonce": "n"});
    let granted = issuer().redeemed(&given(claims.clone()), "n").unwrap();
    assert_eq!(granted.refresh_token.as_deref(), Some("r"));
    let refused = |answer: &Value| chain(&issuer().redeemed(answer, "n").err().expect("it is refused"));
    for (answer, why) in [
        (json!({"access_token": "x"}), "gave no ID token, by which the cloud knows its users; the client `cloud`"),
        (json!({"id_token": "x"}), "it is no JWT"),
        (given(json!({"iss": URL, "aud": "cloud", "exp": 1_900_000_000})), "its nonce differs"),
        (given(json!({"iss": URL, "aud": "other", "exp": 1_900_000_000, "nonce": "n"})), "meant for another client"),
    ] {
        assert!(refused(&answer).contains(why), "{}", refused(&answer));
    }
    let single = issuer().redeemed(&json!({"id_token": token(&claims)}), "n").unwrap();
    assert_eq!(single.refresh_token, None);
}

#[test]
fn a_refresh_token_goes_on_until_there_is_another_and_for_the_same_user_alone() {
    let of = |user: &str| token(&json!({"iss": URL, "aud": "cloud", "exp": 1_900_000_000, "sub": user}));
    let renewed = |answer: &Value| issuer().renewed(answer, &of("ann"), "old");
    let kept = renewed(&json!({"id_token": of("ann")})).unwrap();
    assert_eq!(kept.refresh_token.as_deref(), Some("old"));
    let rotated = renewed(&json!({"id_token": of("ann"), "refresh_token": "new"})).unwrap();
    assert_eq!(rotated.refresh_token.as_deref(), Some("new"));
    let another = chain(&renewed(&json!({"id_token": of("bob")})).err().expect("it is refused"));
    assert!(another.contains("it is of another user"), "{another}");
    let none = chain(&renewed(&json!({"refresh_token": "new"})).err().expect("it is refused"));
    assert!(none.contains("it renews no ID tokens") && none.contains("cloudctl login --oidc"), "{none}");
}

/// What the page that a browser asked for says.
async fn visit(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

#[tokio::test]
async fn the_browser_brings_the_code_and_whoever_else_comes_is_sent_away() {
    let callback = Callback::open(0).await.unwrap();
    let (port, attempt) = (callback.port(), Arc::new(Attempt::new().unwrap()));
    assert_eq!(callback.redirect(), format!("http://127.0.0.1:{port}/callback"));
    let state = attempt.state().to_owned();
    let (screen, captured) = Screen::captured();
    let awaited = tokio::spawn(async move { callback.code(&attempt, URL, Duration::from_secs(60), &screen).await });
    // A browser opens one in advance and says nothing.
    let _idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for (target, status) in [
        ("/favicon.ico".to_owned(), "404"),
        ("/callback".to_owned(), "400"),
        ("/callback?code=stolen&state=other".to_owned(), "400"),
        ("/callback?error=access_denied&state=other".to_owned(), "400"),
        (format!("/callback?code=c&state={state}&iss=https://elsewhere"), "400"),
        (format!("/callback?state={state}"), "400"),
    ] {
        let page = visit(port, &target).await;
        assert!(page.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {page}");
        assert!(!awaited.is_finished(), "{target}");
    }
    assert_eq!(captured.text().matches("its state differs").count(), 1, "{}", captured.text());
    let page = visit(port, &format!("/callback?code=a%2Fb&state={state}&iss={URL}")).await;
    assert!(page.contains("Close this window"), "{page}");
    assert_eq!(awaited.await.unwrap().unwrap(), "a/b");
}

#[tokio::test]
async fn a_login_that_is_declined_or_never_comes_says_so() {
    let callback = Callback::open(0).await.unwrap();
    let (port, attempt) = (callback.port(), Arc::new(Attempt::new().unwrap()));
    let error = Callback::open(port).await.err().expect("it is taken");
    assert!(error.to_string().contains(&format!("port {port} of 127.0.0.1")), "{error}");
    let target = format!("/callback?error=access_denied&state={}", attempt.state());
    let screen = Screen::plain();
    let (declined, _) =
        tokio::join!(callback.code(&attempt, URL, Duration::from_secs(60), &screen), visit(port, &target));
    let error = declined.unwrap_err();
    assert!(chain(&error).contains("somebody declined it there (access_denied)"), "{error}");

    let callback = Callback::open(0).await.unwrap();
    let error = callback.code(&attempt, URL, Duration::ZERO, &screen).await.unwrap_err();
    assert!(chain(&error).contains(&format!("nobody logged in at {URL}")), "{error}");
    assert_eq!(error.exit(), Exit::Timeout);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_named() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let issuer = Issuer { url: format!("https://{nobody}"), ..issuer() };
    let error = issuer.discover().await.unwrap_err();
    assert!(error.to_string().contains(&nobody.to_string()) && error.to_string().contains("refused"), "{error}");
    assert_eq!(error.exit(), Exit::Unreachable);
    let plain = Issuer { url: "http://issuer".to_owned(), ..issuer };
    assert_eq!(plain.discover().await.unwrap_err().exit(), Exit::Usage);
}

#[tokio::test]
async fn a_login_that_nothing_renews_says_how_to_go_on() {
    let error = issuer().renew("x", None).await.err().expect("it has ended");
    assert!(chain(&error).contains("cloudctl login --oidc"), "{error}");
    assert_eq!(error.exit(), Exit::Unreachable);
}
