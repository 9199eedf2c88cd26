//! A route template without what names nothing: prefixes, versions, opaque tokens.

use super::{
    vocabulary::{ALIASES, SELF_ALIASES, verb},
    words,
};
use crate::rules::pattern::{Pattern, Segment};

/// One part of a route that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text, as words.
    Thing(Vec<String>),
    /// A parameter by name; nameless where a wildcard or a number stands.
    Id(Option<String>),
    /// `me`, `current`, `default`: an item without an id; true if it is whoever asks.
    Alias(bool),
}

impl Part {
    pub(super) fn is_item(&self) -> bool {
        matches!(self, Self::Id(_) | Self::Alias(_))
    }
}

/// A route template, read.
#[derive(Debug, Default)]
pub(super) struct Path {
    pub(super) parts: Vec<Part>,
    /// The words after `:` or `#` at the end (`/levels:append`).
    pub(super) custom: Option<Vec<String>>,
    /// What stood before a version and was left out: the last resort for a name.
    pub(super) namespace: Option<Vec<String>>,
    pub(super) steps: Vec<String>,
}

/// A version stands this far into a path at most.
const DEEPEST_VERSION: usize = 3;

/// Reads a template.
pub(super) fn read(template: &Pattern, ignore: &[String]) -> Path {
    let mut path = Path::default();
    let mut segments: Vec<Segment> = template.segments().to_vec();
    path.custom = take_custom(&mut segments);
    let skip = prefix(&segments, ignore, &mut path);
    let count = segments.len();
    for (at, segment) in segments.into_iter().enumerate().skip(skip) {
        match segment {
            Segment::Literal(text) => literal(&text, at + 1 == count, &mut path),
            Segment::Param(name) | Segment::Mixed { name, .. } => {
                path.parts.push(Part::Id(Some(name.into())));
            }
            Segment::Rest { name: Some(name), .. } => {
                path.parts.push(Part::Id(Some(name.into())));
            }
            Segment::One => path.parts.push(Part::Id(None)),
            // `**` is whatever there is: it names neither a thing nor an item.
            Segment::Rest { name: None, .. } => {}
        }
    }
    path
}

/// Takes the action of Google's `:verb` and of OpenAPI's `#variant` off the last segment.
fn take_custom(segments: &mut [Segment]) -> Option<Vec<String>> {
    let last = segments.last_mut()?;
    let cut = |text: &str| {
        let at = text.rfind([':', '#']).filter(|at| *at > 0)?;
        let custom = words::split(&text[at + 1..]);
        (!custom.is_empty()).then(|| (text[..at].to_owned(), custom))
    };
    match last {
        Segment::Literal(text) => {
            let (rest, custom) = cut(text).or_else(|| dotted(text))?;
            *last = Segment::Literal(rest.into());
            Some(custom)
        }
        Segment::Mixed { prefix, name, suffix } => {
            if !prefix.is_empty() || !suffix.starts_with([':', '#']) {
                return None;
            }
            let custom = words::split(suffix);
            *last = Segment::Param(std::mem::take(name));
            (!custom.is_empty()).then_some(custom)
        }
        _ => None,
    }
}

/// `chat.postMessage`: a method behind its object, as in RPC over HTTP.
fn dotted(text: &str) -> Option<(String, Vec<String>)> {
    let (object, method) = text.rsplit_once('.')?;
    let plain = without_extension(text) == text && !object.is_empty();
    let method = words::split(method);
    let known = method.first().is_some_and(|word| verb(word).is_some());
    (plain && known).then(|| (object.to_owned(), method))
}

/// Returns how many leading segments name no resource.
fn prefix(segments: &[Segment], ignore: &[String], path: &mut Path) -> usize {
    let text = |at: usize| match segments.get(at) {
        Some(Segment::Literal(text)) => Some(&**text),
        _ => None,
    };
    let ignored = |text: &str| {
        ignore.iter().any(|prefix| prefix.trim_matches('/').eq_ignore_ascii_case(text))
    };
    let version = (0..=DEEPEST_VERSION)
        .take_while(|at| text(*at).is_some())
        .find(|at| text(*at).is_some_and(is_version));
    let mut skip = version.map_or(0, |at| at + 1);
    // `/rest/api/3/issue`: a bare number directly behind a prefix is a version too.
    let number =
        |at: usize| at > 0 && text(at).is_some_and(|text| text.bytes().all(|b| b.is_ascii_digit()));
    while text(skip).is_some_and(|text| ignored(text) || is_version(text)) || number(skip) {
        skip += 1;
    }
    for at in 0..skip {
        let named = |text: &&str| !ignored(text) && !is_version(text) && !number(at);
        if let Some(text) = text(at).filter(named) {
            path.namespace = Some(words::split(text));
        }
    }
    if skip > 0 {
        let left: Vec<&str> = (0..skip).filter_map(text).collect();
        path.steps.push(format!("`{}` is a prefix and names nothing", left.join("/")));
    }
    skip
}

