//! Fault 51: whoever is limited to a tenant, or to categories, sees nothing else by any door.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tower_activity::{
    privacy::Keys,
    record::{Category, Record},
};

use crate::{
    list::ours,
    sample,
    support::{Answer, Fixture, Service, spelt},
};

on_every_store! {
    a_tenant_sees_its_own_rows_by_every_door,
    what_a_caller_may_not_read_is_not_there,
    a_cursor_is_refused_to_whoever_sees_something_else,
    a_damaged_cursor_is_refused,
    a_cursor_of_another_version_is_told_apart_from_a_forged_one,
}

const VIEW: &str = "logs.auth.view,logs.actions.view";

/// Records of two tenants and of none, in three categories; all of one entity, actor and session.
fn mixed() -> Vec<Box<Record>> {
    let mut records = ours(5, 1..=36);
    for record in &mut records {
        let seq = record.seq as usize;
        record.tenant_id.set(["acme", "globex", ""][seq % 3]);
        record.category =
            [Category::Activity, Category::Authentication, Category::System][seq / 3 % 3];
        record.entity_type.set("order");
        record.entity_id.set("1");
        record.actor_id.set("ana");
        record.session_id.set("s");
        record.seal(sample::salts(record.seq));
    }
    records
}

/// Every door through which records are listed.
const LISTS: [&str; 4] = ["records", "entities/order/1", "actors/ana", "sessions/s"];

async fn a_tenant_sees_its_own_rows_by_every_door<F: Fixture>() {
    let service = Service::<F>::start().await;
    let records = mixed();
    service.append(&records).await;
    let own = records
        .iter()
        .filter(|record| record.tenant_id == "acme" && record.category != Category::System)
        .count();
    let caller = format!("ana {VIEW} acme");
    for path in LISTS {
        let list = service.get_as(&caller, &format!("/activity/{path}?count=exact")).await.json();
        let rows = list["records"].as_array().unwrap();
        assert_eq!(rows.len(), own, "{path}");
        assert!(rows.iter().all(|row| row["tenant_id"] == "acme"), "{path}");
        assert_eq!(list["total"]["value"], own, "{path}");
        // To ask for another tenant, or for any, is to ask for nothing more.
        for filter in ["tenant_id=globex", "tenant_id=globex,acme", "workspace_id=globex"] {
            let path = format!("/activity/{path}?{filter}");
            let list = service.get_as(&caller, &path).await.json();
            let rows = list["records"].as_array().unwrap();
            assert!(rows.iter().all(|row| row["tenant_id"] == "acme"), "{path}");
        }
    }
    for record in &records {
        let path = format!("/activity/records/{}", record.id);
        let answer = service.get_as(&caller, &path).await;
        if record.tenant_id == "acme" && record.category != Category::System {
            assert_eq!(answer.json()["seq"], record.seq);
        } else {
            let missing = service.get_as(&caller, "/activity/records/none").await;
            assert_eq!(
                answer.problem(404),
                missing.problem(404),
                "a foreign record is as a missing one"
            );
        }
    }
    service.stop().await;
}

async fn what_a_caller_may_not_read_is_not_there<F: Fixture>() {
    let service = Service::<F>::start().await;
    let records = mixed();
    service.append(&records).await;
    for (permissions, categories) in [
        ("logs.actions.view", vec![Category::Activity]),
        ("logs.auth.view", vec![Category::Authentication]),
        ("logs.configure", vec![Category::System]),
        (VIEW, vec![Category::Activity, Category::Authentication]),
    ] {
        let caller = format!("ana {permissions}");
        let readable = |record: &Record| categories.contains(&record.category);
        let expected = records.iter().filter(|record| readable(record)).count();
        for path in LISTS {
            let path = format!("/activity/{path}?service=ours&limit=100");
            let list = service.get_as(&caller, &path).await.json();
            let rows = list["records"].as_array().unwrap();
            assert_eq!(rows.len(), expected, "{permissions}: {path}");
        }
        for record in &records {
            let path = format!("/activity/records/{}", record.id);
            let status = service.get_as(&caller, &path).await.status;
            assert_eq!(
                status == 200,
                readable(record),
                "{permissions}: {}",
                record.category.as_str()
            );
        }
    }
    for path in LISTS {
        service.get_as("ana logs.export", &format!("/activity/{path}")).await.problem(403);
        service.send(hyper::Method::GET, &format!("/activity/{path}"), &[], "").await.problem(401);
    }
    service.stop().await;
}

