//! What reading promises beside the suite: words by their index, rows that were edited, counts after erasing
//! and deleting.

use tower_activity::{
    query::{Aggregate, Count, Expr, Filter, Keyset, PageRequest, Phrase, Place, Test, TextSearch},
    record::{Field, Record},
    store::{Index, Maintain as _, Read as _, StoreErrorKind, sqlite::SqliteStore},
};

use super::InFile;
use crate::{
    answers::{field, mixed},
    records::stream,
    suite::{Fixture as _, PATIENCE, all, append, newest, oldest},
};

fn text(words: &str, prefix: bool) -> Expr {
    let phrase = Phrase::new(words).unwrap();
    Expr::Test(Test::Text(if prefix { phrase.prefix() } else { phrase }))
}

/// Every record that a filter finds, page by page in the order of the commits.
async fn found(store: &SqliteStore, filter: &Filter, first: PageRequest) -> Vec<Record> {
    let (mut found, mut request) = (Vec::new(), first);
    loop {
        let page = store.records(filter, &request).await.unwrap();
        assert_eq!(page.text, TextSearch::Indexed);
        assert!(page.first.is_none_or(|first| matches!(first, Place::Committed(_))));
        found.extend(page.records);
        match page.next {
            Some(next) => request = request.after(next),
            None => return found,
        }
    }
}

async fn finds_what_is_there(store: &SqliteStore, records: &[Box<Record>]) {
    for (words, prefix) in [
        ("order_55", false),
        ("order 5", false),
        ("ord", true),
        ("kelvin", false),
        ("i", true),
        ("\u{e4}r", true),
        ("\u{e4}rger", false),
        ("value", false),
        ("cancelled order", true),
        ("nothing", false),
    ] {
        let filter = Filter::new().and(text(words, prefix));
        for filter in [filter.clone(), filter.any_of("tenant_id", ["acme"]).unwrap()] {
            let mut expected: Vec<_> = records.iter().filter(|r| filter.matches(r)).collect();
            let newer = found(store, &filter, oldest(7)).await;
            assert!(newer.iter().eq(expected.iter().map(|r| &***r)), "{words}");
            expected.reverse();
            let older = found(store, &filter, newest(7)).await;
            assert!(older.iter().eq(expected.iter().map(|r| &***r)), "{words}");
            let total = store.count(&filter, Count::UpTo(1_000)).await.unwrap();
            assert_eq!(total.value, expected.len() as u64);
        }
    }
}

#[tokio::test]
async fn words_are_found_by_their_index_however_far_it_has_come() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    let records = mixed();
    for stream in records.chunk_by(|a, b| a.writer_id == b.writer_id) {
        append(&store, stream).await.unwrap();
    }
    assert_eq!(store.indexes().await.unwrap(), []);
    let words = Filter::new().and(text("order", false));
    let scanned = store.records(&words, &newest(1)).await.unwrap();
    assert_eq!(scanned.text, TextSearch::Scanned);

    store.make_index(Index::Text).await.unwrap();
    store.make_index(Index::Text).await.unwrap();
    assert_eq!(store.indexes().await.unwrap(), [Index::Text]);
    finds_what_is_there(&store, &records).await;
    while {
        let folded = store.fold(1).await.unwrap();
        finds_what_is_there(&store, &records).await;
        folded.behind() > 0
    } {}
    // A cursor in the order of time goes on in it.
    let place = Place::Occurred(Keyset::of(&records[199]));
    let filter = Filter::new().and(text("order", false));
    let page = store.records(&filter, &newest(3).after(place)).await.unwrap();
    assert!(matches!(page.first, Some(Place::Occurred(_))));

    let refused = store.make_index(Index::Metadata).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Configuration);
}

