//! Against a model: what a recursive walk over the parsed values would give.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value};

use super::*;

fn values() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("password".to_owned()),
        Just("apiKey".to_owned()),
        Just("card".to_owned()),
        Just("a/b~c".to_owned()),
        "[a-z\"\\\\é\u{1}-\u{1f}]{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        "[^{\\[\0]{0,12}".prop_map(Value::from),
        Just(Value::from("4111 1111 1111 1111")),
        Just(Value::from("😀 \"\\\n")),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// What the redactor should make of a value.
fn model(value: &Value) -> Value {
    let is_secret = |key: &str| matches!(key, "password" | "apiKey" | "card");
    match value {
        Value::Array(items) => items.iter().map(model).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let value = if is_secret(key) { Value::from(MARKER) } else { model(value) };
                (key.clone(), value)
            })
            .collect(),
        Value::String(text) => Value::from(text_of(text, Extent::Whole)),
        Value::Number(number) if text_of(&number.to_string(), Extent::Whole).contains(MARKER) => {
            Value::from(MARKER)
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_json_stays_valid_and_only_secrets_change(value in values(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let (out, shape, _) = json_log(text.unwrap());
        prop_assert_eq!(shape, JsonShape::Valid);
        let read: Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(&read, &model(&serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap()));
        // Compact: as serde_json writes it, but for how strings are escaped.
        prop_assert_eq!(json_of(&out), out.clone(), "twice is once");
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), out);
    }

    #[test]
    fn valid_json_cut_anywhere_is_cut_and_holds_no_secret(value in values(), at: prop::sample::Index) {
        let text = serde_json::json!({ "a": value, "password": "hunter2-hunter2", "b": 1 }).to_string();
        let end = at.index(text.len());
        let (out, shape, _) = json_log(&text.as_bytes()[..end]);
        prop_assert_eq!(shape, JsonShape::Cut);
        prop_assert!(!out.contains("hunt"));
    }

    #[test]
    fn arbitrary_bytes_are_survived_within_a_bound(bytes in vec(any::<u8>(), 0..400)) {
        let out = json_of(&bytes);
        prop_assert!(out.len() <= 13 * 3 * bytes.len());
        prop_assert!(!out.contains('\0'));
        let text = String::from_utf8_lossy(&bytes);
        for out in [form_of(&text, Extent::Cut), text_of(&text, Extent::Cut), path_of(&text), url_of(&text)] {
            prop_assert!(out.len() <= 13 * 3 * bytes.len().max(1));
        }
    }

    #[test]
    fn arbitrary_punctuation_is_survived(text in "[{}\\[\\]:,\"\\\\'u0dpin1 \\n=&@/.-]{0,60}") {
        let (out, shape, _) = json_log(&text);
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(shape == JsonShape::Valid, valid, "{}", text);
        if valid {
            serde_json::from_str::<serde::de::IgnoredAny>(&out).unwrap();
        }
        form_of(&text, Extent::Whole);
        text_of(&text, Extent::Whole);
        path_of(&text);
    }
}