async fn a_cursor_is_refused_to_whoever_sees_something_else<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.append(&mixed()).await;
    for path in LISTS {
        let path = format!("/activity/{path}?service=ours&limit=2");
        let callers = [
            format!("ana {VIEW} acme"),
            format!("ana {VIEW} globex"),
            format!("ana {VIEW}"),
            "ana logs.actions.view acme".to_owned(),
            "admin".to_owned(),
        ];
        for owner in &callers {
            let page = service.get_as(owner, &path).await.json();
            let next = page["next"].as_str().unwrap();
            for caller in &callers {
                let answer = service.get_as(caller, &format!("{path}&cursor={next}")).await;
                if caller == owner {
                    answer.json();
                } else {
                    is_refused_as(&answer, "another filter or another caller");
                }
            }
        }
        // The same caller with another filter, or in the other order.
        let page = service.get(&path).await.json();
        let next = page["next"].as_str().unwrap();
        for changed in ["&action=create", "&order=asc", "&tenant_id=acme"] {
            let answer = service.get(&format!("{path}{changed}&cursor={next}")).await;
            let why = if changed == "&order=asc" { "other way" } else { "another filter" };
            assert!(answer.problem(400)["detail"].to_string().contains(why), "{}", answer.text());
        }
    }
    service.stop().await;
}

fn is_refused_as(answer: &Answer, why: &str) {
    let problem = answer.problem(400);
    assert_eq!(problem["type"], "urn:tower-activity:problem:invalid-cursor");
    assert_eq!(problem["parameter"], "cursor");
    assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
}

async fn a_cursor_of_another_version_is_told_apart_from_a_forged_one<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.append(&mixed()).await;
    let page = service.get("/activity/records?service=ours&limit=2").await.json();
    for (cursor, path) in [("next", "records"), ("live", "live/sse")] {
        let cursor = BASE64_URL_SAFE_NO_PAD.decode(page[cursor].as_str().unwrap()).unwrap();
        for version in [0, 2, 255] {
            let mut other = cursor.clone();
            other[0] = version;
            let other = BASE64_URL_SAFE_NO_PAD.encode(other);
            let path = format!("/activity/{path}?service=ours&cursor={other}");
            is_refused_as(&service.get(&path).await, "of another version; please begin again");
        }
    }
    // Of another installation, as after its keys were lost.
    let other = Service::<F>::set(|builder| builder.keys(Keys::ephemeral())).await;
    for (cursor, path) in [("next", "records"), ("live", "live/sse")] {
        let cursor = page[cursor].as_str().unwrap();
        let path = format!("/activity/{path}?service=ours&cursor={cursor}");
        is_refused_as(&other.get(&path).await, "was not made here");
    }
    other.stop().await;
    service.stop().await;
}

async fn a_damaged_cursor_is_refused<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.append(&mixed()).await;
    let page = service.get("/activity/records?service=ours&limit=2").await.json();
    let next = page["next"].as_str().unwrap();
    for at in 0..next.len() {
        let mut damaged = next.to_owned().into_bytes();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(damaged).unwrap();
        let path = format!("/activity/records?service=ours&limit=2&cursor={damaged}");
        let answer = service.get(&path).await;
        // The version comes first, and alone is in the clear.
        let why = if at < 2 { "cursor" } else { "was not made here, or was damaged" };
        is_refused_as(&answer, why);
    }
    for cursor in
        ["x", "AAAA", "../..", "' OR 1=1 --", &next.repeat(9), &next[1..], &format!("{next}=")]
    {
        let path = format!("/activity/records?service=ours&limit=2&cursor={}", spelt(cursor));
        let problem = service.get(&path).await.problem(400);
        assert_eq!(problem["parameter"], "cursor");
    }
    service.stop().await;
}
