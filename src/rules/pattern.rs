//! Route patterns: whole segments, compared with route templates and with raw paths.

use std::{error, fmt, sync::Arc};

/// Why a text is not a route pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for PatternError {}

/// More than any route has; matching goes one call deeper per segment of a pattern.
const MOST_SEGMENTS: usize = 128;

/// One segment of a pattern or of a router's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text.
    Literal(Box<str>),
    /// One segment of any text, by name.
    Param(Box<str>),
    /// A parameter between fixed text (`{name}.json`); only routers write these.
    Mixed { prefix: Box<str>, name: Box<str>, suffix: Box<str> },
    /// `*`: one segment of any text.
    One,
    /// `**` (any number of segments) or a router's `{*rest}` (at least one).
    Rest { name: Option<Box<str>>, min: usize },
}

/// How a pattern meets a route template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// No path of the template matches.
    No,
    /// Some paths of the template match: the raw path decides.
    ByPath,
    /// Every path of the template matches.
    Always,
}

/// A parsed pattern or template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: Arc<str>,
    segments: Box<[Segment]>,
}

impl Pattern {
    /// Parses the route of a rule, strictly.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let err = |why: String| Err(PatternError(why));
        if !text.starts_with('/') {
            return err(format!("route `{}` does not start with `/`", show(text)));
        }
        if let Some(bad) = text.chars().find(|c| matches!(c, '?' | '#')) {
            return err(format!(
                "route `{}` contains `{bad}`: a route is a path alone",
                show(text)
            ));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return err(format!("route `{}` contains white space", show(text)));
        }
        if split(text).count() > MOST_SEGMENTS {
            return err(format!("a route has {MOST_SEGMENTS} segments at most"));
        }
        let mut segments = Vec::new();
        let mut rest = false;
        for part in split(text) {
            let segment = match part {
                "" => return err(format!("route `{}` has an empty segment", show(text))),
                "**" => {
                    if rest {
                        return err(format!("route `{}` has `**` more than once", show(text)));
                    }
                    rest = true;
                    Segment::Rest { name: None, min: 0 }
                }
                "*" => Segment::One,
                _ if part.starts_with("{*") && part.ends_with('}') => {
                    let name = &part[2..part.len() - 1];
                    if rest {
                        return err(format!("route `{}` has `**` more than once", show(text)));
                    }
                    rest = true;
                    named(text, name)?;
                    Segment::Rest { name: Some(name.into()), min: 1 }
                }
                _ if part.starts_with('{') && part.ends_with('}') => {
                    let name = &part[1..part.len() - 1];
                    named(text, name)?;
                    Segment::Param(name.into())
                }
                _ if part.contains(['{', '}', '*']) => {
                    return err(format!(
                        "segment `{}` of route `{}` is neither text, `{{name}}`, `*` nor `**`: \
                         patterns match whole segments",
                        show(part),
                        show(text)
                    ));
                }
                _ if part.starts_with(':') => {
                    return err(format!(
                        "segment `{}` of route `{}` is written `{{{}}}`",
                        show(part),
                        show(text),
                        show(&part[1..])
                    ));
                }
                _ => Segment::Literal(part.into()),
            };
            segments.push(segment);
        }
        let pattern = Self { text: text.into(), segments: segments.into() };
        let mut seen: Vec<&str> = Vec::new();
        for name in pattern.param_names() {
            if seen.contains(&name) {
                return err(format!(
                    "route `{}` has the parameter `{{{}}}` twice",
                    show(text),
                    show(name)
                ));
            }
            seen.push(name);
        }
        Ok(pattern)
    }

    /// Reads a router's template. Whatever it is, it has a reading.
    ///
    /// Knows the spellings of axum (`{id}`, `{*rest}`, `{{` for a brace), OpenAPI (`{id}`),
    /// actix (`{id:\d+}`), express (`:id`) and Flask (`<id>`).
    pub(super) fn template(text: &str) -> Self {
        let segments = split(text).map(template_segment).collect();
        Self { text: text.into(), segments }
    }

    /// Returns the text it was parsed from.
    pub(super) fn text(&self) -> &Arc<str> {
        &self.text
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the names of its parameters, in order.
    pub(super) fn param_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(name) | Segment::Mixed { name, .. } => Some(&**name),
            Segment::Rest { name, .. } => name.as_deref(),
            Segment::Literal(_) | Segment::One => None,
        })
    }

    /// Says whether a raw path matches.
    pub(super) fn matches_path(&self, path: &str) -> bool {
        let parts: Vec<&str> = split(path).collect();
        path_fits(&self.segments, &parts)
    }

    /// Compares a rule's pattern with a router's template.
    ///
    /// `{id}` stands for a parameter of the template whatever its name, and never for a fixed
    /// segment: to a router `/orders/search` is not the order `search`. `*` stands for both.
    pub(super) fn fit(&self, template: &Self) -> Fit {
        fit(&self.segments, &template.segments)
    }

    /// Orders patterns as a router would: fixed text before parameters before the rest.
    pub(super) fn specificity(&self) -> Vec<u8> {
        let mut key: Vec<u8> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Mixed { .. } => 1,
                Segment::Param(_) => 2,
                Segment::One => 3,
                Segment::Rest { .. } => 5,
            })
            .collect();
        // An end is more specific than a rest and less than any segment.
        key.push(4);
        key
    }
}

