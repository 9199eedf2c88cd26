//! What changed between two states of a thing: one entry per field, paths as in RFC 6901.

use serde::Serialize;
use serde_json::Value;

/// Below this depth two values are compared as wholes.
const DEEPEST: usize = 32;

/// One changed field.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) op: Op,
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<Value>,
}

/// What happened to the field, in the words of RFC 6902.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Op {
    Add,
    Remove,
    Replace,
}

/// Returns the fields that differ, in the order of the keys of `before`, then what `after` adds.
///
/// Objects are compared by key and arrays by index, so that an insertion at the front of an array reads
/// as a change of every element after it. Values of another type are replaced as wholes.
pub(crate) fn diff(before: Value, after: Value) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut path = String::new();
    walk(before, after, &mut path, 0, &mut changes);
    changes
}

fn walk(before: Value, after: Value, path: &mut String, depth: usize, out: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(before), Value::Object(mut after)) if depth < DEEPEST => {
            for (key, old) in before {
                let new = after.remove(&key);
                below(path, &key, |path| step(Some(old), new, path, depth, out));
            }
            for (key, new) in after {
                below(path, &key, |path| step(None, Some(new), path, depth, out));
            }
        }
        (Value::Array(before), Value::Array(after)) if depth < DEEPEST => {
            let mut after = after.into_iter();
            let mut index = 0;
            for old in before {
                let new = after.next();
                below(path, &index.to_string(), |path| step(Some(old), new, path, depth, out));
                index += 1;
            }
            for new in after {
                below(path, &index.to_string(), |path| step(None, Some(new), path, depth, out));
                index += 1;
            }
        }
        (old, new) if old == new => {}
        (old, new) => {
            out.push(Change { op: Op::Replace, path: path.clone(), old: Some(old), new: Some(new) })
        }
    }
}

fn step(
    old: Option<Value>,
    new: Option<Value>,
    path: &mut String,
    depth: usize,
    out: &mut Vec<Change>,
) {
    match (old, new) {
        (Some(old), Some(new)) => walk(old, new, path, depth + 1, out),
        (None, None) => {}
        (old, new) => {
            let op = if old.is_none() { Op::Add } else { Op::Remove };
            out.push(Change { op, path: path.clone(), old, new });
        }
    }
}

fn below(path: &mut String, key: &str, then: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    for c in key.chars() {
        match c {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            c => path.push(c),
        }
    }
    then(path);
    path.truncate(length);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(before: Value, after: Value) -> Value {
        serde_json::to_value(diff(before, after)).unwrap()
    }

    #[test]
    fn each_changed_field_is_one_entry() {
        let before = json!({"status": "open", "total": 10, "note": "x", "same": [1, 2]});
        let after = json!({"status": "paid", "total": 10, "same": [1, 2], "paid_at": "today"});
        assert_eq!(
            shown(before, after),
            json!([
                {"op": "remove", "path": "/note", "old": "x"},
                {"op": "replace", "path": "/status", "old": "open", "new": "paid"},
                {"op": "add", "path": "/paid_at", "new": "today"},
            ])
        );
    }

    #[test]
    fn arrays_are_compared_by_index_and_keys_are_escaped() {
        assert_eq!(
            shown(json!({"a/b": [1, 2, 3], "c~d": [1]}), json!({"a/b": [1, 9], "c~d": [1, null]})),
            json!([
                {"op": "replace", "path": "/a~1b/1", "old": 2, "new": 9},
                {"op": "remove", "path": "/a~1b/2", "old": 3},
                {"op": "add", "path": "/c~0d/1", "new": null},
            ])
        );
    }

    #[test]
    fn equal_values_change_nothing_and_wholes_are_replaced_at_the_root() {
        assert_eq!(shown(json!({"a": {"b": 1}}), json!({"a": {"b": 1}})), json!([]));
        assert_eq!(
            shown(json!(null), json!({"a": 1})),
            json!([{"op": "replace", "path": "", "old": null, "new": {"a": 1}}])
        );
    }

    #[test]
    fn values_deeper_than_any_sensible_state_are_compared_as_wholes() {
        let deep = |leaf: i64| (0..100).fold(json!(leaf), |inner, _| json!([inner]));
        let changes = diff(deep(1), deep(2));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].path.matches('/').count(), DEEPEST);
    }
}