#[tokio::test]
async fn what_was_erased_is_neither_found_nor_left_in_the_text_index() {
    const WORD: &str = "featherstonehaugh";
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    store.make_index(Index::Text).await.unwrap();
    let mut sent = stream(1, 1..=40);
    for record in &mut sent {
        record.description.set(&format!("{WORD} {}", record.seq));
        record.entity_name.set("kettle");
        record.seal(crate::records::salts(record.seq));
    }
    append(&store, &sent).await.unwrap();
    assert_eq!(store.fold(100).await.unwrap().behind(), 0);
    let connection = fixture.by_hand();
    connection.pragma_update(None, "secure_delete", true).unwrap();
    let left = || {
        let sql =
            "SELECT count(*) FROM activity_words_data WHERE instr(block, CAST(? AS BLOB)) > 0";
        connection.query_row(sql, [&WORD[1..]], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert!(left() > 0);
    connection
        .execute(
            "UPDATE activity_records SET description = NULL, content_salt = NULL, \
             content_commitment = zeroblob(32)",
            [],
        )
        .unwrap();
    let by = |word| Filter::new().and(text(word, false));
    for _ in 0..2 {
        assert_eq!(found(&store, &by(WORD), newest(50)).await.len(), 0);
        assert_eq!(found(&store, &by("kettle"), newest(50)).await.len(), 40);
        store.fold(100).await.unwrap();
    }
    assert_eq!(left(), 0);
}

#[tokio::test]
async fn what_is_erased_or_deleted_is_counted_no_longer() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    append(&store, &stream(1, 1..=20)).await.unwrap();
    store.fold(100).await.unwrap();
    append(&store, &stream(1, 21..=30)).await.unwrap();
    let connection = fixture.by_hand();
    connection.pragma_update(None, "secure_delete", true).unwrap();
    let ask = Aggregate {
        dimensions: vec![field("actor_id"), field("action")],
        top: 9,
        edges: Vec::new(),
        patience: PATIENCE,
    };
    let counted = async || {
        let counted = store.aggregate(&Filter::new(), &ask).await.unwrap();
        let actions: u64 = counted.by[1].iter().map(|(_, count)| count).sum();
        assert_eq!(actions, counted.total);
        (counted.total, counted.by[0].clone())
    };
    let by = |ana, bob| vec![("ana".to_owned(), ana), ("bob".to_owned(), bob)];
    assert_eq!(counted().await, (30, by(15, 15)));
    connection
        .execute(
            "UPDATE activity_records SET actor_id = NULL, identity_salt = NULL, \
             identity_commitment = zeroblob(32) WHERE actor_id = 'ana' AND seq <> 2",
            [],
        )
        .unwrap();
    assert_eq!(counted().await, (30, [by(1, 15)[1].clone(), by(1, 15)[0].clone()].to_vec()));
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON; BEGIN; INSERT INTO activity_permits (permit, \
             retention_class, before) VALUES (1, 'activity', 9e18); \
             DELETE FROM activity_records WHERE seq < 15 OR seq > 25; \
             DELETE FROM activity_permits; COMMIT;",
        )
        .unwrap();
    let (total, actors) = counted().await;
    assert_eq!(total, all(&store).await.len() as u64);
    assert_eq!(actors.len(), 1, "{actors:?}");
    let named: i64 = connection
        .query_row(
            "SELECT count(*) FROM activity_rollup_persons WHERE actor_id = 'ana'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(named, 0);
    // The numbers of the last rows are given again, and what has them is folded in all the same.
    append(&store, &stream(1, 31..=40)).await.unwrap();
    store.fold(100).await.unwrap();
    assert_eq!(counted().await.0, all(&store).await.len() as u64);
}

#[tokio::test]
async fn a_row_that_was_edited_into_nonsense_is_left_out_and_said() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    append(&store, &stream(1, 1..=9)).await.unwrap();
    fixture
        .by_hand()
        .execute_batch(
            "DROP TRIGGER activity_records_sealed; DROP TRIGGER activity_records_groups; \
             UPDATE activity_records SET outcome = 'perhaps' WHERE seq IN (3, 4); \
             UPDATE activity_records SET id = x'00' WHERE seq = 9; \
             UPDATE activity_records SET id = zeroblob(40) WHERE seq = 1;",
        )
        .unwrap();
    for request in [newest(50), oldest(50)] {
        let page = store.records(&Filter::new(), &request).await.unwrap();
        assert_eq!((page.records.len(), page.unreadable, page.next), (5, 4, None));
        let (mut request, mut read) = (PageRequest { limit: 1, ..request }, 0);
        loop {
            let page = store.records(&Filter::new(), &request).await.unwrap();
            read += page.records.len();
            match page.next {
                Some(next) => request = request.after(next),
                None => break,
            }
        }
        assert_eq!(read, 5);
    }
}

#[tokio::test]
async fn a_count_that_is_behind_says_how_far() {
    crate::edges::a_count_that_is_behind_says_how_far::<InFile>(20_001).await;
}

#[tokio::test]
async fn a_count_whose_time_is_up_says_so() {
    crate::edges::a_count_whose_time_is_up_says_so::<InFile>().await;
}

#[tokio::test]
async fn a_field_of_no_kind_of_its_own_finds_nothing() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    append(&store, &stream(1, 1..=3)).await.unwrap();
    let odd: &'static Field = field("metadata");
    let filter = Filter::new().and(Expr::Test(Test::OneOf(odd, vec!["x".to_owned()])));
    let page = store.records(&filter, &newest(5)).await.unwrap();
    assert!(page.records.is_empty());
}
