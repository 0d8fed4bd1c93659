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
    let first = identity(directory.path(), &[], at(0)).unwrap();
    let certificate = serving(directory.path());
    let second = identity(directory.path(), &[], at(1)).unwrap();
    assert_eq!(first.authority, second.authority);
    assert_eq!(certificate, serving(directory.path()));
}

#[test]
fn certificate_is_renewed_before_it_ends_and_the_authority_stays() {
    let directory = tempfile::tempdir().unwrap();
    let first = identity(directory.path(), &[], at(0)).unwrap();
    let certificate = serving(directory.path());
    let later = identity(directory.path(), &[], at(340)).unwrap();
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
    identity(directory.path(), &[], at(0)).unwrap();
    let certificate = serving(directory.path());
    identity(directory.path(), &["cloud.example.org".into(), "192.0.2.7".into()], at(0)).unwrap();
    assert_ne!(certificate, serving(directory.path()));
}

#[test]
fn files_are_for_the_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("pki");
    identity(&inside, &[], at(0)).unwrap();
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
