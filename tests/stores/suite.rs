//! What every store promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::pin,
    task::Poll,
    time::Duration,
};

use tower_activity::{
    ledger::{Entry, leaf_hash, new_entries, root},
    pipeline::Pipeline,
    query::{
        Count, Direction, Expr, Filter, Keyset, PageRequest, Pattern, Relation, Test, TextSearch,
    },
    record::{Actor, Canonical, Field, Record, RecordId, WriterId},
    store::{
        Append, Appended, Appender, Batch, Erase, Evidence, Maintain, Read, Register, Retain,
        StoreError, StoreErrorKind,
    },
    time::Timestamp,
};

use crate::questions;
use crate::records::{self, NOON, full, hostile, ordinary, stream};

/// A place for a store, empty at first, and cleaned up when dropped.
pub(crate) trait Fixture: Send + Sync + Sized + 'static {
    type Store: Append + Read + Maintain + Register + Evidence + Erase + Retain + Clone;

    fn new() -> impl Future<Output = Self> + Send;

    /// Opens the store as another process would.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;
}

/// Runs every fact of the suite over a [`Fixture`].
macro_rules! suite {
    ($fixture:ty) => {
        suite!(@facts $fixture:
            every_field_comes_back_as_it_was,
            hostile_records_come_back_as_they_were,
            canonical_bytes_and_roots_come_out_of_the_stored_rows,
            a_batch_sent_twice_is_refused_and_changes_nothing,
            ten_thousand_rows_delivered_ten_times_are_stored_once,
            a_batch_that_leaves_a_gap_is_refused,
            a_record_that_is_there_already_is_bad_data,
            a_stream_stands_at_its_last_number,
            a_ledger_of_four_writers_has_no_holes,
            each_leaf_gets_an_entry_of_its_own,
            each_commit_is_later_than_the_one_before,
            entries_are_read_on_from_any_position,
            pages_are_complete_and_stable_while_records_arrive,
            filters_mean_what_they_mean_in_memory,
            random_questions_find_what_they_mean,
            an_unknown_id_is_no_record,
            a_store_opened_again_goes_on_where_it_was,
            dropping_an_append_leaves_all_of_it_or_nothing,
            migrating_again_changes_nothing,
            storage_and_streams_add_up,
            a_record_that_is_recorded_twice_holds_up_nothing,
            whatever_time_a_record_claims_it_is_found_by_its_id,
        );
        suite!(@answers $fixture:
            any_filter_means_what_it_means_in_memory,
            pages_lead_through_everything_both_ways,
            counts_are_right_however_far_the_fold_has_come,
            any_filter_counts_what_passes,
            two_that_fold_at_once_count_each_record_once,
            a_fold_that_dies_in_the_middle_is_done_again_by_the_next,
        );
        suite!(@completeness $fixture:
            the_first_batch_after_a_loss_opens_an_epoch_and_others_join_it,
            a_connection_marks_one_batch_and_not_the_next,
            each_stream_says_what_it_holds_and_how_it_ended,
            a_pipeline_that_stopped_left_a_whole_stream,
            processes_that_are_gone_are_told_of_once_by_many_that_start,
        );
        suite!(@erasing $fixture:
            somebody_is_erased_and_every_proof_stays_valid,
            an_erasure_that_broke_off_is_taken_up_again,
            what_arrives_late_of_somebody_who_was_erased_is_erased_on_arrival,
            a_restored_backup_is_brought_up_to_date_with_the_certificates,
            what_comes_while_somebody_is_erased_is_erased_too,
            what_cannot_be_told_of_is_not_erased,
            what_is_held_is_not_erased_until_the_hold_is_lifted,
            a_hold_that_comes_amid_a_replay_keeps_what_is_left,
            a_replay_under_other_keys_is_refused,
            what_the_log_says_of_itself_keeps_its_content,
            an_erasure_keeps_to_its_tenant_and_knows_which_accounts_were_tried,
            nothing_of_somebody_who_was_erased_stays_in_a_spool,
            a_program_of_the_same_id_is_not_erased_with_a_person,
        );
        suite!(@outside $fixture:
            a_spool_at_rest_is_emptied_where_it_lies_and_sent_as_emptied,
            a_spool_in_use_is_refused_before_anybody_is_erased,
            every_file_of_a_spool_and_each_quarantine_file_is_reached_and_counted,
            what_is_held_stays_in_a_spool_at_rest,
            what_is_damaged_is_named_and_not_called_reached,
        );
        suite!(@restricting $fixture:
            what_a_hold_keeps_is_hidden_whole_and_gone_when_it_is_lifted,
            what_arrives_late_of_somebody_erased_is_kept_where_a_hold_is_on_it,
            what_was_restricted_in_parts_is_shown_once_and_whole,
            a_run_keeps_what_is_restricted_and_ends_what_no_hold_keeps,
            nothing_is_restricted_or_let_go_under_other_holds,
        );
        suite!(@edges $fixture:
            the_ends_of_time_are_bounds_like_others,
            no_filter_is_too_large_for_a_statement,
            a_snapshot_is_one_moment_whoever_writes,
            a_page_whose_time_is_up_knows_where_to_go_on,
        );
        suite!(@pages $fixture:
            random_pages_over_months_are_those_of_memory,
            pages_of_every_limit_lead_through_all_months,
        );
        suite!(@register $fixture:
            a_key_is_claimed_once_and_done_when_it_is_settled,
            a_key_that_is_released_can_be_claimed_again_at_once,
            a_claim_is_released_by_whoever_has_it_and_by_nobody_else,
            a_claim_of_the_dead_is_taken_over_under_its_id,
            a_key_twice_in_one_call_is_busy_the_second_time,
            as_many_keys_as_anybody_hands_in_are_claimed_in_their_order,
            of_many_claimants_exactly_one_gets_the_key,
            old_keys_are_forgotten,
            api_keys_are_kept_listed_and_revoked_once,
        );
        suite!(@retention $fixture:
            what_has_expired_goes_is_told_of_and_verifies,
            other_months_of_the_class_stay_wherever_they_stand,
            what_comes_late_to_a_month_that_ended_is_a_unit_again,
            a_run_that_was_stopped_is_gone_on_with,
            a_run_whose_pipeline_has_ended_says_so_and_takes_nothing_out,
            nothing_goes_that_no_record_tells_of,
            a_unit_that_grew_after_it_was_told_of_keeps_what_came_later,
            two_that_run_at_once_do_what_one_does,
            counts_follow_what_was_taken_out,
            a_proof_of_what_was_taken_out_still_holds,
            a_schedule_runs_once_for_all_processes,
            a_store_without_its_type_retains_as_well,
        );
        suite!(@archiving $fixture:
            nothing_goes_that_could_not_be_archived,
            what_comes_between_archive_and_removal_is_archived_before_it_goes,
            what_is_held_is_neither_archived_nor_removed,
            what_was_told_of_without_an_archive_is_archived_and_told_of_anew,
            an_erasure_that_does_not_reach_the_archive_is_not_finished,
            an_archive_that_nobody_named_is_told_of,
            what_is_held_stays_in_the_archive,
            what_a_hold_kept_in_the_archive_goes_when_it_is_lifted,
            an_archive_that_is_not_known_when_a_hold_is_lifted_is_named_and_made_up_for,
            a_replay_goes_through_an_archive_that_was_left,
            addresses_that_the_archive_does_not_let_go_of_are_told_of,
            a_hold_that_came_while_the_archive_was_read_wins,
            what_goes_before_its_time_is_archived_and_what_is_held_stays,
            rules_that_name_an_archive_do_not_start_without,
        );
        suite!(@expiry $fixture:
            addresses_end_before_their_records,
            a_record_under_a_hold_keeps_its_address,
            a_run_that_broke_off_amid_addresses_is_gone_on_with,
            nothing_is_emptied_under_other_holds_than_were_looked_at,
            a_log_that_is_too_large_loses_its_oldest_months_if_that_is_said,
            a_log_at_its_limit_does_not_wait_for_its_time,
        );
        suite!(@holds $fixture:
            what_is_held_stays_until_the_hold_is_lifted,
            a_hold_that_came_after_the_look_wins,
            of_a_hold_and_a_run_at_once_both_tell_the_truth,
            so_many_holds_stand_at_a_time_and_no_more,
            what_is_set_in_one_process_holds_in_the_others,
        );
    };
    (@expiry $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::expiry::$fact::<$fixture>().await;
        }
    )*};
    (@holds $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::holds::$fact::<$fixture>().await;
        }
    )*};
    // What an archive in S3 does depends on no store.
    (@buckets $fixture:ty) => {
        suite!(@in_archives $fixture:
            a_bucket_keeps_erases_and_restores,
            a_bucket_takes_what_is_larger_than_one_piece,
            a_bucket_that_is_not_there_keeps_the_log_whole,
        );
    };
    (@archived $fixture:ty) => {
        suite!(@in_archives $fixture:
            who_is_erased_is_in_no_file_of_the_archive,
            a_part_of_which_a_rewriting_left_a_file_over_is_tidied,
            what_is_archived_is_restored_asked_and_verified,
            who_was_erased_since_does_not_come_back,
            a_late_record_makes_a_further_part,
            nothing_goes_whose_part_was_altered_since,
            addresses_end_in_the_archive_too,
        );
    };
    (@in_archives $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::archived::$fact::<$fixture>().await;
        }
    )*};
    (@archiving $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::archiving::$fact::<$fixture>().await;
        }
    )*};
    (@retention $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::retention::$fact::<$fixture>().await;
        }
    )*};
    (@answers $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::answers::$fact::<$fixture>().await;
        }
    )*};
    (@tampering $fixture:ty) => {
        suite!(@tampered $fixture:
            an_edited_column_is_found_wherever_it_is,
            a_number_that_no_record_has_is_found,
            rows_that_are_gone_moved_or_added_are_found,
            rows_that_are_doubled_are_found_in_the_root_too,
            an_edited_ledger_is_found,
            an_end_that_was_cut_off_is_found_with_an_anchor_alone,
            a_backup_that_is_put_back_is_found_with_an_anchor_or_told_of,
            salts_and_groups_that_changed_their_records_are_found,
            a_group_that_is_nulled_is_erased_with_its_record_and_found_without,
            only_the_log_itself_tells_of_an_erasure,
            keys_take_turns_and_sign_in_their_time_alone,
            a_proof_with_any_bit_changed_proves_nothing,
            a_proof_in_a_large_entry_reads_few_of_its_records,
            a_ledger_that_was_altered_gets_no_proof_and_no_head,
        );
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_removal_counts_only_by_its_own_record() {
            $crate::retention::a_removal_counts_only_by_its_own_record::<$fixture>().await;
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_proof_of_what_was_taken_out_holds_whatever_goes() {
            $crate::outlived::a_proof_of_what_was_taken_out_holds_whatever_goes::<$fixture>().await;
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_verification_amid_a_run_finds_nothing() {
            $crate::outlived::a_verification_amid_a_run_finds_nothing::<$fixture>().await;
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn an_address_that_no_run_names_is_missed() {
            $crate::expiry::an_address_that_no_run_names_is_missed::<$fixture>().await;
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn what_cannot_be_read_may_be_held() {
            $crate::holds::what_cannot_be_read_may_be_held::<$fixture>().await;
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn what_cannot_be_read_keeps_no_other_address() {
            $crate::expiry::what_cannot_be_read_keeps_no_other_address::<$fixture>().await;
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_removal_that_the_ledger_does_not_bear_out_is_none() {
            $crate::retention::a_removal_that_the_ledger_does_not_bear_out_is_none::<$fixture>().await;
        }
    };
    (@tampered $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::tampering::$fact::<$fixture>().await;
        }
    )*};
    (@counts $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::counts::$fact::<$fixture>().await;
        }
    )*};
    (@completeness $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::completeness::$fact::<$fixture>().await;
        }
    )*};
    (@erasing $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::erasing::$fact::<$fixture>().await;
        }
    )*};
    (@restricting $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::restricting::$fact::<$fixture>().await;
        }
    )*};
    (@outside $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::outside::$fact::<$fixture>().await;
        }
    )*};
    (@edges $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::edges::$fact::<$fixture>().await;
        }
    )*};
    (@pages $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::pages::$fact::<$fixture>().await;
        }
    )*};
    (@register $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::register::$fact::<$fixture>().await;
        }
    )*};
    (@facts $fixture:ty: $($fact:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $fact() {
            $crate::suite::$fact::<$fixture>().await;
        }
    )*};
}

