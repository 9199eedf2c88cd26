//! A primary that lacks the newest commits.

use crate::{completeness::goes_on_after_a_loss, server::Database, suite::Fixture as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_without_the_newest_commits_goes_on_in_another_epoch() {
    let database = Database::new().await;
    let store = database.open().await;
    goes_on_after_a_loss(store, async |position| {
        let lose = format!(
            "do $$ declare leaf regclass; begin \
               for leaf in select relid from pg_partition_tree('activity.records') where isleaf loop \
                 execute format('alter table %s disable trigger guard', leaf); \
               end loop; \
               alter table activity.ledger_entries disable trigger guard; \
               delete from activity.records r using activity.ledger_entries e \
                 where r.writer_id = e.writer_id and r.seq between e.first_seq and e.last_seq \
                 and e.position > {position}; \
               delete from activity.ledger_entries where position > {position}; \
               alter table activity.ledger_entries enable always trigger guard; \
               for leaf in select relid from pg_partition_tree('activity.records') where isleaf loop \
                 execute format('alter table %s enable always trigger guard', leaf); \
               end loop; \
             end $$"
        );
        database.execute(&lose).await;
    })
    .await;
}
