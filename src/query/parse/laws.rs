//! What holds for any text. The bodies take plain arguments, so that a fuzzer may call them.

use proptest::prelude::*;

use super::*;
use crate::query::{Extra, Params};

fn context() -> ParseContext {
    ParseContext::new(Timestamp::from_micros(1_778_500_800_000_000))
}

/// Reading ends in a filter or an error inside the text, and what is written down is read as the same.
fn reading_never_fails_badly(text: &str) {
    match Filter::parse(text, &context()) {
        Ok(filter) => written_down_is_read_as_the_same(&filter),
        Err(error) => {
            let length = text.chars().count();
            assert!(error.column() <= length + 1, "{text:?}: {error:?}");
            assert!(error.column() + error.length() <= length + 1, "{text:?}: {error:?}");
            assert!(error.to_string().len() < 2_000, "{error}");
        }
    }
}

fn written_down_is_read_as_the_same(filter: &Filter) {
    let written = filter.to_string();
    match Filter::parse(&written, &context()) {
        Ok(again) => {
            assert_eq!(&again, filter, "{written}");
            assert_eq!(again.to_string(), written);
        }
        // What is short in one spelling may be long in another.
        Err(error) => assert!(
            matches!(
                error.kind(),
                ParseErrorKind::TooLong
                    | ParseErrorKind::TooManyTerms
                    | ParseErrorKind::TooManyValues
            ),
            "{written}: {error}"
        ),
    }
}

/// So does reading parameters.
fn reading_parameters_never_fails_badly(name: &str, value: &str) {
    let pairs = [(name.to_owned(), value.to_owned())];
    let all = [Extra::Filters, Extra::Limit, Extra::Offset, Extra::Fields, Extra::Interval];
    match Params::read(&pairs, &all, context().now) {
        Ok(params) => written_down_is_read_as_the_same(&params.filter),
        Err(error) => assert!(!error.detail().is_empty() && error.to_string().len() < 2_000),
    }
}

/// Pieces of which queries are made, good and bad.
fn pieces() -> impl Strategy<Value = String> {
    let names = crate::query::FIELDS.iter().flat_map(|field| field.names()).collect::<Vec<_>>();
    let examples: Vec<_> = crate::query::FIELDS.iter().map(|field| field.example()).collect();
    let marks = vec![
        ":",
        ":",
        ":",
        " ",
        " ",
        "(",
        ")",
        "\"",
        "\\",
        "*",
        ",",
        "..",
        ">",
        ">=",
        "<",
        "=",
        "-",
        "!",
        "NOT ",
        " OR ",
        " AND ",
        "/",
        ".",
        "5xx",
        "now",
        "-24h",
        "2026-01-31",
        "2026-02-30",
        "T10:00",
        "+02:00",
        "10.0.0.0/8",
        "::1/64",
        "é",
        "İ",
        "\0",
        "99999999999999999999",
        "9223372036854775807",
        "-9999-01",
        "9999-12-31",
        "today",
        "login_success",
        "post",
        "\u{a0}",
        "\u{202e}",
        "0000",
        "ς",
        "order",
        "*",
    ];
    let one = prop_oneof![
        2 => proptest::sample::select(names).prop_map(str::to_owned),
        2 => proptest::sample::select(examples).prop_map(str::to_owned),
        6 => proptest::sample::select(marks).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(one, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        reading_never_fails_badly(&text);
    }

    #[test]
    fn any_query_is_read_or_refused(text in pieces()) {
        reading_never_fails_badly(&text);
    }

    #[test]
    fn any_parameter_is_read_or_refused(
        name in proptest::sample::select(
            crate::query::FIELDS.iter().map(|field| field.name())
                .chain(["q", "from", "to", "tz", "limit", "page", "fields", "interval", "x"])
                .collect::<Vec<_>>()
        ),
        value in pieces(),
    ) {
        reading_parameters_never_fails_badly(name, &value);
    }
}

#[test]
fn the_longest_query_is_read_in_no_time() {
    let begun = std::time::Instant::now();
    for piece in ["(", "\"", "-", "a*", "a,", "\\", "*", "action:", "\u{10ffff}", "NOT ", "a OR "] {
        for before in ["", "action:", "metadata.", "at:", "old:/a=", "ip:"] {
            let text = format!("{before}{}", piece.repeat(MAX_LENGTH / piece.len()));
            reading_never_fails_badly(&text);
        }
    }
    // Seconds would be a mistake; this is far beyond what a slow machine takes.
    assert!(begun.elapsed().as_secs() < 20);
}
