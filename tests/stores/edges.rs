//! What every store promises at the edges: the ends of time, more values than a statement takes, moments that
//! are taken while writers write, and pages whose time is up.

use std::{collections::BTreeMap, time::Duration};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use tower_activity::store::Maintain as _;
use tower_activity::{
    query::{
        Aggregate, Count, Direction, Expr, Filter, Keyset, PageRequest, Pattern, Phrase, Relation,
        Test,
    },
    record::Record,
    store::{Append as _, Appender as _, Batch, Read as _},
    time::Timestamp,
};

use crate::{
    answers::{counted_as_asked, field, mixed},
    records::{NOON, stream},
    suite::{Fixture, PATIENCE, append, newest, oldest},
};

fn any(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::new().any_of(name, values).unwrap()
}

fn not(filter: Filter) -> Filter {
    Filter::new().and(Expr::Not(Box::new(filter.into())))
}

fn ask() -> Aggregate {
    Aggregate {
        dimensions: vec![field("action"), field("actor_id"), field("method")],
        top: 9,
        edges: vec![
            Timestamp::from_micros(i64::MIN),
            Timestamp::from_micros(NOON + 5_000_001),
            Timestamp::from_micros(i64::MAX),
        ],
        patience: PATIENCE,
    }
}

/// Asks for pages, numbers and counts, and holds each against memory.
async fn answered<F: Fixture>(store: &F::Store, records: &[Box<Record>], filter: &Filter) {
    let mut expected: Vec<_> = records.iter().filter(|r| filter.matches(r)).collect();
    expected.sort_unstable_by_key(|record| Keyset::of(record));
    let page = store.records(filter, &oldest(1_000)).await.unwrap();
    assert!(page.complete && page.records.iter().eq(expected.iter().map(|record| &***record)));
    let total = store.count(filter, Count::UpTo(1_000)).await.unwrap();
    assert_eq!((total.value, total.relation), (expected.len() as u64, Relation::Equal));
    counted_as_asked(store, records, filter, &ask()).await;
}

pub(crate) async fn the_ends_of_time_are_bounds_like_others<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let records = stream(3, 1..=20);
    append(&store, &records).await.unwrap();
    let at = Timestamp::from_micros;
    let [first, last, noon] = [at(i64::MIN), at(i64::MAX), at(NOON + 7_000_000)];
    for filter in [
        Filter::new().from(first),
        Filter::new().to(last),
        Filter::new().from(first).to(last),
        Filter::new().from(last).to(first),
        Filter::new().from(last),
        Filter::new().to(first),
        Filter::new().from(noon).to(last),
        Filter::new().from(first).to(noon),
        not(Filter::new().from(first).to(noon)),
        Filter::new().from(at(i64::MIN + 1)).to(at(i64::MAX - 1)),
        Filter::new().and(Expr::Test(Test::Time(field("recorded_at"), Some(first), Some(last)))),
        any("method", ["GET".to_owned()]).from(first).to(last),
    ] {
        answered::<F>(&store, &records, &filter).await;
    }
}

