//! Lists: the envelope, and pages in both directions.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;
use tower_activity::{
    record::{Record, WriterId},
    store::{Append as _, Appender as _, Batch},
    time::Timestamp,
};

use crate::{
    sample,
    support::{Fixture, Service, spelt},
};

on_every_store! {
    an_empty_log_has_the_whole_envelope,
    pages_go_both_ways_from_anywhere,
    each_record_comes_once_while_others_write,
    pages_by_number_reach_so_far_and_no_further,
    totals_come_on_request,
    trails_show_one_thing_one_party_one_session,
    an_id_with_any_characters_has_its_trail,
    the_live_cursor_is_that_from_before_the_page,
}

/// Returns the page's records by stream and number.
pub(crate) fn numbers(page: &Value) -> Vec<(String, i64)> {
    let records = page["records"].as_array().expect("a list has records");
    let number = |record: &Value| {
        let writer = record["writer_id"].as_str().expect("streams are text").to_owned();
        (writer, record["seq"].as_i64().expect("numbers are numbers"))
    };
    records.iter().map(number).collect()
}

/// Returns the page's numbers in the stream of the test.
fn seqs(page: &Value) -> Vec<i64> {
    numbers(page).into_iter().map(|(_, seq)| seq).collect()
}

/// The records that the test appended, and none of the service's own.
const OURS: &str = "service=ours";

pub(crate) fn ours(writer: i64, seqs: impl IntoIterator<Item = i64>) -> Vec<Box<Record>> {
    let mut records = sample::stream(writer, seqs);
    records.iter_mut().for_each(|record| record.service.set("ours"));
    records
}

async fn an_empty_log_has_the_whole_envelope<F: Fixture>() {
    let service = Service::<F>::start().await;
    let answer = service.get("/activity/records?service=nobody").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let list = answer.json();
    let keys: Vec<_> = list.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["live", "next", "prev", "records"]);
    assert_eq!(list["records"], Value::Array(Vec::new()));
    assert!(list["next"].is_null() && list["prev"].is_null() && list["live"].is_string());
    service.stop().await;
}

async fn pages_go_both_ways_from_anywhere<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.append(&ours(5, 1..=23)).await;
    for (order, expected) in
        [("desc", (1..=23).rev().collect()), ("asc", (1..=23).collect::<Vec<_>>())]
    {
        let first = format!("/activity/records?{OURS}&order={order}&limit=5");
        let mut pages = vec![service.get(&first).await.json()];
        while let Some(next) = pages.last().unwrap()["next"].as_str() {
            // The cursor knows its order; the limit may change on the way.
            let limit = if pages.len() == 2 { 3 } else { 5 };
            let path = format!("/activity/records?{OURS}&limit={limit}&cursor={next}");
            pages.push(service.get(&path).await.json());
        }
        let forward: Vec<_> = pages.iter().flat_map(seqs).collect();
        assert_eq!(forward, expected, "{order}");
        assert!(pages[0]["prev"].is_null());

        let mut back: Vec<Vec<i64>> = vec![seqs(pages.last().unwrap())];
        let mut prev = pages.last().unwrap()["prev"].as_str().map(str::to_owned);
        while let Some(cursor) = prev {
            let path = format!("/activity/records?{OURS}&limit=5&cursor={cursor}");
            let page = service.get(&path).await.json();
            back.push(seqs(&page));
            // And on again from there: what follows is what was there.
            let next = page["next"].as_str().expect("it was come from somewhere");
            let path = format!("/activity/records?{OURS}&limit=1&cursor={next}");
            let after = seqs(&service.get(&path).await.json());
            assert_eq!(after.first(), back[back.len() - 2].first(), "{order}");
            prev = page["prev"].as_str().map(str::to_owned);
        }
        back.reverse();
        assert_eq!(back.concat(), expected, "{order}, going back");
    }
    service.stop().await;
}

