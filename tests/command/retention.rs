//! What has expired goes by command, told of before, and the log is as sound afterwards.

use std::fs;

use serde_json::Value;

use crate::run::{Log, record};

on_both!(
    nothing_goes_without_a_policy_that_somebody_chose,
    a_preset_ends_what_it_no_longer_keeps,
    a_rules_file_says_how_long_for_each_tenant_group,
    what_is_held_stays_until_the_hold_is_lifted,
    what_a_hold_keeps_of_somebody_is_shown_when_it_is_asked_for,
    a_log_is_told_how_full_it_is_and_loses_months_only_by_force,
);

impl Log {
    /// Returns a log with two records of a month that is long over, one of them of a login, and one of a class of
    /// its own.
    async fn with_old_ones(self) -> Self {
        self.run(&["migrate"]).await.with(0);
        let of = |seq, class: &'static str| {
            record(seq, &format!("2024-02-10T12:00:0{seq}Z"), move |record| {
                record.retention_class.set(class);
            })
        };
        for (seq, class) in
            [(1, "activity"), (2, "authentication"), (3, "one's own"), (4, "activity.health")]
        {
            self.append(&[of(seq, class)]).await;
        }
        self
    }
}

fn fates(planned: &[Value]) -> Vec<(&str, &str)> {
    let planned = planned.iter().filter(|line| line["month"] == "2024-02");
    planned.map(|line| (line["class"].as_str().unwrap(), line["fate"].as_str().unwrap())).collect()
}

async fn nothing_goes_without_a_policy_that_somebody_chose(log: Log) {
    log.run(&["retention", "plan", "--preset", "default"]).await.with(3);
    log.run(&["retention", "run", "--preset", "default"]).await.with(3);
    let log = log.with_old_ones().await;
    for what in ["plan", "run"] {
        let refused = log.run(&["retention", what]).await.with(2);
        assert!(refused.stderr.contains("[retention]"), "{refused:?}");
        log.run(&["retention", what, "--preset", "forever"]).await.with(2);
    }
    fs::write(log.path("activity.toml"), "[defaults]\nservice = 'shop'\n").unwrap();
    log.run(&["retention", "run", "--rules", "activity.toml"]).await.with(2);
    assert_eq!(log.run(&["verify"]).await.with(0).json()[0]["records"], 4);
}

async fn a_preset_ends_what_it_no_longer_keeps(log: Log) {
    let log = log.with_old_ones().await;
    let plan = ["retention", "plan", "--preset", "default"];
    let planned = log.run(&plan).await.with(0).json();
    assert_eq!(
        fates(&planned),
        [
            ("activity", "expired"),
            ("activity.health", "unknown_class"),
            ("authentication", "expired"),
            ("one's own", "unknown_class"),
        ]
    );
    let people = log.run(&[&plan[..], &["--output", "table"]].concat()).await.with(0).stdout;
    assert!(people.contains("expired since 2024-05-30"), "{people}");
    assert_eq!(
        log.run(&["verify"]).await.with(0).json()[0]["records"],
        4,
        "a plan changes nothing"
    );

    let ended = log.run(&["retention", "run", "--preset", "default"]).await.with(0).json();
    let classes: Vec<_> = ended.iter().map(|line| line["class"].as_str().unwrap()).collect();
    assert_eq!(classes, ["activity", "authentication"]);
    let verified = log.run(&["verify"]).await.with(0).json().remove(0);
    assert_eq!((&verified["result"], &verified["expired"]), (&"unaltered".into(), &2.into()));
    let people = log.run(&["verify", "--output", "table"]).await.with(0).stdout;
    assert!(people.contains("2 records expired"), "{people}");
    let told = log.run(&["query", "action:retention_run", "--oldest"]).await.with(0).json();
    let ids: Vec<_> = told.iter().map(|record| &record["id"]).collect();
    assert_eq!(ids, ended.iter().map(|line| &line["told_by"]).collect::<Vec<_>>());
    let left = log.run(&["query", "entity_type:order"]).await.with(0).json();
    assert_eq!(left.len(), 2);

    let again = log.run(&["retention", "run", "--preset", "default", "--output", "table"]).await;
    assert_eq!(again.with(0).stdout, "nothing has expired\n");
}

