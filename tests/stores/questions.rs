//! Random records and random questions, drawn from the same few values so that they meet.

use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    strategy::{BoxedStrategy, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tower_activity::{
    query::{Expr, Filter, Pattern, Phrase, Side, Test, Wanted},
    record::{Address, Field, Kind, Record, Value},
    time::Timestamp,
};

use crate::records::{self, NOON};

/// Draws the same from the same seed.
pub(crate) fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn draw<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).expect("a strategy without filters").current()
}

/// Texts in which every character that some database takes for a wildcard, an escape or a quote stands,
/// and letters that fold otherwise in Unicode than in ASCII.
const TEXTS: &[&str] = &[
    "ana",
    "Ana",
    "ANA",
    "bob",
    "order",
    "Order",
    "login",
    "login_failed",
    "login_success",
    "LOGIN_x",
    "loginXfailed",
    "a%b",
    "a%%b",
    "axb",
    "a_b",
    "a\\b",
    "a\\%b",
    "a\\_b",
    "%",
    "_",
    "\\",
    "[a-z]b",
    "ab",
    "a?b",
    "a*b",
    "a'b",
    "a\"b",
    "a^b",
    "ÄÖ",
    "äö",
    "Äö",
    "straße",
    "STRASSE",
    "ΣΑΣ",
    "σας",
    "σασ",
    "İx",
    "ix",
    "ıx",
    "i\u{307}x",
    "naïve",
    "nai\u{308}ve",
    "e\u{301}",
    "日本語 テスト",
    "Cancelled order 55",
    "cancelled  order-55",
    "order_55",
    "order 5 5",
    "don't panic",
    "x\u{a0}y",
    "🙂 ok",
    "1.50",
    "true",
    "null",
    "GET",
    "a,b",
    " lead",
    "trail ",
    "/orders/{id}",
    "ﬁne",
    "FINE",
    "Ⅷ",
    "२५",
    "a\tb",
    "a\nb",
];

/// JSON that has broken a reader, and some that everybody reads.
const JSONS: &[&str] = &[
    r#"{"path":"ui.theme","n":1.50,"list":["ana",{"k":"a%b"},[["Ana"]]],"ui":{"theme":"dark"}}"#,
    r#"{"path":"order","path":"ana"}"#,
    r#"{"path":"ana","path":"order"}"#,
    r#"{"\u0070ath":"\u0061na","n":1.5}"#,
    r#"{"path":["ana","bob"],"n":1e999}"#,
    r#"{"path":{"path":"ana"},"n":15e-1}"#,
    r#"{"path":null,"n":true}"#,
    r#"{"path":"\ud83d\ude42 ok","":{"":"a\\b"}}"#,
    r#"{"Path":"ana","a.b":"dark","a":{"b":"Dark"}}"#,
    r#"[{"path":"ana"},{"ui":{"theme":"dark"}},"order"]"#,
    r#""ana""#,
    r#""Cancelled order 55""#,
    r#"["ana","a%b","a\\b"]"#,
    r#"["\u0061na",1,null,["bob"]]"#,
    r#"[]"#,
    r#"{}"#,
    "null",
    "1.50",
    r#"{"path":"a\"b","list":[],"n":-0.0}"#,
    r#"{"n":123456789012345678901234567890,"path":"cancelled\norder 55"}"#,
];

/// Changes, good and strange.
const CHANGES: &[&str] = &[
    r#"[{"op":"replace","path":"/price","old":10,"new":12.50}]"#,
    r#"[{"op":"replace","path":"/status","old":"PENDING","new":"SHIPPED"},{"op":"add","path":"/a~1b","new":"ana"}]"#,
    r#"[{"op":"remove","path":"/status/code","old":"PENDING"}]"#,
    r#"[{"op":"replace","path":"/statuses","old":"SHIPPED","new":"PENDING"}]"#,
    r#"[{"op":"replace","path":"\/st\u0061tus","old":null,"new":"\u0053HIPPED"}]"#,
    r#"[{"op":"replace","path":"","old":{"status":"PENDING"},"new":["SHIPPED"]}]"#,
    r#"[{"path":"/status","path":"/price","old":1,"old":10,"new":1e999}]"#,
    r#"[{"op":"replace","old":"PENDING"},7,null,{"path":5},{"path":"/%","new":"a%b"}]"#,
    r#"{"path":"/status","new":"SHIPPED"}"#,
    r#"[]"#,
    r#"null"#,
];

const PATHS: &[&str] =
    &["/status", "/price", "", "/stat", "/status/code", "/a~1b", "/%", "price", "/a\0"];