async fn each_record_comes_once_while_others_write<F: Fixture>() {
    let service = Arc::new(Service::<F>::start().await);
    service.append(&ours(1, 1..=300)).await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (2..4)
        .map(|writer| {
            let (store, done) = (service.store.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut appender = store.connect().await.unwrap();
                let mut seq = 0;
                while !done.load(Ordering::Relaxed) && seq < 2_000 {
                    // In the midst of what is there, before all of it, and after.
                    let mut batch = ours(writer, seq + 1..=seq + 5);
                    for (record, shift) in batch.iter_mut().zip([-900, -150, 0, 7, 4_000]) {
                        let micros = record.occurred_at.as_micros() + shift * 1_000_000 + writer;
                        record.occurred_at = Timestamp::from_micros(micros);
                        record.id = sample::id(record.occurred_at, writer, record.seq);
                    }
                    appender.append(Batch::new(&batch).unwrap()).await.unwrap();
                    seq += 5;
                }
            })
        })
        .collect();
    for order in ["desc", "asc"] {
        for back in [false, true] {
            let (mut seen, mut last) = (Vec::new(), None);
            let mut path = format!("/activity/records?{OURS}&order={order}&limit=17");
            if back {
                // To the far end first: the other order's first page leads there.
                let other = if order == "desc" { "asc" } else { "desc" };
                path = format!("/activity/records?{OURS}&order={other}&limit=17");
            }
            for _ in 0..2_000 {
                let page = service.get(&path).await.json();
                seen.extend(page["records"].as_array().unwrap().clone());
                let next = page["next"].as_str().map(str::to_owned);
                last = Some(page);
                let Some(next) = next else { break };
                path = format!("/activity/records?{OURS}&limit=17&cursor={next}");
            }
            if !back {
                // And the whole way back by `prev`, from the far end.
                let there = seen.len();
                let mut returned = Vec::new();
                let mut prev =
                    last.as_ref().and_then(|page| page["prev"].as_str()).map(str::to_owned);
                while let Some(cursor) = prev {
                    let path = format!("/activity/records?{OURS}&limit=17&cursor={cursor}");
                    let page = service.get(&path).await.json();
                    let mut rows = page["records"].as_array().unwrap().clone();
                    rows.reverse();
                    returned.extend(rows);
                    prev = page["prev"].as_str().map(str::to_owned);
                    assert!(returned.len() < 20_000, "it never ends");
                }
                let first: Vec<_> = returned
                    .iter()
                    .filter(|record| record["writer_id"] == WriterId::new(1).to_string())
                    .map(|record| record["seq"].as_i64().unwrap())
                    .collect();
                let ascending = first.windows(2).all(|two| two[0] < two[1]);
                let descending = first.windows(2).all(|two| two[0] > two[1]);
                assert!(if order == "desc" { ascending } else { descending }, "{order}: {first:?}");
                let on_the_last_page = last.as_ref().map_or(0, |page| {
                    let rows = page["records"].as_array().unwrap().iter();
                    rows.filter(|r| r["writer_id"] == WriterId::new(1).to_string()).count()
                });
                assert_eq!(first.len() + on_the_last_page, 300, "{order}, back from {there}");
            }
            let place = |record: &Value| {
                (record["occurred_at"].as_str().unwrap().to_owned(), record["id"].to_string())
            };
            let places: Vec<_> = seen.iter().map(place).collect();
            let newest_first = (order == "desc") != back;
            let in_order = places
                .windows(2)
                .all(|two| if newest_first { two[0] > two[1] } else { two[0] < two[1] });
            assert!(in_order, "{order}: a record came twice, or out of its order");
            let first: HashSet<i64> = seen
                .iter()
                .filter(|record| record["writer_id"] == WriterId::new(1).to_string())
                .map(|record| record["seq"].as_i64().unwrap())
                .collect();
            assert_eq!(first.len(), 300, "{order}: what was there at the beginning is there");
        }
    }
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    Arc::into_inner(service).expect("nobody else holds it").stop().await;
}

async fn pages_by_number_reach_so_far_and_no_further<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.append(&ours(5, 1..=50)).await;
    let page = service.get(&format!("/activity/records?{OURS}&page=3&limit=10")).await.json();
    assert_eq!(seqs(&page), (21..=30).rev().collect::<Vec<_>>());
    let offset = service.get(&format!("/activity/records?{OURS}&offset=20&limit=10")).await.json();
    assert_eq!(seqs(&offset), seqs(&page));
    // From a page by number, cursors lead both ways.
    for (end, expected) in [("next", 11..=20), ("prev", 31..=40)] {
        let cursor = page[end].as_str().unwrap();
        let path = format!("/activity/records?{OURS}&limit=10&cursor={cursor}");
        let seqs = seqs(&service.get(&path).await.json());
        assert_eq!(seqs, expected.rev().collect::<Vec<_>>(), "{end}");
    }
    let past = service.get(&format!("/activity/records?{OURS}&offset=70")).await.json();
    assert!(seqs(&past).is_empty() && past["next"].is_null());

    for path in ["page=201&limit=50", "offset=9951", "page=18446744073709551615&limit=1000"] {
        let problem = service.get(&format!("/activity/records?{path}")).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains("`cursor`"), "{problem}");
    }
    service.get("/activity/records?page=200&limit=50").await.json();
    let cursor = page["next"].as_str().unwrap();
    for path in
        ["page=0", "page=x", "offset=-1", "page=1&offset=1", &format!("page=2&cursor={cursor}")]
    {
        service.get(&format!("/activity/records?{path}")).await.problem(400);
    }
    service.stop().await;
}

