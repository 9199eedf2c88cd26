//! Rollups: each entry once, by one leader, and the same numbers as from reading every record.

use sqlx::{Executor as _, Row as _, raw_sql};
use tower_activity::{
    query::{Aggregate, Aggregated, Count, Counter, Expr, Filter, Pattern, Relation, Test},
    record::{Field, Record},
    store::{Maintain as _, Read as _},
    time::Timestamp,
};

use super::{store, time};
use crate::{
    records::{id, stream},
    suite::{PATIENCE, append},
};

/// Records over three months, some of every class, tenant and outcome, some without tenant or actor.
fn spread(writer_id: i64, count: i64) -> Vec<Box<Record>> {
    let start = time("2026-03-01T00:00:00Z").as_micros();
    let mut records = stream(writer_id, 1..=count);
    for record in &mut records {
        let n = record.seq;
        // In the order of time, so that there are few entries.
        record.occurred_at =
            Timestamp::from_micros(start + n * 90 * 86_400_000_000 / count + n % 977);
        record.id = id(record.occurred_at, writer_id, n);
        if n % 3 > 0 {
            record.tenant_id.set(["acme", "zoo"][n as usize % 2]);
        }
        if n % 4 == 0 {
            record.actor_id.set("");
        }
        if n % 11 == 0 {
            record.entity_type.set("ORDER");
        }
    }
    records
}

fn ask(edges: &[&str]) -> Aggregate {
    let dimensions = ["action", "entity_type", "actor_id", "outcome", "category", "tenant_id"];
    Aggregate {
        dimensions: dimensions.map(|name| Field::named(name).unwrap()).to_vec(),
        top: 10,
        edges: edges.iter().map(|edge| time(edge)).collect(),
        patience: PATIENCE,
    }
}

fn by_hand(records: &[Box<Record>], filter: &Filter, ask: &Aggregate) -> Aggregated {
    let mut counter = Counter::new(ask);
    records.iter().filter(|record| filter.matches(record)).for_each(|record| counter.add(record));
    counter.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_question_has_the_same_answer_folded_half_folded_and_not() {
    let (_database, store) = store().await;
    let records = spread(5, 6_000);
    for chunk in records.chunks(500) {
        append(&store, chunk).await.unwrap();
    }
    let any =
        |field: &str, values: &[&str]| Filter::new().any_of(field, values.iter().copied()).unwrap();
    let april = time("2026-04-01T00:00:00Z");
    let filters = [
        Filter::new(),
        any("action", &["CANCEL", "create"]),
        any("tenant_id", &["acme"]).from(time("2026-03-12T07:31:00Z")).to(april),
        Filter::new().and(Expr::Not(Box::new(any("tenant_id", &["acme"]).into()))).to(april),
        Filter::new().and(Expr::Test(Test::Like(
            Field::named("entity_type").unwrap(),
            Pattern::new(["or", ""]),
        ))),
        any("category", &["activity"]).from(time("2026-03-31T23:59:59.5Z")),
        any("actor_id", &["ana"]),
        any("entity_id", &["3"]).from(april),
        any("actor_id", &["ana"]).and(Expr::Not(Box::new(any("entity_id", &["3"]).into()))),
        Filter::new().and(Expr::Test(Test::Json(
            Field::named("metadata").unwrap(),
            vec![],
            tower_activity::query::Wanted::Any,
        ))),
        Filter::new().from(april).to(april),
    ];
    let series: [&[&str]; 3] = [
        &[],
        &[
            "2026-03-01T00:00:00Z",
            "2026-03-30T00:00:00Z",
            "2026-04-02T18:30:00Z",
            "2026-06-01T00:00:00Z",
        ],
        &["2026-03-31T23:10:00Z", "2026-03-31T23:20:00.5Z", "2026-04-01T00:00:00Z"],
    ];
    for folded in [0, 3, 100] {
        let done = store.fold(folded.max(1)).await.unwrap();
        assert!(done.led);
        for filter in &filters {
            for edges in series {
                let ask = ask(edges);
                let counted = store.aggregate(filter, &ask).await.unwrap();
                let mut expected = by_hand(&records, filter, &ask);
                assert!(counted.exact && counted.complete && counted.behind == 0, "{filter:?}");
                (expected.exact, expected.complete, expected.as_of) = (true, true, counted.as_of);
                assert_eq!(counted, expected, "{filter:?} {edges:?}");
                let last = store.entries(0, 100).await.unwrap().pop().unwrap();
                assert_eq!(counted.as_of, Some(last.committed_at));
            }
            let expected = by_hand(&records, filter, &ask(&[])).total;
            let exactly = store.count(filter, Count::UpTo(10_000)).await.unwrap();
            assert_eq!(
                (exactly.value, exactly.relation),
                (expected, Relation::Equal),
                "{filter:?}"
            );
            let capped = store.count(filter, Count::UpTo(10)).await.unwrap();
            if expected > 10 {
                assert_eq!((capped.value, capped.relation), (10, Relation::AtLeast));
            }
        }
    }
    let done = store.fold(10).await.unwrap();
    assert_eq!((done.behind(), done.led), (0, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_entry_is_folded_once_however_many_fold() {
    let (database, store) = store().await;
    let records = spread(5, 2_000);
    for chunk in records.chunks(20) {
        append(&store, chunk).await.unwrap();
    }
    let folding: Vec<_> = (0..6)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                while store.fold(7).await.unwrap().behind() > 0 {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for one in folding {
        one.await.unwrap();
    }
    let sql = "select sum(count) filter (where grain = 'hour')::bigint, \
               sum(count) filter (where grain = 'month')::bigint from activity.rollups";
    let row = database.connect().await.fetch_one(raw_sql(sql)).await.unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (2_000, 2_000));
    let sql = "select sum(count)::bigint from activity.person_rollups where grain = 'day'";
    let row = database.connect().await.fetch_one(raw_sql(sql)).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 1_500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_that_is_behind_says_how_far() {
    crate::edges::a_count_that_is_behind_says_how_far::<crate::server::Database>(50_001).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_whose_time_is_up_says_so() {
    crate::edges::a_count_whose_time_is_up_says_so::<crate::server::Database>().await;
}

#[tokio::test]
async fn one_folds_while_the_others_come_back_at_once() {
    let (database, store) = store().await;
    append(&store, &spread(5, 10)).await.unwrap();
    let mut leader = database.connect().await;
    leader.execute(raw_sql("begin; select * from activity.fold(1)")).await.unwrap();
    let other = store.fold(10).await.unwrap();
    assert!(!other.led && other.behind() > 0);
    leader.execute(raw_sql("rollback")).await.unwrap();
    assert!(store.fold(10).await.unwrap().led);
}