async fn a_rules_file_says_how_long_for_each_tenant_group(log: Log) {
    let log = log.with_old_ones().await;
    let rules = "[retention]\npreset = 'hipaa'\nauthentication = 30\n\n\
                 [[retention.tenant]]\nname = 'health'\ntenants = ['clinic']\nactivity = '60d'\n";
    fs::write(log.path("activity.toml"), rules).unwrap();
    let plan = ["retention", "plan", "--rules", "activity.toml"];
    let planned = log.run(&plan).await.with(0).json();
    assert_eq!(
        fates(&planned),
        [
            ("activity", "until"),
            ("activity.health", "expired"),
            ("authentication", "expired"),
            ("one's own", "unknown_class"),
        ]
    );
    assert!(planned.iter().all(|line| line["policy"] == "rules"));
    let ended = log.run(&["retention", "run", "--rules", "activity.toml"]).await.with(0).json();
    assert_eq!(ended.len(), 2);
    fs::write(log.path("activity.toml"), rules.replace("30", "'thirty'")).unwrap();
    let refused = log.run(&plan).await.with(3);
    assert!(
        refused.stderr.contains("activity.toml:3: `authentication` is a number"),
        "{refused:?}"
    );
}

async fn what_is_held_stays_until_the_hold_is_lifted(log: Log) {
    log.run(&["hold", "list"]).await.with(3);
    let log = log.with_old_ones().await;
    for wrong in [
        &["hold", "place", "retention_class:activity"][..],
        &["hold", "place", "retention_class:activity", "--reason", " "],
        &["hold", "place", "actoin:x", "--reason", "a lawsuit"],
        &["hold", "lift", "1"],
    ] {
        log.run(wrong).await.with(2);
    }
    let unknown = "01977c51-4c00-7000-8000-000000000001";
    log.run(&["hold", "lift", unknown]).await.with(3);
    let place = ["hold", "place", "retention_class:activity", "--reason", "a lawsuit"];
    let placed = log.run(&[&place[..], &["--name", "case 7", "--by", "dpo"]].concat()).await;
    let placed = placed.with(0).json().remove(0);
    assert_eq!((&placed["records"]["value"], &placed["by"]), (&1.into(), &"user:dpo".into()));
    let listed = log.run(&["hold", "list"]).await.with(0).json();
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &placed["id"]));
    let people = log.run(&["hold", "list", "--output", "table"]).await.with(0).stdout;
    assert!(people.contains("case 7") && people.contains("a lawsuit"), "{people}");

    let plan = ["retention", "plan", "--preset", "default"];
    let planned = log.run(&plan).await.with(0).json();
    assert_eq!(fates(&planned)[0], ("activity", "held"));
    assert_eq!(planned[0]["hold"]["name"], "case 7");
    let end = ["retention", "run", "--preset", "default"];
    let run = log.run(&end).await.with(0);
    assert!(run.stderr.contains("is held: case 7"), "{run:?}");
    let classes: Vec<_> = run.json().iter().map(|line| line["class"].clone()).collect();
    assert_eq!(classes, ["authentication"]);
    let verified = log.run(&["verify"]).await.with(0).json().remove(0);
    assert_eq!((&verified["result"], &verified["expired"]), (&"unaltered".into(), &1.into()));

    let id = placed["id"].as_str().unwrap();
    let lifted = log.run(&["hold", "lift", id, "--reason", "settled"]).await.with(0).json();
    assert_eq!(lifted[0]["lifted"]["reason"], "settled");
    assert!(log.run(&["hold", "list"]).await.with(0).json().is_empty());
    assert_eq!(log.run(&["hold", "list", "--all"]).await.with(0).json().len(), 1);
    assert_eq!(log.run(&end).await.with(0).json()[0]["class"], "activity");
    let verified = log.run(&["verify"]).await.with(0).json().remove(0);
    assert_eq!((&verified["result"], &verified["expired"]), (&"unaltered".into(), &2.into()));
}

