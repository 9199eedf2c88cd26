//! `activity report`: what happened on a day, in a week or a month, for somebody who was not there.

mod gather;
mod period;
mod render;

use std::process::ExitCode;

use tower_activity::time::{Clock as _, SystemClock};

use crate::{
    arguments::{Common, Report, ReportFormat},
    out, stats,
    store::Store,
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Report) -> Result<ExitCode, Trouble> {
    let period = period::Period::of(arguments, SystemClock::default().now())?;
    let store = arguments.tenant.of(Store::existing(common).await?.reader());
    stats::fold(&store).await?;
    let all = arguments.tenant.and(period.filter()?)?;
    let report = gather::gather(&store, &period, all, arguments.top).await?;
    stats::say_behind(report.not_counted_yet);
    let format = arguments.format.unwrap_or(if out::is_table(common) {
        ReportFormat::Text
    } else {
        ReportFormat::Json
    });
    match format {
        ReportFormat::Text => out::line(render::Text(&report, &period).to_string().trim_end())?,
        ReportFormat::Markdown => {
            out::line(render::Markdown(&report, &period).to_string().trim_end())?
        }
        ReportFormat::Json => out::json(&report)?,
    }
    Ok(ExitCode::SUCCESS)
}
