//! What a file of SQLite may hold that no other store does: an order by commits, and rows edited by hand.

use tower_activity::{
    SqliteStore,
    store::{Index, Maintain as _},
};

use crate::{
    list::ours,
    sample,
    support::{InFile, Service},
};

async fn spoken() -> Service<InFile> {
    let service = Service::<InFile>::start().await;
    let mut records = ours(5, 1..=9);
    for record in &mut records {
        record.description.set("marmalade for everybody");
        record.seal(sample::salts(record.seq));
    }
    service.append(&records).await;
    service
}

const WORDS: &str = "/activity/records?search=marmalade&from=2020-01-01&limit=4";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_an_index_come_in_the_order_of_commits_and_the_answer_says_so() {
    let service = spoken().await;
    let scanned = service.get(WORDS).await.json();
    assert!(scanned.get("order").is_none(), "{scanned}");
    assert_eq!(scanned["search"]["indexed"], false);
    assert!(scanned["search"]["hint"].as_str().unwrap().contains("migrate --index text"));
    let old = scanned["next"].as_str().unwrap().to_owned();

    let store: &SqliteStore = &service.store;
    store.make_index(Index::Text).await.unwrap();
    let indexed = service.get(WORDS).await.json();
    assert_eq!(indexed["order"], "committed", "{indexed}");
    assert_eq!(indexed["search"]["indexed"], true);
    assert!(indexed["search"].get("hint").is_none());
    let mut seqs = Vec::new();
    let mut page = indexed;
    loop {
        let rows = page["records"].as_array().unwrap();
        seqs.extend(rows.iter().map(|row| row["seq"].as_i64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        page = service.get(&format!("{WORDS}&cursor={next}")).await.json();
    }
    assert!(seqs.iter().copied().eq((1..=9).rev()), "{seqs:?}");

    // A cursor of the order of before goes nowhere any more, or goes on as before; it is no failure of ours.
    let answer = service.get(&format!("{WORDS}&cursor={old}")).await;
    if answer.status != 200 {
        let problem = answer.problem(400);
        assert_eq!(problem["type"], "urn:tower-activity:problem:invalid-cursor");
        assert!(problem["detail"].as_str().unwrap().contains("begin again"), "{problem}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_an_order_that_is_gone_is_outdated() {
    let service = spoken().await;
    service.store.make_index(Index::Text).await.unwrap();
    let page = service.get(WORDS).await.json();
    let next = page["next"].as_str().unwrap().to_owned();
    // Somebody takes the index away.
    service
        .fixture
        .by_hand()
        .execute_batch(
            "DROP TRIGGER activity_words_deleted; DROP TRIGGER activity_words_erased; \
             DROP TABLE activity_words; DROP TABLE activity_words_again; \
             DELETE FROM activity_folds WHERE name = 'text'",
        )
        .unwrap();
    let answer = service.get(&format!("{WORDS}&cursor={next}")).await;
    let problem = answer.problem(400);
    assert_eq!(problem["type"], "urn:tower-activity:problem:invalid-cursor", "{problem}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_no_records_any_more_are_counted_in_lists_and_exports() {
    let service = spoken().await;
    let whole = service.get("/activity/records?service=ours").await.json();
    assert!(whole.get("unreadable").is_none());
    service
        .fixture
        .by_hand()
        .execute_batch(
            "DROP TRIGGER activity_records_sealed; DROP TRIGGER activity_records_groups; \
             UPDATE activity_records SET outcome = 'perhaps' WHERE service = 'ours' AND seq IN (3, 4)",
        )
        .unwrap();
    let page = service.get("/activity/records?service=ours").await.json();
    assert_eq!(page["unreadable"], 2, "{page}");
    assert_eq!(page["records"].as_array().unwrap().len(), 7);
    let lines = service.get("/activity/export?format=jsonl&service=ours").await;
    assert_eq!(lines.text().lines().count(), 7);
    service.stop().await;
}