pub(crate) async fn append<S: Append>(
    store: &S,
    records: &[Box<Record>],
) -> Result<Appended, StoreError> {
    let batch = Batch::new(records).expect("consecutive records of one stream");
    store.connect().await?.append(batch).await
}

/// Longer than anything here takes, on a machine that stalls for seconds too: only a defect meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Asks for the newest records; that the machine is slow makes no page end early.
pub(crate) const fn newest(limit: usize) -> PageRequest {
    PageRequest::newest(limit).within(PATIENCE)
}

/// As [`newest`], for the oldest.
pub(crate) const fn oldest(limit: usize) -> PageRequest {
    PageRequest::oldest(limit).within(PATIENCE)
}

pub(crate) async fn all<S: Read>(store: &S) -> Vec<Record> {
    store.records(&Filter::new(), &newest(100_000)).await.unwrap().records
}

async fn ledger<S: Read>(store: &S) -> Vec<Entry> {
    store.entries(0, 100_000).await.unwrap()
}

fn seqs(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.seq).collect()
}

pub(crate) async fn every_field_comes_back_as_it_was<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut minimal = Record::default();
    minimal.occurred_at = Timestamp::from_micros(NOON);
    minimal.id = records::id(minimal.occurred_at, 5, 1);
    minimal.writer_id = WriterId::new(5);
    minimal.seq = 1;
    minimal.seal(records::salts(1));
    let sent = vec![Box::new(minimal), full(5, 2)];
    append(&store, &sent).await.unwrap();

    for record in &sent {
        let stored = store.record(record.id).await.unwrap().expect("it was stored");
        for field in Record::FIELDS {
            assert_eq!(field.value(&stored), field.value(record), "{field:?}");
        }
        assert_eq!(stored.seals, record.seals);
    }
}

