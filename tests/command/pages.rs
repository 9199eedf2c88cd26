//! Each command of `docs/retention.md` and `docs/archive.md` does what the page says, in the order in which it stands there.

use std::fs;

use crate::{
    backup::shell,
    run::{Log, record},
};

on_both!(holds_are_placed_and_lifted_as_the_page_says, months_are_archived_as_the_page_says);

fn retention() -> &'static str {
    include_str!("../../docs/retention.md")
}

/// Returns the blocks of a page in this language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let begins = format!("```{language}\n");
    let blocks = page.split(&*begins).skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

/// Returns the commands of a block, as somebody types them.
fn commands(block: &str) -> impl Iterator<Item = &str> {
    block.lines().filter_map(|line| line.strip_prefix("$ "))
}

async fn holds_are_placed_and_lifted_as_the_page_says(log: Log) {
    let log = log.with_three().await;
    let blocks = blocks(retention(), "console");
    let shown: Vec<_> = blocks.into_iter().flat_map(commands).collect();
    let shown: Vec<_> =
        shown.into_iter().filter(|command| command.starts_with("activity ")).collect();
    let [place, lift] = shown[..] else { panic!("the page has other commands: {shown:?}") };
    let placed = shell(&log, place).await.with(0).json().remove(0);
    let id = placed["id"].as_str().expect("it has an id").to_owned();
    assert_eq!(log.run(&["hold", "list"]).await.with(0).json().len(), 1);
    let named = "01977c51-4c00-7000-8000-000000000001";
    assert!(lift.contains(named), "{lift}");
    shell(&log, &lift.replace(named, &id)).await.with(0);
    assert!(log.run(&["hold", "list"]).await.with(0).json().is_empty());
}

async fn months_are_archived_as_the_page_says(log: Log) {
    log.run(&["migrate"]).await.with(0);
    for (seq, class) in [(1, "authentication"), (2, "activity")] {
        let at = format!("2026-01-10T12:00:0{seq}Z");
        let one = record(seq, &at, |record| {
            record.action.set("cancel");
            record.category = class.parse().unwrap();
            record.retention_class.set(class);
        });
        log.append(&[one]).await;
    }
    let page = include_str!("../../docs/archive.md");
    let rules = blocks(retention(), "toml").remove(0);
    fs::write(log.path("activity.toml"), rules).unwrap();
    log.run(&["rules", "check", "activity.toml"]).await.with(0);
    let named = "s3://audit/shop";
    let named_there = blocks(page, "toml").remove(0).replace(named, "archive");
    fs::write(log.path("other.toml"), named_there).unwrap();
    log.run(&["rules", "check", "other.toml"]).await.with(0);
    let environment = "export ACTIVITY_KEYS=activity.keys";
    let trust = format!("{environment}; activity checkpoint --trust-line > activity.trust");
    shell(&log, &trust).await.with(0);
    let mut ran = Vec::new();
    for command in commands(blocks(page, "console").remove(0)) {
        let here = command.replace(named, "archive").replace("postgres://…", &log.url);
        let ended = shell(&log, &format!("{environment}; {here}")).await.with(0);
        ran.push((command.split(' ').take(3).collect::<Vec<_>>().join(" "), ended));
    }
    let names: Vec<_> = ran.iter().map(|(name, _)| &**name).collect();
    let expected = [
        "activity archive run",
        "activity archive verify",
        "activity retention run",
        "activity archive restore",
        "activity query --store",
    ];
    assert_eq!(names, expected);
    assert_eq!(ran[0].1.json().len(), 2, "both months of January");
    assert_eq!(ran[2].1.json()[0]["class"], "authentication", "what goes is archived by then");
    assert_eq!(ran[4].1.json().len(), 2, "all of it is back, in a copy");
    assert_eq!(log.run(&["query", "action:cancel"]).await.with(0).json().len(), 1);
}
