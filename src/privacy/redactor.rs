//! The redactor: what it is asked, and the context that its parts share.

use std::sync::{Arc, OnceLock};

use super::{
    FieldLog, JsonShape, KeySet, Method, Redactions, RedactorBuilder,
    detect::{Detectors, Scan},
    form, json, path,
    words::Folded,
};

/// What stands where a secret stood.
pub const MARKER: &str = "[REDACTED]";

/// JSON inside a string of JSON is read this deep; what lies deeper is masked whole.
const DEEPEST_EMBEDDING: u8 = 3;

/// Whether a text is all there is, or the beginning of something longer.
///
/// A secret may be cut in the middle: at the end of a cut text, the beginning of what would be
/// one is masked too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// It is all.
    Whole,
    /// It was cut; more followed.
    Cut,
}

/// Takes secrets out of what a record would keep.
///
/// Immutable and cheap to clone; [`Redactor::default`] holds the defaults.
#[derive(Debug, Clone)]
pub struct Redactor(Arc<Inner>);

/// The lists, compiled.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) keys: KeySet,
    pub(super) query: KeySet,
    /// Names that were taken off the query list: they stay in a query string.
    pub(super) query_allowed: KeySet,
    pub(super) headers: Vec<String>,
    /// Headers that were taken off the list.
    pub(super) headers_allowed: Vec<String>,
    pub(super) detectors: Detectors,
    pub(super) all_query_values: bool,
}

impl Default for Redactor {
    /// Returns the redactor with the defaults, compiled once per process.
    fn default() -> Self {
        static DEFAULT: OnceLock<Redactor> = OnceLock::new();
        DEFAULT
            .get_or_init(|| {
                Self::builder().build().expect("the default lists are tested to be readable")
            })
            .clone()
    }
}

impl Redactor {
    /// Returns a builder that begins with the defaults.
    pub fn builder() -> RedactorBuilder {
        RedactorBuilder::new()
    }

    pub(super) fn from_inner(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Returns whether the value of a header must not be kept.
    ///
    /// A header is sensitive by its own list or because its name holds a word of the keys
    /// (`X-Shop-Secret`). The caller also honours `HeaderValue::is_sensitive`.
    #[must_use]
    pub fn is_sensitive_header(&self, name: &str) -> bool {
        let is = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => name
                .get(..start.len())
                .is_some_and(|name_start| name_start.eq_ignore_ascii_case(start)),
            None => name.eq_ignore_ascii_case(pattern),
        };
        let inner = &*self.0;
        inner.headers.iter().any(is)
            || (inner.keys.matches(name) && !inner.headers_allowed.iter().any(is))
    }

    /// Returns whether the value under a key must not be kept, as in JSON and forms.
    #[must_use]
    pub fn is_sensitive_key(&self, name: &str) -> bool {
        self.0.keys.matches(name)
    }

    /// Rewrites a JSON text as compact JSON without its secrets, and says what kind of text it
    /// was.
    ///
    /// Values under sensitive keys become the string [`MARKER`], whatever they were; in other
    /// strings and numbers, what looks like a secret is masked, and so is JSON inside a string.
    /// Numbers and duplicate keys stay as written; `\u0000` and lone surrogates, which no database
    /// takes, become U+FFFD. Valid JSON stays valid. A text that ends in the middle is rewritten
    /// as far as it goes and stays cut. Text that is no JSON is read in the same spirit, then
    /// searched as plain text.
    ///
    /// `extra` marks further keys for this call. What is written is appended to `out`, at most
    /// thirteen times as long as the input, in practice shorter.
    pub fn json(
        &self,
        input: &[u8],
        extent: Extent,
        extra: &KeySet,
        out: &mut String,
        log: &mut FieldLog<'_>,
    ) -> JsonShape {
        let text = String::from_utf8_lossy(input);
        json::rewrite(&self.context(extra), &text, extent == Extent::Cut, out, log)
    }

    /// Rewrites a body of type `application/x-www-form-urlencoded` without its secrets.
    pub fn form(
        &self,
        input: &[u8],
        extent: Extent,
        extra: &KeySet,
        out: &mut String,
        log: &mut FieldLog<'_>,
    ) {
        let names = form::Names { list: None, allowed: KeySet::none(), all_values: false };
        let text = clean(input);
        form::rewrite(&self.context(extra), &names, &text, extent == Extent::Cut, out, log);
    }

    /// Rewrites a query string, as it was sent and without its `?`, without its secrets.
    ///
    /// Names stay as they were written; values on the list become [`MARKER`], or all of them
    /// after [`RedactorBuilder::mask_all_query_values`].
    pub fn query(&self, raw: &str, extra: &KeySet, out: &mut String, log: &mut FieldLog<'_>) {
        let inner = &*self.0;
        let names = form::Names {
            list: Some(&inner.query),
            allowed: &inner.query_allowed,
            all_values: inner.all_query_values,
        };
        form::rewrite(&self.context(extra), &names, raw, false, out, log);
    }

    /// Rewrites a raw path: segments that look like an e-mail address, a token or a card number
    /// become [`MARKER`].
    ///
    /// UUIDs, ULIDs, plain numbers, object ids of MongoDB and slugs of words stay.
    pub fn path(&self, raw: &str, out: &mut String, log: &mut FieldLog<'_>) {
        path::rewrite(&self.context(KeySet::none()), raw, out, log);
    }

