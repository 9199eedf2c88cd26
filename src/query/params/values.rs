//! The values of one parameter: as in the query language, but spaces and parentheses are their own.

use crate::query::parse::{Ch, ParseError, ValueList, trailing_backslash};

/// Reads values, comma by comma. A backslash takes the meaning from what follows, as quotes around a whole
/// value do.
pub(super) fn values(text: &str) -> Result<ValueList, ParseError> {
    let chars: Vec<char> = text.chars().collect();
    let mut values = ValueList::default();
    let (mut at, mut start) = (0, 0);
    let mut quoted = false;
    while at < chars.len() {
        if at == start
            && chars[at] == '"'
            && let Some(end) = closing(&chars, at)
        {
            quoted = true;
            at += 1;
            while at < end {
                at += usize::from(chars[at] == '\\');
                values.push(Ch { c: chars[at], plain: false, at });
                at += 1;
            }
            at += 1;
            continue;
        }
        match chars[at] {
            ',' => {
                values.end(quoted, (start, at));
                quoted = false;
                start = at + 1;
            }
            '\\' => {
                at += 1;
                let c = *chars.get(at).ok_or_else(|| trailing_backslash((at - 1, at)))?;
                values.push(Ch { c, plain: false, at });
            }
            c => values.push(Ch { c, plain: true, at }),
        }
        at += 1;
    }
    values.end(quoted, (start, at));
    Ok(values)
}

/// Returns where the quotation that opens at `at` closes, if it closes at the end of the value.
fn closing(chars: &[char], at: usize) -> Option<usize> {
    let mut end = at + 1;
    loop {
        match chars.get(end)? {
            '\\' => end += 2,
            '"' => break,
            _ => end += 1,
        }
    }
    chars.get(end + 1).is_none_or(|next| *next == ',').then_some(end)
}