pub(crate) async fn hostile_records_come_back_as_they_were<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let sent = hostile(6, 150);
    append(&store, &sent).await.unwrap();

    let mut stored = all(&store).await;
    stored.reverse();
    assert_eq!(stored.len(), sent.len());
    for (stored, sent) in stored.iter().zip(&sent) {
        for field in Record::FIELDS {
            assert_eq!(field.value(stored), field.value(sent), "{field:?}");
        }
        assert_eq!(stored, &**sent);
    }
}

pub(crate) async fn canonical_bytes_and_roots_come_out_of_the_stored_rows<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut sent = hostile(7, 60);
    sent.push(full(7, 61));
    let mut canonical = Canonical::new();
    let expected = new_entries(&sent, &mut canonical);
    let appended = append(&store, &sent).await.unwrap();

    let entries = ledger(&store).await;
    assert_eq!(entries, appended.entries);
    assert_eq!(entries.iter().map(|entry| entry.new.clone()).collect::<Vec<_>>(), expected);
    let mut rows = 0;
    for entry in &entries {
        let stored = store.entry_records(entry).await.unwrap();
        assert_eq!(stored.len() as i64, entry.new.count());
        let mut leaves = Vec::new();
        for record in &stored {
            let bytes = canonical.encode(record).to_vec();
            assert_eq!(bytes, canonical.encode(&sent[rows]), "record {}", record.seq);
            leaves.push(leaf_hash(&bytes));
            rows += 1;
        }
        assert_eq!(root(&mut leaves), entry.new.batch_root);
    }
    assert_eq!(rows, sent.len());
}

