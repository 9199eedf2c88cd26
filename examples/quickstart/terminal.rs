//! What the terminal shows: the start, a line for each record, the end.

use std::{
    env, fmt,
    io::{self, IsTerminal, Write as _},
    time::Duration,
};

use futures_util::StreamExt as _;
use jiff::{Timestamp, tz::TimeZone};
use tokio::{net::TcpListener, signal::unix, sync::watch, task::JoinHandle};
use tower_activity::{
    Filter, Pipeline,
    pipeline::Subscription,
    record::{Outcome, Record, visible},
};
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::settings::{Settings, Trouble};

/// The terminal while the shop is open.
pub(crate) struct Terminal {
    /// Tells when somebody wants the shop to stop.
    pub(crate) stop: Stop,
    lines: JoinHandle<()>,
}

impl Terminal {
    /// Prints what became of the records, below the last of them.
    pub(crate) async fn close(self, report: impl fmt::Display) {
        // They end with the log. Where the terminal has stopped (Ctrl-S), nobody waits for it.
        let _late = tokio::time::timeout(Duration::from_secs(1), self.lines).await;
        say(report);
    }
}

/// Says where everything is and what to try, and prints each record from now on.
pub(crate) fn open(
    settings: &Settings,
    listener: &TcpListener,
    held: i64,
    activity: &Pipeline,
) -> Result<Terminal, Trouble> {
    // What the log itself has to say, for example that its disk is full.
    let own = Targets::new().with_target("tower_activity", tracing::Level::WARN);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(coloured(&io::stderr()));
    tracing_subscriber::registry().with(lines.with_filter(own)).init();
    let clock = TimeZone::system();
    let zone = zone(&clock);
    let shop = format!("http://{}", listener.local_addr()?);
    let (store, records) = (settings.store_shown(), if held == 1 { "record" } else { "records" });
    say(format_args!(
        "shop     {shop}
viewer   {shop}/activity
records  {shop}/activity/records
store    {store} · mode best_effort · {held} {records}

Open shop and viewer in a browser, or try in another terminal:

  TOKEN=$(curl -s -H 'Content-Type: application/json' -d '{{\"user\":\"ana\",\"password\":\"secret\"}}' {shop}/login | cut -d'\"' -f4)
  curl -X POST -H \"Authorization: Bearer $TOKEN\" {shop}/api/orders/55/cancel
  curl -X DELETE -H \"Authorization: Bearer $TOKEN\" {shop}/api/products/3

  curl '{shop}/activity/records?q=action:cancel'
  curl {shop}/activity/entities/order/55
  curl {shop}/activity/stats
  curl -O -J '{shop}/activity/export?format=csv&outcome=denied'
  curl -N {shop}/activity/live/sse

Each record as it is committed (times in {zone}), Ctrl-C to stop:
"
    ));
    let lines = tokio::spawn(follow(activity.subscribe(Filter::new()), clock));
    Ok(Terminal { stop: Stop::on_signal()?, lines })
}

/// Names the clock by which the lines tell the time: that of the machine, with its offset now. What is
/// stored, and shown as JSON, is UTC.
fn zone(clock: &TimeZone) -> String {
    let now = Timestamp::now().to_zoned(clock.clone());
    match now.offset().seconds() {
        0 => "UTC".to_owned(),
        _ => now.strftime("local time, UTC%:z").to_string(),
    }
}

/// Prints each record until the log is shut down.
async fn follow(records: Subscription, clock: TimeZone) {
    let coloured = coloured(&io::stdout());
    // A batch is committed by category; people read by time.
    let mut batches = records.ready_chunks(1_000);
    while let Some(batch) = batches.next().await {
        let mut committed = Vec::with_capacity(batch.len());
        for record in batch {
            match record {
                Ok(record) => committed.push(record),
                Err(lagged) => say(lagged),
            }
        }
        committed.sort_by_key(|record| (record.occurred_at, record.id));
        for record in committed {
            say(Line { record: &record, clock: &clock, coloured });
        }
    }
}

/// Tells whether colours are wanted: on a terminal, unless `NO_COLOR` says otherwise.
fn coloured(output: &impl IsTerminal) -> bool {
    output.is_terminal() && env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// Prints a line; a reader that has gone is no reason to stop.
fn say(line: impl fmt::Display) {
    let _gone = writeln!(io::stdout(), "{line}");
}

/// A record in one line: `12:04:31 ana cancelled order 55 · 200 · 3 ms · 127.0.0.1 · rule rest`.
struct Line<'r> {
    record: &'r Record,
    clock: &'r TimeZone,
    coloured: bool,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dim, colour, end) = match (self.coloured, self.record.outcome) {
            (false, _) => ("", "", ""),
            (true, Outcome::Success) => ("\u{1b}[2m", "", "\u{1b}[0m"),
            (true, Outcome::Denied | Outcome::Failure) => ("\u{1b}[2m", "\u{1b}[31m", "\u{1b}[0m"),
            (true, _) => ("\u{1b}[2m", "\u{1b}[33m", "\u{1b}[0m"),
        };
        let record = self.record;
        let at = record.occurred_at.calendar().to_zoned(self.clock.clone());
        let time = at.strftime("%H:%M:%S");
        write!(f, "{dim}{time}{end} {colour}{}{end}{dim}", record.sentence())?;
        if let Some(status) = record.status {
            write!(f, " · {status}")?;
        }
        if let Some(micros) = record.duration_us {
            match micros {
                ..100 => f.write_str(" · < 0.1 ms")?,
                100..1_000 => write!(f, " · 0.{} ms", micros / 100)?,
                1_000..1_000_000 => write!(f, " · {} ms", micros / 1_000)?,
                _ => write!(f, " · {}.{} s", micros / 1_000_000, micros / 100_000 % 10)?,
            }
        }
        if let Some(ip) = record.ip {
            write!(f, " · {ip}")?;
        }
        if let Some(rule) = record.rule.as_option() {
            write!(f, " · rule {}", visible(rule))?;
        }
        f.write_str(end)
    }
}

/// Tells when somebody wants the shop to stop: Ctrl-C or a termination signal.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    fn on_signal() -> Result<Self, Trouble> {
        let (asked, stop) = watch::channel(false);
        let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
        let mut terminate = unix::signal(unix::SignalKind::terminate())?;
        tokio::spawn(async move {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            asked.send_replace(true);
        });
        Ok(Self(stop))
    }

    /// Returns when somebody has asked.
    pub(crate) async fn wait(mut self) {
        // The sender lives until it has asked.
        let _asked = self.0.wait_for(|asked| *asked).await;
    }

    /// Waits for the server, and from the moment when it is asked to stop for so long only: whoever is
    /// still downloading then is cut off, and recorded as such.
    pub(crate) async fn within(
        &self,
        deadline: Duration,
        server: impl IntoFuture<Output = io::Result<()>>,
    ) -> io::Result<()> {
        let late = async {
            self.clone().wait().await;
            tokio::time::sleep(deadline).await;
        };
        tokio::select! { ended = server.into_future() => ended, () = late => Ok(()) }
    }
}
