//! What stands around drafts here: no more of each than they touch.

/// Where a request came from.
pub(crate) mod client {
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) enum Chain {
        #[default]
        Absent,
    }
}

/// What layers share.
pub(crate) mod config {
    use crate::{capture::draft::Pool, pipeline::Recorder};

    #[derive(Debug)]
    pub(crate) struct Config {
        pub(crate) pool: Pool,
        pub(crate) recorder: Recorder,
    }
}

/// From an open draft to a record.
pub(crate) mod finish {
    use std::sync::Arc;

    use super::{config::Config, outcome::Ending};
    use crate::{
        capture::draft::{Bytes, Open, Said, State},
        record::Record,
    };

    pub(crate) fn seal(
        state: &mut State,
        open: Open,
        _: &Ending,
        _: Bytes,
    ) -> (Option<Box<Record>>, Arc<Config>) {
        if state.said.has(Said::DISCARD) {
            open.config.recorder.give_back(open.record);
            return (None, open.config);
        }
        (Some(open.record), open.config)
    }

    pub(crate) fn snapshot(state: &mut State, copy: &mut Record, _: Bytes) -> bool {
        match &state.open {
            Some(open) if !state.said.has(Said::DISCARD) => {
                copy.clone_from(&open.record);
                true
            }
            _ => false,
        }
    }
}

/// How a request ended.
pub(crate) mod outcome {
    #[derive(Debug)]
    pub(crate) enum Ending {
        Complete,
        Panicked,
        Dropped,
    }
}

/// What was copied of a body.
pub(crate) mod tee {
    #[derive(Debug, Default)]
    pub(crate) struct Capture;

    impl Capture {
        pub(crate) fn reset(&mut self) {}
    }
}

/// Those of the scheduler.
pub(crate) mod threads {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
}
