//! Every entity and action of the shop, and every way in which a request can end.

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::running::{Running, example};

struct Row {
    who: &'static str,
    request: &'static str,
    body: Value,
    status: u16,
    /// `entity action id`, the id `-` where there is none.
    meaning: &'static str,
    outcome: &'static str,
}

fn row(
    who: &'static str,
    request: &'static str,
    body: Value,
    status: u16,
    meaning: &'static str,
    outcome: &'static str,
) -> Row {
    Row { who, request, body, status, meaning, outcome }
}

/// In this order: later rows act on what earlier ones made.
fn table() -> Vec<Row> {
    let named = || json!({ "name": "x" });
    let rows = [
        ("admin", "POST /api/products", named(), 201, "product create 4", "success"),
        ("admin", "PUT /api/products/4", named(), 200, "product update 4", "success"),
        ("admin", "PATCH /api/products/4", named(), 200, "product update 4", "success"),
        (
            "admin",
            "POST /api/products/4/stock",
            json!({ "stock": 9 }),
            200,
            "product update_stock 4",
            "success",
        ),
        (
            "admin",
            "POST /api/products/4/image",
            Value::Null,
            200,
            "product upload_image 4",
            "success",
        ),
        ("admin", "DELETE /api/products/4", Value::Null, 204, "product delete 4", "success"),
        ("admin", "POST /api/products/4/restore", Value::Null, 200, "product restore 4", "success"),
        ("bob", "POST /api/categories", named(), 201, "category create 3", "success"),
        ("bob", "PUT /api/categories/3", named(), 200, "category update 3", "success"),
        ("bob", "DELETE /api/categories/3", Value::Null, 204, "category delete 3", "success"),
        ("bob", "POST /api/promotions", named(), 201, "promotion create 2", "success"),
        ("bob", "PATCH /api/promotions/2", named(), 200, "promotion update 2", "success"),
        ("bob", "DELETE /api/promotions/2", Value::Null, 204, "promotion delete 2", "success"),
        ("ana", "POST /api/orders", named(), 201, "order create 56", "success"),
        ("ana", "PUT /api/orders/56", named(), 200, "order update 56", "success"),
        ("ana", "POST /api/orders/56/items", named(), 201, "item create 1", "success"),
        (
            "ana",
            "POST /api/orders/56/promotions",
            json!({ "code": "S" }),
            201,
            "order apply_promotion 56",
            "success",
        ),
        (
            "ana",
            "POST /api/orders/56/payments",
            json!({ "amount": 9 }),
            201,
            "order process_payment 56",
            "success",
        ),
        (
            "ana",
            "PATCH /api/orders/56/status",
            json!({ "status": "sent" }),
            200,
            "order update_status 56",
            "success",
        ),
        ("ana", "POST /api/orders/56/cancel", Value::Null, 200, "order cancel 56", "success"),
        ("ana", "DELETE /api/orders/56", Value::Null, 204, "order delete 56", "success"),
        ("admin", "POST /api/users", named(), 201, "user create 4", "success"),
        ("admin", "PUT /api/users/4", named(), 200, "user update 4", "success"),
        (
            "ana",
            "PUT /api/users/1/password",
            json!({ "password": "hush-hush" }),
            200,
            "user update_password 1",
            "success",
        ),
        ("ana", "PUT /api/users/1/avatar", Value::Null, 200, "user update_avatar 1", "success"),
        (
            "admin",
            "PUT /api/users/1/role",
            json!({ "role": "lead" }),
            200,
            "user update_role 1",
            "success",
        ),
        (
            "admin",
            "PATCH /api/users/1/status",
            json!({ "status": "on" }),
            200,
            "user update_status 1",
            "success",
        ),
        ("admin", "DELETE /api/users/4", Value::Null, 204, "user delete 4", "success"),
        ("admin", "PUT /api/settings/vat", json!(20), 200, "setting update vat", "success"),
        (
            "",
            "POST /register",
            json!({ "user": "eve", "password": "hush-hush" }),
            201,
            "user register 5",
            "success",
        ),
        // Refused, missing, unknown.
        ("ana", "DELETE /api/products/3", Value::Null, 403, "product delete 3", "denied"),
        ("ana", "POST /api/products", named(), 403, "product create -", "denied"),
        ("ana", "PUT /api/orders/999", named(), 404, "order update 999", "failure"),
        ("ana", "POST /api/orders/abc/cancel", Value::Null, 404, "order cancel abc", "failure"),
        ("", "POST /api/orders", named(), 401, "order create -", "denied"),
        ("", "GET /api/orders", Value::Null, 401, "order list -", "denied"),
        (
            "",
            "POST /login",
            json!({ "user": "mallory", "password": "hush-hush" }),
            401,
            "user login_failed *",
            "denied",
        ),
        ("", "POST /api", named(), 401, "- create -", "denied"),
        ("", "POST /api/nowhere", named(), 401, "- create -", "denied"),
        ("ana", "POST /api/nowhere", named(), 404, "- create -", "failure"),
        ("ana", "GET /api/panic", Value::Null, 500, "panic read -", "failure"),
        ("ana", "POST /logout", Value::Null, 204, "user logout ana", "success"),
    ];
    rows.into_iter().map(|(w, r, b, s, m, o)| row(w, r, b, s, m, o)).collect()
}

