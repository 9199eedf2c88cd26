//! A report says the same as text, as Markdown and as JSON.

use tower_activity::record::{Category, Outcome};

use crate::run::{Log, gap, record};

on_both!(text_markdown_and_json_agree, a_day_is_that_of_the_time_zone);

async fn text_markdown_and_json_agree(log: Log) {
    let mut records = vec![
        record(1, "2026-11-20T08:00:00Z", |record| record.action.set("create")),
        record(2, "2026-11-20T09:00:00Z", |record| {
            record.action.set("delete");
            record.operation = "delete".parse().unwrap();
            record.ip = Some("10.0.0.9".parse().unwrap());
        }),
    ];
    for seq in 3..=5 {
        records.push(record(seq, "2026-11-20T10:00:00Z", |record| {
            record.category = Category::Authentication;
            record.action.set("login_failed");
            record.entity_type.set("user");
            record.entity_id.set("mira|x");
            record.outcome = Outcome::Denied;
            record.ip = Some("192.0.2.7".parse().unwrap());
        }));
    }
    records.push(gap(6, "2026-11-20T11:00:00Z", 41));
    records.push(record(7, "2026-11-21T00:00:00Z", |_| {}));
    log.append(&records).await;

    let day = |format| ["report", "--day", "2026-11-20", "--format", format];
    let json = &log.run(&day("json")).await.with(0).json()[0];
    assert_eq!((&json["total"], &json["complete"]), (&6.into(), &true.into()));
    assert_eq!(json["failed_logins"]["total"], 3);
    assert_eq!(json["failed_logins"]["by_address"][0]["value"], "192.0.2.7");
    assert_eq!(json["sensitive"]["total"], 1);
    assert_eq!(
        (&json["gaps"][0]["count"], json["gaps"].as_array().unwrap().len()),
        (&41.into(), 1)
    );
    let text = log.run(&day("text")).await.with(0).stdout;
    let markdown = log.run(&day("markdown")).await.with(0).stdout;
    for wanted in [
        "6 records",
        "Failed logins: 3",
        "192.0.2.7",
        "Sensitive operations: 1",
        "41 records missing",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
        assert!(markdown.contains(wanted), "{wanted}: {markdown}");
    }
    assert!(markdown.contains("| mira\\|x | 3 |"), "a cell ends no table: {markdown}");
    assert!(text.contains("2026-11-20 09:00:00 +00:00"), "{text}");
    let week = &log.run(&["report", "--week", "2026-W47"]).await.with(0).json()[0];
    assert_eq!(week["total"], 7);
    let month = &log.run(&["report", "--month", "2026-11"]).await.with(0).json()[0];
    assert_eq!(month["total"], 7);
}

async fn a_day_is_that_of_the_time_zone(log: Log) {
    // The clocks of Berlin go back at three: the day has 25 hours.
    let at = |seq, at, actor: &'static str| record(seq, at, |record| record.actor_id.set(actor));
    log.append(&[
        at(1, "2026-10-24T21:59:59Z", "before"),
        at(2, "2026-10-24T22:00:00Z", "first"),
        at(3, "2026-10-25T22:59:59Z", "last"),
        at(4, "2026-10-25T23:00:00Z", "after"),
    ])
    .await;
    for (zone, expected) in [
        ("Europe/Berlin", ["first", "last"]),
        ("UTC", ["after", "last"]),
        ("-11:00", ["after", "last"]),
        ("+05:30", ["before", "first"]),
    ] {
        let day = ["report", "--day", "2026-10-25", "--tz", zone];
        let report = &log.run(&day).await.with(0).json()[0];
        let actors = report["by_actor"].as_array().unwrap().iter();
        let mut actors: Vec<_> = actors.map(|actor| actor["value"].as_str().unwrap()).collect();
        actors.sort_unstable();
        assert_eq!((actors, &report["total"]), (expected.to_vec(), &2.into()), "{zone}");
    }
}
