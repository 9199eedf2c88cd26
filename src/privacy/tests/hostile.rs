//! Input made to hurt.

use std::time::Duration;

use super::*;

#[test]
fn depth_is_no_danger() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(json_log(&deep), (deep.clone(), JsonShape::Valid, Vec::new()));
        let cut = &deep[..deep.len() / 2];
        assert_eq!(json_log(cut).1, JsonShape::Cut);
        let secret = format!("{{\"pin\":{deep},\"b\":1}}");
        assert_eq!(json_of(&secret), r#"{"pin":"[REDACTED]","b":1}"#);
        let inside = format!("{}\"password\":\"x\"", "{\"a\":".repeat(100_000));
        assert!(!json_of(&inside).contains("\"x\""));
    }
}

#[test]
fn a_million_keys_are_no_danger() {
    let mut text = String::from("{");
    for n in 0..1_000_000 {
        text.push_str(&format!("\"k{}\":{n},", n % 1000));
    }
    text.push_str("\"password\":1}");
    let out = json_of(&text);
    assert_eq!(out.len(), text.len() + "\"[REDACTED]\"".len() - 1);
    let many = format!("{{{}\"pin\":1}}", "\"pin\":1,".repeat(200_000));
    let (out, _, log) = json_log(&many);
    assert!(!out.contains(":1") && out.len() < 3 * many.len());
    assert_eq!(log.len(), 1, "the same thing in the same place is one entry");
}

#[test]
fn huge_numbers_stay_as_they_are() {
    for number in
        ["1e999999", "-1E-999999", &"9".repeat(100_000), &format!("0.{}", "1".repeat(100_000))]
    {
        assert_eq!(json_of(format!("{{\"a\":{number}}}")), format!("{{\"a\":{number}}}"));
    }
}

/// A quadratic scanner needs a multiple of the limit for one of these, a linear one a hundredth.
#[test]
fn time_is_linear_for_text_made_against_each_scanner() {
    for piece in [
        "eyJ-",
        "eyJaaaaaaaa.b ",
        "eyJeyJ",
        "a=",
        "a.b-c_=",
        "=",
        ":",
        "://",
        "a://",
        "a://b:c ",
        "a://u:x/",
        "4",
        "4111 ",
        "4111-1111-",
        "-----BEGIN ",
        "-----BEGIN x-----END ",
        "-",
        "ghp_",
        "ghp_a ",
        "sk-",
        "Bearer ",
        "bearer a ",
        "{",
        "[",
        "\"",
        "\\",
        "\\\"",
        "{\"",
        "[\"",
        "{\"a\":",
        "'",
        ":{",
        "password:",
        "\"password\":",
        "\"password\":{",
        "password='",
        "password=\"",
        "%",
        "%25",
        "&",
        "&&a=b;",
        "@",
        "a@b.",
        "aB1",
        "passw",
        "tokenToken",
        "a_",
        "A",
        "\u{0}",
        "é",
        " ",
        "\n",
        ",",
        "}",
    ] {
        let before = worked();
        let text = piece.repeat(64 * 1024 / piece.len());
        json_of(&text);
        json_of(format!("{{\"{text}"));
        json_of(serde_json::json!([text]).to_string());
        form_of(&text, Extent::Cut);
        query_of(&Redactor::default(), &text);
        path_of(&text);
        url_of(&text);
        text_of(&text, Extent::Whole);
        text_of(&text, Extent::Cut);
        std::hint::black_box(Redactor::default().is_sensitive_header(&text));
        // Of the processor and not of the wall: others may be working on this machine. What is not linear takes minutes.
        assert!(worked() - before < Duration::from_secs(30), "{piece:?} takes too long");
    }
}

/// Returns the processor time of this thread so far (proc(5), `schedstat`: the first number, in nanoseconds).
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn no_byte_sequence_panics() {
    let pieces: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b":",
        b",",
        b"\xff",
        b"\xc3",
        b"\xa9",
        b"\0",
        b"password",
        b"1",
        b"e",
        b".",
        b"-",
        b"'",
        b"\\u",
        b"d800",
        b"eyJ",
        b"://",
        b"@",
        b"=",
        b"&",
        b"%",
        b" ",
        b"\n",
    ];
    // Every sequence of three pieces, and whatever those do to each other at the ends.
    for a in pieces {
        for b in pieces {
            for c in pieces {
                let bytes = [*a, *b, *c].concat();
                json_of(&bytes);
                let text = String::from_utf8_lossy(&bytes);
                form_of(&text, Extent::Cut);
                text_of(&text, Extent::Cut);
                path_of(&text);
                url_of(&text);
            }
        }
    }
}