#[tokio::test]
async fn every_request_of_the_shop_is_recorded_as_what_it_meant() {
    let folder = TempDir::new().unwrap();
    let mut shop = Running::start(example("quickstart", folder.path())).await;
    let mut tokens = std::collections::HashMap::from([("", None)]);
    for user in ["ana", "bob", "admin"] {
        tokens.insert(user, Some(shop.log_in(user).await));
    }
    let table = table();
    for row in &table {
        let (method, path) = row.request.split_once(' ').unwrap();
        let body = (!row.body.is_null()).then(|| row.body.clone());
        let (status, answer) = shop.send(method, path, tokens[row.who].as_deref(), body).await;
        assert_eq!(status.as_u16(), row.status, "{}: {answer}", row.request);
        if status == StatusCode::CREATED {
            assert!(answer["id"].is_u64(), "{}: {answer}", row.request);
        }
        // A successful read is no record.
        shop.send("GET", "/api/categories", tokens["bob"].as_deref(), None).await;
    }
    shop.line("ana logged out").await;

    let mut records = shop.records("limit=1000").await;
    records.retain(|record| record["category"] != "system");
    records.reverse();
    let logins: Vec<_> = records.drain(..3).map(|record| record["actor_id"].clone()).collect();
    assert_eq!(logins, ["ana", "bob", "admin"]);
    assert_eq!(records.len(), table.len(), "{:#?}", shop.seen());
    for (record, row) in records.iter().zip(&table) {
        let told = |what: &str| format!("{}: {what} of {record:#}", row.request);
        let text = |field: &str| record[field].as_str().unwrap_or("-").to_owned();
        let id = text("entity_id");
        let id = if row.meaning.ends_with('*') { "*" } else { &id };
        assert_eq!(
            format!("{} {} {id}", text("entity_type"), text("action")),
            row.meaning,
            "{}",
            told("meaning")
        );
        assert_eq!(record["outcome"], row.outcome, "{}", told("outcome"));
        assert_eq!(record["actor_id"].as_str().unwrap_or_default(), row.who, "{}", told("actor"));
        assert_eq!(record["actor_type"], if row.who.is_empty() { "anonymous" } else { "user" });
        // A session shows all that was done in it, to its end.
        assert_eq!(record["session_id"].is_null(), row.who.is_empty(), "{}", told("session"));
        assert_eq!(record["ip"], "127.0.0.1", "{}", told("address"));
        assert!(record["duration_us"].is_u64(), "{}", told("duration"));
        assert_eq!(record["method"], row.request.split(' ').next().unwrap());
        assert!(!record["rule"].is_null(), "{}", told("rule"));
        if row.status == 500 {
            assert_eq!(record["outcome_reason"], "panic", "{}", told("reason"));
        } else {
            assert_eq!(record["status"], row.status, "{}", told("status"));
        }
    }
    // Neither what was typed as a password nor the account that somebody guessed at is kept.
    let kept = Value::from(records).to_string();
    assert!(!kept.contains("hush-hush") && !kept.contains("mallory") && !kept.contains("secret"));
}

