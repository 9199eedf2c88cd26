//! Path parameters, read from a raw path by a template.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::pattern::{Pattern, Segment, split};

/// Returns the value of a parameter of a route template in a raw path.
///
/// The path is the one the client sent (axum: `OriginalUri`), the template the whole one, nested
/// routers included. Both are cut at `/` *before* anything is decoded, so `%2F` stays inside its
/// segment. A value is percent-decoded when that gives UTF-8 and kept as it was sent otherwise;
/// `+` is a plus. The value of `{*rest}` is everything that is left, decoded as a whole. A path
/// that is not of the template gives nothing.
///
/// ```
/// use tower_activity::rules::params;
///
/// let id = params("/api/orders/{id}/cancel", "/api/orders/a%20b/cancel", "id");
/// assert_eq!(id.as_deref(), Some("a b"));
/// ```
#[must_use]
pub fn params<'p>(template: &str, raw_path: &'p str, name: &str) -> Option<Cow<'p, str>> {
    read(&Pattern::template(template), raw_path, name)
}

/// Reads a parameter without parsing the template anew.
pub(super) fn read<'p>(template: &Pattern, path: &'p str, name: &str) -> Option<Cow<'p, str>> {
    let end = path.bytes().position(|byte| matches!(byte, b'?' | b'#'));
    let path = &path[..end.unwrap_or(path.len())];
    let segments = template.segments();
    // How many segments an open end takes; where there is none, that they are as many comes out below.
    let open = segments.iter().filter(|s| matches!(s, Segment::Rest { .. })).count();
    let take = match open {
        0 => 0,
        1 => split(path).count().checked_sub(segments.len() - 1)?,
        _ => return None,
    };
    let mut parts = split(path);
    let mut found = None;
    for segment in segments {
        match segment {
            Segment::Rest { name: rest, .. } => {
                if rest.as_deref() == Some(name) {
                    found = Some(tail(path, parts.clone(), take)?);
                }
                for _ in 0..take {
                    parts.next();
                }
            }
            Segment::Literal(text) => {
                let part = parts.next()?;
                if part != &**text && *decode(part) != **text {
                    return None;
                }
            }
            Segment::One => {
                parts.next()?;
            }
            Segment::Param(param) => {
                let part = parts.next()?;
                if **param == *name {
                    found = Some(part);
                }
            }
            Segment::Mixed { prefix, name: param, suffix } => {
                let part = parts.next()?;
                let value = part.strip_prefix(&**prefix)?.strip_suffix(&**suffix)?;
                if **param == *name {
                    found = Some(value);
                }
            }
        }
    }
    if parts.next().is_some() {
        return None;
    }
    found.filter(|value| !value.is_empty()).map(decode)
}

/// Returns the text of the next `take` segments as one piece of the path.
fn tail<'p>(
    path: &'p str,
    mut parts: impl Iterator<Item = &'p str>,
    take: usize,
) -> Option<&'p str> {
    if take == 0 {
        return Some("");
    }
    let first = parts.next()?;
    let mut length = first.len();
    for _ in 1..take {
        length += 1 + parts.next()?.len();
    }
    // Segments are slices of the path: the offset of the first is where the piece starts.
    let start = first.as_ptr() as usize - path.as_ptr() as usize;
    path.get(start..start + length)
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().contains(&b'%') {
        return Cow::Borrowed(text);
    }
    percent_decode_str(text).decode_utf8().unwrap_or(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_by_position_and_decoded() {
        for (template, path, name, value) in [
            ("/api/orders/{id}", "/api/orders/55", "id", Some("55")),
            ("/api/orders/{id}", "/api/orders/55/", "id", Some("55")),
            ("/a/{x}/b/{y}", "/a/1/b/2", "y", Some("2")),
            ("/files/{*rest}", "/files/a/b%20c/d", "rest", Some("a/b c/d")),
            ("/files/{*rest}/meta", "/files/a/b/meta", "rest", Some("a/b")),
            ("/img/{name}.png", "/img/cat.png", "name", Some("cat")),
            ("/a/{id}", "/a/x%2Fy", "id", Some("x/y")),
            ("/a/{id}", "/a/%ff", "id", Some("%ff")),
            ("/a/{id}", "/a/1+1", "id", Some("1+1")),
            ("/a/{id}", "/a/%40me?x=1", "id", Some("@me")),
            ("/a/{id}", "/b/1", "id", None),
            ("/a/{id}", "/a/1/2", "id", None),
            ("/a/{id}", "/a/1", "other", None),
            ("/a/{id}/**", "/a/1/x/y", "id", Some("1")),
            ("/**/x/{id}", "/q/r/x/7", "id", Some("7")),
            ("{unmatched}", "/a", "unmatched", Some("a")),
        ] {
            assert_eq!(params(template, path, name).as_deref(), value, "{template} {path}");
        }
    }
}
