//! Leaves: one per month and retention class, made when first needed, and left out when not.

use sqlx::{AssertSqlSafe, Executor as _, Row as _, raw_sql};
use tower_activity::{
    query::{Filter, Keyset, Place},
    store::{Append as _, Appender as _, Maintain as _, Read as _, StoreErrorKind},
    time::{Month, Timestamp},
};

use super::{batch, store, time};
use crate::{
    records::{ordinary, stream},
    suite::newest,
};

#[tokio::test]
async fn a_batch_over_months_and_classes_gives_an_entry_per_leaf() {
    let (_database, store) = store().await;
    let mut batch_of = stream(5, 1..=6);
    batch_of[2].retention_class.set("authentication");
    batch_of[3].retention_class.set("It's \"odd\" \\ ä");
    // A month that nobody made ahead: ten years back, where a skewed clock is clamped to.
    batch_of[4].occurred_at = time("2016-12-31T23:59:59.999999Z");
    let mut appender = store.connect().await.unwrap();
    let appended = appender.append(batch(&batch_of)).await.unwrap();
    let entries = store.entries(0, 100).await.unwrap();
    assert_eq!(appended.entries, entries);
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (entry.position, entry.new.first_seq, entry.new.last_seq, &*entry.new.class))
        .collect();
    assert_eq!(
        seen,
        [
            (1, 1, 2, "activity"),
            (2, 3, 3, "authentication"),
            (3, 4, 4, "It's \"odd\" \\ ä"),
            (4, 5, 5, "activity"),
            (5, 6, 6, "activity"),
        ]
    );
    assert!(entries.windows(2).all(|pair| pair[0].committed_at < pair[1].committed_at));
    for entry in &entries {
        let records = store.entry_records(entry).await.unwrap();
        assert_eq!(records.len() as i64, entry.new.count());
    }
}

#[tokio::test]
async fn leaves_are_named_alike_here_and_there() {
    let (database, store) = store().await;
    let mut connection = database.connect().await;
    let month = Month::from_index(2031 * 12 + 10);
    for class in
        ["activity", "a_1", "A", "x_1", "x", "ä", "a b", "it's", "\"", "a\n", &"b".repeat(33)]
    {
        let mut record = ordinary(i64::from(class.len() as u32) * 1000 + 1, 1);
        record.occurred_at = month.start();
        record.retention_class.set(class);
        let mut appender = store.connect().await.unwrap();
        appender.position(record.writer_id).await.unwrap();
        let done = appender.append(batch(std::slice::from_ref(&record))).await;
        // One stream per length of class: some classes share one.
        if let Err(error) = done {
            assert!(
                matches!(error.kind(), StoreErrorKind::Position { .. }),
                "{class:?}: {error:?}"
            );
        }
    }
    // COPY went into the leaf that SQL named, or it would have failed: count them.
    let sql = "select count(*)::bigint from pg_inherits i join pg_class c on c.oid = i.inhrelid \
               where c.relname like 'records\\_2031\\_11\\_%'";
    let count: i64 = connection.fetch_one(raw_sql(sql)).await.unwrap().get(0);
    assert_eq!(count, 11);
}

