//! The log of the quickstart over HTTP: each address that it tells on the terminal, and what its page does.

use serde_json::Value;
use tempfile::TempDir;
use tokio_tungstenite::{connect_async, tungstenite::Error};

use crate::{
    live::{Live, request},
    running::{Running, example},
};

/// What the page asks for, as its script writes it.
const ASKED: &str = "q=-action%3Alog_viewed+OR+outcome%3Adenied";

fn named(action: &'static str, id: &'static str) -> impl Fn(&Value) -> bool {
    move |record| record["action"] == action && record["entity_id"] == id
}

async fn get(shop: &Running, path: &str) -> Value {
    let (status, answer) = shop.send("GET", path, None, None).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[tokio::test]
async fn every_address_that_the_terminal_tells_answers() {
    let folder = TempDir::new().unwrap();
    let mut shop = Running::start(example("quickstart", folder.path())).await;
    shop.line("Ctrl-C to stop").await;
    let told: Vec<String> = shop
        .seen()
        .iter()
        .flat_map(|line| line.split(['\'', ' ']))
        .filter_map(|word| word.split_once("/activity/"))
        .map(|(_, path)| format!("/activity/{path}"))
        .collect();
    assert!(told.len() >= 5, "{told:?}");
    for path in told.iter().filter(|path| !path.ends_with("/sse")) {
        get(&shop, path).await;
    }
    for path in ["/activity", "/activity/", "/activity/health"] {
        get(&shop, path).await;
    }
    let (status, problem) = shop.send("GET", "/activity/nowhere", None, None).await;
    assert_eq!((status.as_u16(), &problem["status"]), (404, &Value::from(404)));
}

#[tokio::test]
async fn the_log_is_asked_in_its_language_and_taken_away_as_csv() {
    let folder = TempDir::new().unwrap();
    let mut shop = Running::start(example("quickstart", folder.path())).await;
    let token = shop.log_in("ana").await;
    shop.send("POST", "/api/orders/55/cancel", Some(&token), None).await;
    shop.send("DELETE", "/api/products/3", Some(&token), None).await;
    shop.line("ana tried to delete product 3").await;

    let cancelled = shop.records("q=action:cancel").await;
    assert_eq!(cancelled.len(), 1);
    assert_eq!(cancelled[0]["entity_id"], "55");
    let trail = get(&shop, "/activity/entities/order/55").await;
    assert_eq!(trail["records"].as_array().unwrap()[..], cancelled[..]);
    let (status, problem) =
        shop.send("GET", "/activity/records?q=action:cancel%20atcor_id:x", None, None).await;
    assert_eq!((status.as_u16(), &problem["column"]), (400, &Value::from(15)), "{problem}");

    let csv = get(&shop, "/activity/export?format=csv&q=-category:system").await;
    let mut reader = csv::Reader::from_reader(csv.as_str().expect("text").as_bytes());
    let columns = reader.headers().unwrap().clone();
    let column = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let (action, outcome) = (column("action"), column("outcome"));
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let said: Vec<_> = rows.iter().map(|row| (&row[action], &row[outcome])).collect();
    assert_eq!(said, [("delete", "denied"), ("cancel", "success"), ("login", "success")]);

    let stats = whole(&shop, "/activity/stats?q=-category:system", is_complete).await;
    assert_eq!((&stats["total"], &stats["by_action"]["cancel"]), (&3.into(), &1.into()), "{stats}");
}

#[tokio::test]
async fn the_page_goes_from_history_into_the_present_and_back_again_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let shop = Running::start(example("quickstart", folder.path())).await;
    let token = shop.log_in("ana").await;
    let page = get(&shop, &format!("/activity/records?limit=50&{ASKED}")).await;
    // Between the page and the socket.
    shop.send("POST", "/api/orders/55/cancel", Some(&token), None).await;
    let live = page["live"].as_str().unwrap();
    let mut session = Live::open(&shop, &format!("{ASKED}&cursor={live}")).await;
    let (mut records, _) = session.until(named("cancel", "55")).await;
    // While it listens.
    shop.send("POST", "/api/orders/54/payments", Some(&token), None).await;
    let (more, cursor) = session.until(named("process_payment", "54")).await;
    records.extend(more);
    let mut actions: Vec<_> = page["records"].as_array().unwrap().iter().chain(&records).collect();
    actions.sort_by_key(|record| record["id"].as_str().unwrap());
    actions.dedup_by_key(|record| record["id"].clone());
    let actions: Vec<_> = actions.iter().map(|record| record["action"].as_str().unwrap()).collect();
    // That somebody looks at the log is in it, and not on the page.
    assert_eq!(actions, ["started", "login", "cancel", "process_payment"]);
    assert!(!shop.records("action=log_viewed").await.is_empty());

    let ((_, status), goodbye) =
        tokio::join!(shop.stop("TERM"), async { while session.next().await.is_some() {} });
    assert!(status.success(), "{status} {goodbye:?}");

    let shop = Running::start(example("quickstart", folder.path())).await;
    shop.log_in("bob").await;
    let mut session = Live::open(&shop, &format!("{ASKED}&cursor={cursor}")).await;
    let (records, _) = session.until(|record| record["action"] == "login").await;
    let actions: Vec<_> = records.iter().map(|record| record["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["stopped", "started", "login"]);
}

#[tokio::test]
async fn pages_of_others_are_not_let_in() {
    let folder = TempDir::new().unwrap();
    let shop = Running::start(example("quickstart", folder.path())).await;
    let foreign = request(&shop, "https://evil.example", ASKED);
    match connect_async(foreign).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_month_of_history_is_counted_at_once() {
    let folder = TempDir::new().unwrap();
    let mut command = example("quickstart", folder.path());
    command.arg("--demo");
    let shop = Running::start(command).await;
    let stats = whole(&shop, "/activity/stats", is_complete).await;
    let total = stats["total"].as_u64().unwrap();
    assert!((4_500..=5_500).contains(&total), "{stats}");
    assert!(stats["series"].as_array().unwrap().len() >= 28, "{stats}");
    let has_all = |facets: &Value| {
        let is_whole = |field| facets["facets"][field].as_array().map(Vec::len) == Some(3);
        ["action", "actor_id"].into_iter().all(is_whole)
    };
    whole(&shop, "/activity/facets?fields=action,actor_id&top=3", has_all).await;
    let is_exact = |page: &Value| page["total"]["relation"] == "eq";
    whole(&shop, "/activity/records?limit=1&count=exact", is_exact).await;
}

fn is_complete(answer: &Value) -> bool {
    answer["complete"] == true
}

/// Asks again where the API ran out of patience, as it does on a machine that stalls for some seconds.
async fn whole(shop: &Running, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let mut answer = Value::Null;
    for _ in 0..20 {
        answer = get(shop, path).await;
        if so(&answer) {
            return answer;
        }
    }
    panic!("{path} is never answered whole: {answer}");
}