async fn what_a_hold_keeps_of_somebody_is_shown_when_it_is_asked_for(log: Log) {
    let log = log.with_old_ones().await;
    let shown = log.run(&["query", "retention_class:activity"]).await.with(0).json().remove(0);
    let actor = shown["actor_id"].as_str().unwrap().to_owned();
    let place = ["hold", "place", "retention_class:activity", "--reason", "a lawsuit"];
    let placed = log.run(&place).await.with(0).json().remove(0);
    let id = placed["id"].as_str().unwrap();
    let erase = ["subject", "erase", &actor, "--basis", "x", "--alone", "--keys", "log.keys"];
    let said = log.run(&[&erase[..], &["--dry-run"]].concat()).await.with(0).json().remove(0);
    assert_eq!((&said["held"], &said["held_by"][id]), (&1.into(), &1.into()));
    let said = log.run(&[&erase[..], &["--output", "table"]].concat()).await.with(0).stdout;
    assert!(
        said.contains("1 record more under a legal hold, now restricted") && said.contains(id),
        "{said}"
    );
    let asks = [
        &["query", "retention_class:activity"][..],
        &["export", "--format", "jsonl", "retention_class:activity"],
        &["tail", "--no-follow", "retention_class:activity"],
        &["stats", "retention_class:activity"],
    ];
    let named = format!("\"{actor}\"");
    for asked in asks {
        let shown = log.run(asked).await.with(0).stdout;
        assert!(!shown.is_empty() && !shown.contains(&named), "{asked:?}: {shown}");
    }
    let kept = ["query", "--restricted"];
    let whole =
        log.run(&[&kept[..], &[&format!("actor_id:{actor}")]].concat()).await.with(0).json();
    assert_eq!((whole.len(), &whole[0]["actor_id"]), (1, &actor.clone().into()));
    assert_eq!(whole[0]["id"], shown["id"]);
    // What a court asks for.
    let exported = log.run(&["export", "--restricted"]).await.with(0).json();
    assert_eq!((exported.len(), &exported[0]["actor_id"]), (1, &actor.clone().into()));
    let csv = ["export", "--restricted", "--format", "csv", "--out", "kept.csv"];
    log.run(&csv).await.with(0);
    assert!(fs::read_to_string(log.path("kept.csv")).unwrap().contains(&actor));
    assert!(log.run(&["export", "--restricted", "actor_id:no"]).await.with(0).json().is_empty());
    let lines = ["export", "--restricted", "--proofs", "--keys", "log.keys", "--out", "kept.jsonl"];
    let zip = ["bundle", "--restricted", "--keys", "log.keys", "--out", "kept.zip"];
    for (make, file) in [(&lines[..], "kept.jsonl"), (&zip, "kept.zip")] {
        let made = log.run(make).await.with(0);
        assert!(made.stderr.contains("1 record"), "{made:?}");
        let verified = log.run(&["verify", "--export", file]).await.with(0).json().remove(0);
        assert_eq!((&verified["result"], &verified["records"]), (&"unaltered".into(), &1.into()));
        // Of the entries it has the one that accounts for it.
        assert_eq!(verified["entries"], 1, "{verified:#}");
        assert!(verified["export"]["size"].as_u64() > Some(1), "{verified:#}");
    }
    let another = [&place[..], &["--output", "table"]].concat();
    let said = log.run(&another).await.with(0).stdout;
    assert!(said.contains("it is on 1 record more, restricted"), "{said}");
    let second = log.run(&["hold", "list"]).await.with(0).json();
    let second = second.iter().find(|hold| hold["id"] != id).unwrap()["id"].clone();
    let lifted = log.run(&["hold", "lift", second.as_str().unwrap()]).await.with(0).json();
    assert_eq!((&lifted[0]["erased"], &lifted[0]["left"]), (&0.into(), &serde_json::json!([])));
    let verified = log.run(&["verify"]).await.with(0).json().remove(0);
    assert_eq!(verified["result"], "unaltered");
    let lift = ["hold", "lift", id, "--reason", "settled", "--output", "table"];
    let said = log.run(&lift).await.with(0).stdout;
    assert!(said.contains("1 record erased that it kept"), "{said}");
    assert!(log.run(&kept).await.with(0).json().is_empty());
    let verified = log.run(&["verify"]).await.with(0).json().remove(0);
    assert_eq!(verified["result"], "unaltered");
}