pub(crate) async fn no_filter_is_too_large_for_a_statement<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let records = stream(3, 1..=20);
    append(&store, &records).await.unwrap();
    let many = |count: i64| (0..count).map(|n| n.to_string());
    let two = ["cancel", "create"].map(str::to_owned);
    let one_by_one =
        |count: i64| -> Vec<Expr> { many(count).map(|id| any("entity_id", [id]).into()).collect() };
    let mut deep: Expr = any("actor_id", ["ana".to_owned()]).into();
    for level in 0..90 {
        let other = any("entity_id", [(level % 7).to_string()]).into();
        deep = match level % 3 {
            0 => Expr::Not(Box::new(deep)),
            1 => Expr::All(vec![deep, Expr::Not(Box::new(other))]),
            _ => Expr::Any(vec![other, deep]),
        };
    }
    let wide = Expr::Any(
        (0..12).map(|_| Expr::All(vec![Expr::Any(one_by_one(150)), Expr::EVERY])).collect(),
    );
    let long = "x".repeat(70_000);
    // Planned for one leaf and not for those of each month, so that it is asked for its size alone.
    let brief = |expr: Expr| {
        let at = |seconds: i64| Timestamp::from_micros(NOON + seconds * 1_000_000);
        Filter::new().and(expr).from(at(0)).to(at(600))
    };
    let like = |pieces: [&str; 2]| Expr::Test(Test::Like(field("actor_id"), Pattern::new(pieces)));
    for filter in [
        any("entity_id", many(40_000)),
        not(any("entity_id", many(40_000))),
        // A list that is split by its values, beside one that is as long as a statement may be.
        any("action", two.clone()).and(any("entity_id", many(20_000))),
        any("tenant_id", many(35_000)).and(any("action", two)),
        brief(Expr::Any(one_by_one(2_000))),
        brief(Expr::All(
            one_by_one(2_000).into_iter().map(|part| Expr::Not(Box::new(part))).collect(),
        )),
        brief(deep),
        brief(wide),
        Filter::new().and(like([&long, ""])),
        not(Filter::new().and(like(["", &long]))),
        not(Filter::new().and(like(["a\0", ""]))),
        any("actor_id", [long.clone()]),
        not(any("actor_id", ["ana\0".to_owned()])),
        Filter::new().and(Expr::Test(Test::Text(Phrase::new(&long).unwrap().prefix()))),
        Filter::new().and(Expr::Test(Test::Text(Phrase::new("ana\0bob").unwrap()))),
    ] {
        answered::<F>(&store, &records, &filter).await;
    }
}

pub(crate) async fn a_snapshot_is_one_moment_whoever_writes<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut writing = Vec::new();
    for writer_id in 3..6 {
        let store = fixture.open().await;
        writing.push(tokio::spawn(async move {
            let mut appender = store.connect().await.unwrap();
            for first in 0..25 {
                let records = stream(writer_id, first * 2 + 1..=first * 2 + 2);
                appender.append(Batch::new(&records).unwrap()).await.unwrap();
            }
        }));
    }
    let mut snapshots = vec![store.snapshot().await.unwrap()];
    while writing.iter().any(|writer| !writer.is_finished()) {
        snapshots.push(store.snapshot().await.unwrap());
        tokio::task::yield_now().await;
    }
    for writer in writing {
        writer.await.unwrap();
    }
    snapshots.push(store.snapshot().await.unwrap());
    let entries = store.entries(0, 1_000).await.unwrap();
    for snapshot in &snapshots {
        let mut streams = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.position <= snapshot.position) {
            streams.insert(entry.new.writer_id, entry.new.last_seq);
        }
        let seen = snapshot.streams.iter().map(|stream| (stream.writer_id, stream.last_seq));
        assert!(seen.eq(streams), "{snapshot:?}");
    }
    assert_eq!(snapshots.last().unwrap().position, 75);
}

/// Reads with no patience at all, from page to page, and finds everything once and in order.
pub(crate) async fn a_page_whose_time_is_up_knows_where_to_go_on<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let records = mixed();
    for stream in records.chunk_by(|a, b| a.writer_id == b.writer_id) {
        append(&store, stream).await.unwrap();
    }
    let text = |text: &str| Expr::Test(Test::Text(Phrase::new(text).unwrap()));
    for filter in [
        Filter::new().and(text("order")),
        Filter::new().and(text("nothing")),
        not(any("actor_id", ["ana".to_owned()])).and(text("55")),
        not(Filter::new().and(text("order"))),
    ] {
        for direction in [Direction::Older, Direction::Newer] {
            let mut expected: Vec<_> = records.iter().filter(|r| filter.matches(r)).collect();
            expected.sort_unstable_by_key(|record| Keyset::of(record));
            if direction == Direction::Older {
                expected.reverse();
            }
            let first = PageRequest { direction, ..newest(5) };
            let (mut request, mut read) = (first.within(Duration::ZERO), Vec::new());
            loop {
                let page = store.records(&filter, &request).await.unwrap();
                assert!(page.complete || page.next.is_some(), "what is cut short goes on");
                read.extend(page.records);
                match page.next {
                    Some(next) => {
                        assert_ne!(request.after, Some(next), "each page gets on");
                        request = request.after(next);
                    }
                    None => break,
                }
            }
            assert!(read.iter().eq(expected.iter().map(|record| &***record)), "{filter:?}");
        }
    }
}