/// Splits a path into segments; a slash at the end makes no segment.
pub(super) fn split(path: &str) -> impl Iterator<Item = &str> + Clone {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    Segments { rest: (!path.is_empty()).then_some(path) }
}

/// The segments of a path, found byte by byte: they are too short for a search to get going.
#[derive(Debug, Clone)]
struct Segments<'p> {
    rest: Option<&'p str>,
}

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        let path = self.rest?;
        let Some(at) = path.bytes().position(|byte| byte == b'/') else {
            return self.rest.take();
        };
        self.rest = Some(&path[at + 1..]);
        Some(&path[..at])
    }
}

fn show(text: &str) -> String {
    text.escape_debug().to_string()
}

fn named(route: &str, name: &str) -> Result<(), PatternError> {
    let good = !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if good {
        Ok(())
    } else {
        Err(PatternError(format!(
            "route `{}` has a parameter without a proper name: `{{{}}}`",
            show(route),
            show(name)
        )))
    }
}

fn template_segment(part: &str) -> Segment {
    match part {
        "*" => return Segment::One,
        "**" => return Segment::Rest { name: None, min: 0 },
        _ => {}
    }
    if let Some(name) = part.strip_prefix(':')
        && !name.is_empty()
    {
        return Segment::Param(name.into());
    }
    if let Some(name) = part.strip_prefix('<').and_then(|p| p.strip_suffix('>')) {
        let name = name.rsplit(':').next().unwrap_or(name);
        return Segment::Param(name.into());
    }
    // A doubled brace is a brace; a single one opens a parameter.
    let mut prefix = String::new();
    let mut chars = part.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '{' if chars.peek().is_some_and(|&(_, next)| next == '{') => {
                chars.next();
                prefix.push('{');
            }
            '}' if chars.peek().is_some_and(|&(_, next)| next == '}') => {
                chars.next();
                prefix.push('}');
            }
            '{' => {
                let Some(close) = part[at..].find('}').map(|n| n + at) else {
                    break;
                };
                let name = &part[at + 1..close];
                let suffix = &part[close + 1..];
                if let Some(rest) = name.strip_prefix('*') {
                    return Segment::Rest { name: Some(rest.into()), min: 1 };
                }
                let name = name.split(':').next().unwrap_or(name);
                if prefix.is_empty() && suffix.is_empty() {
                    return Segment::Param(name.into());
                }
                return Segment::Mixed {
                    prefix: prefix.into(),
                    name: name.into(),
                    suffix: suffix.replace("{{", "{").replace("}}", "}").into(),
                };
            }
            c => prefix.push(c),
        }
    }
    if prefix.is_empty() {
        prefix.push_str(part);
    }
    Segment::Literal(prefix.into())
}

fn path_fits(pattern: &[Segment], path: &[&str]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return path.is_empty();
    };
    if let Segment::Rest { min, .. } = first {
        // A pattern has one `**` at most: what follows it has a fixed length.
        return path.len() >= rest.len() + min && path_fits(rest, &path[path.len() - rest.len()..]);
    }
    let Some((head, tail)) = path.split_first() else {
        return false;
    };
    let here = match first {
        Segment::Literal(text) => **text == **head,
        Segment::Mixed { prefix, suffix, .. } => {
            head.len() > prefix.len() + suffix.len()
                && head.starts_with(&**prefix)
                && head.ends_with(&**suffix)
        }
        Segment::Param(_) | Segment::One => !head.is_empty(),
        Segment::Rest { .. } => false,
    };
    here && path_fits(rest, tail)
}

fn fit(pattern: &[Segment], template: &[Segment]) -> Fit {
    match (pattern.split_first(), template.split_first()) {
        (None, None) => Fit::Always,
        (None, Some((Segment::Rest { min: 0, .. }, after))) => {
            if after.is_empty() {
                Fit::ByPath
            } else {
                Fit::No
            }
        }
        (None, Some(_)) => Fit::No,
        (Some((Segment::Rest { min, .. }, after)), _) => {
            let mut best = Fit::No;
            for skip in 0..=template.len() {
                let skipped: usize = template[..skip]
                    .iter()
                    .map(|s| if let Segment::Rest { min, .. } = s { *min } else { 1 })
                    .sum();
                let mut here = fit(after, &template[skip..]);
                if skipped < *min {
                    // Too short, unless an open end in what was skipped makes it longer.
                    let open = template[..skip].iter().any(|s| matches!(s, Segment::Rest { .. }));
                    here = if open { here.min(Fit::ByPath) } else { Fit::No };
                }
                best = best.max(here);
                if best == Fit::Always {
                    break;
                }
            }
            best
        }
        (Some(_), None) => Fit::No,
        (Some(_), Some((Segment::Rest { .. }, _))) => Fit::ByPath,
        (Some((p, ps)), Some((t, ts))) => one(p, t).min_with(|| fit(ps, ts)),
    }
}

impl Fit {
    fn min_with(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::No { Self::No } else { self.min(other()) }
    }
}

fn one(pattern: &Segment, template: &Segment) -> Fit {
    match (pattern, template) {
        (Segment::Literal(a), Segment::Literal(b)) if a == b => Fit::Always,
        (Segment::Literal(_), Segment::Literal(_)) => Fit::No,
        (Segment::Literal(_), _) => Fit::ByPath,
        (Segment::Param(_), Segment::Literal(_)) => Fit::No,
        (Segment::Param(_), Segment::One) => Fit::ByPath,
        (Segment::Mixed { .. }, _) => Fit::ByPath,
        _ => Fit::Always,
    }
}