async fn a_log_is_told_how_full_it_is_and_loses_months_only_by_force(log: Log) {
    let log = log.with_old_ones().await;
    // A month that is over, and kept for years: the limit is below what an empty database of either kind has.
    let rules = "[retention]\npreset = 'hipaa'\nmax_size = '1MB'\n";
    fs::write(log.path("activity.toml"), rules).unwrap();
    let records: Vec<_> = (5..405)
        .map(|seq| {
            let at = format!("2026-02-10T12:{:02}:{:02}Z", seq / 60, seq % 60);
            record(seq, &at, |record| {
                record.retention_class.set("activity");
                let noise: String =
                    (0..400).map(|n| format!("{:x}", seq * 7_919 + n * n * 104_729)).collect();
                crate::run::set_metadata(record, &format!("{{\"x\":\"{noise}\"}}"));
            })
        })
        .collect();
    log.append(&records).await;
    let plan = log.run(&["retention", "plan", "--rules", "activity.toml"]).await.with(0);
    assert!(plan.stderr.contains("of 1MB: what has expired goes"), "{plan:?}");
    let of_month = |month: &str| {
        let planned = plan.json().into_iter();
        planned.filter(|line| line["month"] == month).collect::<Vec<_>>()
    };
    assert_eq!(of_month("2026-02")[0]["fate"], "until");
    assert_eq!(of_month("2026-02")[0]["addresses"]["fate"], "with_records");
    let run = ["retention", "run", "--rules", "activity.toml"];
    let kept = log.run(&run).await.with(0);
    assert!(kept.stdout.is_empty() && kept.stderr.contains("of 1MB"), "{kept:?}");
    let doctor = log.run(&["doctor", "--rules", "activity.toml"]).await;
    let size = doctor.json().into_iter().find(|found| found["what"] == "size").unwrap();
    assert_eq!((&size["state"], doctor.code), (&"wrong".into(), Some(1)), "{size}");

    let forced = log.run(&[&run[..], &["--force"]].concat()).await.with(0).json();
    let gone: Vec<_> = forced.iter().map(|line| (&line["class"], &line["forced"])).collect();
    assert!(gone.contains(&(&"activity".into(), &true.into())), "{forced:?}");
    let verified = log.run(&["verify"]).await.with(0).json().remove(0);
    assert_eq!(verified["result"], "unaltered");
    let told = log.run(&["query", "action:retention_run"]).await.with(0).json();
    assert!(told.iter().any(|record| record["metadata"]["why"] == "max_size"), "{told:?}");

    fs::write(log.path("activity.toml"), "[retention]\n").unwrap();
    let nothing = log.run(&[&run[..], &["--force"]].concat()).await.with(2);
    assert!(nothing.stderr.contains("max_size"), "{nothing:?}");
    for (wrong, why) in [
        ("max_size = '20'", "no size such as"),
        ("max_size = 20", "is text"),
        ("force = true", "there is none"),
        ("addresses = 0", "0 days"),
    ] {
        fs::write(log.path("activity.toml"), format!("[retention]\n{wrong}\n")).unwrap();
        let refused = log.run(&run).await.with(3);
        assert!(
            refused.stderr.contains("activity.toml:2: ") && refused.stderr.contains(why),
            "{refused:?}"
        );
    }
}
