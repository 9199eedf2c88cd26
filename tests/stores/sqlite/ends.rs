//! Taking a month out of a file, step by step.

use rusqlite::Connection;
use tower_activity::{
    ledger::verify::Verdict,
    record::WriterId,
    store::{
        Audit, Ending, Evidence as _, Maintain as _, Read as _, Retain as _, make_checkpoint,
        prove, removal_of, sqlite::SqliteStore,
    },
    time::Timestamp,
};

use super::InFile;
use crate::{
    retention::{old, telling},
    suite::{Fixture as _, append},
};

/// Three batches of a month that is over, of which the second is a large one, and one of another class between them.
async fn over(store: &SqliteStore) {
    let of = |stream, seqs: std::ops::RangeInclusive<i64>, class: &'static str| -> Vec<_> {
        seqs.map(|seq| old(stream, seq, "2026-01-10", class)).collect()
    };
    append(store, &of(7, 1..=9, "authentication")).await.unwrap();
    append(store, &of(8, 1..=700, "consent")).await.unwrap();
    append(store, &of(7, 10..=1_300, "authentication")).await.unwrap();
    append(store, &of(9, 1..=3, "authentication")).await.unwrap();
    while store.fold(100).await.unwrap().behind() > 0 {}
}

async fn rows(store: &SqliteStore) -> i64 {
    let streams = store.stream_rows(0, 100).await.unwrap();
    let mut rows = 0;
    for stream in streams {
        rows += store
            .record_rows(WriterId::new(stream.writer_id), 1, 10_000, 10_000)
            .await
            .unwrap()
            .len() as i64;
    }
    rows
}

#[tokio::test]
async fn no_entry_is_so_large_that_it_holds_others_up_for_long() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    over(&store).await;
    let entries = store.entries(0, 100).await.unwrap();
    let counts: Vec<_> = entries.iter().map(|entry| entry.new.count()).collect();
    assert_eq!(counts, [9, 512, 188, 512, 512, 267, 3]);
    make_checkpoint(&store, &[[9; 32]], Timestamp::default()).await.unwrap().unwrap();
    for row in store.record_rows(entries[3].new.writer_id, 10, 1_300, 2_000).await.unwrap() {
        if row.seq % 97 == 0 {
            assert!(prove(&store, &row.record().unwrap()).await.unwrap().is_some(), "{}", row.seq);
        }
    }
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::Unaltered, 2_003), "{report:#?}");
}

#[tokio::test]
async fn what_is_left_between_two_steps_can_be_verified() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    over(&store).await;
    let units = store.units().await.unwrap();
    let facts = units.iter().find(|facts| facts.unit.class == "authentication").unwrap();
    let removal = removal_of(&store, facts).await.unwrap().unwrap();
    assert_eq!((removal.records, removal.entries), (1_303, 5));
    let told = telling(99, 1, &removal);
    append(&store, std::slice::from_ref(&told)).await.unwrap();
    let all = rows(&store).await;
    let mut steps = 0;
    loop {
        let ending = store.end_unit(&removal, told.id, 0).await.unwrap();
        steps += 1;
        let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
        assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
        assert_eq!(report.expired as i64, all - rows(&store).await);
        match ending {
            Ending::Done => break,
            other => assert_eq!(other, Ending::Partly),
        }
    }
    assert!(steps <= 5, "each takes one entry at least: {steps}");
    assert_eq!(rows(&store).await, 700 + 1);
}

/// A file that was made for it gets smaller; another one does not, and fills what is free.
#[tokio::test]
async fn a_file_that_was_made_for_it_gives_its_room_back() {
    let mut sizes = Vec::new();
    for mode in ["none", "incremental"] {
        let fixture = InFile::new().await;
        let by_hand = Connection::open(fixture.path()).unwrap();
        by_hand.pragma_update(None, "auto_vacuum", mode).unwrap();
        by_hand.execute_batch("CREATE TABLE somebody_elses (one INTEGER)").unwrap();
        let store = fixture.open().await;
        over(&store).await;
        let full = store.storage().await.unwrap();
        let units = store.units().await.unwrap();
        let facts = units.iter().find(|facts| facts.unit.class == "authentication").unwrap();
        let removal = removal_of(&store, facts).await.unwrap().unwrap();
        let told = telling(99, 1, &removal);
        append(&store, std::slice::from_ref(&told)).await.unwrap();
        while store.end_unit(&removal, told.id, 0).await.unwrap() != Ending::Done {}
        let left = store.storage().await.unwrap();
        assert!(left.used < full.used * 3 / 4, "{mode}: {full:?} {left:?}");
        sizes.push((full.bytes, left.bytes, left.used));
        let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
        assert_eq!(report.verdict(), Verdict::Unaltered, "{mode}: {report:#?}");
    }
    let [(full, left, _), (before, after, used)] = sizes[..] else { panic!("{sizes:?}") };
    assert!(left >= full, "{sizes:?}");
    assert!(after < before && after == used, "{sizes:?}");
}

/// What the fold has reached is taken off the counts, what it has not reached it never counts, and nothing stays under which
/// nothing is counted any more.
#[tokio::test]
async fn counts_are_those_of_what_is_left_however_far_the_fold_was() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    // Counted under the same as what goes.
    let kept: Vec<_> =
        (1..=200).map(|seq| old(10, seq, "2026-01-10", "authentication.kept")).collect();
    append(&store, &kept).await.unwrap();
    over(&store).await;
    let late: Vec<_> =
        (1_301..=1_400).map(|seq| old(7, seq, "2026-01-10", "authentication")).collect();
    append(&store, &late).await.unwrap();
    let units = store.units().await.unwrap();
    let facts = units.iter().find(|facts| facts.unit.class == "authentication").unwrap();
    let removal = removal_of(&store, facts).await.unwrap().unwrap();
    let told = telling(99, 1, &removal);
    append(&store, std::slice::from_ref(&told)).await.unwrap();
    let by_hand = fixture.by_hand();
    let number = |sql: &str| by_hand.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let counted = "SELECT sum(records) FROM activity_rollup WHERE grain = 1 AND tenant_id = ''";
    assert_eq!(number(counted), 900 + 1_303, "and not those that came late");
    while store.end_unit(&removal, told.id, 0).await.unwrap() != Ending::Done {}
    assert_eq!(number(counted), 900);
    for table in ["activity_rollup", "activity_rollup_persons"] {
        assert_eq!(number(&format!("SELECT count(*) FROM {table} WHERE records <= 0")), 0);
    }
    while store.fold(100).await.unwrap().behind() > 0 {}
    assert_eq!(number(counted), 900 + 1);
    let persons = "SELECT sum(records) FROM activity_rollup_persons WHERE grain = 3";
    assert_eq!(number(persons), 900 + 1);
}
