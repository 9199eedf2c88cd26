use super::*;

const JWT: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";

#[test]
fn secrets_are_masked_where_they_stand() {
    for (text, masked) in [
        (format!("jwt {JWT}, yes"), "jwt [REDACTED], yes"),
        (format!("a={JWT}"), "a=[REDACTED]"),
        (format!("Authorization: Bearer {JWT}"), "Authorization: Bearer [REDACTED]"),
        ("bearer 0123456789abcdef0".into(), "bearer [REDACTED]"),
        ("key AKIAIOSFODNN7EXAMPLE.".into(), "key [REDACTED]."),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a".into(), "[REDACTED]"),
        ("line\\nghp_16C7e42F292c6912E7710c".into(), "line\\n[REDACTED]"),
        ("xoxb-123456789012-abc (slack)".into(), "[REDACTED] (slack)"),
        ("(sk_live_4eC39HqLyjWDarjtT1zdp7dc)".into(), "([REDACTED])"),
        ("pay 4111 1111 1111 1111 12 27 now".into(), "pay [REDACTED] 12 27 now"),
        ("pay 4111-1111-1111-1111".into(), "pay [REDACTED]"),
        ("amex 3782 822463 10005".into(), "amex [REDACTED]"),
        ("5555555555554444".into(), "[REDACTED]"),
        ("postgres://app:s3cret@db:5432/x".into(), "postgres://[REDACTED]@db:5432/x"),
        ("mongodb://u:p@h1,h2/x?y".into(), "mongodb://[REDACTED]@h1,h2/x?y"),
        ("https://user:p@ss@host/".into(), "https://[REDACTED]@host/"),
        ("https://token@host/".into(), "https://[REDACTED]@host/"),
        ("amqp://u:pa/s#s@host/v".into(), "amqp://[REDACTED]@host/v"),
        (
            "see https://x.y/cb?code=1&a=b#access_token=2".into(),
            "see https://x.y/cb?code=[REDACTED]&a=b#access_token=[REDACTED]",
        ),
        ("Server=db;Password=abc;Port=1".into(), "Server=db;Password=[REDACTED];Port=1"),
        ("see /cb?token=a;b&c=1".into(), "see /cb?token=[REDACTED]&c=1"),
        ("token=4111 1111 1111 1111 x".into(), "token=[REDACTED] x"),
        ("auth=Basic dXNlcjpwYXNz x".into(), "auth=[REDACTED] x"),
        ("secret=-----BEGIN X-----\na\n-----END X-----&y".into(), "secret=[REDACTED]&y"),
        ("password=\"a b\" next".into(), "password=[REDACTED] next"),
        ("user%5Bpassword%5D=x&y=1".into(), "user%5Bpassword%5D=[REDACTED]&y=1"),
        ("ä ghp_16C7e42F292c ö ghp_16C7e42F292c ü".into(), "ä [REDACTED] ö [REDACTED] ü"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nend".into(),
            "[REDACTED]\nend",
        ),
        ("x -----BEGIN PRIVATE KEY-----\nMIIE".into(), "x [REDACTED]"),
    ] {
        assert_eq!(text_of(&text, Extent::Whole), masked);
    }
}

#[test]
fn what_only_looks_a_little_like_it_stays() {
    for text in [
        "",
        "hello world",
        "eyJ",
        "eyJpZCI6NDJ9 is a cursor",
        "AKIA is a prefix, AKIAshort too",
        "ghp_ and sk_live_",
        "risk-management-for-beginners-and-more",
        "bearer of bad news, Bearer responsibilities",
        "1111111111111111 4111111111111112 41111111111111111111111",
        "0.4111111111111111 is a fraction",
        "x4111111111111111 4111111111111111x",
        "2024-01-02 10 30 45, 1700000000000000",
        "+49 170 1234567 89",
        "018f3c1e-7111-7000-8000-411111111111",
        "http://localhost:3000/a@b, https://example.com:8080",
        "https://[2001:db8::1]:80/x@y",
        "http://example.com/search?q=a=b&sort_key=1",
        "see key=5 code=6 state=open",
        "token= password=",
        "a==b ==",
        "://@ a://@",
        "-----BEGINNING----- of",
        "password: must be long",
        "password=[REDACTED]",
        "https://[REDACTED]@host/",
    ] {
        assert_eq!(text_of(text, Extent::Whole), text);
    }
}

#[test]
fn at_the_end_of_a_cut_text_a_beginning_is_enough() {
    for (text, masked) in [
        ("a eyJhbGciOiJI", "a [REDACTED]"),
        ("a eyJhbGciOiJIUzI1NiJ9.", "a [REDACTED]"),
        ("AKIAIO", "[REDACTED]"),
        ("ghp_a", "[REDACTED]"),
        ("card 4111 1111 ", "card [REDACTED] "),
        ("card 4111111", "card [REDACTED]"),
        ("postgres://app:s3cr", "postgres://[REDACTED]"),
        ("postgres://app", "postgres://[REDACTED]"),
        ("Bearer abc", "Bearer [REDACTED]"),
    ] {
        assert_eq!(text_of(text, Extent::Cut), masked);
        // What stands where a port stands and is no number is a password in any case.
        if !text.contains("s3cr") {
            assert_eq!(text_of(text, Extent::Whole), text, "whole, it is none");
        }
    }
}

#[test]
fn every_card_number_of_the_test_suites_is_found() {
    for card in [
        "4111111111111111",
        "4242424242424242",
        "4222222222222",
        "5555555555554444",
        "5105105105105100",
        "2223003122003222",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "6011000990139424",
        "30569309025904",
        "38520000023237",
        "3530111333300000",
        "6200000000000005",
        "6759649826438453",
        "9792020000000001",
    ] {
        assert_eq!(text_of(card, Extent::Whole), MARKER, "{card}");
        let broken = format!(
            "{}{}",
            &card[..card.len() - 1],
            (card.as_bytes()[card.len() - 1] - b'0' + 1) % 10
        );
        assert_eq!(text_of(&broken, Extent::Whole), broken);
    }
}

#[test]
fn an_id_whose_end_passes_for_a_card_stays() {
    for uuid in [
        "019ab0c2-5e1f-7c34-8000-000000000003",
        "6fa459ea-ee8a-4ca4-9400-000000000007",
        "6FA459EA-EE8A-4CA4-8123-456789012308",
    ] {
        let end = &uuid[19..];
        assert_eq!(text_of(end, Extent::Whole), MARKER, "{end} passes for a card");
        for text in [
            uuid.to_owned(),
            format!("order {{{uuid}}}, paid"),
            format!("urn:uuid:{uuid}"),
            format!("order_{uuid}-1"),
        ] {
            assert_eq!(text_of(&text, Extent::Whole), text);
        }
        let json = format!(r#"{{"id":"{uuid}"}}"#);
        assert_eq!(json_of(&json), json);
        // What only looks like one from afar is none.
        for (other, masked) in [
            (uuid[1..].to_owned(), format!("{}{MARKER}", &uuid[1..19])),
            (format!("a{uuid}"), format!("a{}{MARKER}", &uuid[..19])),
            (format!("g{}", &uuid[1..]), format!("g{}{MARKER}", &uuid[1..19])),
        ] {
            assert_eq!(text_of(&other, Extent::Whole), masked);
        }
    }
    let card = "019ab0c2-5e1f-7c34-4111-111111111111";
    assert_eq!(text_of(card, Extent::Whole), format!("019ab0c2-5e1f-7c34-{MARKER}"));
}