#[tokio::test]
async fn a_download_is_recorded_at_its_end_and_a_cut_one_as_aborted() {
    let folder = TempDir::new().unwrap();
    let mut shop = Running::start(example("quickstart", folder.path())).await;
    let token = shop.log_in("ana").await;

    let request =
        format!("GET /api/slow HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\n\r\n");
    // The report takes two seconds. On a machine that stalls, somebody may be too late to leave it: then once more.
    let (mut asked, mut line) = (0, String::new());
    while !line.contains("ana tried to download a report: aborted") {
        assert!(asked < 10, "whoever leaves is never recorded as that: {line}");
        let mut connection = TcpStream::connect(&shop.address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 16];
        connection.read_exact(&mut head).await.unwrap();
        assert_eq!(&head[..12], b"HTTP/1.1 200");
        drop(connection);
        line = shop.line("report").await;
        asked += 1;
    }

    let (status, report) = shop.send("GET", "/api/slow", Some(&token), None).await;
    assert_eq!(status, 200);
    let line = shop.line("ana downloaded a report").await;
    assert!(line.ends_with("· 127.0.0.1 · rule report"), "{line}");

    let records = shop.records("entity_type=report&action=download").await;
    assert_eq!(records.len(), asked + 1);
    assert_eq!(records[0]["outcome"], "success");
    assert!(records[0]["duration_us"].as_u64().unwrap() >= 2_000_000);
    assert_eq!(records[0]["response_bytes"], report.as_str().unwrap().len());
    assert_eq!(records[1]["outcome"], "aborted");
    assert_eq!(records[1]["outcome_reason"], "client_disconnect");
    assert_eq!(records[1]["actor_id"], "ana");
}

#[tokio::test]
async fn records_are_asked_for_by_entity_id_action_and_limit() {
    let folder = TempDir::new().unwrap();
    let mut shop = Running::start(example("quickstart", folder.path())).await;
    let token = shop.log_in("ana").await;
    for path in ["/api/orders/53/cancel", "/api/orders/54/cancel", "/api/orders/54/payments"] {
        let (status, _) = shop.send("POST", path, Some(&token), None).await;
        assert!(status.is_success(), "{path}: {status}");
    }
    shop.line("processed payment for order 54").await;

    let ids = |records: Vec<Value>| -> Vec<String> {
        records
            .iter()
            .map(|record| format!("{} {}", record["action"], record["entity_id"]))
            .collect()
    };
    let newest_first = [r#""process_payment" "54""#, r#""cancel" "54""#, r#""cancel" "53""#];
    assert_eq!(ids(shop.records("entity_type=order").await), newest_first);
    assert_eq!(ids(shop.records("entity_type=ORDER&entity_id=54").await), newest_first[..2]);
    assert_eq!(ids(shop.records("action=cancel").await), newest_first[1..]);
    assert_eq!(ids(shop.records("action=cancel,process_payment&limit=2").await), newest_first[..2]);

    for limit in ["0", "1001", "-1", "many"] {
        let (status, problem) =
            shop.send("GET", &format!("/activity/records?limit={limit}"), None, None).await;
        assert_eq!(status, 400, "{limit}");
        assert_eq!(problem["parameter"], "limit");
        assert!(problem["detail"].as_str().unwrap().contains("from 1 to 1000"), "{problem}");
    }
    let (status, problem) = shop.send("GET", "/activity/records?entitty=x", None, None).await;
    assert_eq!((status.as_u16(), &problem["parameter"]), (400, &json!("entitty")));
}

#[tokio::test]
async fn a_hostile_name_stays_on_its_line_and_in_its_text() {
    let folder = TempDir::new().unwrap();
    let mut shop = Running::start(example("quickstart", folder.path())).await;
    let name = "eve\n12:00:00 admin deleted everything\u{1b}[2J\u{202e}<script>";
    let token = shop.log_in(name).await;
    assert!(!token.is_empty());
    let line = shop.line("logged in").await;
    assert!(
        line.contains(r"eve\n12:00:00 admin deleted everything\u{1b}[2J\u{202e}<script> logged in"),
        "{line}"
    );
    assert_eq!(shop.records("action=login").await[0]["actor_id"], name);
}

#[tokio::test]
async fn the_page_shows_text_as_text_and_needs_no_other_host() {
    let folder = TempDir::new().unwrap();
    let shop = Running::start(example("quickstart", folder.path())).await;
    let (status, page) = shop.send("GET", "/", None, None).await;
    let page = page.as_str().unwrap();
    assert_eq!(status, 200);
    assert!(!page.contains("innerHTML") && !page.contains("insertAdjacentHTML"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("{nonce}"));
    assert!(page.contains("/activity/records?") && page.contains("/activity/live?"));
}
