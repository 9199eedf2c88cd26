//! The tree of a rules file into rules and defaults.

use std::{fmt::Display, str::FromStr, sync::Arc};

use ipnet::IpNet;

use super::{
    Parsed, retention,
    tree::{Node, Value},
};
use crate::{
    rules::{Rule, condition::Entry, error::Origin, rule::TargetSpec},
    suggest::did_you_mean,
};

const TOP: &[&str] = &["defaults", "retention", "rule"];
const TARGET: &[&str] = &["type", "id", "relation"];

pub(super) const DEFAULTS: &[&str] = &[
    "ignore_prefixes",
    "trusted_proxies",
    "routes",
    "service",
    "environment",
    "address",
    "level",
    "delivery",
    "finish",
    "max_request_body",
    "max_response_body",
    "id_from_response",
    "redact",
];

pub(super) const RULE: &[&str] = &[
    "name",
    "route",
    "methods",
    "status",
    "headers",
    "host",
    "entity",
    "action",
    "operation",
    "category",
    "severity",
    "entity_id",
    "parents",
    "targets",
    "level",
    "max_request_body",
    "max_response_body",
    "delivery",
    "finish",
    "description",
    "redact",
    "attempted_account",
    "id_from_response",
];

pub(super) fn read(tree: &Node, file: Option<Arc<str>>) -> Parsed {
    let mut parsed = Parsed::default();
    let whole = Origin { file: file.clone(), line: Some(tree.line), keys: Vec::new() };
    let Value::Table(keys) = &tree.value else {
        let what = format!("a rules file is a table, not {}", tree.value.kind());
        parsed.problems.push(whole.problem(None, "", what));
        return parsed;
    };
    let mut top = Reader::new(keys, &whole, None, TOP);
    let defaults = top.take("defaults");
    let rules = top.take("rule");
    let retention = top.take("retention");
    parsed.problems.append(&mut top.problems);
    if let Some(node) = defaults {
        read_defaults(node, &whole, &mut parsed);
    }
    if let Some(node) = retention {
        retention::read(node, &whole, &mut parsed);
    }
    match rules.map(|node| (&node.value, node)) {
        None => {}
        Some((Value::List(rules), _)) => {
            for rule in rules {
                read_rule(rule, &whole, &mut parsed);
            }
        }
        Some((Value::Table(_), node)) => {
            let what = "`rule` is a list of tables: write `[[rule]]`".to_owned();
            parsed.problems.push(at(&whole, node.line).problem(None, "", what));
        }
        Some((other, node)) => {
            let what = format!("`rule` is a list of tables, not {}", other.kind());
            parsed.problems.push(at(&whole, node.line).problem(None, "", what));
        }
    }
    parsed
}

pub(super) fn at(whole: &Origin, line: usize) -> Origin {
    Origin { file: whole.file.clone(), line: Some(line), keys: Vec::new() }
}

fn read_defaults(node: &Node, whole: &Origin, parsed: &mut Parsed) {
    let mut origin = at(whole, node.line);
    let Value::Table(keys) = &node.value else {
        let what = format!("`defaults` is a table, not {}", node.value.kind());
        parsed.problems.push(origin.problem(None, "", what));
        return;
    };
    origin.keys = lines(keys);
    let mut reader = Reader::new(keys, &origin, None, DEFAULTS);
    let defaults = &mut parsed.defaults;
    defaults.ignore_prefixes = reader.texts("ignore_prefixes");
    defaults.trusted_proxies = reader.networks("trusted_proxies");
    defaults.routes = reader.texts("routes");
    defaults.service = reader.text("service");
    defaults.environment = reader.text("environment");
    defaults.address = reader.text("address");
    defaults.level = reader.word("level", crate::rules::Level::WORDS);
    defaults.delivery = reader.word("delivery", crate::rules::Delivery::WORDS);
    defaults.finish = reader.word("finish", crate::rules::FinishPoint::WORDS);
    defaults.max_request_body = reader.number("max_request_body");
    defaults.max_response_body = reader.number("max_response_body");
    defaults.id_from_response = reader.flag("id_from_response");
    defaults.redact = reader.texts("redact");
    let mut problems = reader.problems;
    parsed.problems.append(&mut problems);
    parsed.defaults_origin = origin;
}

