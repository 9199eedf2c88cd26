//! The kind of an error, for `outcome_reason`: never its text, which may hold anything.

use std::{
    any::Any,
    error::Error,
    fmt::{self, Write as _},
    io,
};

type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Says what kind of error ended a request, as one word in snake case.
///
/// I/O errors give their kind, a deadline of tokio or tower `timeout`, everything else the name of its
/// type. A boxed error whose type cannot be seen any more is known by the name that its `Debug` output
/// begins with, which derived implementations take from the type.
pub(super) fn error_kind<E: 'static>(error: &E) -> String {
    if let Some(error) = (error as &dyn Any).downcast_ref::<BoxError>() {
        return boxed(&**error);
    }
    if let Some(error) = (error as &dyn Any).downcast_ref::<io::Error>() {
        return io_kind(error.kind());
    }
    let name = std::any::type_name::<E>();
    let name = name.split('<').next().unwrap_or(name);
    word(name.rsplit("::").next().unwrap_or(name))
}

fn boxed(error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    // A chain is short; a cyclic one would be a bug of its own.
    for _ in 0..16 {
        let Some(error) = cause else { break };
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return io_kind(error.kind());
        }
        cause = error.source();
    }
    word(&leading_name(error))
}

fn io_kind(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::TimedOut => "timeout".to_owned(),
        kind => word(&format!("{kind:?}")),
    }
}

/// Returns the identifier that the `Debug` output of an error begins with.
fn leading_name(error: &dyn Error) -> String {
    let mut name = LeadingName::default();
    // The sink refuses what follows the name, so that no content is formatted.
    let _stopped: fmt::Result = write!(name, "{error:?}");
    name.text
}

#[derive(Default)]
struct LeadingName {
    text: String,
}

impl fmt::Write for LeadingName {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let part = c.is_ascii_alphabetic() || (c.is_ascii_digit() && !self.text.is_empty());
            if !part || self.text.len() >= 64 {
                return Err(fmt::Error);
            }
            self.text.push(c);
        }
        Ok(())
    }
}

/// Turns the name of a type into a word of the record.
fn word(name: &str) -> String {
    let mut word = String::with_capacity(name.len() + 4);
    for c in name.chars().take(64) {
        if c.is_ascii_uppercase() && !word.is_empty() && !word.ends_with('_') {
            word.push('_');
        }
        word.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
    match word.trim_matches('_') {
        "elapsed" | "timeout_error" => "timeout".to_owned(),
        "" => "error".to_owned(),
        word => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct CardRefused;

    impl fmt::Display for CardRefused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("card 4111111111111111 refused")
        }
    }

    impl Error for CardRefused {}

    #[test]
    fn an_error_is_known_by_its_type_boxed_or_not() {
        assert_eq!(error_kind(&CardRefused), "card_refused");
        assert_eq!(error_kind(&BoxError::from(CardRefused)), "card_refused");
    }

    #[test]
    fn deadlines_read_as_timeout() {
        let elapsed: BoxError = tower::timeout::error::Elapsed::new().into();
        assert_eq!(error_kind(&elapsed), "timeout");
        assert_eq!(error_kind(&io::Error::from(io::ErrorKind::TimedOut)), "timeout");
        let reset: BoxError = io::Error::from(io::ErrorKind::ConnectionReset).into();
        assert_eq!(error_kind(&reset), "connection_reset");
    }

    #[test]
    fn the_text_of_an_error_is_never_kept() {
        assert_eq!(error_kind(&BoxError::from("password hunter2")), "error");
    }
}
