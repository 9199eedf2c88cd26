//! `activity tail`

use std::{process::ExitCode, time::Duration};

use tower_activity::{
    query::{Filter, PageRequest},
    store::{AnyStore, Read as _, StoreError},
};

use crate::{
    arguments::{Common, Tail},
    records::Printer,
    store::Store,
    trouble::Trouble,
};

/// How often the ledger is asked whether it grew.
const POLL: Duration = Duration::from_millis(200);
/// How many entries of the ledger are read at once.
const ENTRIES: usize = 64;

pub(crate) async fn run(common: &Common, arguments: &Tail) -> Result<ExitCode, Trouble> {
    let filter = arguments.question.filter()?;
    let store = Store::existing(common).await?.reader();
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
    let mut poll = tokio::time::interval(POLL);
    let mut away = false;
    loop {
        tokio::select! {
            _ = poll.tick() => {}
            stopped = tokio::signal::ctrl_c() => return Ok(stopped.map(|()| ExitCode::SUCCESS)?),
        }
        match follow(&store, &filter, &printer, position).await? {
            Ok(now) => {
                if away {
                    eprintln!("activity: the store answers again");
                }
                (position, away) = (now, false);
            }
            Err(error) if error.is_transient() => {
                if !away {
                    eprintln!("activity: {error}; trying again");
                }
                away = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints what was committed after a position, and says where the ledger stands now.
async fn follow(
    store: &AnyStore,
    filter: &Filter,
    printer: &Printer,
    mut position: i64,
) -> Result<Result<i64, StoreError>, Trouble> {
    loop {
        let entries = match store.entries(position, ENTRIES).await {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        if entries.is_empty() {
            return Ok(Ok(position));
        }
        for entry in &entries {
            let records = match store.entry_records(entry).await {
                Ok(records) => records,
                // What was printed is not printed again: the next try goes on here.
                Err(_) if position > 0 && entry.position > position + 1 => return Ok(Ok(position)),
                Err(error) => return Ok(Err(error)),
            };
            for record in records.iter().filter(|record| filter.matches(record)) {
                printer.print(record)?;
            }
            position = entry.position;
        }
    }
}
