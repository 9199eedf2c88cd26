//! `[retention]` of a rules file: a preset, days by category, and groups of tenants.

use super::{
    Parsed,
    read::{Reader, at},
    tree::{Node, Value},
};
use crate::{
    record::Category,
    rules::{
        Keep, Preset, RetentionError, RetentionPolicy, SizeLimit, TenantGroup,
        error::Origin,
        retention::{ADDRESSES, FORCE, MAX_SIZE},
    },
};

const WANTED: &str = "a number of days, or text such as `90d`, `6y`, `never`";

pub(super) fn read(node: &Node, whole: &Origin, parsed: &mut Parsed) {
    let origin = at(whole, node.line);
    let Value::Table(keys) = &node.value else {
        let what = format!("`retention` is a table, not {}", node.value.kind());
        parsed.problems.push(origin.problem(None, "", what));
        return;
    };
    let other = ["preset", "archive", "tenant", ADDRESSES, MAX_SIZE, FORCE];
    let known: Vec<_> = other.iter().chain(Category::WORDS).copied().collect();
    let mut reader = Reader::new(keys, &origin, None, &known);
    let preset = reader.text("preset").map_or(Ok(Preset::Default), |word| word.parse());
    let preset = noted(&mut reader, "preset", preset).unwrap_or(Preset::Default);
    parsed.archive = reader.text("archive");
    if parsed.archive.as_deref().is_some_and(str::is_empty) {
        let what =
            "`archive` names a folder or a bucket, as in `file:/srv/archive` or `s3://bucket/log`";
        reader.wrong(node.line, what.to_owned());
    }
    let mut policy = RetentionPolicy::preset(preset);
    for (category, keep) in keeps(&mut reader) {
        let with = policy.clone().keep(category, keep);
        policy = noted(&mut reader, category.as_str(), with).unwrap_or(policy);
    }
    if let Some(keep) = keep(&mut reader, ADDRESSES) {
        let with = policy.clone().keep_addresses(keep);
        policy = noted(&mut reader, ADDRESSES, with).unwrap_or(policy);
    }
    policy = policy.max_size(max_size(&mut reader));
    let groups = match reader.take("tenant").map(|node| (&node.value, node)) {
        None => &[][..],
        Some((Value::List(groups), _)) => groups,
        Some((_, node)) => {
            let what = "`tenant` is a list of tables: write `[[retention.tenant]]`".to_owned();
            reader.wrong(node.line, what);
            &[]
        }
    };
    parsed.problems.append(&mut reader.problems);
    for node in groups {
        if let Some(group) = group(node, whole, parsed) {
            match policy.clone().group(group) {
                Ok(with) => policy = with,
                Err(error) => {
                    let origin = at(whole, node.line);
                    parsed.problems.push(origin.problem(None, "", error.to_string()));
                }
            }
        }
    }
    parsed.retention = Some(policy);
}

fn group(node: &Node, whole: &Origin, parsed: &mut Parsed) -> Option<TenantGroup> {
    let origin = at(whole, node.line);
    let Value::Table(keys) = &node.value else {
        let what = format!("a group of tenants is a table, not {}", node.value.kind());
        parsed.problems.push(origin.problem(None, "", what));
        return None;
    };
    let other = ["name", "tenants", ADDRESSES];
    let known: Vec<_> = other.iter().chain(Category::WORDS).copied().collect();
    let mut reader = Reader::new(keys, &origin, None, &known);
    let (name, tenants) = (reader.text("name"), reader.texts("tenants"));
    for (key, is_there) in [("name", name.is_some()), ("tenants", tenants.is_some())] {
        if !is_there && reader.take(key).is_none() {
            reader.wrong(node.line, format!("a group of tenants needs `{key}`"));
        }
    }
    let mut group = TenantGroup::new(name.unwrap_or_default(), tenants.unwrap_or_default());
    for (category, keep) in keeps(&mut reader) {
        group = group.keep(category, keep);
    }
    if let Some(keep) = keep(&mut reader, ADDRESSES) {
        group = group.keep_addresses(keep);
    }
    let sound = reader.problems.is_empty();
    parsed.problems.append(&mut reader.problems);
    sound.then_some(group)
}

/// Reads how long each category is kept, as far as that is said.
fn keeps(reader: &mut Reader<'_>) -> Vec<(Category, Keep)> {
    let mut keeps = Vec::new();
    for word in Category::WORDS {
        let Ok(category) = word.parse() else { continue };
        keeps.extend(keep(reader, word).map(|keep| (category, keep)));
    }
    keeps
}

fn keep(reader: &mut Reader<'_>, word: &str) -> Option<Keep> {
    let node = reader.take(word)?;
    let keep = match &node.value {
        Value::Number(days) => u32::try_from(*days).ok().map(Keep::Days),
        Value::Text(text) => text.parse().ok(),
        _ => return reader.not_a(word, WANTED, node),
    };
    if keep.is_none() {
        reader.wrong(node.line, format!("`{word}` is {WANTED}"));
    }
    keep
}

/// Reads how large the log may get, and what may be done for it.
fn max_size(reader: &mut Reader<'_>) -> Option<SizeLimit> {
    let force = reader.flag(FORCE);
    let Some(text) = reader.text(MAX_SIZE) else {
        if let (Some(node), None) = (reader.take(FORCE), reader.take(MAX_SIZE)) {
            let what = format!("`{FORCE}` says what `{MAX_SIZE}` may do, and there is none");
            reader.wrong(node.line, what);
        }
        return None;
    };
    let limit = noted(reader, MAX_SIZE, text.parse::<SizeLimit>())?;
    Some(limit.force(force.unwrap_or(false)))
}

fn noted<T>(reader: &mut Reader<'_>, key: &str, read: Result<T, RetentionError>) -> Option<T> {
    read.map_err(|error| {
        if let Some(line) = reader.take(key).map(|node| node.line) {
            reader.wrong(line, error.to_string());
        }
    })
    .ok()
}
