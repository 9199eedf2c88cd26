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
        let (Some(first), Some(last)) = (self.pieces.first(), self.pieces.last()) else {
            return false;
        };
        let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
        if self.pieces.len() == 1 {
            return rest.is_empty();
        }
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        for piece in &self.pieces[1..self.pieces.len() - 1] {
            let Some(at) = rest.find(piece.as_str()) else { return false };
            rest = &rest[at + piece.len()..];
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
    }
}
