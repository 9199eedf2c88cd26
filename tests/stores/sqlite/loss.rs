//! A backup that is put back under a running service.

use super::InFile;
use crate::{completeness::goes_on_after_a_loss, suite::Fixture as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_its_newest_commits_goes_on_in_another_epoch() {
    let fixture = InFile::new().await;
    let store = fixture.open().await;
    goes_on_after_a_loss(store, async |position| {
        let lose = format!(
            "BEGIN IMMEDIATE; \
             DROP TRIGGER activity_ledger_delete; DROP TRIGGER activity_records_delete; \
             DELETE FROM activity_records WHERE EXISTS (SELECT 1 FROM activity_ledger AS l \
                 WHERE l.writer_id = activity_records.writer_id \
                 AND seq BETWEEN l.first_seq AND l.last_seq AND l.position > {position}); \
             DELETE FROM activity_ledger WHERE position > {position}; COMMIT"
        );
        fixture.by_hand().execute_batch(&lose).unwrap();
    })
    .await;
}
