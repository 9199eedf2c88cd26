//! `activity archive restore`

use std::io::{self, IsTerminal as _};

use clap::Args;
use indicatif::ProgressBar;
use tower_activity::{
    Filter,
    archive::{Archive, RestoreAsk, Restoring},
    pipeline::ErasedPeople,
    query::{Extra, Params},
    record::{Groups, Record, visible},
    store::{Scratch, ToldErasures, Unit, told_erasures},
    time::{Clock as _, Month, SystemClock, Timestamp},
};

use crate::{
    arguments::Common,
    out,
    store::{self, Store},
    trouble::Trouble,
};

#[derive(Debug, Args)]
pub(crate) struct ArchiveRestore {
    /// Where the archive is: `s3://bucket/prefix`, or a directory
    #[arg(long, value_name = "URL")]
    from: String,
    /// The scratch copy, a SQLite file that is not there yet: `sqlite:january.db`
    #[arg(long, value_name = "URL")]
    to: String,
    /// Only this retention class
    #[arg(long)]
    class: Option<String>,
    /// Only this month, as in 2026-01
    #[arg(long)]
    month: Option<Month>,
    /// Only what this query finds, in the query language
    #[arg(long)]
    query: Option<String>,
}

pub(crate) async fn run(common: &Common, asked: &ArchiveRestore) -> Result<(), Trouble> {
    let now = SystemClock::default().now();
    if asked.to.contains("://") && !asked.to.starts_with("sqlite://") {
        let why = "--to names a SQLite file that is not there yet, as in sqlite:january.db";
        return Err(Trouble::usage(why));
    }
    let filter = filter(asked, now)?;
    let archive = Archive::open(&asked.from).map_err(|error| Trouble::of(&error))?;
    let units = units(asked, &archive).await?;
    let erased = Erased::of(common).await?;
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    let moved = |Restoring { records, .. }: Restoring| {
        bar.set_message(format!("{} restored", out::records(records)));
        bar.tick();
    };
    let ask = RestoreAsk { units, filter, asked: said(asked), now };
    let restored = archive.restore(&asked.to, &ask, |record| erased.groups(record), moved).await;
    bar.finish_and_clear();
    print(common, asked, &restored.map_err(|error| Trouble::of(&error))?)
}

fn filter(asked: &ArchiveRestore, now: Timestamp) -> Result<Filter, Trouble> {
    let Some(query) = &asked.query else { return Ok(Filter::new()) };
    let pairs = [("q".to_owned(), query.clone())];
    match Params::read(&pairs, &[Extra::Filters], now) {
        Ok(params) => Ok(params.filter),
        Err(error) => Err(Trouble::usage(format!("{error}\n  {}", visible(query)))),
    }
}

/// Says what was asked for, where it is less than everything.
fn said(asked: &ArchiveRestore) -> Option<String> {
    let class = asked.class.as_ref().map(|class| format!("class {class}"));
    let month = asked.month.map(|month| format!("month {month}"));
    let all: Vec<_> = [class, month, asked.query.clone()].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Returns the units that are meant; none where all are.
async fn units(asked: &ArchiveRestore, archive: &Archive) -> Result<Vec<Unit>, Trouble> {
    if asked.class.is_none() && asked.month.is_none() {
        return Ok(Vec::new());
    }
    let parts = archive.parts().await.map_err(|error| Trouble::of(&error))?;
    let wanted = |unit: &Unit| {
        asked.class.as_ref().is_none_or(|class| *class == unit.class)
            && asked.month.is_none_or(|month| month == unit.month)
    };
    let mut units: Vec<_> = parts.iter().map(|part| part.unit()).filter(wanted).collect();
    units.dedup();
    match units.is_empty() {
        true => Err(Trouble::new("the archive has nothing of that class and month")),
        false => Ok(units),
    }
}

/// What a log that is named knows of erasures, which the archive may not.
struct Erased {
    told: ToldErasures,
    people: Option<ErasedPeople>,
}

impl Erased {
    async fn of(common: &Common) -> Result<Self, Trouble> {
        if common.named_store().is_none() {
            out::note(
                "no log is named (--store): who was erased from it without the archive comes back with what is restored",
            );
            return Ok(Self { told: ToldErasures::default(), people: None });
        }
        let log = Store::existing(common).await?.reader();
        let keys = match store::keys_path(common).is_some_and(|path| path.exists()) {
            true => store::keys(common)?,
            false => None,
        };
        let people = match keys {
            Some(keys) => Some(ErasedPeople::of(&log, keys).await?),
            None => {
                out::note(
                    "there are no keys (--keys): of those who were erased the log tells record by record, and its list of \
                     people cannot be read",
                );
                None
            }
        };
        Ok(Self { told: told_erasures(&log).await?, people })
    }

    fn groups(&self, record: &Record) -> Groups {
        let people = self.people.as_ref().map_or(Groups::NONE, |people| people.groups(record));
        people.and(self.told.groups(record))
    }
}

fn print(common: &Common, asked: &ArchiveRestore, scratch: &Scratch) -> Result<(), Trouble> {
    if !out::is_table(common) {
        return out::json(scratch);
    }
    out::line(&format!(
        "{} in {} entries restored into {}; it is a scratch copy, and not the log",
        out::records(scratch.records),
        scratch.entries,
        asked.to
    ))?;
    for (count, what) in [
        (
            scratch.left_out,
            "records of these entries were not asked for, and their hashes stand in their place",
        ),
        (scratch.erased, "personal groups were left out, since their people were erased"),
    ] {
        if count > 0 {
            out::line(&format!("  {count} {what}"))?;
        }
    }
    Ok(())
}
