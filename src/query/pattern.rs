//! Wildcards: `*` stands for any run of characters, nothing else has a meaning.

/// A pattern with at least one `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The literal pieces between the stars: one more than there are stars.
    pieces: Vec<String>,
}

impl Pattern {
    /// More stars than this are refused by the parser: matching walks the text once for each.
    pub const MAX_STARS: usize = 8;

    /// Makes a pattern from the literal pieces between its stars.
    #[must_use]
    pub fn new(pieces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { pieces: pieces.into_iter().map(Into::into).collect() }
    }

    /// Returns the literal pieces between the stars; the first must begin the text, the last must end it.
    #[must_use]
    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// Returns the same pattern in lower case (ASCII).
    #[must_use]
    pub fn folded(&self) -> Self {
        Self::new(self.pieces.iter().map(|piece| piece.to_ascii_lowercase()))
    }

    /// Returns the same pattern with neighbouring stars as one.
    #[must_use]
    pub(super) fn normal(self) -> Self {
        let last = self.pieces.len().saturating_sub(1);
        let mut at = 0..;
        let inner = |at: usize| at > 0 && at < last;
        let mut pieces = self.pieces;
        pieces.retain(|piece| !(at.next().is_some_and(inner) && piece.is_empty()));
        Self { pieces }
    }

    /// Tells whether `text` matches as it is.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.matches_by(text.as_bytes(), |piece, text| text.starts_with(piece))
    }

    /// Tells whether `text` matches without regard to case (ASCII).
    #[must_use]
    pub fn matches_in_any_case(&self, text: &str) -> bool {
        self.matches_by(text.as_bytes(), |piece, text| {
            text.get(..piece.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(piece))
        })
    }

    /// Works on bytes: no piece of UTF-8 begins in the middle of a character.
    fn matches_by(&self, text: &[u8], begins: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return false };
        let first = first.as_bytes();
        if !begins(first, text) {
            return false;
        }
        let mut text = &text[first.len()..];
        let Some((last, middle)) = rest.split_last() else { return text.is_empty() };
        let last = last.as_bytes();
        let Some(end) = text.len().checked_sub(last.len()) else { return false };
        if !begins(last, &text[end..]) {
            return false;
        }
        text = &text[..end];
        for piece in middle {
            let piece = piece.as_bytes();
            let Some(at) = (0..=text.len()).find(|at| begins(piece, &text[*at..])) else {
                return false;
            };
            text = &text[at + piece.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        let login = Pattern::new(["login_", ""]);
        assert!(login.matches("login_failed") && login.matches("login_"));
        assert!(!login.matches("login") && !login.matches("relogin_x"));
        let middle = Pattern::new(["a", "b", "a"]);
        assert!(middle.matches("aba") && middle.matches("a-b-a"));
        assert!(!middle.matches("ab") && !middle.matches("ba"));
        // The beginning and the end may not share a character.
        assert!(!Pattern::new(["aa", "aa"]).matches("aaa"));
        let folded = Pattern::new(["lo", "ö", "x"]);
        assert!(folded.matches_in_any_case("LOgin öX") && !folded.matches_in_any_case("LOgin ÖX"));
        assert!(Pattern::new(["", ""]).matches("") && !Pattern::new(["", "é"]).matches("\u{a9}"));
    }
}
