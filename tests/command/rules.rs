//! Rules files are checked and explained.

use std::fs;

use crate::run::Log;

#[tokio::test]
async fn a_rules_file_is_sound_or_the_line_is_named() {
    let log = Log::sqlite();
    fs::write(
        log.path("good.toml"),
        "[[rule]]\nname = \"refund\"\nroute = \"/orders/{id}/refund\"\naction = \"refund\"\n",
    )
    .unwrap();
    fs::write(log.path("bad.toml"), "[[rule]]\nname = \"x\"\nroute = \"/a\"\nacton = \"b\"\n")
        .unwrap();
    let good = log.run(&["rules", "check", "good.toml"]).await.with(0);
    assert_eq!(good.json()[0]["sound"], true);
    let bad = log.run(&["rules", "check", "bad.toml"]).await.with(1);
    assert_eq!(bad.json()[0]["sound"], false);
    assert!(
        bad.stderr.contains("bad.toml") && bad.stderr.contains('4') && bad.stderr.contains("acton")
    );
    let people = log.run(&["rules", "check", "good.toml", "--output", "table"]).await.with(0);
    assert_eq!(people.stdout, "good.toml: nothing is wrong\n");
    log.run(&["rules", "check", "none.toml"]).await.with(1);

    let explained = log
        .run(&[
            "rules",
            "explain",
            "post",
            "/orders/{id}/refund",
            "--rules",
            "good.toml",
            "--output",
            "table",
        ])
        .await
        .with(0);
    assert!(explained.stdout.contains("refund"), "{}", explained.stdout);
    log.run(&["rules", "explain", "POST", "/orders"]).await.with(0).json();
    let refused = log.run(&["serve", "--rules", "bad.toml", "--port", "0"]).await.with(3);
    assert!(refused.stderr.contains("acton") && !log.path("activity.db").exists());
}
