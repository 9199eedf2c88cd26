//! Changes without secrets.

use serde_json::Value;

use super::diff::Change;
use crate::privacy::{Extent, KeySet, MARKER, Method, Redactions, Redactor};

/// What the field keeps; entries beyond it are left out whole, so that the text stays JSON.
const LONGEST: usize = 60 * 1024;

/// Writes changes as the record keeps them.
///
/// An entry names its field in `path`, where the redactor would not look: so each is shown to it as the
/// object that it came from.
pub(super) fn changes(redactor: &Redactor, changes: Vec<Change>, log: &mut Redactions) -> String {
    let mut out = String::from("[");
    for mut change in changes {
        if change.path.len() > 1_024 {
            continue;
        }
        for value in [&mut change.old, &mut change.new].into_iter().flatten() {
            *value = clean(redactor, &change.path, std::mem::take(value), log);
        }
        let Ok(text) = serde_json::to_string(&change) else { continue };
        if out.len() + text.len() > LONGEST {
            let left_out = r#"{"op":"replace","path":"","old":"[TRUNCATED]","new":"[TRUNCATED]"}"#;
            separate(&mut out);
            out.push_str(left_out);
            break;
        }
        separate(&mut out);
        out.push_str(&text);
    }
    out.push(']');
    out
}

fn separate(out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
}

fn clean(redactor: &Redactor, path: &str, value: Value, log: &mut Redactions) -> Value {
    let keys: Vec<String> =
        path.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let wrapped = keys
        .iter()
        .rev()
        .fold(value, |inner, key| Value::Object(std::iter::once((key.clone(), inner)).collect()));
    let mut text = String::new();
    let mut field = log.field("changes");
    redactor.json(
        wrapped.to_string().as_bytes(),
        Extent::Whole,
        &KeySet::default(),
        &mut text,
        &mut field,
    );
    let Ok(mut clean) = serde_json::from_str::<Value>(&text) else {
        // Deeper than the parser goes: nothing of it is kept.
        field.add(path, Method::Key);
        return Value::from(MARKER);
    };
    for key in &keys {
        clean = match clean {
            Value::Object(mut object) => object.remove(key).unwrap_or_default(),
            // A key on the way is that of a secret: all below it is one.
            masked => return masked,
        };
    }
    clean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::capture::diff::diff;

    #[test]
    fn a_changed_secret_is_named_and_not_kept() {
        let before = json!({"password": "old", "auth": {"x": 1}, "name": "a", "a/b": {"pin": 1}});
        let after = json!({"password": "new", "auth": {"x": 2}, "name": "b", "a/b": {"pin": 2}});
        let mut log = Redactions::new();
        let text = changes(&Redactor::default(), diff(before, after), &mut log);
        let kept: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            kept,
            json!([
                {"op": "replace", "path": "/password", "old": MARKER, "new": MARKER},
                {"op": "replace", "path": "/auth/x", "old": MARKER, "new": MARKER},
                {"op": "replace", "path": "/name", "old": "a", "new": "b"},
                {"op": "replace", "path": "/a~1b/pin", "old": MARKER, "new": MARKER},
            ])
        );
        assert!(!log.is_empty());
    }

    #[test]
    fn many_changes_are_bounded_and_stay_json() {
        let before = json!({});
        let after: Value = (0..10_000).map(|n| (format!("k{n}"), json!("v"))).collect();
        let text = changes(&Redactor::default(), diff(before, after), &mut Redactions::new());
        assert!(text.len() < 65_536);
        assert!(text.contains("TRUNCATED"));
        assert!(serde_json::from_str::<Value>(&text).is_ok());
    }
}
