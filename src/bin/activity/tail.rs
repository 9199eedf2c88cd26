//! `activity tail`

use std::{process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tower_activity::{
    query::{Filter, PageRequest},
    store::{AnyStore, Read as _, StoreError},
};

use crate::{
    arguments::{Common, Tail},
    out,
    question::unveiled,
    records::Printer,
    store::Store,
    trouble::{Trouble, with_causes},
};

/// How often the ledger is asked whether it grew.
const POLL: Duration = Duration::from_millis(200);
/// How many entries of the ledger are read at once.
const ENTRIES: usize = 64;

pub(crate) async fn run(common: &Common, arguments: &Tail) -> Result<ExitCode, Trouble> {
    let asked = arguments.question.filter()?;
    let store = arguments.question.tenant.of(Store::existing(common).await?.reader());
    let filter = unveiled(common, &store, asked).await?;
    let printer = Printer::new(common);
    // Where the ledger stands before the history is read: what comes between is printed twice rather than
    // not at all, so it is told from the history by its number.
    let snapshot = store.snapshot().await?;
    let mut position = snapshot.position;
    if arguments.lines > 0 {
        let page = store.records(&filter, &PageRequest::newest(arguments.lines)).await?;
        for record in page.records.iter().rev().filter(|record| snapshot.holds(record)) {
            printer.print(record)?;
        }
    }
    if arguments.no_follow {
        return Ok(ExitCode::SUCCESS);
    }
    // Listened to from here on: one that comes while the store is read is not to be missed.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut poll = tokio::time::interval(POLL);
    let mut away = false;
    loop {
        tokio::select! {
            _ = poll.tick() => {}
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        }
        let followed = tokio::select! {
            followed = follow(&store, &filter, &printer, &mut position) => followed,
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        };
        match followed {
            Ok(()) => {
                if away {
                    out::note("the store answers again");
                }
                away = false;
            }
            Err(Stopped::Store(error)) if error.is_transient() => {
                if !away {
                    out::note(format!("{}; trying again", with_causes(&error)));
                }
                away = true;
            }
            Err(Stopped::Store(error)) => return Err(error.into()),
            Err(Stopped::Printing(trouble)) => return Err(trouble),
        }
    }
}

/// Why following the ledger stopped.
enum Stopped {
    Store(StoreError),
    Printing(Trouble),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Prints what was committed after `position`, which moves on entry by entry: what was printed is not printed
/// again when the store goes away in the middle.
async fn follow(
    store: &AnyStore,
    filter: &Filter,
    printer: &Printer,
    position: &mut i64,
) -> Result<(), Stopped> {
    loop {
        let entries = store.entries(*position, ENTRIES).await?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in &entries {
            let records = store.entry_records(entry).await?;
            for record in records.iter().filter(|record| filter.matches(record)) {
                printer.print(record).map_err(Stopped::Printing)?;
            }
            *position = entry.position;
        }
    }
}