pub(crate) async fn a_batch_sent_twice_is_refused_and_changes_nothing<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let sent = stream(8, 1..=20);
    append(&store, &sent).await.unwrap();
    let before = (all(&store).await, ledger(&store).await);

    for again in [&sent[..], &sent[5..], &sent[19..]] {
        let refused = append(&store, again).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Position { last_seq: 20 });
    }
    assert_eq!((all(&store).await, ledger(&store).await), before);
}

pub(crate) async fn ten_thousand_rows_delivered_ten_times_are_stored_once<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    for first in (1..10_000).step_by(1_000) {
        let sent = stream(9, first..first + 1_000);
        let mut accepted = 0;
        for _delivery in 0..10 {
            match append(&store, &sent).await {
                Ok(_) => accepted += 1,
                Err(refused) => {
                    assert_eq!(refused.kind(), StoreErrorKind::Position { last_seq: first + 999 })
                }
            }
        }
        assert_eq!(accepted, 1);
    }
    let stored: BTreeSet<i64> = seqs(&all(&store).await).into_iter().collect();
    assert_eq!(all(&store).await.len(), 10_000);
    assert!(stored.into_iter().eq(1..=10_000));
}

pub(crate) async fn a_batch_that_leaves_a_gap_is_refused<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let refused = append(&store, &stream(10, 2..=3)).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Position { last_seq: 0 });
    append(&store, &stream(10, 1..=3)).await.unwrap();
    let refused = append(&store, &stream(10, 5..=6)).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Position { last_seq: 3 });
    assert_eq!(all(&store).await.len(), 3);
}

pub(crate) async fn a_record_that_is_there_already_is_bad_data<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    append(&store, &stream(10, 1..=3)).await.unwrap();
    let before = (all(&store).await, ledger(&store).await);
    // The same id and time from another stream, and twice in one batch.
    let mut from_elsewhere = stream(11, 1..=3);
    from_elsewhere[2].id = before.0[0].id;
    let mut twice = stream(11, 1..=3);
    twice[2].occurred_at = twice[0].occurred_at;
    twice[2].id = twice[0].id;
    for sent in [from_elsewhere, twice] {
        assert_eq!(append(&store, &sent).await.unwrap_err().kind(), StoreErrorKind::Data);
    }
    assert_eq!((all(&store).await, ledger(&store).await), before);
    append(&store, &stream(11, 1..=3)).await.unwrap();
}