fn read_rule(node: &Node, whole: &Origin, parsed: &mut Parsed) {
    let mut origin = at(whole, node.line);
    let Value::Table(keys) = &node.value else {
        let what = format!("a rule is a table, not {}", node.value.kind());
        parsed.problems.push(origin.problem(None, "", what));
        return;
    };
    origin.keys = lines(keys);
    // The name is wanted first: every other message carries it.
    let name = keys.iter().find_map(|(key, _, node)| match &node.value {
        Value::Text(text) if key == "name" => Some(text.as_str()),
        _ => None,
    });
    let mut reader = Reader::new(keys, &origin, name, RULE);
    let rule = Rule {
        name: reader.text("name").unwrap_or_default(),
        route: reader.text("route"),
        methods: reader.texts("methods").unwrap_or_default(),
        status: reader.texts("status").unwrap_or_default(),
        headers: reader.pairs("headers"),
        host: reader.texts("host").unwrap_or_default(),
        entity: reader.text("entity"),
        action: reader.text("action"),
        operation: reader.word("operation", crate::record::Operation::WORDS),
        category: reader.word("category", crate::record::Category::WORDS),
        severity: reader.number("severity"),
        entity_id: reader.text("entity_id"),
        targets: {
            let mut targets = reader.targets("parents", Some("parent"));
            targets.extend(reader.targets("targets", None));
            targets
        },
        level: reader.word("level", crate::rules::Level::WORDS),
        max_request_body: reader.number("max_request_body"),
        max_response_body: reader.number("max_response_body"),
        delivery: reader.word("delivery", crate::rules::Delivery::WORDS),
        finish: reader.word("finish", crate::rules::FinishPoint::WORDS),
        description: reader.text("description"),
        redact: reader.texts("redact").unwrap_or_default(),
        attempted_account: reader.texts("attempted_account").unwrap_or_default(),
        id_from_response: reader.flag("id_from_response"),
    };
    let mut problems = reader.problems;
    parsed.problems.append(&mut problems);
    parsed.entries.push(Entry { rule, origin });
}

fn lines(keys: &[(String, usize, Node)]) -> Vec<(String, usize)> {
    keys.iter().map(|(key, line, _)| (key.clone(), *line)).collect()
}

