//! How many records pass: about, or exactly up to a cap.

use std::time::Duration;

use sqlx::{AssertSqlSafe, query};

use super::{
    decode::{Cells as _, integer},
    error::is_canceled,
    filter::{Condition, bind_all},
    page::bounded,
    rollup::Rollup,
    store::{Failure, PostgresStore, done},
};
use crate::{
    query::{Aggregate, Count, Filter, Relation, Total},
    store::{StoreError, StoreErrorKind, scan},
};

/// How long an exact count is tried in one statement.
const TRIAL: Duration = Duration::from_secs(1);

impl PostgresStore {
    pub(super) async fn total(&self, filter: &Filter, how: Count) -> Result<Total, StoreError> {
        let condition = Condition::of(filter);
        if Rollup::Plain.covers(filter) {
            let ask = Aggregate {
                dimensions: Vec::new(),
                top: 0,
                edges: Vec::new(),
                patience: Duration::ZERO,
            };
            let counted = self.counted(filter, &ask).await?;
            let value = counted.total;
            match how {
                Count::UpTo(cap) if value > cap => {
                    return Ok(Total { value: cap, relation: Relation::AtLeast });
                }
                Count::UpTo(_) if !counted.exact => {}
                _ => {
                    let exact = if counted.exact { Relation::Equal } else { Relation::Estimate };
                    return Ok(Total { value, relation: exact });
                }
            }
        }
        match how {
            Count::Estimate => {
                let value = self.bounded("estimate a number", self.estimate(&condition)).await?;
                Ok(Total { value, relation: Relation::Estimate })
            }
            Count::UpTo(cap) => {
                if condition.exact {
                    let capped = self.capped(&condition, cap);
                    if let Some(total) = self.bounded("count records", capped).await? {
                        return Ok(total);
                    }
                }
                scan::count(how, async |request| self.page(filter, &request).await).await
            }
        }
    }

    /// Returns the planner's estimate: from its statistics, without reading a row.
    async fn estimate(&self, condition: &Condition) -> Result<u64, Failure> {
        let mut sql = "explain (format json) select 1 from activity.records where true".to_owned();
        condition.push(&mut sql);
        let mut transaction = self.reading().await?;
        let row = bind_all(query(AssertSqlSafe(sql)), &condition.values)
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await?;
        done(transaction);
        let plan = row.text(0)?.and_then(|text| serde_json::from_str(text).ok());
        let plan: serde_json::Value = plan.unwrap_or_default();
        let rows = plan.pointer("/0/Plan/Plan Rows").and_then(serde_json::Value::as_f64);
        let unread = || Failure::new(StoreErrorKind::Transient, "the plan names no number of rows");
        // A number of rows is whole and not negative.
        rows.map(|rows| rows as u64).ok_or_else(unread)
    }

    /// Counts no further than the cap; `None` when that takes too long.
    async fn capped(&self, condition: &Condition, cap: u64) -> Result<Option<Total>, Failure> {
        let mut rows = "select 1 from activity.records where true".to_owned();
        condition.push(&mut rows);
        let limit = bounded(usize::try_from(cap).unwrap_or(usize::MAX).saturating_add(1));
        let sql = format!("select count(*)::bigint from ({rows} limit {limit}) s");
        let mut transaction = self.reading_within(TRIAL).await?;
        let row = bind_all(query(AssertSqlSafe(sql)), &condition.values)
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await;
        let row = match row {
            Err(source) if is_canceled(&source) => return Ok(None),
            row => row?,
        };
        done(transaction);
        let value = u64::try_from(integer(&row, 0)?).unwrap_or(0);
        Ok(Some(if value > cap {
            Total { value: cap, relation: Relation::AtLeast }
        } else {
            Total { value, relation: Relation::Equal }
        }))
    }
}
