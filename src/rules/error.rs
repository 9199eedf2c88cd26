//! What is wrong with a rule set: everything at once, each with its place.

use std::{error, fmt, io, sync::Arc};

/// A rule set that was refused.
///
/// Lists every problem, not only the first: `activity.toml:12: rule "cancel order": unknown key
/// `enitty`; did you mean `entity`?`
#[derive(Debug)]
pub struct RulesError {
    problems: Vec<Problem>,
    source: Option<io::Error>,
}

/// One thing that is wrong with a rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    file: Option<Arc<str>>,
    line: Option<usize>,
    rule: Option<String>,
    what: String,
}

impl Problem {
    /// Returns the file as it was named, if the rule came from one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Returns the line, from one, of the key or else of the rule.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// Returns the name of the rule, if it is about one.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// Returns what is wrong, with a suggestion where there is one.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        if let Some(rule) = &self.rule {
            write!(f, "rule \"{}\": ", rule.escape_debug())?;
        }
        f.write_str(&self.what)
    }
}

impl RulesError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems, source: None }
    }

    pub(super) fn unreadable(file: &str, source: io::Error) -> Self {
        Self {
            problems: vec![Problem {
                file: Some(file.into()),
                line: None,
                rule: None,
                what: format!("could not read the rules file: {source}"),
            }],
            source: Some(source),
        }
    }

    /// Returns all that is wrong, in the order of the files and rules.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl error::Error for RulesError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Where a rule, or the defaults, came from.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) file: Option<Arc<str>>,
    pub(super) line: Option<usize>,
    pub(super) keys: Vec<(String, usize)>,
}

impl Origin {
    /// Makes a problem with a key of the rule.
    pub(super) fn problem(&self, rule: Option<&str>, key: &str, what: String) -> Problem {
        let line =
            self.keys.iter().find(|(known, _)| known == key).map(|(_, line)| *line).or(self.line);
        Problem { file: self.file.clone(), line, rule: rule.map(str::to_owned), what }
    }

    /// Names the place for another problem to point at.
    pub(super) fn place(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!(" ({file}:{line})"),
            (None, Some(line)) => format!(" (line {line})"),
            _ => String::new(),
        }
    }
}
