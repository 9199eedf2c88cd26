//! What a verification says, for people.

use tower_activity::{
    ledger::verify::{Report, Verdict},
    record::visible,
};

use super::{Found, json::Json};
use crate::{
    arguments::{Common, Verify},
    out,
    trouble::Trouble,
};

/// So many findings of each kind are shown on a terminal.
const SHOWN: usize = 50;

pub(super) fn print(common: &Common, arguments: &Verify, found: &Found) -> Result<(), Trouble> {
    let (trust, mut not_excluded) = not_excluded(arguments, found);
    let Found { report, scratch, .. } = found;
    if let Some(scratch) = scratch {
        let whole = if scratch.whole { "" } else { ", which broke off" };
        not_excluded = format!(
            "This is a scratch copy, made {} of what is archived in {}{whole}: it is not the log, and holds {} entries of it. \
             {not_excluded}",
            scratch.made_at,
            visible(&scratch.from),
            scratch.entries
        );
    }
    if !out::is_table(common) {
        return out::json(&Json::of(common, found, (trust, not_excluded)));
    }
    out::line(&not_excluded)?;
    out::line(&summary(report))?;
    if let Some(export) = &found.export {
        for (count, what) in [
            (export.masked, "personal groups are masked in it"),
            (export.later, "records that it says were committed after its head are not in it"),
            (export.unreadable, "rows that it says nobody can read are not in it"),
        ] {
            if count > 0 {
                out::line(&format!("  {count} {what}"))?;
            }
        }
    }
    listed(report.altered.kept(), report.altered.total())?;
    listed(report.incomplete.kept(), report.incomplete.total())
}

fn summary(report: &Report) -> String {
    let verdict = match report.verdict() {
        Verdict::Unaltered => "Unaltered".to_owned(),
        Verdict::Altered => format!("ALTERED in {}", places(report.altered.total())),
        _ => format!("Unaltered, but incomplete in {}", places(report.incomplete.total())),
    };
    let erased = match report.erased {
        0 => String::new(),
        1 => ", 1 personal group erased".to_owned(),
        groups => format!(", {groups} personal groups erased"),
    };
    let expired = match report.expired {
        0 => String::new(),
        expired => format!(", {} expired", out::records(expired)),
    };
    let expired = match report.left_out {
        0 => expired,
        left_out => format!("{expired}, {} left out", out::records(left_out)),
    };
    let until = match report.committed_at {
        Some(at) => format!(", committed until {at}"),
        None => String::new(),
    };
    let entries = match report.entries {
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    };
    let since = match report.since {
        Some((position, at)) => format!(" since entry {position}, which was verified {at}"),
        None => String::new(),
    };
    let before = match report.incomplete_before {
        0 => String::new(),
        before => format!(" Before that it was incomplete in {}.", places(before)),
    };
    format!(
        "{verdict}: {} in {entries}{since}{until}{erased}{expired}.{before}",
        out::records(report.records)
    )
}

fn places(count: u64) -> String {
    if count == 1 { "1 place".to_owned() } else { format!("{count} places") }
}

fn listed<T: std::fmt::Display>(kept: &[T], total: u64) -> Result<(), Trouble> {
    for finding in kept.iter().take(SHOWN) {
        out::line(&format!("  {}", visible(&finding.to_string())))?;
    }
    match total.saturating_sub(kept.len().min(SHOWN) as u64) {
        0 => Ok(()),
        more => out::line(&format!("  and {more} more")),
    }
}

/// What the result rests on, and what is not excluded by it.
fn not_excluded(arguments: &Verify, found: &Found) -> (&'static str, String) {
    let report = &found.report;
    if let Some(export) = &found.export {
        let (trust, by_whom) = of_an_export(arguments, report);
        let extent = match (export.complete, report.expired) {
            (true, 0) => "It has every record under its head.".to_owned(),
            (true, expired) => format!(
                "It has every record under its head but for {} whose time was over, as the log tells.",
                out::records(expired)
            ),
            (false, _) => {
                "It is a part of the log: that nothing was left out of it is not shown.".to_owned()
            }
        };
        let uncompared = match export.not_compared {
            0 => String::new(),
            count => format!(
                " It has too few entries to be compared with {count} of the anchored heads."
            ),
        };
        return (trust, format!("{by_whom} {extent}{uncompared}"));
    }
    if arguments.trust.is_none() {
        let why = match arguments.anchor.is_empty() {
            true => "no trust file, no anchor was named",
            false => "no trust file was named, so that nobody vouches for the anchor",
        };
        let text = format!(
            "Not excluded: whoever holds both the database and the key could have rewritten all of it ({why})."
        );
        return ("none", text);
    }
    match (report.signed, report.anchored) {
        (None, _) => (
            "none",
            "Not excluded: whoever holds the database could have rewritten all of it (no checkpoint is signed by a \
             trusted key)."
                .to_owned(),
        ),
        (Some((position, at)), None) => (
            "self-signed",
            format!(
                "Self-signed up to entry {position}, {at}. Not excluded: whoever holds both the database and the key \
                 could have rewritten all of it, or cut off its end (no anchor was named)."
            ),
        ),
        (_, Some((position, at))) => (
            "anchored",
            format!(
                "Anchored up to entry {position}, {at}. Not excluded: whoever holds both the database and the key \
                 could have rewritten what is later."
            ),
        ),
    }
}

/// The same for a file.
fn of_an_export(arguments: &Verify, report: &Report) -> (&'static str, String) {
    if arguments.trust.is_none() {
        let text = "Not excluded: whoever made the file could have made all of it up (no trust file was named).";
        return ("none", text.to_owned());
    }
    match (report.signed, report.anchored) {
        (None, _) => {
            let text = "Not excluded: whoever made the file could have made all of it up (its checkpoint is not signed \
                        by a trusted key).";
            ("none", text.to_owned())
        }
        (Some((position, at)), None) => {
            let text = format!(
                "Self-signed up to entry {position}, {at}. Not excluded: the holder of the key could have made all of \
                 it up (no anchor vouches for its head)."
            );
            ("self-signed", text)
        }
        (Some((size, _)), Some((position, at))) => {
            let later = match position < size {
                true => " Not excluded: the holder of the key could have made up what is later.",
                false => "",
            };
            ("anchored", format!("Anchored up to entry {position}, {at}.{later}"))
        }
    }
}
