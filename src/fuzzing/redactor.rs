use serde_json::Value as Json;

use crate::privacy::{Extent, JsonShape, KeySet, MARKER, Redactions, Redactor};

/// What the tests look for: nothing that would be recognised by itself.
const SECRET: &str = "hunter2-hunter2";

/// The redactor: valid JSON stays valid and changes only where there are secrets, what stands under the name of a
/// secret is gone whatever stands beside it, and nothing grows without a bound.
///
/// # Panics
///
/// Panics where that does not hold.
pub fn redactor(data: &[u8]) {
    let redactor = Redactor::default();
    let text = String::from_utf8_lossy(data);
    let most = 13 * 3 * data.len().max(1);

    let (out, shape) = json(&redactor, data, Extent::Whole);
    assert!(out.len() <= most && !out.contains('\0'));
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    assert_eq!(shape == JsonShape::Valid, is_json, "{text:?}");
    if is_json {
        serde_json::from_str::<serde::de::IgnoredAny>(&out).expect("valid JSON stays valid");
        if let (Ok(before), Ok(after)) =
            (serde_json::from_str::<Json>(&text), serde_json::from_str::<Json>(&out))
        {
            only_secrets_changed(&redactor, &before, &after);
        }
        let (again, _) = json(&redactor, out.as_bytes(), Extent::Whole);
        assert_eq!(again, out, "twice is once");
        hides_in_json(&redactor, &text);
    }
    for extent in [Extent::Whole, Extent::Cut] {
        let (out, _) = json(&redactor, data, extent);
        assert!(out.len() <= most);
        let mut out = String::new();
        redactor.text(&text, extent, &mut out, &mut Redactions::new().field("description"));
        assert!(out.len() <= most, "{text:?}");
    }
    let (mut path, mut url, mut log) = (String::new(), String::new(), Redactions::new());
    redactor.path(&text, &mut path, &mut log.field("path"));
    redactor.url(&text, KeySet::none(), &mut url, &mut log.field("path"));
    assert!(path.len() <= most && url.len() <= most, "{text:?}");
    if !text.contains("hunt") && !text.contains('%') {
        hides_in_forms(&redactor, &text);
    }
}

fn json(redactor: &Redactor, data: &[u8], extent: Extent) -> (String, JsonShape) {
    let (mut out, mut log) = (String::new(), Redactions::new());
    let shape =
        redactor.json(data, extent, KeySet::none(), &mut out, &mut log.field("request_body"));
    (out, shape)
}

/// Whatever stands beside it, before it or behind it.
fn hides_in_json(redactor: &Redactor, text: &str) {
    if text.contains("hunt") {
        return;
    }
    for whole in [
        format!("{{\"a\":{text},\"password\":\"{SECRET}\",\"b\":{text}}}"),
        format!("[{text},{{\"api_key\":[{text},\"{SECRET}\"]}}]"),
    ] {
        let (out, shape) = json(redactor, whole.as_bytes(), Extent::Whole);
        assert_eq!(shape, JsonShape::Valid, "{whole}");
        assert!(!out.contains("hunt"), "{whole} became {out}");
        // Cut anywhere.
        let at = text.len() * 7 % whole.len();
        let (out, _) = json(redactor, &whole.as_bytes()[..at], Extent::Cut);
        assert!(!out.contains("hunt"), "{whole}, cut at {at}, became {out}");
    }
}

fn hides_in_forms(redactor: &Redactor, text: &str) {
    for whole in [format!("{text}&password={SECRET}"), format!("token={SECRET}&{text}")] {
        let mut out = String::new();
        let mut log = Redactions::new();
        redactor.form(
            whole.as_bytes(),
            Extent::Whole,
            KeySet::none(),
            &mut out,
            &mut log.field("f"),
        );
        assert!(!out.contains("hunt"), "{whole:?} became {out:?}");
    }
    for whole in [format!("{text}&token={SECRET}"), format!("token={SECRET}&{text}")] {
        let mut out = String::new();
        redactor.query(&whole, KeySet::none(), &mut out, &mut Redactions::new().field("query"));
        assert!(!out.contains("hunt"), "{whole:?} became {out:?}");
    }
}

/// The same shape, and other values only where something was taken out.
fn only_secrets_changed(redactor: &Redactor, before: &Json, after: &Json) {
    match (before, after) {
        (Json::Array(before), Json::Array(after)) => {
            assert_eq!(before.len(), after.len());
            before.iter().zip(after).for_each(|(b, a)| only_secrets_changed(redactor, b, a));
        }
        (Json::Object(before), Json::Object(after)) => {
            let clean = |key: &str| key.replace('\0', "\u{fffd}");
            for (key, value) in before {
                let Some(kept) = after.get(&clean(key)) else { continue };
                if redactor.is_sensitive_key(key) {
                    assert_eq!(kept, MARKER, "{key:?}");
                } else if clean(key) == *key {
                    only_secrets_changed(redactor, value, kept);
                }
            }
            assert!(before.len() >= after.len());
        }
        (before, after) => {
            let same = match before {
                Json::String(text) => after.as_str() == Some(&text.replace('\0', "\u{fffd}")),
                other => other == after,
            };
            let taken = after.as_str().is_some_and(|text| text.contains(MARKER));
            assert!(same || taken, "{before} became {after}");
        }
    }
}
