//! Each construct, by the text that it is written as again.

use super::*;
use crate::{
    query::{Expr, FIELDS, Phrase, Test},
    record::Record,
};

fn context() -> ParseContext {
    ParseContext::new("2026-05-11T12:00:00Z".parse().unwrap())
}

fn parse(text: &str) -> Filter {
    Filter::parse(text, &context()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What a query is written as when it is written down again, and that it is the same then.
fn again(text: &str) -> String {
    let filter = parse(text);
    let written = filter.to_string();
    assert_eq!(parse(&written), filter, "{text} → {written}");
    written
}

fn error(text: &str) -> (usize, usize, &'static str, String) {
    let error = Filter::parse(text, &context()).expect_err(text);
    (error.column(), error.length(), error.kind().as_str(), error.detail())
}

#[test]
fn each_construct_is_read() {
    for (text, written) in [
        ("", ""),
        ("  ", ""),
        ("*", ""),
        ("-*", "-*"),
        ("action:cancel", "action:cancel"),
        ("ACTION:Cancel", "action:cancel"),
        ("verb:cancel user_id:Ana", "action:cancel actor_id:Ana"),
        ("-actor_id:bot", "-actor_id:bot"),
        ("NOT actor_id:bot", "-actor_id:bot"),
        ("!actor_id:bot", "-actor_id:bot"),
        ("- -!actor_id:bot", "-actor_id:bot"),
        ("entity_type:(order OR product)", "entity_type:order,product"),
        ("entity_type:(order OR pro*)", "entity_type:order OR entity_type:pro*"),
        ("entity_type:-order", "entity_type:\"-order\""),
        ("entity_type:(-order)", "-entity_type:order"),
        ("event:order.*", "entity_type:order action:*"),
        ("event:order.cancel", "entity_type:order action:cancel"),
        ("event:cancel", "action:cancel"),
        ("event:o*.login.x*", "entity_type:o* action:login.x*"),
        (
            "event:order.cancel,user.login",
            "entity_type:order action:cancel OR entity_type:user action:login",
        ),
        ("action:login_*", "action:login_*"),
        ("action:login_success", "action:\"login_success\" OR action:login outcome:success"),
        ("action:create,update,create", "action:create,update"),
        ("outcome:DENIED", "outcome:denied"),
        ("outcome:(denied OR failure)", "outcome:denied,failure"),
        ("status:>=500", "status:>=500"),
        ("status:>499", "status:>=500"),
        ("status:<500", "status:<=499"),
        ("status:5xx", "status:500..599"),
        ("status:400..499", "status:400..499"),
        ("status:404,5XX", "status:404 OR status:500..599"),
        ("status:=404", "status:404"),
        ("severity:>=high", "severity:>=4"),
        ("duration:>=250ms", "duration_us:>=250000"),
        ("ip:10.1.2.3/8", "ip:10.0.0.0/8"),
        ("ip:2001:db8::/32", "ip:2001:db8::/32"),
        ("ip:::ffff:192.0.2.7", "ip:192.0.2.7"),
        ("subject_id:a,b", "subject_id:a,b"),
        ("changed:/price", "changed:/price"),
        ("changed:price", "changed:/price"),
        ("changed:*", "changed:*"),
        ("old:/status=PENDING", "old:/status=PENDING"),
        ("old:/status=PENDING,NEW,/a=b", "old:/status=PENDING,NEW OR old:/a=b"),
        ("new:/status=SHIP*", "new:/status=SHIP*"),
        ("new:/status=\"IN TRANSIT\"", "new:/status=\"IN TRANSIT\""),
        ("metadata.path:ui.theme", "metadata.path:ui.theme"),
        ("metadata.ui.theme:dark", "metadata.ui.theme:dark"),
        ("metadata.\"a.b\".c\\:d:*", "metadata.\"a.b\".\"c:d\":*"),
        ("details.x:1,2", "metadata.x:1,2"),
        ("metadata:*", "metadata:*"),
        ("target_id:9", "targets.id:9"),
        ("reason:*", "reason:*"),
        ("-reason:**", "-reason:*"),
        ("cancel order", "cancel order"),
        ("\"cancelled order\"", "\"cancelled order\""),
        ("order_55", "\"order 55\""),
        ("cancel*", "cancel*"),
        ("\"cancel ord\"*", "\"cancel ord\"*"),
        ("order_*", "order"),
        ("search:(cancel OR \"big order\")", "cancel OR \"big order\""),
        ("a AND b OR c d", "a b OR c d"),
        ("a (b OR (c d))", "a (b OR c d)"),
        ("-(a b)", "-(a b)"),
        ("and or not", "and or not"),
        ("actor_id:a\\,b", "actor_id:\"a,b\""),
        ("actor_id:a\\*b", "actor_id:\"a*b\""),
        ("actor_id:a\\*b*", "actor_id:\"a*b\"*"),
        ("actor_id:\"\"", "actor_id:\"\""),
        ("actor_id:\"OR\"", "actor_id:\"OR\""),
        ("route:/orders/{id}/*", "route:/orders/{id}/*"),
        ("method:post,Purge", "method:POST,Purge"),
        ("trace_id:4BF9", "trace_id:4bf9"),
        ("action:cancel)x"[..13].trim_end_matches(')'), "action:cancel"),
    ] {
        assert_eq!(again(text), written, "{text}");
    }
}

#[test]
fn times_name_the_whole_of_what_they_write() {
    let day = |from, to| format!("at:{from}T00:00:00.000000Z..{to}T23:59:59.999999Z");
    for (text, written) in [
        ("at:2026-01-01..2026-02-01", day("2026-01-01", "2026-02-01")),
        ("created:2026-02", day("2026-02-01", "2026-02-28")),
        ("occurred_at:2026-05-10", day("2026-05-10", "2026-05-10")),
        ("at:yesterday", day("2026-05-10", "2026-05-10")),
        ("at:2026", day("2026-01-01", "2026-12-31")),
        ("at:>now-24h", "at:>=2026-05-10T12:00:00.000001Z".to_owned()),
        ("at:>=now-1w", "at:>=2026-05-04T12:00:00.000000Z".to_owned()),
        ("at:>2026-05-10", "at:>=2026-05-11T00:00:00.000000Z".to_owned()),
        ("at:<=2026-05-10", "at:<2026-05-11T00:00:00.000000Z".to_owned()),
        ("at:..2026-05-10", "at:<2026-05-11T00:00:00.000000Z".to_owned()),
        ("at:now-90m..", "at:>=2026-05-11T10:30:00.000000Z".to_owned()),
        ("at:>=2026-05-10T10:00+02:00", "at:>=2026-05-10T08:00:00.000000Z".to_owned()),
        (
            "at:2026-05-10T10:00",
            "at:2026-05-10T10:00:00.000000Z..2026-05-10T10:00:59.999999Z".to_owned(),
        ),
        ("at:2026-05-10T10:00:00.000001Z", "at:2026-05-10T10:00:00.000001Z".to_owned()),
    ] {
        assert_eq!(again(text), written, "{text}");
    }
}

#[test]
fn days_begin_in_the_time_zone() {
    let context = context().in_zone("America/Sao_Paulo".parse().unwrap());
    let written = |text| Filter::parse(text, &context).unwrap().to_string();
    assert_eq!(
        written("at:2026-05-10"),
        "at:2026-05-10T03:00:00.000000Z..2026-05-11T02:59:59.999999Z"
    );
    assert_eq!(written("at:<2026-05-10T10:00:00"), "at:<2026-05-10T13:00:00.000000Z");
}

#[test]
fn an_error_tells_column_expectation_and_the_nearest() {
    for (text, column, length, kind, detail) in [
        ("a actoin:x", 3, 6, "unknown_field", "there is no field `actoin`; did you mean `action`?"),
        (
            "é outcome:denid",
            11,
            5,
            "unknown_word",
            "`outcome` has no word `denid`; expected one of success, denied, failure, aborted, unknown; did you mean `denied`?",
        ),
        (
            "action: cancel",
            8,
            0,
            "missing_value",
            "expected a value of `action` right here: text, `*` for any run of characters",
        ),
        (
            "action:a,,b",
            10,
            0,
            "missing_value",
            "expected a value of `action` right here: text, `*` for any run of characters",
        ),
        (
            "http://x",
            1,
            4,
            "unknown_field",
            "there is no field `http`; to look for it as text, put it in quotes",
        ),
        (
            "x \"abc",
            3,
            4,
            "unclosed_quote",
            "the quotation that begins here does not end; expected `\"`",
        ),
        (
            "(a (b)",
            1,
            1,
            "unclosed_parenthesis",
            "the parenthesis that opens here is not closed; expected `)`",
        ),
        ("a)", 2, 1, "unexpected", "this `)` closes nothing"),
        ("a OR", 5, 0, "missing_value", "expected a condition such as `action:cancel`, or words"),
        ("()", 2, 0, "missing_value", "expected a condition such as `action:cancel`, or words"),
        (
            "status:abc",
            8,
            3,
            "bad_value",
            "`abc` is no number; `status` takes a status, a class such as `5xx`, `>=500` or `400..499`",
        ),
        (
            "status:500..400",
            8,
            8,
            "bad_value",
            "`500..400` is a range that ends before it begins; `status` takes a status, a class such as `5xx`, `>=500` or `400..499`",
        ),
        (
            "actor_id:>5",
            10,
            2,
            "bad_value",
            "`actor_id` is text, which is not greater or less; a `>` or `<` itself is put in quotes",
        ),
        (
            "ip:10.0.0",
            4,
            6,
            "bad_value",
            "`10.0.0` is no address; `ip` takes an address or a network such as `10.0.0.0/8`",
        ),
        ("--- ...", 5, 3, "no_words", "there is no letter or digit to look for"),
        ("ca*el", 1, 5, "unexpected", "a `*` stands only at the end of a word to look for"),
        (
            "x\\",
            2,
            1,
            "unexpected",
            "nothing follows the backslash; write `\\\\` for a backslash itself",
        ),
        (
            "from:2026-01-01",
            1,
            4,
            "unknown_field",
            "there is no field `from`; time is asked for as `at:2026-01-01..2026-02-01`",
        ),
        (
            "action.x:y",
            7,
            2,
            "unknown_field",
            "`action` has no keys below it; expected `:` after it",
        ),
        ("old:/a=", 8, 0, "missing_value", "expected a value after the `=`"),
    ] {
        assert_eq!(error(text), (column, length, kind, detail.to_owned()), "{text}");
    }
    assert!(error("at:2026-13-01").3.starts_with("`2026-13-01` is no time; expected a day"));
    assert!(error("at:2026-02-01..2026-01-01").3.starts_with("the range ends before it begins"));
}

#[test]
fn each_bound_has_an_error_of_its_own() {
    let fine = [
        "x".repeat(MAX_LENGTH),
        format!("{}x{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH)),
        "x ".repeat(MAX_TERMS),
        format!("actor_id:{}x", "x,".repeat(MAX_VALUES - 1)),
        "actor_id:*a*a*a*a*a*a*a*".to_owned(),
        format!("{}x", "-".repeat(MAX_LENGTH - 1)),
    ];
    for text in fine {
        assert!(Filter::parse(&text, &context()).is_ok(), "{text}");
    }
    let refused = [
        ("x".repeat(MAX_LENGTH + 1), "too_long"),
        (format!("{}x{}", "(".repeat(MAX_DEPTH + 1), ")".repeat(MAX_DEPTH + 1)), "too_deep"),
        (format!("action:{}", "(".repeat(MAX_LENGTH - 7)), "too_deep"),
        ("x ".repeat(MAX_TERMS + 1), "too_many_terms"),
        (format!("action:({})", "x ".repeat(MAX_TERMS + 1)), "too_many_terms"),
        (format!("actor_id:{}x", "x,".repeat(MAX_VALUES)), "too_many_values"),
        ("actor_id:*a*a*a*a*a*a*a*a*".to_owned(), "too_many_stars"),
    ];
    for (text, kind) in refused {
        assert_eq!(error(&text).2, kind, "{text}");
    }
}

#[test]
fn every_example_of_the_table_is_read_and_every_field_has_a_name() {
    for field in FIELDS {
        again(field.example());
        assert_eq!(
            field.example().trim_start_matches('-').starts_with(field.names().next().unwrap()),
            field.name() != "duration_us",
            "{field:?}"
        );
    }
    for field in Record::FIELDS {
        assert!(
            crate::query::QueryField::named(field.name()).is_some(),
            "{field:?} cannot be asked for"
        );
        let written = again(&format!("{}:*", field.name()));
        assert_eq!(parse(&written).expr(), &Expr::Test(Test::Present(field)), "{written}");
    }
    let mut names: Vec<_> = FIELDS.iter().flat_map(|field| field.names()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|two| two[0] != two[1]), "a spelling means two things");
}

#[test]
fn bare_words_are_each_a_phrase() {
    let words = |text: &str| Expr::Test(Test::Text(Phrase::new(text).unwrap()));
    assert_eq!(parse("a b-c").expr(), &Expr::All(vec![words("a"), words("b c")]));
}
