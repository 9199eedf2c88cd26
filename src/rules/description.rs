//! Sentence templates: `{actor} cancelled {entity} {entity_id}`.

use std::{borrow::Cow, error, fmt, sync::Arc};

/// The slots that every request fills, beside the parameters of its route.
pub(super) const SLOTS: &[&str] =
    &["actor", "entity", "entity_id", "action", "outcome", "status", "method", "route", "tenant"];

/// A sentence with slots, as a rule writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    text: Arc<str>,
    parts: Arc<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Slot(Box<str>),
}

/// Why a text is not a sentence template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptionError(&'static str);

impl fmt::Display for DescriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl error::Error for DescriptionError {}

impl Description {
    /// Parses a template; `{{` and `}}` are braces.
    ///
    /// # Errors
    ///
    /// Refuses braces that do not pair.
    pub fn parse(text: &str) -> Result<Self, DescriptionError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' if chars.peek() == Some(&c) => {
                    chars.next();
                    plain.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some('{') | None => {
                                return Err(DescriptionError("`{` without its `}`"));
                            }
                            Some(c) => name.push(c),
                        }
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain).into()));
                    }
                    parts.push(Part::Slot(name.into()));
                }
                '}' => return Err(DescriptionError("`}` without its `{`")),
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self { text: text.into(), parts: parts.into() })
    }

    /// Returns the template as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the names of its slots, in order.
    pub fn slots(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Slot(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }

    /// Fills the slots: `actor`, `entity`, `entity_id`, `action`, `outcome`, `status`, `method`,
    /// `route`, `tenant`, and the path parameters of the rule's route.
    ///
    /// The words above come first: a parameter that is called `status` is not the slot's. A slot
    /// that nothing fills is shown as `?`.
    #[must_use]
    pub fn render<'a>(&self, mut fill: impl FnMut(&str) -> Option<Cow<'a, str>>) -> String {
        let mut out = String::with_capacity(self.text.len() + 32);
        for part in self.parts.iter() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Slot(name) => match fill(name) {
                    Some(value) => out.push_str(&value),
                    None => out.push('?'),
                },
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_filled_and_doubled_braces_stay() {
        let text = Description::parse("{actor} set {{x}} of {entity} {entity_id}").unwrap();
        assert_eq!(text.slots().collect::<Vec<_>>(), ["actor", "entity", "entity_id"]);
        let line = text.render(|slot| match slot {
            "actor" => Some("ana".into()),
            "entity" => Some("order".into()),
            _ => None,
        });
        assert_eq!(line, "ana set {x} of order ?");
    }

    #[test]
    fn lone_braces_are_refused() {
        assert!(Description::parse("a {b").is_err());
        assert!(Description::parse("a }b").is_err());
        assert!(Description::parse("a {b{c}}").is_err());
    }
}
