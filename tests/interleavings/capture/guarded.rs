//! The guard of a draft: dropped at any moment, beside handles that tell it more and announcements of it, it makes one
//! record at most, and nothing that was begun is left without an end.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use shuttle::thread;
use tower_activity::rules::{Route, Rules};

use super::{
    announce::{self, Announcement},
    config::Config,
    draft::{Draft, Open, Pool, Said, Shared},
    outcome::Ending,
};
use crate::{
    pipeline::{OpenTicket, Recorder},
    record::Record,
    rules::{Delivery, Mask, Plan},
    tried,
};

fn config() -> Arc<Config> {
    Arc::new(Config { pool: Pool::new(), recorder: Recorder::default() })
}

thread_local! {
    /// What none of this looks at.
    static PLAN: Arc<Plan> = Rules::rest().compile().unwrap().plan(&http::Method::POST, Route::Unmatched);
}

fn open(config: &Arc<Config>, action: &str, ticket: Option<OpenTicket>) -> Draft {
    Draft::open(&config.pool, |state| {
        let mut record = Box::<Record>::default();
        record.action.set(action);
        state.open = Some(Open {
            config: Arc::clone(config),
            record,
            plan: PLAN.with(Arc::clone),
            mask: Mask::default(),
            started: std::time::Duration::ZERO,
            class: Delivery::Durable,
            ticket,
        });
    })
}

/// As the handle of an application does; tells whether it came in time.
fn tell(cell: &Shared, action: &str) -> bool {
    let mut state = cell.lock();
    match state.open.as_mut() {
        Some(open) => {
            open.record.action.set(action);
            true
        }
        None => false,
    }
}

fn discard(cell: &Shared) -> bool {
    let mut state = cell.lock();
    let in_time = state.open.is_some();
    if in_time {
        state.said.add(Said::DISCARD);
    }
    in_time
}

#[test]
fn a_draft_that_is_dropped_while_it_is_told_more_is_one_record_with_what_came_in_time() {
    tried(1_000, 100_000, || {
        let config = config();
        let draft = open(&config, "first", Some(OpenTicket(7)));
        let handle = Arc::clone(draft.cell().unwrap());
        let teller = thread::spawn(move || tell(&handle, "told"));
        drop(draft);
        let in_time = teller.join().unwrap();
        config.recorder.see(|seen| {
            assert_eq!((seen.ended.len(), seen.abandoned.len(), seen.given_back), (1, 0, 0));
            let (record, ticket) = &seen.ended[0];
            assert_eq!(record.action, if in_time { "told" } else { "first" });
            assert_eq!(*ticket, Some(OpenTicket(7)));
        });
    });
}

#[test]
fn what_is_discarded_as_it_ends_is_a_record_or_nothing_and_what_was_begun_ends() {
    tried(1_000, 100_000, || {
        let config = config();
        let draft = open(&config, "first", Some(OpenTicket(7)));
        let handle = Arc::clone(draft.cell().unwrap());
        let teller = thread::spawn(move || discard(&handle));
        drop(draft.finish(&Ending::Complete));
        let in_time = teller.join().unwrap();
        config.recorder.see(|seen| {
            let came = (seen.ended.len(), seen.abandoned.len(), seen.given_back);
            assert_eq!(came, if in_time { (0, 1, 1) } else { (1, 0, 0) });
        });
    });
}

#[test]
fn a_handle_that_is_late_reaches_into_no_other_request() {
    tried(1_000, 100_000, || {
        let config = config();
        let draft = open(&config, "first", None);
        let handle = Arc::clone(draft.cell().unwrap());
        let teller = thread::spawn(move || {
            tell(&handle, "told");
            thread::yield_now();
            tell(&handle, "told")
        });
        drop(draft);
        let next = open(&config, "second", None);
        thread::yield_now();
        drop(next);
        let in_time = teller.join().unwrap();
        config.recorder.see(|seen| {
            assert_eq!(seen.ended.len(), 2);
            assert!(!in_time || seen.ended[0].0.action == "told");
            assert_eq!(seen.ended[1].0.action, "second");
        });
    });
}

#[test]
fn what_is_announced_while_its_draft_is_dropped_ends_or_is_taken_back() {
    tried(1_000, 100_000, || {
        let config = config();
        let draft = open(&config, "first", None);
        let (cell, config_too) = (Arc::clone(draft.cell().unwrap()), Arc::clone(&config));
        // A service behind a queue: it goes on where the future of its request is gone.
        let announcer = thread::spawn(move || {
            let mut announcement = Announcement::intent(cell, config_too);
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..2 {
                if let Poll::Ready(polled) = announcement.poll(&mut cx) {
                    polled.unwrap();
                    return;
                }
                thread::yield_now();
            }
        });
        drop(draft);
        announcer.join().unwrap();
        config.recorder.see(|seen| {
            assert_eq!(seen.ended.len(), 1);
            let ended = seen.ended.iter().filter(|(_, ticket)| ticket.is_some()).count();
            assert_eq!(seen.begun, ended + seen.abandoned.len());
        });
    });
}

#[test]
fn what_is_begun_at_the_head_of_an_answer_ends_once_though_it_is_discarded_meanwhile() {
    tried(1_000, 100_000, || {
        let config = config();
        let draft = open(&config, "first", None);
        let handle = Arc::clone(draft.cell().unwrap());
        let teller = thread::spawn(move || discard(&handle));
        assert!(announce::at_head(&draft).is_none(), "nothing to wait for");
        // Given up while it waits for room.
        if let Some(mut finished) = draft.finish(&Ending::Complete) {
            assert!(finished.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        teller.join().unwrap();
        config.recorder.see(|seen| {
            let ended = seen.ended.iter().filter(|(_, ticket)| ticket.is_some()).count();
            assert_eq!(seen.begun, ended + seen.abandoned.len());
            assert_eq!(seen.ended.len() + seen.given_back, 1);
        });
    });
}