async fn totals_come_on_request<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.append(&ours(5, 1..=12)).await;
    let list = service.get(&format!("/activity/records?{OURS}&limit=2")).await.json();
    assert!(list.get("total").is_none());
    let exact = service.get(&format!("/activity/records?{OURS}&limit=2&count=exact")).await.json();
    assert_eq!(exact["total"]["value"], 12);
    assert_eq!(exact["total"]["relation"], "eq");
    let about = service.get(&format!("/activity/records?{OURS}&count=estimate")).await.json();
    assert!(about["total"]["value"].is_u64() && about["total"]["relation"].is_string());
    service.get("/activity/records?count=all").await.problem(400);
    service.stop().await;
}

async fn trails_show_one_thing_one_party_one_session<F: Fixture>() {
    let service = Service::<F>::start().await;
    let mut records = ours(5, 1..=42);
    for record in &mut records {
        let session = ["s-1", "s-2"][record.seq as usize % 2];
        record.session_id.set(session);
    }
    service.append(&records).await;
    let expected = |wanted: &dyn Fn(&Record) -> bool| {
        let wanted = records.iter().rev().filter(|record| wanted(record));
        wanted.map(|record| record.seq).collect::<Vec<_>>()
    };
    let is = |record: &Record, kind: &str, id: &str| {
        record.entity_type == kind && record.entity_id == id
    };
    for (path, expected) in [
        ("entities/order/3", expected(&|r| is(r, "order", "3"))),
        // The type of an entity compares without regard to case, its id exactly.
        ("entities/PRODUCT/3", expected(&|r| is(r, "Product", "3"))),
        ("actors/ana", expected(&|r| r.actor_id == "ana")),
        ("actors/Ana", Vec::new()),
        ("sessions/s-2", expected(&|r| r.session_id == "s-2")),
        ("actors/ana?action=create", expected(&|r| r.actor_id == "ana" && r.action == "create")),
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let list = service.get(&format!("/activity/{path}{mark}limit=100")).await.json();
        assert_eq!(seqs(&list), expected, "{path}");
        let keys: Vec<_> = list.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["live", "next", "prev", "records"], "{path}");
    }
    // Pages go on within the trail, and a cursor of one trail is none of another.
    let page = service.get("/activity/actors/ana?limit=5").await.json();
    let next = page["next"].as_str().unwrap();
    let second = service.get(&format!("/activity/actors/ana?limit=5&cursor={next}")).await.json();
    let both: Vec<_> = seqs(&page).into_iter().chain(seqs(&second)).collect();
    assert_eq!(both, expected(&|r| r.actor_id == "ana")[..10]);
    for path in ["actors/bob", "records", "sessions/ana"] {
        let problem = service.get(&format!("/activity/{path}?cursor={next}")).await.problem(400);
        assert_eq!(problem["type"], "urn:tower-activity:problem:invalid-cursor");
    }
    service.stop().await;
}

async fn an_id_with_any_characters_has_its_trail<F: Fixture>() {
    let service = Service::<F>::start().await;
    let ids =
        ["a/b", "a b", "a+b", "ä€😀", "a%2Fb", "100%", "..", "a?b#c&d=e", "'", "a,b", "*", "a*"];
    let mut records = ours(5, 1..=ids.len() as i64);
    for (record, id) in records.iter_mut().zip(ids) {
        record.actor_id.set(id);
        record.entity_type.set("doc");
        record.entity_id.set(id);
        record.seal(sample::salts(record.seq));
    }
    service.append(&records).await;
    for (record, id) in records.iter().zip(ids) {
        for path in ["actors", "entities/doc"] {
            let list = service.get(&format!("/activity/{path}/{}", spelt(id))).await.json();
            assert_eq!(seqs(&list), [record.seq], "{path}/{id}");
        }
    }
    service.stop().await;
}

async fn the_live_cursor_is_that_from_before_the_page<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.pipeline.flush().await;
    let before = service.get(&format!("/activity/records?{OURS}")).await.json();
    let again = service.get(&format!("/activity/records?{OURS}")).await.json();
    assert!(before["live"].is_string() && again["live"].is_string());
    // A live cursor is none for pages.
    let live = before["live"].as_str().unwrap();
    let problem =
        service.get(&format!("/activity/records?{OURS}&cursor={live}")).await.problem(400);
    assert_eq!(problem["parameter"], "cursor");
    service.stop().await;
}