#[tokio::test]
async fn the_newest_page_reads_only_the_leaves_it_needs() {
    let (database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    let mut seq = 0;
    for month in 1..=6 {
        let mut records = stream(5, seq + 1..=seq + 200);
        for (index, record) in records.iter_mut().enumerate() {
            let start = time(&format!("2026-0{month}-01T00:00:00Z"));
            let micros = start.as_micros() + index as i64;
            record.occurred_at = Timestamp::from_micros(micros);
        }
        appender.append(batch(&records)).await.unwrap();
        seq += 200;
    }
    database.execute("analyze activity.records").await;
    let explain = async |conditions: &str| {
        let sql = format!(
            "explain (analyze, costs off, timing off, summary off) select * from activity.records \
             where true {conditions} order by occurred_at desc, id desc limit 51"
        );
        let rows = database.connect().await.fetch_all(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        plan.join("\n")
    };
    // Made ahead and empty, then the newest month with rows; nothing older is touched.
    let plan = explain("").await;
    assert!(!plan.contains("->  Sort"), "{plan}");
    for month in 1..=5 {
        let scans: Vec<_> =
            plan.lines().filter(|l| l.contains(&format!("2026_0{month}_activity"))).collect();
        assert!(scans.iter().all(|line| line.contains("never executed")), "{plan}");
    }
}

#[tokio::test]
async fn every_ordinary_question_has_its_index() {
    let (database, store) = store().await;
    let mut records = stream(5, 1..=4_000);
    for record in &mut records {
        record.entity_id.set(&(record.seq % 997).to_string());
        record.actor_id.set(&format!("actor {}", record.seq % 499));
        record.tenant_id.set(&format!("tenant {}", record.seq % 401));
        if record.seq % 503 == 0 {
            record.action.set("Restore");
        }
    }
    store.connect().await.unwrap().append(batch(&records)).await.unwrap();
    database.execute("analyze activity.records").await;
    let mut connection = database.connect().await;
    for (condition, index) in [
        ("entity_id = '7' and lower(entity_type) = 'order'", "entity_id_lower"),
        ("actor_id = 'actor 7'", "actor_id"),
        ("tenant_id = 'tenant 7'", "tenant_id"),
        ("lower(action) = 'restore'", "lower"),
        ("writer_id = 5 and seq between 10 and 20", "writer_id_seq"),
    ] {
        let sql = format!(
            "explain (costs off) select * from activity.records where occurred_at >= '2026-05-01Z' \
             and occurred_at < '2026-06-01Z' and retention_class = 'activity' and {condition} \
             order by occurred_at desc, id desc limit 51"
        );
        let rows = connection.fetch_all(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("records_2026_05_activity_{index}")), "{condition}: {plan}");
        assert!(!plan.contains("Seq Scan"), "{condition}: {plan}");
    }
}

#[tokio::test]
async fn leaves_that_a_question_does_not_need_are_not_even_locked() {
    let (database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    let mut records = stream(5, 1..=60);
    for (index, record) in (0..).zip(&mut records) {
        let start = time(&format!("2026-0{}-01T00:00:00Z", index / 10 + 1));
        record.occurred_at = Timestamp::from_micros(start.as_micros() + index);
        record.id = crate::records::id(record.occurred_at, 5, record.seq);
    }
    records[29].retention_class.set("authentication");
    appender.append(batch(&records)).await.unwrap();
    let entries = store.entries(0, 100).await.unwrap();

    // What a statement opens it locks, if only to read; so all but the leaves of March are barred.
    let mut barring = database.connect().await;
    let bar = "begin; do $$ declare leaf text; begin \
         for leaf in select relid from pg_partition_tree('activity.records') \
            where isleaf and relid::text not like '%2026\\_03%' \
         loop execute format('lock table %s in access exclusive mode', leaf::regclass); end loop; \
         end $$";
    barring.execute(raw_sql(bar)).await.unwrap();
    let april = time("2026-04-01T00:00:00Z");
    let march = Filter::new().from(records[20].occurred_at);
    // Behind a keyset: the later months are left out.
    let after = Keyset { occurred_at: records[25].occurred_at, id: records[25].id };
    let request = newest(50).after(Place::Occurred(after));
    let page = store.records(&march, &request).await.unwrap();
    assert_eq!(page.records.len(), 5);
    let page = store.records(&march.clone().to(april), &newest(50)).await.unwrap();
    assert_eq!(page.records.len(), 10);
    assert_eq!(store.record(records[22].id).await.unwrap().unwrap(), *records[22]);

    // Of one class besides.
    raw_sql("rollback; begin; lock table activity.records_2026_03_authentication in access exclusive mode")
        .execute(&mut barring)
        .await
        .unwrap();
    let entry = entries.iter().find(|entry| entry.new.first_seq == 21).unwrap();
    assert_eq!(store.entry_records(entry).await.unwrap().len(), 9);
}

#[tokio::test]
async fn storage_reaches_as_far_as_the_leaves_that_are_there() {
    let (database, store) = store().await;
    let mut records = stream(5, 1..=30);
    for (index, record) in (0..).zip(&mut records) {
        let start = time(&format!("2026-0{}-01T00:00:00Z", index / 10 + 1));
        record.occurred_at = Timestamp::from_micros(start.as_micros() + index);
        record.id = crate::records::id(record.occurred_at, 5, record.seq);
    }
    store.connect().await.unwrap().append(batch(&records)).await.unwrap();
    let reaches = async || {
        let storage = store.storage().await.unwrap();
        (storage.rows, storage.oldest, storage.newest)
    };
    let (oldest, newest) = (records[0].occurred_at, records[29].occurred_at);
    assert_eq!(reaches().await, (30, Some(oldest), Some(newest)));
    // As retention ends it.
    database.execute("drop table activity.records_2026_01_activity").await;
    assert_eq!(reaches().await, (30, Some(records[10].occurred_at), Some(newest)));
}
