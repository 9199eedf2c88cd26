//! `activity query`

use std::process::ExitCode;

use tower_activity::{
    Filter,
    query::{PageRequest, TextSearch},
    store::{AnyStore, Read as _, restricted_records},
};

use crate::{
    arguments::{Common, Query},
    out,
    question::unveiled,
    records::Printer,
    store::Store,
    trouble::Trouble,
};

/// How many records are read at once.
const PAGE: usize = 1_000;

pub(crate) async fn run(common: &Common, arguments: &Query) -> Result<ExitCode, Trouble> {
    let asked = arguments.question.filter()?;
    if arguments.restricted {
        return restricted(common, arguments, asked).await;
    }
    let store: AnyStore = arguments.question.tenant.of(Store::existing(common).await?.reader());
    let filter = unveiled(common, &store, asked).await?;
    let printer = Printer::new(common);
    let first =
        if arguments.oldest { PageRequest::oldest(PAGE) } else { PageRequest::newest(PAGE) };
    let mut request = first;
    let mut left = arguments.limit;
    let (mut found, mut unreadable) = (0_usize, 0);
    let mut more = true;
    while left > 0 {
        request.limit = left.min(PAGE);
        let page = store.records(&filter, &request).await?;
        if found == 0 && page.text == TextSearch::Scanned && printer.is_for_people() {
            out::note(
                "words are looked for by reading; `activity migrate --index text` makes an index",
            );
        }
        printer.page(&page.records)?;
        found += page.records.len();
        unreadable += page.unreadable;
        left -= page.records.len();
        match page.next {
            Some(next) => request = request.after(next),
            None => {
                more = false;
                break;
            }
        }
    }
    if unreadable > 0 {
        out::note(format!("{unreadable} rows cannot be read as records and were left out"));
    }
    if printer.is_for_people() {
        match (found, left) {
            (0, _) => out::note("nothing found"),
            (_, 0) if more => out::note(format!("the first {found}; --limit asks for more")),
            _ => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what holds keep of people who were erased: not as a reader of a tenant, who sees nothing of it.
async fn restricted(
    common: &Common,
    arguments: &Query,
    asked: Filter,
) -> Result<ExitCode, Trouble> {
    let store = Store::existing(common).await?.reader();
    let filter = unveiled(common, &store, asked).await?;
    let printer = Printer::new(common);
    let (mut left, mut after) = (arguments.limit, 0);
    while left > 0 {
        let page = restricted_records(&store, &filter, after, left.min(PAGE)).await?;
        printer.page(&page.records)?;
        left -= page.records.len();
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    if printer.is_for_people() && left == arguments.limit {
        out::note("nothing is kept aside");
    }
    Ok(ExitCode::SUCCESS)
}
