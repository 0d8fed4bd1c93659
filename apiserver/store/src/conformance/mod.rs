//! The guarantees of the port and of what is built on it, as plain functions that every adapter runs.
//!
//! A failed guarantee panics with a message that says which. An adapter's test makes [`Databases`] and calls
//! [`check_store`], [`check_storage`], [`check_rotation`] and, if it can be shared, [`check_sharing`] and
//! [`check_shared_rotation`].

mod renewing;
mod replacing;
mod rotating;
mod sealing;
mod sharing;
mod storage;
mod store;
mod upgrade;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

pub use upgrade::check_upgraded;

use crate::{Batch, Change, Expect, Key, ResourceId, Revision, Store, Write};

/// No single check takes longer than this on any machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Makes empty databases.
#[async_trait]
pub trait Databases: Send + Sync {
    /// A new one, with nothing in it.
    async fn create(&self) -> Box<dyn Database>;
}

/// One database, which outlives the stores that are opened on it.
#[async_trait]
pub trait Database: Send + Sync {
    /// Opens it. Unless it can be shared, every earlier handle is gone by then.
    async fn open(&self) -> Arc<dyn Store>;

    /// Everything that it has written anywhere: what a thief would get.
    async fn raw_bytes(&self) -> Vec<u8>;
}

macro_rules! run {
    ($databases:expr, $($check:path),+ $(,)?) => {
        $({
            let database = $databases.create().await;
            run_one(stringify!($check), $check(database.as_ref())).await;
        })+
    };
}

/// Checks the guarantees of [`Store`].
pub async fn check_store(databases: &dyn Databases) {
    run!(
        databases,
        store::new_store_is_empty,
        store::accepted_writes_have_dense_revisions,
        store::wrong_expectation_is_rejected_with_its_reason,
        store::writes_of_one_key_in_a_batch_see_each_other,
        store::bound_writes_happen_together_or_not_at_all,
        store::rejected_batch_leaves_no_trace,
        store::changes_tell_what_happened_in_order,
        store::changes_come_in_pages,
        store::first_change_of_a_batch_carries_its_id,
        store::any_name_and_any_bytes_are_kept,
        store::reopened_store_has_everything,
        store::compaction_forgets_changes_and_keeps_objects,
        store::compaction_never_goes_back_or_ahead,
        store::concurrent_commits_leave_no_hole,
        store::empty_batch_tells_the_revision,
        store::seal_check_is_kept_once,
        store::batch_of_another_seal_check_does_not_happen,
        store::closed_store_refuses_or_answers_but_never_hangs,
        replacing::staged_content_takes_the_place_of_everything_at_once,
        replacing::writes_of_another_history_do_not_happen,
        replacing::staging_that_is_dropped_leaves_no_trace,
        replacing::swap_is_not_seen_in_part,
    );
}

/// Checks what [`crate::Storage`] promises, over this store.
pub async fn check_storage(databases: &dyn Databases) {
    run!(
        databases,
        storage::writer_reads_its_own_write,
        storage::refused_writes_say_why,
        storage::counter_loses_no_increment,
        storage::bound_writes_keep_a_count_exact,
        storage::watch_sees_every_event_once_and_in_order,
        storage::snapshot_and_watch_have_no_gap,
        storage::watch_resumes_where_another_stopped,
        storage::slow_watcher_is_cut_off_alone,
        storage::watch_from_before_the_start_is_expired,
        storage::old_page_is_what_it_was,
        storage::idle_watch_learns_the_progress_of_others,
        storage::storage_dropped_without_shutdown_keeps_every_acknowledged_write,
        storage::sealed_resource_is_nowhere_in_the_clear,
        storage::wrong_key_is_refused,
        sealing::each_namespace_has_its_own_data_key,
        sealing::first_writes_at_once_share_one_data_key,
        sealing::ciphertext_in_another_row_does_not_open,
        sealing::store_from_before_data_keys_is_moved_over,
        sealing::kind_is_sealed_and_unsealed_by_a_start,
        storage::shutdown_ends_watches_and_finishes_writes,
        replacing::restored_content_is_the_same_under_a_new_history,
    );
}

/// Checks what a rotation of keys promises.
pub async fn check_rotation(databases: &dyn Databases) {
    run!(
        databases,
        rotating::rotated_store_needs_the_new_key_alone,
        rotating::rotation_that_is_killed_anywhere_goes_on,
        rotating::renewal_that_is_killed_anywhere_goes_on,
        rotating::writes_go_on_during_a_rotation,
        renewing::renewed_data_keys_are_nowhere_any_more,
        renewing::data_key_goes_with_the_last_of_its_namespace,
        renewing::namespaces_that_empty_and_fill_lose_nothing,
    );
}

/// Checks what a rotation of keys promises between several storages on one database.
pub async fn check_shared_rotation(databases: &dyn Databases) {
    run!(
        databases,
        rotating::storages_that_write_take_the_new_key_over,
        rotating::storage_without_the_new_key_is_shut_out,
        renewing::namespaces_that_several_empty_and_fill_lose_nothing,
    );
}

/// Checks what holds between several storages on one database.
pub async fn check_sharing(databases: &dyn Databases) {
    run!(
        databases,
        sharing::fresh_read_sees_what_another_wrote,
        sharing::watch_sees_what_another_wrote_without_being_asked,
        sharing::storages_that_write_at_once_agree,
        sharing::one_counter_for_all,
        sharing::bound_writes_keep_one_count_for_all,
        sharing::late_follower_reads_everything_anew,
        sharing::all_storages_have_one_installation,
        sealing::storages_agree_on_data_keys,
        replacing::others_learn_that_their_history_is_over,
    );
}

async fn run_one(name: &str, check: impl Future<Output = ()>) {
    let began = tokio::time::Instant::now();
    if tokio::time::timeout(LIMIT, check).await.is_err() {
        panic!("{name} has not ended within {LIMIT:?}");
    }
    eprintln!("checked {name} in {:?}", began.elapsed());
}

fn things() -> ResourceId {
    ResourceId::new("example.dev", "things")
}

fn others() -> ResourceId {
    ResourceId::new("", "others")
}

fn key(name: &str) -> Key {
    Key::new(things(), "default", name)
}

fn json(name: &str, value: &str) -> Vec<u8> {
    serde_json::json!({"metadata": {"name": name, "resourceVersion": "stale"}, "value": value}).to_string().into_bytes()
}

fn put(key: Key, expect: Expect, uid: Uuid, value: &str) -> Write {
    let body = json(&key.name, value);
    Write { key, expect, change: Change::Put { uid, body } }
}

fn create(key: Key, value: &str) -> Write {
    put(key, Expect::Absent, Uuid::new_v4(), value)
}

fn delete(key: Key, revision: Revision, value: &str) -> Write {
    let body = json(&key.name, value);
    Write { key, expect: Expect::Revision(revision), change: Change::Delete { body } }
}

async fn batch(store: &Arc<dyn Store>, writes: Vec<Write>) -> Batch {
    let epoch = store.meta().await.expect("there is meta data").epoch;
    Batch::of(epoch, writes)
}
