//! TOML into the common tree.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::tree::{Broken, DEEPEST, Lines, Node, Value};

pub(super) fn parse(text: &str, lines: &Lines) -> Result<Node, Broken> {
    match DeTable::parse(text) {
        Ok(table) => Ok(Node { line: 1, value: Value::Table(entries(table.get_ref(), lines, 0)) }),
        Err(error) => Err(Broken {
            line: error.span().map(|span| lines.at(span.start)),
            what: format!("not TOML: {}", error.message().replace('\n', ", ")),
        }),
    }
}

fn entries(table: &DeTable<'_>, lines: &Lines, depth: usize) -> Vec<(String, usize, Node)> {
    let mut keys: Vec<_> = table.iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    keys.into_iter()
        .map(|(key, value)| {
            let line = lines.at(key.span().start);
            (key.get_ref().to_string(), line, node(value, lines, depth + 1))
        })
        .collect()
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines, depth: usize) -> Node {
    let line = lines.at(value.span().start);
    let value = match value.get_ref() {
        _ if depth > DEEPEST => Value::Other("something nested too deep"),
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            match i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
                Ok(number) => Value::Number(number),
                Err(_) => Value::Other("a number out of range"),
            }
        }
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(list) => {
            Value::List(list.iter().map(|value| node(value, lines, depth + 1)).collect())
        }
        DeValue::Table(table) => Value::Table(entries(table, lines, depth)),
    };
    Node { line, value }
}