pub(crate) async fn a_stream_stands_at_its_last_number<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut appender = store.connect().await.unwrap();
    assert_eq!(appender.position(WriterId::new(11)).await.unwrap(), 0);
    for range in [1..=3, 4..=9] {
        let records = stream(11, range.clone());
        appender.append(Batch::new(&records).unwrap()).await.unwrap();
        assert_eq!(appender.position(WriterId::new(11)).await.unwrap(), *range.end());
    }
    assert_eq!(appender.position(WriterId::new(12)).await.unwrap(), 0);
}

pub(crate) async fn a_ledger_of_four_writers_has_no_holes<F: Fixture>() {
    const BATCHES: i64 = 15;
    let fixture = F::new().await;
    let store = fixture.open().await;
    let writers: Vec<_> = (21..25)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut appender = store.connect().await.unwrap();
                let mut next = 1;
                for batch in 0..BATCHES {
                    let last = next + (batch * writer) % 7;
                    let records = stream(writer, next..=last);
                    let appended = appender.append(Batch::new(&records).unwrap()).await.unwrap();
                    assert_eq!(appended.entries[0].new.first_seq, next);
                    next = last + 1;
                }
                next - 1
            })
        })
        .collect();
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }

    let entries = ledger(&store).await;
    assert!(entries.iter().map(|entry| entry.position).eq(1..=4 * BATCHES));
    assert!(entries.is_sorted_by(|a, b| a.committed_at < b.committed_at));
    let mut streams: BTreeMap<WriterId, i64> = BTreeMap::new();
    for entry in &entries {
        let last = streams.entry(entry.new.writer_id).or_default();
        assert_eq!(entry.new.first_seq, *last + 1, "a stream is whole");
        *last = entry.new.last_seq;
    }
    assert_eq!(streams.values().sum::<i64>(), written);
    assert_eq!(all(&store).await.len() as i64, written);
}

pub(crate) async fn each_leaf_gets_an_entry_of_its_own<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut sent = stream(13, 1..=6);
    for (record, (month, class)) in sent.iter_mut().zip([
        ("2026-04", "activity"),
        ("2026-04", "activity"),
        ("2026-05", "activity"),
        ("2026-05", "authentication"),
        ("2026-05", "authentication"),
        ("2026-06", "activity"),
    ]) {
        record.occurred_at = format!("{month}-30T23:59:59.999999Z").parse().unwrap();
        record.id = records::id(record.occurred_at, 13, record.seq);
        record.retention_class.set(class);
    }
    let appended = append(&store, &sent).await.unwrap();

    let leaves: Vec<_> = appended
        .entries
        .iter()
        .map(|entry| (entry.new.month.to_string(), entry.new.class.clone(), entry.new.count()))
        .collect();
    let leaf = |month: &str, class: &str, count| (month.to_owned(), class.to_owned(), count);
    assert_eq!(
        leaves,
        [
            leaf("2026-04", "activity", 2),
            leaf("2026-05", "activity", 1),
            leaf("2026-05", "authentication", 2),
            leaf("2026-06", "activity", 1),
        ]
    );
    assert_eq!(ledger(&store).await, appended.entries);
    assert_eq!(appended.position(), 4);
    for entry in &appended.entries {
        let records = store.entry_records(entry).await.unwrap();
        assert!(seqs(&records).into_iter().eq(entry.new.first_seq..=entry.new.last_seq));
    }
}

pub(crate) async fn each_commit_is_later_than_the_one_before<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let first = append(&store, &stream(14, 1..=2)).await.unwrap();
    let second = append(&store, &stream(14, 3..=4)).await.unwrap();
    assert!(second.committed_at() > first.committed_at());
    assert_eq!(second.position(), first.position() + 1);
}

pub(crate) async fn entries_are_read_on_from_any_position<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    for seq in 1..=5 {
        append(&store, &stream(15, [seq])).await.unwrap();
    }
    let positions = |entries: Vec<Entry>| -> Vec<i64> {
        entries.into_iter().map(|entry| entry.position).collect()
    };
    assert_eq!(positions(store.entries(0, 2).await.unwrap()), [1, 2]);
    assert_eq!(positions(store.entries(2, 10).await.unwrap()), [3, 4, 5]);
    assert_eq!(positions(store.entries(5, 10).await.unwrap()), [0; 0]);
}

