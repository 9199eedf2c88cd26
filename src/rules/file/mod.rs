//! Rules files: TOML and JSON become the same tree, and the tree becomes rules.
//!
//! Whatever is wrong is noted with its line and the reading goes on, so that one look at the
//! message mends the whole file.

mod json;
mod read;
mod retention;
mod tree;

#[cfg(feature = "toml")]
mod toml;
#[cfg(not(feature = "toml"))]
mod toml {
    //! Stands in where the feature is off.

    pub(super) fn parse(
        _: &str,
        _: &super::tree::Lines,
    ) -> Result<super::tree::Node, super::tree::Broken> {
        Err(super::tree::Broken {
            line: None,
            what: "this build reads no TOML: enable the feature `toml`, or write the rules in JSON"
                .to_owned(),
        })
    }
}

use super::{
    Defaults, RetentionPolicy,
    condition::Entry,
    error::{Origin, Problem},
};

/// What a file says, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) entries: Vec<Entry>,
    pub(super) defaults: Defaults,
    pub(super) defaults_origin: Origin,
    pub(super) retention: Option<RetentionPolicy>,
    /// Where what is taken out is kept from then on.
    pub(super) archive: Option<String>,
    pub(super) problems: Vec<Problem>,
}

/// Reads what stands under `retention` of a rules file in JSON; says what does not fit.
pub(super) fn retention_of(policy: &serde_json::Value) -> Result<RetentionPolicy, String> {
    let whole = serde_json::json!({ "retention": policy }).to_string();
    let parsed = parse(&whole, None, true);
    let mut problems: Vec<_> = parsed.problems.iter().map(Problem::what).collect();
    if parsed.archive.is_some() {
        problems.push("`archive` is said in the rules file or in code, and not here");
    }
    match parsed.retention {
        Some(policy) if problems.is_empty() => Ok(policy),
        _ => Err(problems.join("; ")),
    }
}

/// Reads the text of a rules file.
pub(super) fn parse(text: &str, name: Option<&str>, json: bool) -> Parsed {
    let lines = tree::Lines::new(text);
    let file = name.map(Into::into);
    let tree = if json { json::parse(text, &lines) } else { toml::parse(text, &lines) };
    match tree {
        Ok(tree) => read::read(&tree, file),
        Err(broken) => {
            let origin = Origin { file, line: broken.line, keys: Vec::new() };
            Parsed { problems: vec![origin.problem(None, "", broken.what)], ..Parsed::default() }
        }
    }
}
