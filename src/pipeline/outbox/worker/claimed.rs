//! Claimed rows on their way into the log.

use crate::{
    pipeline::{core::Core, own, source::Source},
    record::Record,
};

/// Rows that have their numbers for good.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    /// The log stands elsewhere: the rows are where they were, and the next claim goes by what it says then.
    pub(super) disagreed: bool,
}

impl Source for Claimed {
    // Numbered by leaf already, and no number is ever given to another row.
    fn arrange(&mut self, _records: &mut [Box<Record>]) {}

    fn disarrange(&mut self, _records: &mut [Box<Record>]) {}

    fn settled(&mut self, core: &Core, records: &[Box<Record>]) {
        // Nobody here received them, but for what the pipeline says itself.
        let own = || records.iter().map(|record| &**record).filter(|record| own::is_own(record));
        core.outboxes.store((records.len() - own().count()) as u64);
        core.counters.settle(own());
    }

    fn quarantined(&mut self, core: &Core) {
        core.outboxes.quarantine();
    }

    fn disagree(&mut self, _core: &Core, batch: &mut Vec<Box<Record>>, _found: i64) {
        batch.clear();
        self.disagreed = true;
    }
}
