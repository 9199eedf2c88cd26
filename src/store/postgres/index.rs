//! Indexes that are asked for: sieves over words, the same words here and there.

use sqlx::{AssertSqlSafe, PgConnection, query, raw_sql};

use super::{
    decode::Cells as _,
    store::{Access, Failure, Limits, PostgresStore},
};
use crate::{
    query::Phrase,
    store::{Index, StoreError},
};

/// As `activity.search_words` cuts.
const WORD_CHARS: usize = 64;

impl PostgresStore {
    /// Writes the wish down, so that new leaves get the index, and then makes it leaf by leaf, each in a
    /// transaction of its own: what is appended to a leaf waits while that one is made.
    pub(super) async fn add_index(&self, index: Index) -> Result<(), StoreError> {
        let limits = Limits::INDEX;
        let making = limits.bounded("make an index", async {
            let mut connection = self.dial().await?;
            let begin = limits.begin(Access::AsAllowed);
            let name = index.as_str();
            let wish = format!(
                "{begin}; insert into activity.indexes (name) values ('{name}') \
                 on conflict do nothing; commit"
            );
            raw_sql(AssertSqlSafe(wish)).execute(&mut connection).await?;
            let leaves = "select c.relname::text from pg_partition_tree('activity.records') t \
                          join pg_class c on c.oid = t.relid \
                          where t.isleaf and c.relkind = 'r' order by 1";
            let leaves = query(leaves).persistent(false).fetch_all(&mut connection).await?;
            for row in &leaves {
                let leaf = row.text(0)?.unwrap_or_default();
                raw_sql(AssertSqlSafe(begin.as_str())).execute(&mut connection).await?;
                query("select activity.add_index($1, $2)")
                    .bind(leaf)
                    .bind(name)
                    .persistent(false)
                    .execute(&mut connection)
                    .await?;
                raw_sql("commit").execute(&mut connection).await?;
            }
            Ok(())
        });
        making.await
    }

    /// Returns the indexes that were asked for.
    pub(super) async fn made(&self) -> Result<Vec<Index>, StoreError> {
        self.bounded("list the indexes", async {
            let mut transaction = self.reading().await?;
            let made = made(&mut transaction).await?;
            transaction.commit().await?;
            Ok(made)
        })
        .await
    }
}

async fn made(connection: &mut PgConnection) -> Result<Vec<Index>, Failure> {
    let rows =
        query("select name from activity.indexes").persistent(false).fetch_all(connection).await?;
    let mut made = Vec::new();
    for index in Index::ALL {
        for row in &rows {
            if row.text(0)? == Some(index.as_str()) {
                made.push(index);
            }
        }
    }
    Ok(made)
}

/// Returns the runs of ASCII letters and digits in a text, in lower case: what the indexes hold of it.
pub(super) fn lexemes(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let runs = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|run| !run.is_empty());
    runs.map(|run| run.chars().take(WORD_CHARS).collect()).collect()
}

/// Returns the question for a phrase in the server's notation; `None` when no index holds anything of it.
pub(super) fn phrase(phrase: &Phrase) -> Option<String> {
    let mut parts = Vec::new();
    let last = phrase.words().len() - 1;
    for (n, word) in phrase.words().iter().enumerate() {
        let runs = lexemes(word);
        let open =
            n == last && phrase.is_prefix() && word.ends_with(|c: char| c.is_ascii_alphanumeric());
        let ends = runs.len();
        parts.extend(runs.into_iter().enumerate().map(|(n, run)| {
            if open && n + 1 == ends { format!("'{run}':*") } else { format!("'{run}'") }
        }));
    }
    (!parts.is_empty()).then(|| parts.join(" & "))
}

/// Returns the question for pieces of which each ends where a word does.
pub(super) fn every<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let runs: Vec<_> = texts.into_iter().flat_map(lexemes).map(|run| format!("'{run}'")).collect();
    (!runs.is_empty()).then(|| runs.join(" & "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_beyond_ascii_fold_as_they_do_in_sql() {
        for c in (char::MIN..=char::MAX).filter(|c| !c.is_ascii()) {
            let text = format!("a{c}b");
            let in_sql = text.replace('\u{212a}', "k").replace('\u{130}', "i ");
            let in_sql = in_sql.to_ascii_lowercase();
            let in_sql: Vec<_> = in_sql
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|r| !r.is_empty())
                .collect();
            assert_eq!(lexemes(&text), in_sql, "{c:?}");
        }
    }

    #[test]
    fn a_phrase_asks_for_each_of_its_words() {
        let ask = |text: &str| phrase(&Phrase::new(text).unwrap());
        assert_eq!(ask("Order_dc513").as_deref(), Some("'order' & 'dc513'"));
        assert_eq!(ask("Müller").as_deref(), Some("'m' & 'ller'"));
        assert_eq!(ask("привет"), None);
        let prefix = phrase(&Phrase::new("big canc").unwrap().prefix());
        assert_eq!(prefix.as_deref(), Some("'big' & 'canc':*"));
    }
}
