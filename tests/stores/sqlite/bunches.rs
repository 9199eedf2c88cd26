//! What a verification is shown of a file, whatever its rows have become.

use tower_activity::{
    ledger::verify::RecordRow,
    record::WriterId,
    store::{Evidence as _, sqlite::SqliteStore},
};

use super::InFile;
use crate::{
    records::{full, stream},
    suite::{Fixture as _, append},
    tampering::Owned as _,
};

/// The numbers of stream 7 in an order of SQL of their own.
fn numbers(file: &InFile, from: i64, to: i64, limit: usize) -> Vec<i64> {
    let sql = format!(
        "SELECT seq FROM activity_records WHERE writer_id = 7 AND seq BETWEEN {from} AND {to} \
         ORDER BY seq LIMIT {limit}"
    );
    let connection = file.by_hand();
    let mut statement = connection.prepare(&sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn rows(store: &SqliteStore, from: i64, to: i64, limit: usize) -> Vec<RecordRow> {
    store.record_rows(WriterId::new(7), from, to, limit).await.unwrap()
}

fn seqs(rows: &[RecordRow]) -> Vec<i64> {
    rows.iter().map(|row| row.seq).collect()
}

#[tokio::test]
async fn the_rows_of_a_stream_are_those_that_were_asked_for() {
    let file = InFile::new().await;
    let store = file.open().await;
    append(&store, &stream(7, 1..=1_100)).await.unwrap();
    append(&store, &[full(6, 1)]).await.unwrap();
    append(&store, &[full(8, 1)]).await.unwrap();
    let all = [
        (1, i64::MAX),
        (i64::MIN, i64::MAX),
        (1, 250),
        (251, 251),
        (250, 502),
        (1_101, 9),
        (700, 1),
    ];
    let check = async || {
        for (from, to) in all {
            for limit in [0, 1, 249, 250, 251, 252, 600, 2_000, usize::MAX] {
                let limit_there = limit.min(5_000);
                let found = rows(&store, from, to, limit).await;
                assert_eq!(
                    seqs(&found),
                    numbers(&file, from, to, limit_there),
                    "{from} to {to}, {limit}"
                );
                for row in found {
                    let record = row.record().unwrap();
                    assert_eq!((record.seq, Some(record.id)), (row.seq, row.id()));
                }
            }
        }
    };
    check().await;
    // With long and short stretches that are gone, and numbers that no append gives.
    file.force("DELETE FROM activity_records WHERE writer_id = 7 AND (seq % 7 = 3 OR seq BETWEEN 200 AND 760)").await;
    file.force(
        "UPDATE activity_records SET seq = 9223372036854775807 WHERE writer_id = 7 AND seq = 1",
    )
    .await;
    file.force("UPDATE activity_records SET seq = -9223372036854775807 - 1 WHERE writer_id = 7 AND seq = 2").await;
    let changed = async || {
        for (from, to) in all {
            for limit in [1, 2, 249, 250, 251, 400, 2_000] {
                let expected = numbers(&file, from, to, limit);
                assert_eq!(
                    seqs(&rows(&store, from, to, limit).await),
                    expected,
                    "{from} to {to}, {limit}"
                );
            }
        }
    };
    changed().await;
    assert_eq!(seqs(&rows(&store, i64::MAX, i64::MAX, 9).await), [i64::MAX]);
    // More than a bunch, or than was asked for, of one number.
    file.force(InFile::DOUBLES).await;
    file.force(
        "UPDATE activity_records SET seq = 800 WHERE writer_id = 7 AND seq BETWEEN 800 AND 1090",
    )
    .await;
    changed().await;
}

#[tokio::test]
async fn a_row_that_no_append_wrote_hides_no_other() {
    let file = InFile::new().await;
    let store = file.open().await;
    append(&store, &stream(7, 1..=9)).await.unwrap();
    for (seq, change) in [
        (2, "action = CAST(x'61FF0A62' AS TEXT)"),
        (3, "action = 'a' || char(10) || 'b' || char(0) || ' c'"),
        (4, "id = x'0A200A'"),
        (5, "ip = 'nowhere'"),
    ] {
        let sql =
            format!("UPDATE activity_records SET {change} WHERE writer_id = 7 AND seq = {seq}");
        assert_eq!(file.force(&sql).await, 1, "{change}");
    }
    let found = rows(&store, 1, 9, 100).await;
    assert_eq!(seqs(&found), (1..=9).collect::<Vec<_>>());
    let unreadable: Vec<_> =
        found.iter().filter(|row| row.record().is_err()).map(|row| row.seq).collect();
    assert_eq!(unreadable, [2, 4, 5]);
    assert_eq!(found[2].record().unwrap().action, "a\nb\0 c");
    let nameless: Vec<_> =
        found.iter().filter(|row| row.id().is_none()).map(|row| row.seq).collect();
    assert_eq!(nameless, [4]);
}
