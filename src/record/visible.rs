//! Making text safe to show: exact in the store, every deceiving character visible on the screen.

use std::fmt::{self, Write as _};

/// Shows text with its control, bidirectional and invisible characters escaped.
///
/// A record holds what the client sent. On a terminal an escape sequence in it could move the cursor and
/// rewrite lines that came before; a line break could forge a line of its own; a bidirectional override
/// could make one name read as another. Each is shown as `\u{…}` instead, and so are characters that
/// take no room.
///
/// # Examples
///
/// ```
/// use tower_activity::record::visible;
///
/// assert_eq!(visible("ana\r\n\u{1b}[2J\u{202e}nimda").to_string(), r"ana\r\n\u{1b}[2J\u{202e}nimda");
/// assert_eq!(visible("Zoë 李").to_string(), "Zoë 李");
/// ```
#[must_use]
pub const fn visible(text: &str) -> Visible<'_> {
    Visible(text)
}

/// What [`visible`] returns.
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a>(&'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                _ if deceives(character) => write!(f, "{}", character.escape_unicode())?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Tells whether a character moves, hides or reorders what stands around it.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Invisible, or of no width.
            '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            // Bidirectional marks, embeddings, overrides and isolates.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Tags, which can carry whole hidden texts.
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_hide_or_reorder_is_escaped() {
        for (text, shown) in [
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("a\u{9b}2Jb", r"a\u{9b}2Jb"),
            ("one\ntwo\tthree", r"one\ntwo\tthree"),
            ("a\u{202e}b\u{2066}c", r"a\u{202e}b\u{2066}c"),
            ("zero\u{200b}width\u{feff}", r"zero\u{200b}width\u{feff}"),
            ("tag\u{e0041}", r"tag\u{e0041}"),
            ("nul\0", r"nul\u{0}"),
        ] {
            assert_eq!(visible(text).to_string(), shown);
        }
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        let text = "Ünal, 李, مريم, 👩, \\ and «quotes»";
        assert_eq!(visible(text).to_string(), text);
    }
}
