//! Which delivery class holds, and what it needs to be kept.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    builder::PipelineBuilder, number::random_id, settings::StartError, spool, spooling::Spooling,
};
use crate::{
    rules::{CompiledRules, Delivery},
    store::Append,
    time::Clock,
};

/// What a power cut may take of a durable record's newest, at most.
pub const DEFAULT_FSYNC_INTERVAL: Duration = Duration::from_millis(50);
/// Half a million ordinary records: hours of a database that is away.
pub const DEFAULT_SPOOL_CAP: u64 = 1 << 30;
/// A store that comes back from a backup of the last minutes is sent again what it lost.
pub const DEFAULT_SPOOL_KEEP: Duration = Duration::from_secs(600);
/// A disk that has not answered by then is treated as one that never will.
pub const DEFAULT_STRICT_DEADLINE: Duration = Duration::from_secs(2);

/// The least room that serves its purpose: a few of the largest records and the shares set aside.
const MIN_CAP: u64 = 8 << 20;

impl<S: Append> PipelineBuilder<S> {
    /// Sets the delivery class of what no rule gives a stricter one. Defaults to `durable` with a
    /// [`spool`](Self::spool), else to `best_effort`.
    ///
    /// `durable` and `strict`, here or in a rule, need a folder.
    pub fn mode(mut self, delivery: Delivery) -> Self {
        self.modes.mode = Some(delivery);
        self
    }

    /// Sets the folder that keeps records until they are stored. Defaults to none: then records wait in memory.
    ///
    /// One process at a time uses a folder. It has to be on a disk that outlives the process: in a container, on a
    /// volume. It is made if it is not there, and nobody else may write to it.
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.modes.folder = Some(folder.into());
        self
    }

    /// Sets how much time may pass before the disk is told to keep what was written to the spool: what a
    /// power cut may take of durable records. Defaults to 50 ms; zero waits for the disk before each response.
    ///
    /// The death of the process takes nothing, whatever the interval is.
    pub fn fsync_interval(mut self, interval: Duration) -> Self {
        self.modes.fsync_interval = interval;
        self
    }

    /// Sets how many bytes the spool may occupy. Defaults to 1 GiB.
    ///
    /// One in eight is reserved for the security lane. What finds no room is dropped, counted, and told of in a
    /// gap record.
    pub fn spool_cap(mut self, bytes: u64) -> Self {
        self.modes.cap = bytes;
        self
    }

    /// Sets how long the spool keeps what is stored. Defaults to 10 minutes.
    ///
    /// A store that was put back to an earlier state is sent again what is still there.
    pub fn spool_keep(mut self, keep: Duration) -> Self {
        self.modes.keep = keep;
        self
    }

    /// Sets the disk that the spool is on.
    #[cfg(all(test, feature = "axum"))]
    pub(crate) fn disk(mut self, disk: &super::gated::Disk) -> Self {
        self.modes.disk = Some(disk.clone());
        self
    }

    /// Sets how long a strict request waits for the disk: before its handler, and again after it. Defaults
    /// to 2 s.
    pub fn strict_deadline(mut self, deadline: Duration) -> Self {
        self.modes.strict_deadline = deadline;
        self
    }
}

/// What the builder says about modes and the spool.
#[derive(Debug, Clone)]
pub(super) struct Modes {
    /// `None` leaves it to the rules and to whether there is a folder.
    pub(super) mode: Option<Delivery>,
    pub(super) folder: Option<PathBuf>,
    pub(super) fsync_interval: Duration,
    pub(super) cap: u64,
    pub(super) keep: Duration,
    pub(super) strict_deadline: Duration,
    #[cfg(all(test, feature = "axum"))]
    disk: Option<super::gated::Disk>,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            mode: None,
            folder: None,
            fsync_interval: DEFAULT_FSYNC_INTERVAL,
            cap: DEFAULT_SPOOL_CAP,
            keep: DEFAULT_SPOOL_KEEP,
            strict_deadline: DEFAULT_STRICT_DEADLINE,
            #[cfg(all(test, feature = "axum"))]
            disk: None,
        }
    }
}

impl Modes {
    /// Returns the class of requests whose rule names none: the strictest of builder and rules. A folder
    /// without a mode means `durable`.
    pub(super) fn class(&self, rules: &CompiledRules) -> Delivery {
        let unsaid = match &self.folder {
            Some(_) => Delivery::Durable,
            None => Delivery::BestEffort,
        };
        self.mode.unwrap_or(unsaid).max(rules.defaults().delivery())
    }

    /// Refuses what contradicts itself, and what promises more than can be kept without a folder.
    pub(super) fn check(&self, rules: &CompiledRules) -> Result<(), StartError> {
        let settings = |what: String| Err(StartError::Settings(what));
        if self.folder.is_none() {
            let class = self.class(rules);
            let asked = if class > Delivery::BestEffort {
                let who = match self.mode {
                    Some(mode) if mode == class => "the pipeline's mode",
                    _ => "the default of the rules",
                };
                Some((who.to_owned(), class))
            } else {
                rules.strictest_delivery().map(|(rule, class)| (format!("rule `{rule}`"), class))
            };
            if let Some((who, class)) = asked {
                return settings(format!(
                    "{who} asks for `{}` delivery, which keeps records in a folder until they are stored, and \
                     none is named: name one on a disk that outlives the process, with `spool` or \
                     ACTIVITY_SPOOL, or choose `best_effort`",
                    class.as_str()
                ));
            }
        }
        if self.cap < MIN_CAP {
            return settings(format!(
                "a spool of at most {} bytes has no room for its shares: give it {MIN_CAP} or more",
                self.cap
            ));
        }
        if self.strict_deadline.is_zero() {
            return settings(
                "the strict deadline is longer than nothing: it is the time that a disk has to answer"
                    .to_owned(),
            );
        }
        Ok(())
    }

    #[cfg_attr(
        not(all(test, feature = "axum")),
        allow(clippy::unused_self, reason = "tests have disks of their own")
    )]
    fn disk(&self) -> Arc<dyn spool::Filesystem> {
        #[cfg(all(test, feature = "axum"))]
        if let Some(disk) = &self.disk {
            return Arc::new(disk.clone());
        }
        Arc::new(spool::Disk)
    }

    /// Opens the spool, if there is a folder.
    pub(super) async fn open(&self, clock: Arc<dyn Clock>) -> Result<Option<Spooling>, StartError> {
        let Some(folder) = self.folder.clone() else { return Ok(None) };
        let settings = spool::Settings {
            cap: self.cap,
            keep: self.keep,
            fsync_interval: self.fsync_interval,
            // On the disk of the tests an append takes as long as the machine stalls, and nothing is wrong with it.
            #[cfg(all(test, feature = "axum"))]
            stuck_after: match self.disk {
                Some(_) => std::time::Duration::from_secs(600),
                None => spool::Settings::default().stuck_after,
            },
            ..spool::Settings::default()
        };
        let disk = self.disk();
        let opened = tokio::task::spawn_blocking(move || {
            make(&folder)?;
            spool::Spool::open(disk, &folder, settings, clock, random_id())
                .map_err(|error| error.to_string())
        });
        let spool = opened
            .await
            .map_err(|_| StartError::Runtime)?
            .map_err(|error| StartError::Settings(format!("the spool: {error}")))?;
        Ok(Some(Spooling::new(spool, self.fsync_interval.is_zero())))
    }
}

/// Makes the folder if it is not there: the last part of the path, lest a mistyped mount point is made up.
fn make(folder: &Path) -> Result<(), String> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(format!("the folder `{}` cannot be made: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
