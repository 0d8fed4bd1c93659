use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::access::TokenHash;

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn day(days: i64) -> Timestamp {
    "2026-01-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * days)
}

fn at(days: i64) -> &'static At {
    Box::leak(Box::new(At(day(days))))
}

/// A clock that the test sets.
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn serving(directory: &Path) -> String {
    fs::read_to_string(directory.join("serving.crt")).unwrap()
}

#[test]
fn second_start_keeps_authority_and_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let first = identity(directory.path(), &[], None, at(0)).unwrap();
    let certificate = serving(directory.path());
    let second = identity(directory.path(), &[], None, at(1)).unwrap();
    assert_eq!(first.authority, second.authority);
    assert_eq!(certificate, serving(directory.path()));
}

#[test]
fn certificate_is_renewed_before_it_ends_and_the_authority_stays() {
    let directory = tempfile::tempdir().unwrap();
    let first = identity(directory.path(), &[], None, at(0)).unwrap();
    let certificate = serving(directory.path());
    let later = identity(directory.path(), &[], None, at(340)).unwrap();
    assert_eq!(first.authority, later.authority);
    assert_ne!(certificate, serving(directory.path()));
}

#[test]
fn certificate_is_renewed_while_it_serves() {
    let directory = tempfile::tempdir().unwrap();
    let clock: &'static Hands = Box::leak(Box::new(Hands(Mutex::new(day(0)))));
    let authority = Authority::load_or_make(directory.path(), day(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let serving = Serving::new(directory.path(), authority, names(&[]), clock, provider).unwrap();
    let first = serving.key().cert.clone();
    *clock.0.lock().unwrap() = day(300);
    assert_eq!(serving.key().cert, first);
    fs::rename(directory.path(), directory.path().with_extension("away")).unwrap();
    *clock.0.lock().unwrap() = day(340);
    assert_eq!(serving.key().cert, first, "the old one serves where no new one can be made");
    fs::rename(directory.path().with_extension("away"), directory.path()).unwrap();
    *clock.0.lock().unwrap() = day(341);
    let second = serving.key().cert.clone();
    assert_ne!(second, first);
    assert_eq!(serving.key().cert, second);
}

#[test]
fn another_name_makes_another_certificate() {
    let directory = tempfile::tempdir().unwrap();
    identity(directory.path(), &[], None, at(0)).unwrap();
    let certificate = serving(directory.path());
    identity(directory.path(), &["cloud.example.org".into(), "192.0.2.7".into()], None, at(0)).unwrap();
    assert_ne!(certificate, serving(directory.path()));
}

#[test]
fn files_are_for_the_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("pki");
    identity(&inside, &[], None, at(0)).unwrap();
    bootstrap_token(&inside, None).unwrap();
    assert_eq!(fs::metadata(&inside).unwrap().permissions().mode() & 0o777, 0o700);
    for file in fs::read_dir(&inside).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[test]
fn token_is_kept_as_a_hash_and_made_anew_when_it_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (token, hash) = bootstrap_token(directory.path(), None).unwrap();
    assert_eq!(hash, TokenHash::of(&token));
    let kept = fs::read_to_string(directory.path().join("admin-token.sha256")).unwrap();
    assert!(!kept.contains(&token));
    assert_eq!(bootstrap_token(directory.path(), Some(&token)).unwrap().0, token);
    let (other, _) = bootstrap_token(directory.path(), None).unwrap();
    assert_ne!(other, token);
}

#[test]
fn all_who_begin_at_once_get_one_key_that_only_its_owner_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pki");
    let keys: Vec<String> = std::thread::scope(|scope| {
        let begin = || service_account_key(&path).unwrap().to_pem();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
    let file = path.join("service-account.key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "nothing is left beside it");
    fs::write(&file, "nonsense").unwrap();
    let error = service_account_key(&path).unwrap_err();
    assert!(error.to_string().ends_with("holds no P-256 key; move it away to have a new one made"), "{error}");
}

#[test]
fn a_file_of_client_authorities_without_one_is_named_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clients.crt");
    for content in [None, Some("nonsense")] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let refused = identity(&directory.path().join("pki"), &[], Some(&file), at(0)).err().unwrap();
        assert!(refused.to_string().ends_with("holds no certificate in PEM: name the file that does"), "{refused}");
    }
}

/// The first message of a client of this version, which offers these suites.
fn client_hello(version: u16, suites: &[u16]) -> Vec<u8> {
    /// ECDSA with SHA-256, the curves P-256 and X25519, uncompressed points.
    const EXTENSIONS: [u8; 24] = [0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 6, 0, 4, 0, 23, 0, 29, 0, 11, 0, 2, 1, 0];
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let head = [&version.to_be_bytes()[..], &[7; 32], &[0]].concat();
    let hello = [&head[..], &length(&suites), &suites, &[1, 0], &length(&EXTENSIONS), &EXTENSIONS].concat();
    let handshake = [&[1, 0][..], &length(&hello), &hello].concat();
    [&[22, 3, 1][..], &length(&handshake), &handshake].concat()
}

#[test]
fn old_versions_and_weak_suites_are_refused() {
    const TLS_1_1: u16 = 0x0302;
    const TLS_1_2: u16 = 0x0303;
    const STRONG: u16 = 0xc02b;
    /// Without forward secrecy, CBC, RC4, 3DES.
    const WEAK: [u16; 4] = [0x009c, 0xc009, 0xc007, 0x000a];
    let place = tempfile::tempdir().unwrap();
    let names = ["cloud.test".to_owned()];
    let server = identity(place.path(), &names, None, at(0)).unwrap().server;
    let answer = |version, suites: &[u16]| {
        let mut connection = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
        connection.read_tls(&mut client_hello(version, suites).as_slice()).unwrap();
        connection.process_new_packets().map(|_| ()).map_err(|error| format!("{error:?}"))
    };
    assert_eq!(answer(TLS_1_2, &[STRONG]), Ok(()));
    let old = answer(TLS_1_1, &[STRONG]).unwrap_err();
    assert!(old.contains("Tls12NotOffered"), "{old}");
    let weak = answer(TLS_1_2, &WEAK).unwrap_err();
    assert!(weak.contains("NoCipherSuitesInCommon"), "{weak}");
}