pub(crate) async fn pages_are_complete_and_stable_while_records_arrive<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut old = stream(16, 1..=100);
    // Many records of one moment, so that the order has to fall back on the ids.
    for record in &mut old[30..70] {
        record.occurred_at = Timestamp::from_micros(NOON + 40_000_000);
        record.id = records::id(record.occurred_at, 16, record.seq * 37 % 101);
    }
    append(&store, &old).await.unwrap();

    let mut read: Vec<Keyset> = Vec::new();
    let mut after = None;
    let mut newer = 101;
    loop {
        let request = PageRequest { after, ..newest(7) };
        let page = store.records(&Filter::new(), &request).await.unwrap();
        assert!(page.records.len() == 7 || page.next.is_none());
        read.extend(page.records.iter().map(Keyset::of));
        // What arrives meanwhile is newer than what was read, and does not move it.
        append(&store, &stream(16, newer..newer + 3)).await.unwrap();
        newer += 3;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut expected: Vec<Keyset> = old.iter().map(|record| Keyset::of(record)).collect();
    expected.sort_unstable();
    expected.reverse();
    assert_eq!(read, expected);

    let page = store.records(&Filter::new(), &newest((newer - 1) as usize)).await.unwrap();
    assert_eq!((page.records.len() as i64, page.next), (newer - 1, None), "exactly one page");
}

pub(crate) async fn filters_mean_what_they_mean_in_memory<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut sent = stream(17, 1..=60);
    sent.extend(hostile(17, 130).into_iter().skip(60));
    append(&store, &sent).await.unwrap();

    let any =
        |field: &str, values: &[&str]| Filter::new().any_of(field, values.iter().copied()).unwrap();
    let at = |seconds: i64| Timestamp::from_micros(NOON + seconds * 1_000_000);
    let mut filters = vec![
        Filter::new(),
        any("entity_type", &["order"]),
        any("entity_type", &["PRODUCT", "User"]),
        any("entity_type", &["order"]).any_of("entity_id", ["3"]).unwrap(),
        any("action", &["CREATE"]),
        any("action", &["create", "cancel"]).any_of("actor_id", ["ana"]).unwrap(),
        any("actor_id", &["Ana"]),
        any("actor_id", &["ana", "bob", "'; DROP TABLE activity_records; --"]),
        any("outcome", &["DENIED"]),
        any("actor_type", &["user", "no such type"]),
        any("actor_id", &[]),
        any("description", &["NULL"]),
        any("entity_id", &[""]),
        any("actor_id", &["ana\0", "\u{10ffff}"]),
        Filter::new().from(at(10)),
        Filter::new().to(at(10)),
        any("outcome", &["success"]).from(at(5)).to(at(30)),
        Filter::new().from(at(30)).to(at(5)),
    ];
    // As nobody writes them who goes through the language: not folded before.
    let field = |name: &str| Field::named(name).unwrap();
    for test in [
        Test::OneOf(field("action"), vec!["CANCEL".to_owned(), "Create".to_owned()]),
        Test::Like(field("action"), Pattern::new(["CRE", ""])),
        Test::Like(field("entity_type"), Pattern::new(["", "DUCT"])),
        Test::Like(field("actor_id"), Pattern::new(["A", ""])),
    ] {
        filters.push(Filter::new().and(Expr::Test(test.clone())));
        filters.push(Filter::new().and(Expr::Not(Box::new(Expr::Test(test)))));
    }
    // Each hostile text finds its own record again.
    for record in sent.iter().skip(60).step_by(9) {
        for field in ["actor_id", "action", "entity_type", "description", "route"] {
            let value = tower_activity::record::Field::named(field).unwrap().value(record);
            if let tower_activity::record::Value::Text(text) = value {
                filters.push(any(field, &[text]));
            }
        }
    }
    for filter in filters {
        let mut expected: Vec<&Record> =
            sent.iter().map(|record| &**record).filter(|record| filter.matches(record)).collect();
        expected.sort_unstable_by_key(|record| std::cmp::Reverse(Keyset::of(record)));
        let found = store.records(&filter, &newest(1_000)).await.unwrap().records;
        assert_eq!(
            seqs(&found),
            expected.iter().map(|record| record.seq).collect::<Vec<_>>(),
            "{filter:?}"
        );
    }
}

/// What a store finds, and what it should have: `None` when it is the same.
async fn differing<S: Read>(
    store: &S,
    sent: &[Box<Record>],
    filter: &Filter,
) -> Option<(Vec<Keyset>, Vec<Keyset>)> {
    let passing = sent.iter().filter(|record| filter.matches(record));
    let mut expected: Vec<Keyset> = passing.map(|record| Keyset::of(record)).collect();
    expected.sort_unstable();
    for request in [oldest(1_000), newest(1_000)] {
        let page = store.records(filter, &request).await.unwrap_or_else(|error| {
            panic!("{error:?}: {filter}");
        });
        assert_eq!((page.next, page.complete), (None, true), "{filter}");
        let mut found: Vec<Keyset> = page.records.iter().map(Keyset::of).collect();
        // A text index has an order of its own.
        if page.text == TextSearch::Indexed {
            found.sort_unstable();
        } else if request.direction == Direction::Older {
            found.reverse();
        }
        if found != expected {
            return Some((found, expected));
        }
    }
    let total = store.count(filter, Count::UpTo(Count::CAP)).await.unwrap();
    assert_eq!(
        (total.value, total.relation),
        (expected.len() as u64, Relation::Equal),
        "counted by {filter}"
    );
    None
}