/// Takes keys out of a table and notes what does not fit.
pub(super) struct Reader<'a> {
    keys: &'a [(String, usize, Node)],
    origin: &'a Origin,
    rule: Option<&'a str>,
    pub(super) problems: Vec<crate::rules::Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        keys: &'a [(String, usize, Node)],
        origin: &'a Origin,
        rule: Option<&'a str>,
        known: &[&str],
    ) -> Self {
        let mut reader = Self { keys, origin, rule, problems: Vec::new() };
        for (n, (key, line, _)) in keys.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                let near = did_you_mean(key, known.iter().copied());
                reader.wrong(*line, format!("unknown key `{}`{near}", key.escape_debug()));
            } else if keys[..n].iter().any(|(earlier, ..)| earlier == key) {
                reader.wrong(*line, format!("the key `{key}` stands twice"));
            }
        }
        reader
    }

    pub(super) fn wrong(&mut self, line: usize, what: String) {
        let origin = at(self.origin, line);
        self.problems.push(origin.problem(self.rule, "", what));
    }

    pub(super) fn take(&self, key: &str) -> Option<&'a Node> {
        self.keys.iter().find(|(known, ..)| known == key).map(|(.., node)| node)
    }

    pub(super) fn not_a<T>(&mut self, key: &str, wanted: &str, node: &Node) -> Option<T> {
        let what = format!("`{key}` is {wanted}, not {}", node.value.kind());
        self.wrong(node.line, what);
        None
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let node = self.take(key)?;
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => self.not_a(key, "text", node),
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let node = self.take(key)?;
        match &node.value {
            Value::Bool(yes) => Some(*yes),
            _ => self.not_a(key, "true or false", node),
        }
    }

    fn number<N: TryFrom<i64>>(&mut self, key: &str) -> Option<N> {
        let node = self.take(key)?;
        let Value::Number(number) = node.value else {
            return self.not_a(key, "a number", node);
        };
        N::try_from(number).ok().or_else(|| {
            self.wrong(node.line, format!("`{key}` is out of range: {number}"));
            None
        })
    }

    /// Reads a list of texts; one text stands for a list of one, and a number for its digits, so
    /// that `status = 404` is what it looks like.
    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let node = self.take(key)?;
        let list = match &node.value {
            Value::List(list) => list.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::new();
        for node in list {
            match &node.value {
                Value::Text(text) => texts.push(text.clone()),
                Value::Number(number) => texts.push(number.to_string()),
                _ => return self.not_a(key, "a list of texts", node),
            }
        }
        if texts.is_empty() {
            self.wrong(node.line, format!("`{key}` is empty: leave it out instead"));
        }
        Some(texts)
    }

    fn word<W>(&mut self, key: &str, words: &[&str]) -> Option<W>
    where
        W: FromStr,
        W::Err: Display,
    {
        let text = self.text(key)?;
        let line = self.take(key)?.line;
        text.parse()
            .map_err(|error| {
                let near = did_you_mean(&text, words.iter().copied());
                self.wrong(line, format!("{error}{near}"));
            })
            .ok()
    }

    fn networks(&mut self, key: &str) -> Option<Vec<IpNet>> {
        let texts = self.texts(key)?;
        let line = self.take(key)?.line;
        let mut networks = Vec::new();
        for text in texts {
            // A single address is a network of one.
            let network =
                text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
            match network {
                Ok(network) => networks.push(network),
                Err(_) => self.wrong(
                    line,
                    format!("`{}` is not a network such as `10.0.0.0/8`", text.escape_debug()),
                ),
            }
        }
        Some(networks)
    }

    fn pairs(&mut self, key: &str) -> Vec<(String, String)> {
        let Some(node) = self.take(key) else {
            return Vec::new();
        };
        let Value::Table(keys) = &node.value else {
            return self.not_a(key, "a table", node).unwrap_or_default();
        };
        let mut pairs = Vec::new();
        for (name, _, node) in keys {
            match &node.value {
                Value::Text(text) => pairs.push((name.clone(), text.clone())),
                _ => {
                    let _: Option<()> = self.not_a(name, "text", node);
                }
            }
        }
        pairs
    }

    fn targets(&mut self, key: &str, relation: Option<&str>) -> Vec<TargetSpec> {
        let Some(node) = self.take(key) else {
            return Vec::new();
        };
        let list = match &node.value {
            Value::List(list) => list.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut targets = Vec::new();
        for node in list {
            let Value::Table(keys) = &node.value else {
                let _: Option<()> = self.not_a(key, "a list of tables `{ type, id }`", node);
                continue;
            };
            let origin = at(self.origin, node.line);
            let known = if relation.is_some() { &TARGET[..2] } else { TARGET };
            let mut reader = Reader::new(keys, &origin, self.rule, known);
            let target = TargetSpec {
                entity_type: reader.text("type").unwrap_or_default(),
                id: reader.text("id").unwrap_or_default(),
                relation: reader
                    .text("relation")
                    .unwrap_or_else(|| relation.unwrap_or("related").to_owned()),
            };
            let mut problems = reader.problems;
            self.problems.append(&mut problems);
            targets.push(target);
        }
        targets
    }
}