const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.0.0.2",
    "10.1.2.3",
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.0.0/31",
    "0.0.0.0/0",
    "192.0.2.7",
    "192.0.2.0/25",
    "255.255.255.255",
    "128.0.0.0/1",
    "::",
    "::/0",
    "::1",
    "2001:db8::1",
    "2001:db8::/32",
    "2001:db8:8000::/33",
    "fe80::/10",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

const NUMBERS: &[i64] = &[
    i64::MIN,
    -1,
    0,
    1,
    2,
    4,
    6,
    7,
    200,
    404,
    499,
    500,
    503,
    599,
    65_535,
    65_536,
    1 << 40,
    i64::MAX,
];

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        12 => select(TEXTS).prop_map(str::to_owned),
        1 => proptest::collection::vec(any::<char>(), 1..12)
            .prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').chain(['x']).collect()),
    ]
    .boxed()
}

fn moment() -> BoxedStrategy<Timestamp> {
    (-3_i64..40, select(&[-1_i64, 0, 1, 999_999][..]))
        .prop_map(|(seconds, micros)| Timestamp::from_micros(NOON + seconds * 1_000_000 + micros))
        .boxed()
}

/// Records of a stream in which every field is absent now and then.
pub(crate) fn meeting(writer_id: i64, count: i64, runner: &mut TestRunner) -> Vec<Box<Record>> {
    (1..=count)
        .map(|seq| {
            let mut record = Record::default();
            for field in Record::FIELDS {
                if draw(&(0..4), runner) == 0 {
                    continue;
                }
                let text = match (field.kind(), field.name()) {
                    (Kind::Text, _) => draw(&text(), runner),
                    (Kind::Word, _) => draw(&select(records::words(field)), runner).to_owned(),
                    (Kind::Json, "changes") => draw(&select(CHANGES), runner).to_owned(),
                    (Kind::Json, _) => draw(&select(JSONS), runner).to_owned(),
                    _ => String::new(),
                };
                let value = match field.kind() {
                    Kind::Text | Kind::Word => Value::Text(&text),
                    Kind::Json => Value::Json(&text),
                    Kind::Address => Value::Address(address(draw(&select(ADDRESSES), runner))),
                    Kind::Integer => {
                        Value::Integer(draw(&select(NUMBERS), runner).clamp(0, (1 << 53) - 1))
                    }
                    _ => continue,
                };
                // A number that the field is too small for stays out.
                let _fits = field.set(&mut record, value);
            }
            record.occurred_at = Timestamp::from_micros(NOON + seq / 3 * 1_000_000);
            record.recorded_at = draw(&moment(), runner);
            record.retention_class.set("hostile");
            records::finish(record, writer_id, seq)
        })
        .collect()
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// The fields of some kinds.
fn fields(kinds: &'static [Kind]) -> impl Strategy<Value = &'static Field> {
    let fields: Vec<&'static Field> =
        Record::FIELDS.iter().filter(|field| kinds.contains(&field.kind())).collect();
    select(fields)
}

fn wanted_text() -> BoxedStrategy<String> {
    prop_oneof![
        10 => text(),
        1 => Just(String::new()),
        1 => Just("ana\0".to_owned()),
        1 => Just("\u{10ffff}".to_owned()),
        2 => select(&["PENDING", "SHIPPED", "dark", "10", "12.50", "12.5", "1e999", "-0.0", "ui.theme"][..])
            .prop_map(str::to_owned),
    ]
    .boxed()
}

/// A text with some of it left open.
fn pattern() -> BoxedStrategy<Pattern> {
    let cut = (wanted_text(), 0..6_usize, 0..6_usize, 0..4_u8).prop_map(|(text, at, len, ends)| {
        let chars: Vec<char> = text.chars().collect();
        let (at, to) = (at.min(chars.len()), (at + len).min(chars.len()));
        let piece = |chars: &[char]| chars.iter().collect::<String>();
        match ends {
            0 => Pattern::new([piece(&chars[..at]), String::new()]),
            1 => Pattern::new([String::new(), piece(&chars[at..])]),
            2 => Pattern::new([String::new(), piece(&chars[at..to]), String::new()]),
            _ => Pattern::new([piece(&chars[..at]), piece(&chars[to..])]),
        }
    });
    let pieces = proptest::collection::vec(
        select(&["", "a", "b", "%", "_", "\\", "o", "55", "ö", "\0", "?", "["][..]),
        2..5,
    )
    .prop_map(Pattern::new);
    prop_oneof![3 => cut, 1 => pieces].boxed()
}

fn wanted() -> BoxedStrategy<Wanted> {
    prop_oneof![
        1 => Just(Wanted::Any),
        4 => proptest::collection::vec(wanted_text(), 1..4).prop_map(Wanted::OneOf),
        1 => pattern().prop_map(Wanted::Like),
    ]
    .boxed()
}

fn keys() -> BoxedStrategy<Vec<String>> {
    let paths: &[&[&str]] = &[
        &[],
        &["path"],
        &["path"],
        &["n"],
        &["list"],
        &["list", "k"],
        &["ui", "theme"],
        &["a.b"],
        &["a", "b"],
        &["", ""],
        &["path", "path"],
        &["Path"],
        &["no'\"\\\0"],
    ];
    select(paths).prop_map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()).boxed()
}

fn phrase() -> BoxedStrategy<Expr> {
    (wanted_text(), 0..8_usize, any::<bool>())
        .prop_map(|(text, cut, prefix)| {
            // Words of the same texts, whole or cut short.
            let kept: String = text.chars().take(cut.max(1)).collect();
            let phrase = Phrase::new(if cut > 5 { &text } else { &kept });
            match phrase {
                None => Expr::EVERY,
                Some(phrase) if prefix => Expr::Test(Test::Text(phrase.prefix())),
                Some(phrase) => Expr::Test(Test::Text(phrase)),
            }
        })
        .boxed()
}

fn test() -> BoxedStrategy<Expr> {
    const TEXT: &[Kind] = &[Kind::Text, Kind::Word];
    let values = || proptest::collection::vec(wanted_text(), 1..4);
    // The few that everybody asks for come up more often.
    let asked = || {
        let usual = ["action", "entity_type", "actor_id", "outcome", "description", "tenant_id"];
        let usual = usual.map(|name| Field::named(name).expect("a field"));
        prop_oneof![1 => fields(TEXT), 1 => select(usual.to_vec())]
    };
    let bound = || proptest::option::of(select(NUMBERS));
    let edge = || proptest::option::of(moment());
    prop_oneof![
        2 => select(Record::FIELDS.iter().collect::<Vec<_>>()).prop_map(Test::Present),
        4 => (asked(), values()).prop_map(|(field, values)| Test::OneOf(field, values)),
        1 => (fields(&[Kind::Word]), any::<proptest::sample::Index>(), any::<bool>()).prop_map(
            |(field, word, upper)| {
                let word = word.get(records::words(field));
                Test::OneOf(field, vec![if upper { word.to_uppercase() } else { (*word).to_owned() }])
            }
        ),
        4 => (asked(), pattern()).prop_map(|(field, pattern)| Test::Like(field, pattern)),
        3 => (fields(&[Kind::Integer]), bound(), bound())
            .prop_map(|(field, least, most)| Test::Number(field, least, most)),
        1 => (fields(&[Kind::Stream]), select(&[51_i64, 52, i64::MAX, -1][..]))
            .prop_map(|(field, number)| Test::Number(field, Some(number), Some(number))),
        2 => (fields(&[Kind::Time]), edge(), edge())
            .prop_map(|(field, from, to)| Test::Time(field, from, to)),
        1 => (1..200_i64).prop_map(|seq| {
            Test::Id(records::id(Timestamp::from_micros(NOON + seq / 3 * 1_000_000), 51, seq))
        }),
        3 => select(ADDRESSES).prop_map(|text| {
            Test::Network(Field::named("ip").expect("a field"), address(text))
        }),
        2 => (fields(&[Kind::Json]), values()).prop_map(|(field, values)| Test::Contains(field, values)),
        4 => (fields(&[Kind::Json]), keys(), wanted())
            .prop_map(|(field, keys, wanted)| Test::Json(field, keys, wanted)),
        3 => (select(PATHS), select(&[Side::Either, Side::Old, Side::New][..]), wanted())
            .prop_map(|(path, side, wanted)| Test::Change(path.to_owned(), side, wanted)),
    ]
    .prop_map(Expr::Test)
    .boxed()
}

/// Random conditions of every kind, negated and joined.
pub(crate) fn question() -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![5 => test(), 1 => phrase()];
    leaf.prop_recursive(3, 10, 3, |inner| {
        let some = proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            2 => some.clone().prop_map(Expr::All),
            2 => some.prop_map(Expr::Any),
            3 => inner.prop_map(|part| Expr::Not(Box::new(part))),
        ]
    })
    .boxed()
}

pub(crate) fn ask(runner: &mut TestRunner) -> Filter {
    // Lists of values are in lower case where case does not count: the plainest shape has them so.
    draw(&question(), runner).normal().into()
}

/// The parts that a condition is made of, each a question of its own.
pub(crate) fn parts(filter: &Filter) -> Vec<Filter> {
    match filter.expr() {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().cloned().map(Into::into).collect(),
        Expr::Not(part) => vec![(**part).clone().into()],
        _ => Vec::new(),
    }
}
