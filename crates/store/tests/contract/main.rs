//! The contract of `Db` and `Ephemeral`, written once and run on every engine.
//!
//! **Owns** the suites and the records they write (`sample`). **Does not own** what only one engine has: files, locks and
//! keys of SQLite are in `files`. **Flow** an engine's module below hands a fresh database to each case of a suite.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a failed assumption ends them")]

mod cleanup;
mod ephemeral;
mod files;
mod gates;
mod races;
mod records;
mod sample;
mod waiting;

macro_rules! on_every_engine {
    ($($suite:ident :: $case:ident,)+) => {
        mod sqlite_file {
            use portcullis_store::{Db, OpenOptions};

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                let db = Db::open(folder.path(), super::sample::keys(), OpenOptions::default()).unwrap();
                super::$suite::$case(db).await;
            })+
        }

        mod sqlite_memory {
            use portcullis_store::Db;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$suite::$case(Db::in_memory(super::sample::keys()).unwrap()).await;
            })+
        }
    };
}

on_every_engine! {
    records::a_realm_comes_back_whole,
    records::a_user_comes_back_whole,
    records::a_user_that_was_read_before_is_never_an_old_one,
    records::an_update_replaces_the_collections,
    records::only_ready_realms_are_seen,
    records::the_same_ids_live_in_two_realms,
    records::activity_below_counts_for_the_session,
    records::generations_grow_with_configuration_only,
    records::users_are_found_by_what_administrators_type,
    records::members_are_listed_in_pages,
    records::events_come_newest_first,
    records::duplicate_emails_are_the_realms_choice,
    records::removed_defaults_are_left_out,
    records::a_deleted_client_takes_its_own_along,
    gates::every_write_with_its_gate_won_and_lost,
    waiting::what_waits_comes_back_whole_and_is_taken_once,
    waiting::a_consent_is_replaced_and_goes_with_its_parents,
    waiting::cut_offs_are_in_commit_order,
    waiting::what_ended_is_swept_and_a_removed_realm_takes_all,
    races::one_of_fifty_takes_a_code,
    races::one_of_fifty_rotates_a_lineage,
    races::one_of_fifty_counts_the_first_failure,
    races::lo_an_insert_that_races_a_logout_loses_in_both_orders,
    races::a_failed_plan_leaves_its_neighbours_alone,
    races::a_caller_that_hangs_up_loses_nothing,
    races::a_thousand_writes_are_one_plan_and_more_are_refused,
    races::text_with_nul_is_refused,
    cleanup::a_removed_realm_leaves_nothing_and_touches_no_other,
    cleanup::a_removal_that_was_cut_off_goes_on,
    cleanup::a_sweep_takes_what_expired_more_than_a_day_ago,
    cleanup::a_sweep_holds_back_more_than_a_fifth,
    cleanup::ds_28_sessions_that_end_together_are_swept_in_small_pieces,
}

macro_rules! on_every_ephemeral {
    ($($case:ident,)+) => {
        mod memory {
            use portcullis_store::MemoryEphemeral;
            use std::sync::Arc;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::ephemeral::$case(Arc::new(MemoryEphemeral::new("born-1"))).await;
            })+
        }
    };
}

on_every_ephemeral! {
    one_of_fifty_puts_a_new_value,
    one_of_fifty_takes_a_value,
    values_end_by_the_callers_clock,
    counters_keep_their_end,
    a_lease_has_one_holder_and_growing_fences,
    realms_and_kinds_are_apart,
    wake_reaches_subscribers_of_the_topic,
    the_generation_stays_the_same,
}
