use super::input::Input;
use crate::{
    query::{Filter, ParseContext, ParseErrorKind},
    time::Timestamp,
};

/// The query language: what is read can be written and read again as the same, and means what its parts mean.
///
/// A byte that no text has, 0xFF, parts the query from the records that it is asked about.
///
/// # Panics
///
/// Panics where that does not hold.
pub fn query(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0xff);
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let context = ParseContext::new(Timestamp::from_micros(1_778_500_800_000_000));
    let filter = match Filter::parse(&text, &context) {
        Ok(filter) => filter,
        Err(error) => {
            let length = text.chars().count();
            assert!(error.column() + error.length() <= length + 1, "{text:?}: {error:?}");
            assert!(error.to_string().len() < 2_000, "{error}");
            return;
        }
    };
    let written = filter.to_string();
    match Filter::parse(&written, &context) {
        Ok(again) => {
            assert_eq!(again, filter, "{text:?} is written as {written:?}");
            assert_eq!(again.to_string(), written);
        }
        Err(error) => assert!(is_too_much(error.kind()), "{written:?}: {error}"),
    }
    // The same said in other words.
    let told = |words: String| match Filter::parse(&words, &context) {
        Ok(filter) => Some(filter),
        Err(error) => {
            assert!(is_too_much(error.kind()), "{words:?}: {error}");
            None
        }
    };
    if written.is_empty() {
        return;
    }
    let not = told(format!("NOT ({written})"));
    let doubled = told(format!("({written}) AND ({written})"));
    let either = told(format!("({written}) OR ({written})"));
    let mut input = Input::new(parts.next().unwrap_or_default());
    for _ in 0..4 {
        let record = input.record();
        let matches = filter.matches(&record);
        let answer = |filter: &Option<Filter>| filter.as_ref().map(|f| f.matches(&record));
        assert_ne!(answer(&not), Some(matches), "NOT ({written}): {record:?}");
        assert_ne!(answer(&doubled), Some(!matches), "twice {written}: {record:?}");
        assert_ne!(answer(&either), Some(!matches), "either {written}: {record:?}");
        if input.is_empty() {
            break;
        }
    }
}

/// What is short in one spelling may be long in another.
const fn is_too_much(kind: ParseErrorKind) -> bool {
    matches!(
        kind,
        ParseErrorKind::TooLong
            | ParseErrorKind::TooDeep
            | ParseErrorKind::TooManyTerms
            | ParseErrorKind::TooManyValues
    )
}