    /// Rewrites a URL, absolute or not: user information is masked, path and query are treated
    /// as [`Redactor::path`] and [`Redactor::query`] do, the fragment like a query.
    pub fn url(&self, raw: &str, extra: &KeySet, out: &mut String, log: &mut FieldLog<'_>) {
        let (rest, fragment) = match raw.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (raw, None),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let path = match rest.split_once("//") {
            Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                out.push_str(scheme);
                out.push_str("//");
                match authority.rsplit_once('@') {
                    Some((_, host)) => {
                        out.push_str(MARKER);
                        out.push('@');
                        out.push_str(host);
                        log.add("", Method::UserInfo);
                    }
                    None => out.push_str(authority),
                }
                path
            }
            _ => rest,
        };
        self.path(path, out, log);
        for (mark, part) in [('?', query), ('#', fragment)] {
            if let Some(part) = part {
                out.push(mark);
                self.query(part, extra, out, log);
            }
        }
    }

    /// Masks in free text what looks like a secret: JSON Web Tokens, PEM blocks, well-known kinds
    /// of keys, card numbers, user information of URLs, `Bearer …`, and `name=value` with a
    /// sensitive name.
    pub fn text(&self, input: &str, extent: Extent, out: &mut String, log: &mut FieldLog<'_>) {
        self.context(KeySet::none()).text(input, extent, out, log);
    }

    /// Returns the text with its secrets masked, or nothing when it holds none; allocates only then.
    pub(crate) fn masked(&self, text: &str) -> Option<(String, Method)> {
        self.context(KeySet::none()).text_masked(text, false)
    }

    /// Rewrites a body by its content type, if it is one that is understood: JSON (and
    /// `+json`, and JSON Lines), forms, and plain text.
    ///
    /// Returns whether it was. Of anything else nothing is written: a body in a format whose
    /// secrets are not found is not kept.
    pub fn body(
        &self,
        content_type: &str,
        input: &[u8],
        extent: Extent,
        extra: &KeySet,
        out: &mut String,
        log: &mut FieldLog<'_>,
    ) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |known: &str| essence.eq_ignore_ascii_case(known);
        let ends = |end: &str| {
            essence
                .len()
                .checked_sub(end.len())
                .and_then(|start| essence.get(start..))
                .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
        };
        if is("application/json")
            || ends("+json")
            || ends("json-seq")
            || ends("ndjson")
            || ends("jsonl")
        {
            self.json(input, extent, extra, out, log);
        } else if is("application/x-www-form-urlencoded") {
            self.form(input, extent, extra, out, log);
        } else if is("text/plain") {
            let text = clean(input);
            let looks = text.trim_start();
            // JSON is often sent under this name, to be spared the preflight request.
            if looks.starts_with(['{', '[']) {
                self.json(input, extent, extra, out, log);
            } else {
                self.context(extra).text(&text, extent, out, log);
            }
        } else {
            return false;
        }
        true
    }

    pub(super) fn context<'a>(&'a self, extra: &'a KeySet) -> Context<'a> {
        Context { inner: &self.0, extra, embedding: 0 }
    }
}

/// Text as a record can hold it: UTF-8 without NUL.
fn clean(input: &[u8]) -> String {
    String::from_utf8_lossy(input).replace('\0', "\u{fffd}")
}

/// What one call asks: the lists, the further keys, and how deep it is inside strings.
pub(super) struct Context<'a> {
    inner: &'a Inner,
    extra: &'a KeySet,
    embedding: u8,
}

impl Context<'_> {
    pub(super) fn is_secret(&self, name: &Folded) -> bool {
        self.inner.keys.hit(name) || self.extra.hit(name)
    }

    pub(super) fn shortest_secret(&self) -> usize {
        self.inner.detectors.shortest()
    }

    fn scan(&self) -> Scan<'_> {
        Scan {
            detectors: &self.inner.detectors,
            keys: &self.inner.keys,
            query: &self.inner.query,
            extra: self.extra,
            colons: false,
        }
    }

    fn text(&self, text: &str, extent: Extent, out: &mut String, log: &mut FieldLog<'_>) {
        if !self.scan().mask(text, extent == Extent::Cut, out, |method| log.add("", method)) {
            out.push_str(text);
        }
    }

    /// Like `text_masked`, for broken JSON and whatever else it may be.
    pub(super) fn raw_masked(&self, text: &str) -> Option<(String, Method)> {
        let mut out = String::new();
        let mut last = None;
        let scan = Scan { colons: true, ..self.scan() };
        scan.mask(text, true, &mut out, |method| last = Some(method));
        last.map(|method| (out, method))
    }

    /// The text with its secrets masked, if it holds any, and how the last one was found.
    pub(super) fn text_masked(&self, text: &str, cut: bool) -> Option<(String, Method)> {
        let mut out = String::new();
        let mut last = None;
        self.scan().mask(text, cut, &mut out, |method| last = Some(method));
        last.map(|method| (out, method))
    }

    /// Like `text_masked`, for a value, which may be JSON written into a string.
    pub(super) fn value_masked(
        &self,
        value: &str,
        cut: bool,
        mut found: impl FnMut(Method),
    ) -> Option<String> {
        let looks = value.trim_start();
        if looks.starts_with(['{', '[']) {
            if self.embedding == DEEPEST_EMBEDDING {
                if looks.contains(['"', '\\']) {
                    found(Method::Key);
                    return Some(MARKER.to_owned());
                }
            } else {
                let deeper =
                    Context { inner: self.inner, extra: self.extra, embedding: self.embedding + 1 };
                let (mut out, mut inside) = (String::new(), Redactions::new());
                json::rewrite(&deeper, value, cut, &mut out, &mut inside.field(""));
                inside.entries().iter().for_each(|entry| found(entry.method));
                return (!inside.is_empty()).then_some(out);
            }
        }
        let (masked, method) = self.text_masked(value, cut)?;
        found(method);
        Some(masked)
    }
}
