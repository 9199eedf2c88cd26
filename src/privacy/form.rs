//! Query strings and `application/x-www-form-urlencoded`.

use super::{
    MARKER, Method,
    log::FieldLog,
    redactor::Context,
    words::{Folded, KeySet},
};

/// What decides about a pair.
pub(super) struct Names<'a> {
    /// Names that are only asked here, and the method they are logged with.
    pub(super) list: Option<&'a KeySet>,
    /// Names that stay, though a list says otherwise.
    pub(super) allowed: &'a KeySet,
    pub(super) all_values: bool,
}

/// Rewrites `name=value` pairs. Names stay as they were written.
pub(super) fn rewrite(
    context: &Context<'_>,
    names: &Names<'_>,
    raw: &str,
    cut: bool,
    out: &mut String,
    log: &mut FieldLog<'_>,
) {
    let mut folded = Folded::default();
    let (mut name_text, mut value_text, mut twice) = (String::new(), String::new(), String::new());
    let mut pairs = raw.split('&').enumerate().peekable();
    while let Some((n, pair)) = pairs.next() {
        if n > 0 {
            out.push('&');
        }
        let cut = cut && pairs.peek().is_none();
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        };
        name_text.clear();
        decode(name.as_bytes(), &mut name_text);
        let logged = |log: &mut FieldLog<'_>, name: &str, method| {
            log.add_with(method, |path| path.key(name));
        };
        // A name may be a secret itself: `?eyJ…`.
        if let Some((masked, method)) = context.text_masked(&name_text, cut && value.is_none()) {
            encode(&masked, out);
            name_text = masked;
            logged(log, &name_text, method);
        } else {
            out.push_str(name);
        }
        let Some(value) = value else { continue };
        out.push('=');
        if value.is_empty() {
            continue;
        }
        folded.fold(&name_text);
        let listed = if names.all_values {
            Some(Method::AllValues)
        } else if names.allowed.hit(&folded) {
            None
        } else if names.list.is_some_and(|list| list.hit(&folded)) {
            Some(Method::Query)
        } else if context.is_secret(&folded) {
            Some(Method::Key)
        } else {
            None
        };
        if let Some(method) = listed {
            out.push_str(MARKER);
            logged(log, &name_text, method);
            continue;
        }
        value_text.clear();
        // Half an escape would stand between a secret and the end that it reaches.
        let half = value.rfind('%').filter(|at| cut && at + 3 > value.len());
        decode(&value.as_bytes()[..half.unwrap_or(value.len())], &mut value_text);
        let masked =
            context.value_masked(&value_text, cut, |method| logged(log, &name_text, method));
        // A URL in a value is encoded twice, and so are the values in its query.
        twice.clear();
        decode(masked.as_ref().unwrap_or(&value_text).as_bytes(), &mut twice);
        if twice != value_text
            && let Some((_, method)) = context.text_masked(&twice, cut)
        {
            logged(log, &name_text, method);
            out.push_str(MARKER);
            continue;
        }
        match masked {
            Some(masked) => encode(&masked, out),
            None => out.push_str(value),
        }
    }
}

/// Decodes `%41` and `+`; what is no escape stays, what is no UTF-8 becomes U+FFFD.
pub(super) fn decode(raw: &[u8], out: &mut String) {
    if let (false, Ok(text)) =
        (raw.iter().any(|byte| matches!(byte, b'%' | b'+')), std::str::from_utf8(raw))
    {
        out.push_str(text);
        return;
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, tail @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = tail;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    out.push_str(&String::from_utf8_lossy(&bytes));
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Encodes what would be read as something else; the marker stays legible.
fn encode(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            ' ' => out.push('+'),
            '&' | '=' | '%' | '+' | '#' | ';' | '"' | '<' | '>' | '\0'..='\x1f' | '\x7f' => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                let byte = c as usize;
                out.push('%');
                out.push(char::from(DIGITS[byte >> 4]));
                out.push(char::from(DIGITS[byte & 15]));
            }
            _ => out.push(c),
        }
    }
}