/// Asks beyond the rollups without any time, and is told that this is not all; never that it is.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn a_count_whose_time_is_up_says_so<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut records = stream(3, 1..=1_200);
    for record in &mut records {
        record.occurred_at = Timestamp::from_micros(NOON + record.seq * 600_000_000);
        record.id = crate::records::id(record.occurred_at, 3, record.seq);
    }
    append(&store, &records).await.unwrap();
    store.fold(10).await.unwrap();
    let mut cut_short = 0;
    for filter in [
        any("entity_id", ["3".to_owned()]),
        not(any("entity_id", ["3".to_owned()])),
        Filter::new().and(Expr::Test(Test::Text(Phrase::new("order").unwrap()))),
    ] {
        counted_as_asked(&store, &records, &filter, &ask()).await;
        let hasty = Aggregate { patience: Duration::ZERO, ..ask() };
        let counted = store.aggregate(&filter, &hasty).await.unwrap();
        let all = records.iter().filter(|record| filter.matches(record)).count() as u64;
        assert!(counted.exact <= counted.complete && counted.total <= all, "{counted:?}");
        assert!(counted.total == all || !counted.complete, "{counted:?}");
        cut_short += usize::from(!counted.complete);
    }
    assert!(cut_short > 0);
}

/// Appends so much more than was folded that it is not counted from its rows: the answer says how far it is
/// behind, and of when it is.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn a_count_that_is_behind_says_how_far<F: Fixture>(more: i64) {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let first = append(&store, &stream(3, 1..=10)).await.unwrap();
    assert_eq!(store.fold(10).await.unwrap().behind(), 0);
    let mut appender = store.connect().await.unwrap();
    let mut last = None;
    for records in stream(3, 11..=10 + more).chunks(10_000) {
        last = Some(appender.append(Batch::new(records).unwrap()).await.unwrap());
    }
    let (last, all) = (last.unwrap(), 10 + more as u64);
    let hours = [-20, 0, 20].map(|hour| Timestamp::from_micros(NOON + hour * 3_600_000_000));
    let ask = Aggregate { edges: hours.to_vec(), ..ask() };
    let counted = store.aggregate(&Filter::new(), &ask).await.unwrap();
    assert!(counted.complete && !counted.exact && counted.total < all, "{counted:?}");
    let behind = last.position() - first.position();
    assert_eq!((counted.behind, counted.as_of), (behind as u64, Some(first.committed_at())));
    let total = store.count(&Filter::new(), Count::Estimate).await.unwrap();
    assert_eq!(total.relation, Relation::Estimate);
    let total = store.count(&Filter::new(), Count::UpTo(100)).await.unwrap();
    assert_eq!((total.value, total.relation), (100, Relation::AtLeast));

    while store.fold(100).await.unwrap().behind() > 0 {}
    let counted = store.aggregate(&Filter::new(), &ask).await.unwrap();
    assert!(counted.complete && counted.exact && counted.total == all, "{counted:?}");
    assert_eq!((counted.behind, counted.as_of), (0, Some(last.committed_at())));
}

/// What is looked for in windows, and found nowhere, is given up when the time is up, and not before.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn a_search_whose_time_is_up_ends_where_it_is<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut records = stream(3, 1..=120);
    for record in &mut records {
        // Over five months.
        record.occurred_at = Timestamp::from_micros(NOON - record.seq * 86_400_000_000);
        record.id = crate::records::id(record.occurred_at, 3, record.seq);
    }
    append(&store, &records).await.unwrap();
    let nothing = Expr::Test(Test::Text(Phrase::new("nothing").unwrap()));
    let nothing = Filter::new().and(nothing);
    for first in [newest(5), oldest(5)] {
        let page = store.records(&nothing, &first.within(Duration::ZERO)).await.unwrap();
        assert!(!page.complete && page.next.is_some(), "{page:?}");
        let page = store.records(&nothing, &first).await.unwrap();
        assert!(page.complete && page.next.is_none(), "{page:?}");
    }
}