fn literal(text: &str, last: bool, path: &mut Path) {
    let folded = text.trim_start_matches(['@', '~']).to_ascii_lowercase();
    let after_thing = matches!(path.parts.last(), Some(Part::Thing(_)));
    if ALIASES.contains(&folded.as_str()) && (after_thing || path.parts.is_empty()) {
        if path.parts.is_empty() && !last && !SELF_ALIASES.contains(&folded.as_str()) {
            return;
        }
        path.steps.push(format!("`{text}` stands for an item, and names nothing"));
        path.parts.push(Part::Alias(SELF_ALIASES.contains(&folded.as_str())));
        return;
    }
    if is_version(text) {
        path.steps.push(format!("`{text}` is a version"));
        return;
    }
    if text.bytes().all(|b| b.is_ascii_digit()) && after_thing {
        path.steps.push(format!("`{text}` is a fixed item"));
        path.parts.push(Part::Id(None));
        return;
    }
    let text = if last { without_extension(text) } else { text };
    let pieces: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|piece| !is_opaque(piece)).collect();
    let words = words::split(&pieces.join("-"));
    if words.is_empty() {
        path.steps.push(format!("`{text}` names nothing"));
    } else {
        path.parts.push(Part::Thing(words));
    }
}

/// `v1`, `v2.1`, `v1beta2`, `2024-01-01`, `2024-10`.
pub(super) fn is_version(text: &str) -> bool {
    let bytes = text.as_bytes();
    if let Some(rest) = text.strip_prefix(['v', 'V']) {
        return rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.split(|c: char| c.is_ascii_digit() || c == '.').all(|word| {
                matches!(word, "" | "alpha" | "beta" | "rc" | "preview" | "p" | "a" | "b")
            });
    }
    matches!(bytes.len(), 7 | 10)
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && bytes.starts_with(b"20")
}

/// A made-up token in a path: long, with digits and both cases.
fn is_opaque(piece: &str) -> bool {
    piece.len() >= 8
        && piece.bytes().any(|b| b.is_ascii_digit())
        && piece.bytes().any(|b| b.is_ascii_lowercase())
        && piece.bytes().skip(1).any(|b| b.is_ascii_uppercase())
}

fn without_extension(text: &str) -> &str {
    const EXTENSIONS: &[&str] = &[
        "json", "xml", "csv", "html", "htm", "yaml", "yml", "pdf", "txt", "php", "aspx", "ashx",
        "do", "jsonl", "ndjson",
    ];
    match text.rsplit_once('.') {
        Some((rest, extension)) if !rest.is_empty() && EXTENSIONS.contains(&extension) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(template: &str) -> String {
        let path = read(&Pattern::template(template), &["api".to_owned()]);
        let mut out: Vec<String> = path
            .parts
            .iter()
            .map(|part| match part {
                Part::Thing(words) => words.join("_"),
                Part::Id(name) => format!("{{{}}}", name.as_deref().unwrap_or_default()),
                Part::Alias(me) => if *me { "@me" } else { "@" }.to_owned(),
            })
            .collect();
        if let Some(custom) = path.custom {
            out.push(format!(":{}", custom.join("_")));
        }
        out.join(" ")
    }

    #[test]
    fn what_names_nothing_is_left_out() {
        for (template, parts) in [
            ("/api/v1/orders/{id}", "orders {id}"),
            ("/v2.1/orders/:id", "orders {id}"),
            ("/admin/api/2024-01-01/orders.json", "orders"),
            ("/admin/orders", "admin orders"),
            ("/security/api/v1/scans", "scans"),
            ("/users/@me/guilds", "users @me guilds"),
            ("/me/photos", "@me photos"),
            ("/projects/default", "projects @"),
            ("/levels:append", "levels :append"),
            ("/levels/{id}:trim", "levels {id} :trim"),
            ("/files/{id}#add_shared_link", "files {id} :add_shared_link"),
            ("/templates/securityClassification-6VMVochwUWo", "templates security_classification"),
            ("/users/{id}/folders/0", "users {id} folders {}"),
            ("/default", "@"),
            ("/", ""),
            ("/**", ""),
            ("/<upload_url>", "{upload_url}"),
        ] {
            assert_eq!(show(template), parts, "{template}");
        }
    }

    #[test]
    fn versions_are_told_from_words() {
        for (text, yes) in [
            ("v1", true),
            ("v1beta1", true),
            ("V2.1", true),
            ("2024-01", true),
            ("videos", false),
            ("v", false),
            ("vpcs", false),
            ("v8engines", false),
            ("2024", false),
        ] {
            assert_eq!(is_version(text), yes, "{text}");
        }
    }
}