/// The same random questions over the same random records, on the store and in memory. Fails with the
/// smallest part that differs, and the seed: `QUESTIONS_SEED` draws the same again, `QUESTIONS` asks more.
pub(crate) async fn random_questions_find_what_they_mean<F: Fixture>() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("QUESTIONS_SEED").unwrap_or_else(rand_seed);
    let mut runner = questions::runner(seed);
    let mut sent = questions::meeting(51, 160, &mut runner);
    let fixture = F::new().await;
    let store = fixture.open().await;
    append(&store, &sent).await.unwrap();
    let strange = hostile(52, 40);
    append(&store, &strange).await.unwrap();
    sent.extend(strange);

    let (mut met, asked) = (0, number("QUESTIONS").unwrap_or(150));
    for _ in 0..asked {
        let mut filter = questions::ask(&mut runner);
        let Some(mut differing) = self::differing(&store, &sent, &filter).await else {
            let passing = sent.iter().filter(|record| filter.matches(record)).count();
            met += u64::from(passing > 0 && passing < sent.len());
            continue;
        };
        'smaller: loop {
            for part in questions::parts(&filter) {
                if let Some(smaller) = self::differing(&store, &sent, &part).await {
                    (filter, differing) = (part, smaller);
                    continue 'smaller;
                }
            }
            break;
        }
        let (found, expected) = differing;
        let only = |these: &[Keyset], those: &[Keyset]| -> Vec<String> {
            let only = sent.iter().filter(|record| {
                these.contains(&Keyset::of(record)) && !those.contains(&Keyset::of(record))
            });
            only.take(1).map(|record| serde_json::to_string(record).unwrap()).collect()
        };
        panic!(
            "seed {seed}: {filter}\n{filter:?}\nonly the store finds {:#?}\nonly memory finds {:#?}",
            only(&found, &expected),
            only(&expected, &found)
        );
    }
    assert!(met * 3 > asked, "only {met} of {asked} questions divide the records");
}

/// A seed of its own for every run.
fn rand_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

pub(crate) async fn an_unknown_id_is_no_record<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    append(&store, &stream(18, [1])).await.unwrap();
    let near = records::id(ordinary(18, 1).occurred_at, 18, 2);
    for id in [RecordId::NIL, RecordId::from_bytes([0xff; 16]), near] {
        assert_eq!(store.record(id).await.unwrap(), None);
    }
}

pub(crate) async fn a_store_opened_again_goes_on_where_it_was<F: Fixture>() {
    let fixture = F::new().await;
    let first = fixture.open().await;
    append(&first, &stream(19, 1..=3)).await.unwrap();
    let second = fixture.open().await;
    assert_eq!(second.connect().await.unwrap().position(WriterId::new(19)).await.unwrap(), 3);
    let appended = append(&second, &stream(19, 4..=5)).await.unwrap();
    assert_eq!(appended.position(), 2);
    // Both are open at once, and see the same.
    assert_eq!(all(&first).await, all(&second).await);
    drop(first);
    drop(second);
    let third = fixture.open().await;
    assert_eq!(seqs(&all(&third).await), [5, 4, 3, 2, 1]);
}

