//! What is only sieved: JSON and words, by the text as it is stored.

use super::{
    super::index,
    Bound,
    render::{Renderer, Sql, like_of},
};
use crate::{
    query::{Phrase, TEXT_FIELDS, Wanted},
    record::{Field, Kind},
    store::Index,
};

impl Renderer<'_> {
    pub(super) fn contains(&mut self, field: &Field, wanted: &[String]) -> Sql {
        let needles = wanted.iter().map(|value| quoted(value)).collect();
        self.sieve(field, vec![needles])
    }

    pub(super) fn json(&mut self, field: &Field, path: &[String], wanted: &Wanted) -> Sql {
        if path.is_empty() {
            // JSON that cannot be read, such as a number beyond all bounds, counts as `null`.
            return self.sieve_all(field, vec![vec![Some(Needle(Vec::new()))]]);
        }
        // An outer key stands before an inner one, and a key before its value.
        let mut before = Some(Vec::new());
        for key in path {
            match (quoted(key), &mut before) {
                (Some(key), Some(before)) => before.push(key),
                _ => before = None,
            }
        }
        let needles = spellings(wanted).into_iter().map(|value| {
            let mut needle = before.clone()?;
            needle.extend(value?);
            Some(needle)
        });
        let needles: Vec<_> = needles.map(|needle| needle.map(Needle)).collect();
        let asked = (field.name() == "metadata" && self.made.contains(&Index::Metadata))
            .then(|| metadata_question(path, wanted))
            .flatten();
        let Some(asked) = asked else { return self.sieve_all(field, vec![needles]) };
        let number = self.bind(Bound::Text(asked));
        let indexed = format!(
            "(metadata is not null and activity.json_lexemes(metadata::text) \
             @@ {number}::text::tsquery)"
        );
        // A pattern is not in the index, so that its keys alone may leave many.
        if let Wanted::Like(_) = wanted
            && let Sql::Condition(sieve) = self.sieve_all(field, vec![needles])
        {
            return Sql::Condition(format!("({indexed} and {sieve})"));
        }
        Sql::Condition(indexed)
    }

    pub(super) fn change(&mut self, path: &str, wanted: &Wanted) -> Sql {
        let Some(field) = Field::named("changes") else { return Sql::False };
        let begins = plain(path).map(|path| Needle(vec![format!("\"{path}")]));
        let values = spellings(wanted).into_iter().map(|value| value.map(Needle)).collect();
        self.sieve_all(field, vec![vec![begins], values])
    }

    pub(super) fn text(&mut self, phrase: &Phrase) -> Sql {
        let needles: Vec<_> = phrase.words().iter().filter_map(|word| needle_of(word)).collect();
        if needles.is_empty() {
            return Sql::True;
        }
        let asked = index::phrase(phrase).filter(|_| self.made.contains(&Index::Text));
        if let Some(asked) = asked {
            // Alone: the planner knows how common a word is, and would take LIKE beside it for rare.
            let columns = TEXT_FIELDS.map(stored_text).join(", ");
            let number = self.bind(Bound::Text(asked));
            return Sql::Condition(format!(
                "activity.text_lexemes({columns}) @@ {number}::text::tsquery"
            ));
        }
        let mut pieces = vec![String::new()];
        pieces.extend(needles);
        pieces.push(String::new());
        let number = self.bind(Bound::Text(like_of(&pieces)));
        Sql::Condition(format!("{} like {number}", searched()))
    }

    fn sieve(&mut self, field: &Field, all: Vec<Vec<Option<String>>>) -> Sql {
        let needle = |needle: Option<String>| needle.map(|text| Needle(vec![text]));
        let all = all.into_iter().map(|any| any.into_iter().map(needle).collect()).collect();
        self.sieve_all(field, all)
    }

    /// Renders that of each list one needle is in the stored text, unless something is escaped there:
    /// then it may be spelt in any way. A needle that is `None` is never spelt plainly.
    fn sieve_all(&mut self, field: &Field, all: Vec<Vec<Option<Needle>>>) -> Sql {
        if field.kind() != Kind::Json {
            return Sql::False;
        }
        let name = field.name();
        let mut conditions = Vec::new();
        for any in all {
            if any.is_empty() {
                return Sql::False;
            }
            if any.iter().flatten().any(|needle| needle.0.is_empty()) {
                // Finds everything.
                continue;
            }
            let mut likes: Vec<_> = any.into_iter().flatten().map(|needle| needle.like()).collect();
            conditions.push(match (likes.pop(), likes.is_empty()) {
                (None, _) => "false".to_owned(),
                (Some(like), true) => {
                    format!("{name}::text like {}", self.bind(Bound::Text(like)))
                }
                (Some(like), false) => {
                    likes.push(like);
                    format!("{name}::text like any({})", self.bind(Bound::Texts(likes)))
                }
            });
        }
        if conditions.is_empty() {
            return Sql::Condition(format!("{name} is not null"));
        }
        let plain = conditions.join(" and ");
        // Not '\': there is a setting that makes something else of it.
        Sql::Condition(format!("({plain} or strpos({name}::text, chr(92)) > 0)"))
    }
}

