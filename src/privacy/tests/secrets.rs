//! Sixty known secrets in every position: none of them, nor a good part of one, comes through.

use super::{
    known::{NAMED, SHAPED},
    *,
};

/// What of a shaped secret must not be seen: the host of a URL may.
fn hidden(secret: &str) -> &str {
    if secret.starts_with("postgres") { "app:s3cretpw" } else { secret }
}

/// Whether eight characters on end of a secret are in the output; what kind of key it was may be.
fn leaks(out: &str, secret: &str) -> bool {
    let chars: Vec<char> = secret.chars().collect();
    let known =
        ["-----BEGIN", "github_p", "ithub_pa", "thub_pat", "hub_pat_", "sk_live_", "rk_live_"];
    chars.windows(chars.len().min(8)).any(|part| {
        let part: String = part.iter().collect();
        out.contains(&part) && !known.iter().any(|known| known.contains(&part))
    })
}

fn assert_hidden(out: &str, secret: &str, position: &str) {
    assert!(!leaks(out, secret), "{position}: {secret:?} in {out}");
}

#[test]
fn there_are_sixty() {
    assert!(NAMED.len() + SHAPED.len() >= 60);
}

fn json_positions(key: &str, secret: &str) -> Vec<serde_json::Value> {
    use serde_json::json;
    vec![
        json!({ key: secret }),
        json!({ "a": { "b": [1, { key: secret }, 2] }, "c": "d" }),
        json!({ key: [secret, { "x": secret }] }),
        json!({ key: { "x": { "y": secret } }, "z": 1 }),
        json!([[[{ "a": null, key: secret, "b": true }]]]),
        json!({ "payload": json!({ key: secret }).to_string() }),
        json!({ "items": [{ key: secret }, { key: secret }] }),
    ]
}

#[test]
fn none_comes_through_in_json_or_a_beginning_of_it() {
    for (key, secret) in NAMED.iter().copied().chain(SHAPED.iter().map(|secret| ("note", *secret)))
    {
        for value in json_positions(key, secret) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                for end in 0..=text.len() {
                    let (out, shape, _) = json_log(&text.as_bytes()[..end]);
                    assert_hidden(&out, hidden(secret), &text[..text.floor_char_boundary(end)]);
                    assert_eq!(shape == JsonShape::Valid, end == text.len(), "{out}");
                }
            }
        }
    }
}

#[test]
fn none_comes_through_in_broken_json() {
    for (key, secret) in NAMED.iter().copied().chain(SHAPED.iter().map(|secret| ("note", *secret)))
    {
        let value = serde_json::json!({ "a": "b", key: secret, "c": 1 }).to_string();
        for text in [
            format!("{value}\n{value}\n"),
            format!("oops {value}"),
            format!("{value}}}"),
            value.replace(",", ",,"),
            value.replace("\"a\":\"b\"", "a:b"),
            value.replace("\"a\":\"b\"", "'a':'b'"),
        ] {
            let (out, shape, _) = json_log(&text);
            assert_eq!(shape, JsonShape::Invalid);
            assert_hidden(&out, hidden(secret), &text);
        }
    }
}

#[test]
fn none_comes_through_in_a_body_that_holds_them_all() {
    let mut map = serde_json::Map::new();
    for (key, secret) in NAMED {
        map.insert((*key).into(), (*secret).into());
    }
    map.insert(
        "notes".into(),
        SHAPED.iter().map(|secret| serde_json::Value::from(*secret)).collect(),
    );
    let text = serde_json::Value::Object(map).to_string();
    let all = || NAMED.iter().map(|(_, secret)| *secret).chain(SHAPED.iter().copied());
    for end in 0..=text.len() {
        let out = json_of(&text.as_bytes()[..end]);
        all().for_each(|secret| assert_hidden(&out, hidden(secret), "all"));
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Whether a secret can be read in what is percent-encoded.
fn assert_hidden_encoded(out: &str, secret: &str, position: &str) {
    let mut decoded = String::new();
    super::super::form::decode(out.as_bytes(), &mut decoded);
    assert_hidden(&decoded, secret, position);
    assert_hidden(out, &encoded(secret), position);
}

#[test]
fn none_comes_through_in_forms_queries_and_urls() {
    let redactor = Redactor::default();
    for (key, secret) in NAMED.iter().copied().chain(SHAPED.iter().map(|secret| ("note", *secret)))
    {
        let value = encoded(secret);
        for text in [
            format!("{key}={value}"),
            format!("a=b&{key}={value}&c=d"),
            format!("user[{key}]={value}"),
            format!("user%5B{key}%5D={value}"),
            format!("payload={}", encoded(&serde_json::json!({ key: secret }).to_string())),
            format!("next={}", encoded(&format!("https://a.b/c?{key}={value}&d=e"))),
        ] {
            for end in 0..=text.len() {
                let out = form_of(&text[..end], Extent::Cut);
                assert_hidden_encoded(&out, hidden(secret), &text[..end]);
            }
            assert_hidden_encoded(&query_of(&redactor, &text), hidden(secret), &text);
            for url in [format!("/x?{text}"), format!("https://h/x?a=b#{text}")] {
                assert_hidden_encoded(&url_of(&url), hidden(secret), &url);
            }
        }
    }
}

#[test]
fn those_with_a_shape_do_not_come_through_in_text_and_paths() {
    for secret in SHAPED {
        for text in [
            (*secret).to_owned(),
            format!("see {secret} here"),
            format!("a\n{secret}\nb"),
            format!("key={secret}&x"),
            format!("\"{secret}\""),
            format!("({secret})"),
        ] {
            assert_hidden(&text_of(&text, Extent::Whole), hidden(secret), &text);
            for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
                assert_hidden(&text_of(&text[..end], Extent::Cut), hidden(secret), &text[..end]);
            }
        }
        let path = format!("/a/{}/b", encoded(secret).replace('+', "%20"));
        assert_hidden_encoded(&path_of(&path), hidden(secret), &path);
    }
}

#[test]
fn the_list_of_redactions_holds_none() {
    for secret in SHAPED {
        let key = serde_json::json!({ *secret: { "password": "x" } }).to_string();
        let (mut out, mut log) = (String::new(), Redactions::new());
        let redactor = Redactor::default();
        let extra = KeySet::default();
        redactor.json(key.as_bytes(), Extent::Whole, &extra, &mut out, &mut log.field("body"));
        let pair = format!("{}=1", encoded(secret));
        redactor.query(&pair, &extra, &mut out, &mut log.field("query"));
        let log = log.to_json().unwrap();
        assert_hidden(&log, hidden(secret), "log");
        assert_hidden_encoded(&out, hidden(secret), "keys");
    }
}