pub(crate) async fn dropping_an_append_leaves_all_of_it_or_nothing<F: Fixture>() {
    const ROWS: i64 = 300;
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (mut nothing, mut everything) = (0, 0);
    for polls in 1_i64.. {
        let writer = 1_000 + polls;
        let records = stream(writer, 1..=ROWS);
        let mut appender = store.connect().await.unwrap();
        let ended = {
            let mut append = pin!(appender.append(Batch::new(&records).unwrap()));
            let mut left = polls;
            std::future::poll_fn(|context| {
                left -= 1;
                match append.as_mut().poll(context) {
                    Poll::Ready(appended) => Poll::Ready(Some(appended)),
                    Poll::Pending if left == 0 => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        };
        drop(appender);
        // Under the lock that the append held, on a new connection.
        let mut asked = store.connect().await.unwrap();
        let position = asked.position(WriterId::new(writer)).await.unwrap();
        let mine = |record: &&Record| record.writer_id == WriterId::new(writer);
        let stored = all(&store).await.iter().filter(mine).count() as i64;
        assert_eq!(stored, position, "after {polls} polls");
        match position {
            0 => nothing += 1,
            ROWS => everything += 1,
            part => panic!("{part} of {ROWS} records after {polls} polls"),
        }
        if let Some(appended) = ended {
            appended.unwrap();
            break;
        }
    }
    assert!(everything > 0);
    // A store that never waits has nothing that could be dropped midway.
    assert!(nothing > 0 || everything == 1);
    let positions: Vec<i64> = ledger(&store).await.iter().map(|entry| entry.position).collect();
    assert!(positions.into_iter().eq(1..=everything));
}

pub(crate) async fn migrating_again_changes_nothing<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    append(&store, &stream(20, 1..=3)).await.unwrap();
    let before = (all(&store).await, ledger(&store).await);
    let (a, b) = tokio::join!(store.migrate(), store.migrate());
    a.unwrap();
    b.unwrap();
    assert_eq!((all(&store).await, ledger(&store).await), before);
}

pub(crate) async fn storage_and_streams_add_up<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let empty = store.storage().await.unwrap();
    assert_eq!((empty.rows, empty.oldest, empty.newest), (0, None, None));
    append(&store, &stream(31, 1..=30)).await.unwrap();
    append(&store, &stream(30, 1..=3)).await.unwrap();
    append(&store, &stream(31, 31..=40)).await.unwrap();

    let storage = store.storage().await.unwrap();
    assert_eq!(storage.rows, 43);
    assert!(storage.bytes > 0);
    assert_eq!(storage.oldest, Some(ordinary(31, 1).occurred_at));
    assert_eq!(storage.newest, Some(ordinary(31, 40).occurred_at));
    let mut streams: Vec<_> = store.streams().await.unwrap();
    streams.sort_unstable_by_key(|stream| stream.writer_id);
    let streams: Vec<_> =
        streams.into_iter().map(|stream| (stream.writer_id.get(), stream.last_seq)).collect();
    assert_eq!(streams, [(30, 3), (31, 40)]);
}

pub(crate) async fn a_record_that_is_recorded_twice_holds_up_nothing<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    let recorder = pipeline.recorder();
    // An application that names its records itself, and tries again after an error of its own.
    let mut named = Record::by(Actor::user("ana")).created("order", "1");
    named.occurred_at = Timestamp::from_micros(NOON);
    named.id = records::id(named.occurred_at, 1, 1);
    for record in
        [named.clone(), named.clone(), Record::by(Actor::user("bob")).created("order", "2")]
    {
        assert!(recorder.record(record).is_accepted());
    }
    let report = pipeline.shutdown(Duration::from_secs(20)).await;
    let figures = (report.received, report.stored, report.queued, report.dropped.total());
    assert_eq!(figures, (3, 3, 0, 0), "{report}");
    assert_eq!(report.quarantined, 1);

    assert_eq!(store.record(named.id).await.unwrap().unwrap().entity_id, "1");
    let stored = all(&store).await;
    let orders = |id: &str| stored.iter().filter(|record| record.entity_id == id).count();
    assert_eq!((orders("1"), orders("2")), (1, 1));
    let stub = stored.iter().find(|record| record.outcome_reason == "quarantined").unwrap();
    assert_eq!(stub.occurred_at, named.occurred_at);
    assert_eq!(store.record(stub.id).await.unwrap().as_ref(), Some(stub));
}

pub(crate) async fn whatever_time_a_record_claims_it_is_found_by_its_id<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
    let times = [i64::MIN, -1, 0, 1, NOON, NOON + 999, 4_102_444_800_000_000, i64::MAX];
    for at in times {
        let mut record = Record::by(Actor::user("ana")).created("order", &at.to_string());
        record.occurred_at = Timestamp::from_micros(at);
        // Named for the time that it claims, as an application does that makes its ids itself.
        record.id = records::id(record.occurred_at, 1, at);
        assert!(pipeline.recorder().record(record).is_accepted());
    }
    let report = pipeline.shutdown(Duration::from_secs(20)).await;
    assert_eq!((report.stored, report.quarantined), (times.len() as u64, 0), "{report}");
    let stored = all(&store).await;
    for record in &stored {
        assert_eq!(record.id.at().as_millis(), record.occurred_at.as_millis());
        assert_eq!(store.record(record.id).await.unwrap().as_ref(), Some(record));
    }
    let orders = stored.iter().filter(|record| record.action == "create");
    // What is kept as it was: NOON twice; no time at all is now, and no clock is to blame for it.
    let skewed = orders.clone().filter(|record| !record.skewed.is_absent()).count();
    assert_eq!((orders.count(), skewed), (times.len(), times.len() - 3));
}