/// Pieces that follow on one another in the stored text.
#[derive(Debug, Clone)]
struct Needle(Vec<String>);

impl Needle {
    fn like(&self) -> String {
        let ends = std::iter::once(String::new());
        like_of(&ends.clone().chain(self.0.iter().cloned()).chain(ends).collect::<Vec<_>>())
    }
}

/// Returns how text is spelt within JSON where nothing is escaped; `None` where something must be.
fn plain(text: &str) -> Option<String> {
    let escaped = |c: char| c < ' ' || matches!(c, '"' | '\\');
    (!text.contains(escaped)).then(|| text.to_owned())
}

fn quoted(text: &str) -> Option<String> {
    plain(text).map(|text| format!("\"{text}\""))
}

/// Returns for each way of meeting `wanted` the pieces of its plain spelling.
fn spellings(wanted: &Wanted) -> Vec<Option<Vec<String>>> {
    match wanted {
        Wanted::Any => vec![Some(Vec::new())],
        Wanted::OneOf(values) => values
            .iter()
            .map(|value| {
                // 1.5 is found in 1.50 and in 15e-1 too.
                if value.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                    return Some(Vec::new());
                }
                plain(value).map(|value| vec![value])
            })
            .collect(),
        Wanted::Like(pattern) => {
            vec![pattern.pieces().iter().map(|piece| plain(piece)).collect()]
        }
    }
}

/// Returns the question that the index of `metadata` answers; `None` when it holds nothing of the wish.
pub(in super::super) fn metadata_question(path: &[String], wanted: &Wanted) -> Option<String> {
    let keys = || path.iter().map(String::as_str);
    let plain = match wanted {
        Wanted::OneOf(values) => {
            let number = |value: &str| value.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            let asked = values.iter().map(|value| {
                index::every(keys().chain((!number(value)).then_some(value.as_str())))
            });
            let asked = asked.collect::<Option<Vec<_>>>()?;
            asked.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" | ")
        }
        // A pattern may begin or end within a word.
        Wanted::Any | Wanted::Like(_) => index::every(keys())?,
    };
    (!plain.is_empty()).then(|| format!("({plain}) | '_'"))
}

fn stored_text(name: &str) -> String {
    let json = Field::named(name).is_some_and(|field| field.kind() == Kind::Json);
    if json { format!("{name}::text") } else { name.to_owned() }
}

/// Returns the text that words are looked for in, in lower case.
///
/// `lower` knows of ASCII alone under collation "C"; the two other letters whose lower case is ASCII, or
/// begins so, are taken to it by hand (K of Kelvin, I with a dot).
fn searched() -> String {
    let columns = TEXT_FIELDS.map(|name| format!("{name}::text")).join(", ");
    format!(
        "lower(translate(concat_ws(' ', {columns}), chr(8490) || chr(304), 'ki') collate \"C\")"
    )
}

/// Returns the longest run of ASCII in a word: what a sieve that folds only ASCII can look for.
fn needle_of(word: &str) -> Option<String> {
    let runs = word.split(|c: char| !c.is_ascii());
    runs.max_by_key(|run| run.len()).filter(|run| !run.is_empty()).map(str::to_owned)
}
