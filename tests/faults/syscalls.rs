//! Faults 16 and 2 below the library: the nth call of the system fails, or is the last one of the process.
//!
//! A small process records through a spool that an earlier one left, under `strace`, which lets one call fail or kills
//! the process there. It writes down what it was told; then a next process, undisturbed, empties the spool. What was
//! taken must be in the store, once, or be told of by a gap; what was refused must be counted.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request, routing::post};
use tower::ServiceExt as _;
use tower_activity::{
    ActivityLayer, Pipeline, Record, Rule, Rules,
    pipeline::PipelineBuilder,
    record::{Actor, WriterId},
    rules::Delivery,
    store::{Append, Appended, Appender, Batch, StoreError, StoreErrorKind},
};

use crate::table::{Row, times};

const SPOOL: &str = "FAULTS_SYSCALLS_SPOOL";
const JOURNAL: &str = "FAULTS_SYSCALLS_JOURNAL";
/// A run takes a second; on a machine that is busy with others, some.
const PATIENCE: Duration = Duration::from_secs(120);
/// Records by hand, and strict requests, of each process.
const EACH: usize = 10;

/// A store that is a file of lines: stream, number, thing, count of a gap. It writes with `write`,
/// which no fault here is about.
#[derive(Clone)]
struct Journal(PathBuf);

struct Writer(PathBuf);

#[derive(Debug, Clone)]
struct Line {
    stream: i64,
    seq: i64,
    thing: String,
    missing: u64,
}

impl Journal {
    fn lines(&self) -> io::Result<Vec<Line>> {
        let text = fs::read_to_string(&self.0)?;
        let lines = text.lines().map(|line| {
            let mut words = line.split('\t');
            let mut word = || words.next().unwrap().to_owned();
            Line {
                stream: word().parse().unwrap(),
                seq: word().parse().unwrap(),
                thing: word(),
                missing: word().parse().unwrap(),
            }
        });
        Ok(lines.collect())
    }
}

/// The calls that fail are also those of this store.
fn failed(error: io::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Transient, "use the journal").with_source(error)
}

impl Append for Journal {
    type Appender = Writer;

    async fn connect(&self) -> Result<Writer, StoreError> {
        if self.0.as_os_str().is_empty() {
            return Err(StoreError::new(StoreErrorKind::Transient, "connect: it is away"));
        }
        Ok(Writer(self.0.clone()))
    }
}

impl Appender for Writer {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        let lines = Journal(self.0.clone()).lines().map_err(failed)?;
        let of = lines.iter().filter(|line| line.stream == writer_id.get());
        Ok(of.map(|line| line.seq).max().unwrap_or(0))
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let position = self.position(batch.writer_id()).await?;
        assert_eq!(batch.first_seq(), position + 1, "a hole or a double in the stream");
        let mut text = String::new();
        for record in batch.records() {
            let Record { writer_id, seq, action, entity_id, metadata, .. } = &**record;
            let missing = if action == "gap" {
                // One that cannot say how many explains none here.
                serde_json::from_str::<serde_json::Value>(metadata.as_str()).unwrap()["count"]
                    .as_u64()
                    .unwrap_or(0)
            } else {
                0
            };
            let (stream, thing) = (writer_id.get(), entity_id.as_str());
            text += &format!("{stream}\t{seq}\t{thing}\t{missing}\n");
        }
        let mut file = fs::OpenOptions::new().append(true).open(&self.0).map_err(failed)?;
        // In one write: a process that is killed has written it, or has not.
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(Appended { entries: Vec::new() })
    }
}

fn pipeline(journal: &Path, spool: &Path) -> PipelineBuilder<Journal> {
    let strict = Rule::new("strict").route("/strict/{id}").delivery(Delivery::Strict);
    Pipeline::builder(Journal(journal.into()))
        .rules(Rules::rest().rule(strict))
        .spool(spool)
        .spool_cap(8 << 20)
        .spool_keep(Duration::ZERO)
        .fsync_interval(Duration::from_millis(1))
        .strict_deadline(Duration::from_millis(500))
        .batch_age(Duration::from_millis(2))
}

/// The process that records. A line for each thing that it knows, at once.
#[test]
fn child() {
    let (Some(spool), Some(journal)) = (env::var_os(SPOOL), env::var_os(JOURNAL)) else { return };
    let name = env::var("FAULTS_SYSCALLS_NAME").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let started = pipeline(Path::new(&journal), Path::new(&spool)).start().await;
        let pipeline = match started {
            Ok(pipeline) => pipeline,
            Err(error) => return println!("\nsays refused-to-start {error:?}: {error}"),
        };
        let ran = async |axum::extract::Path(id): axum::extract::Path<String>| {
            println!("\nsays ran {id}");
        };
        let app = Router::new()
            .route("/strict/{id}", post(ran))
            .layer(ActivityLayer::new(pipeline.recorder()));
        // Ten of them fill a segment.
        let long = "x".repeat(60_000);
        for n in 0..EACH {
            let id = format!("{name}{n}");
            let record = Record::by(Actor::user("ana")).updated("order", &id).metadata(&long);
            let taken = pipeline.recorder().record(record).is_accepted();
            println!("\nsays {} {id}", if taken { "taken" } else { "refused" });
            let id = format!("{name}s{n}");
            let request = Request::post(format!("/strict/{id}")).body(Body::empty()).unwrap();
            let status = app.clone().oneshot(request).await.unwrap().status();
            println!("\nsays answered {id} {}", status.as_u16());
        }
        let report = pipeline.shutdown(Duration::from_secs(5)).await;
        let sum = report.stored + report.spooled + report.queued + report.dropped.total();
        assert_eq!(report.received, sum, "{report:?}");
        println!("\nsays dropped {}", report.dropped.total());
    });
    println!("\nsays end");
}

/// What a process has said.
#[derive(Debug, Default)]
struct Said {
    taken: Vec<String>,
    refused: Vec<String>,
    ran: Vec<String>,
    answered: BTreeMap<String, u16>,
    dropped: Option<u64>,
    started: bool,
    ended: bool,
    text: String,
}

impl Said {
    fn read(text: String) -> Self {
        let mut said = Self { started: true, ..Self::default() };
        for line in text.lines().filter_map(|line| line.strip_prefix("says ")) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["taken", id] => said.taken.push(id.to_owned()),
                ["refused", id] => said.refused.push(id.to_owned()),
                ["ran", id] => said.ran.push(id.to_owned()),
                ["answered", id, status] => {
                    said.answered.insert(id.to_owned(), status.parse().unwrap());
                }
                ["dropped", count] => said.dropped = Some(count.parse().unwrap()),
                ["refused-to-start", ..] => said.started = false,
                ["end"] => said.ended = true,
                _ => panic!("a line that nobody knows: {line}"),
            }
        }
        said.text = text;
        said
    }
}

fn strace() -> PathBuf {
    env::var_os("TEST_STRACE").map_or_else(|| "strace".into(), PathBuf::from)
}

/// Says aloud what is missing, rather than to try nothing.
fn strace_works() {
    let mut command = Command::new(strace());
    command.args(["-qq", "-o", "/dev/null", "true"]);
    let tried = command.output().unwrap_or_else(|error| {
        panic!("no strace ({error}): install the Debian package, or set TEST_STRACE to its path")
    });
    assert!(
        tried.status.success(),
        "strace may not trace here; allow ptrace (in a container: --cap-add=SYS_PTRACE; \
         else look into /proc/sys/kernel/yama/ptrace_scope): {}",
        String::from_utf8_lossy(&tried.stderr)
    );
}

fn command(
    program: Option<(&[String], &Path)>,
    folder: &Path,
    journal: &Path,
    name: &str,
) -> Command {
    let this = env::current_exe().unwrap();
    let mut command = match program {
        None => Command::new(this),
        Some((arguments, log)) => {
            let mut command = Command::new(strace());
            command.args(["-f", "-qq", "-y", "-o"]).arg(log).args(arguments).arg(this);
            command
        }
    };
    command
        .args(["--exact", "syscalls::child", "--nocapture", "--test-threads=1"])
        .env(SPOOL, folder)
        .env(JOURNAL, journal)
        .env("FAULTS_SYSCALLS_NAME", name)
        .env_remove("FAULTS_TABLE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for a process, not for ever; returns how it ended, and what it said.
fn wait(mut child: Child, context: &str) -> (ExitStatus, Said) {
    fn reader(mut pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let (out, err) = (reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap()));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            // strace takes what it traces with it.
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{context}: it does not end: {}", out.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    assert!(!err.contains("panicked at"), "{context}: {err}\n{out}");
    (status, Said::read(out))
}

fn private(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    private(to);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A spool with the records of a process whose store was away, and what that process said.
struct Left {
    folder: tempfile::TempDir,
    said: Said,
}

fn left() -> Left {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    private(&spool);
    let child = command(None, &spool, Path::new(""), "a").spawn().unwrap();
    let (status, said) = wait(child, "the process before");
    assert!(status.success() && said.ended && said.taken.len() == EACH, "{said:?}");
    assert!(said.answered.values().all(|status| *status == 200), "{said:?}");
    Left { folder, said }
}

/// What came of one run.
#[derive(Debug, Default, Clone, Copy)]
struct Outcome {
    /// The call was made so often.
    hit: bool,
    sent: u64,
    stored: u64,
    gaps: u64,
}

/// One process under strace, then one that empties the spool; checks what the head of this file says.
fn run(left: &Left, arguments: &[String], is_killed: bool) -> Outcome {
    let context = arguments.join(" ");
    let folder = tempfile::tempdir().unwrap();
    let (spool, journal) = (folder.path().join("spool"), folder.path().join("journal"));
    copy(&left.folder.path().join("spool"), &spool);
    fs::write(&journal, "").unwrap();
    let log = folder.path().join("strace");
    let child = command(Some((arguments, &log)), &spool, &journal, "b").spawn().unwrap();
    let (status, said) = wait(child, &context);
    let log = fs::read_to_string(&log).unwrap();
    // strace dies of what its child died of.
    let hit = if is_killed { status.signal() == Some(9) } else { log.contains("(INJECTED)") };
    if !is_killed {
        assert!(status.success() && (said.ended || !said.started), "{context}: {}", said.text);
    }
    if !said.started {
        let folder = spool.display().to_string();
        assert!(
            said.text.contains(&folder),
            "{context}: it does not name the folder: {}",
            said.text
        );
    }
    if let Some(dropped) = said.dropped {
        assert!(dropped >= said.refused.len() as u64, "{context}: {}", said.text);
    }
    for (id, status) in &said.answered {
        let ran = said.ran.contains(id);
        assert!(matches!(status, 200 | 500 | 503), "{context}: {id} {status}");
        assert_eq!(ran, *status != 503, "{context}: {id} {status}");
    }
    let outcome = empty(left, &said, &spool, &journal, &context);
    Outcome { hit, ..outcome }
}

/// Lets a next process empty the spool, in this one, and compares.
fn empty(left: &Left, said: &Said, spool: &Path, journal: &Path, context: &str) -> Outcome {
    // What must be there: records that were taken, and strict requests whose handler ran.
    let owed: Vec<&String> =
        [&left.said, said].iter().flat_map(|said| said.taken.iter().chain(&said.ran)).collect();
    let journal_of = Journal(journal.into());
    let look = || {
        let lines = journal_of.lines().unwrap();
        let gaps: u64 = lines.iter().map(|line| line.missing).sum();
        let missing =
            owed.iter().filter(|id| !lines.iter().any(|line| line.thing == ***id)).count();
        (missing as u64, gaps, lines)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let next = pipeline(journal, spool)
            .start()
            .await
            .unwrap_or_else(|error| panic!("{context}: the next process does not start: {error}"));
        let begun = Instant::now();
        loop {
            let (missing, gaps, lines) = look();
            if missing <= gaps {
                break;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{context}: {missing} are missing, gaps tell of {gaps}\nsaid {}\nfound {lines:?}",
                said.text
            );
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        next.flush().await;
        next.shutdown(Duration::from_secs(10)).await;
    });
    let (missing, gaps, lines) = look();
    assert!(missing <= gaps, "{context}");
    let mut stored = 0;
    for id in &owed {
        let count = lines.iter().filter(|line| line.thing == ***id).count();
        assert!(count <= 1, "{context}: {id} is stored {count} times: {lines:?}");
        stored += count as u64;
    }
    for id in &said.refused {
        // What was refused is not there after all: the caller was told so.
        assert!(lines.iter().all(|line| line.thing != **id), "{context}: {id} was refused");
    }
    let mut places: Vec<_> = lines.iter().map(|line| (line.stream, line.seq)).collect();
    let count = places.len();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), count, "{context}: a number twice");
    Outcome { hit: false, sent: owed.len() as u64, stored, gaps }
}

/// The calls that a spool makes, by kind; a question mark before what other machines do not have.
const CALLS: [&str; 9] = [
    "pwrite64",
    "fdatasync",
    "fsync",
    "openat",
    "?rename,?renameat,?renameat2",
    "ftruncate",
    "fallocate",
    "?unlink,?unlinkat",
    "?mkdir,?mkdirat",
];

/// How often each kind is called in a run that nothing disturbs, by the thread that calls it most; and from which
/// call on the folder is concerned, which the loader's and the runtime's opens come before.
fn counts(left: &Left) -> Vec<(&'static str, usize, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let (spool, journal) = (folder.path().join("spool"), folder.path().join("journal"));
    copy(&left.folder.path().join("spool"), &spool);
    fs::write(&journal, "").unwrap();
    let log = folder.path().join("strace");
    let trace = vec!["-e".to_owned(), format!("trace={}", CALLS.join(","))];
    let child = command(Some((&trace, &log)), &spool, &journal, "b").spawn().unwrap();
    let (status, said) = wait(child, "undisturbed");
    assert!(status.success() && said.ended, "{}", said.text);
    let log = fs::read_to_string(&log).unwrap();
    let marker = spool.display().to_string();
    let kinds = CALLS.iter().map(|kind| {
        let names: Vec<String> =
            kind.split(',').map(|name| format!("{}(", name.trim_start_matches('?'))).collect();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut first, mut last) = (usize::MAX, 0);
        for line in log.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            if !names.iter().any(|name| call.trim_start().starts_with(name.as_str())) {
                continue;
            }
            let count = seen.entry(thread).or_default();
            *count += 1;
            if line.contains(&marker) {
                first = first.min(*count);
                last = last.max(*count);
            }
        }
        (*kind, first, last)
    });
    kinds.filter(|(_, first, last)| first <= last).collect()
}

/// Tries each kind of call at some of its places, or at all.
fn each(fault: &'static str, what: &[&str], small: usize, is_killed: bool) {
    strace_works();
    let left = left();
    let mut row = Row { fault, ..Row::default() };
    let kinds = counts(&left);
    assert!(kinds.len() >= 5, "calls that a spool makes were not seen: {kinds:?}");
    let mut turn = 0;
    for (calls, first, last) in kinds {
        let places = last - first + 1;
        // Some further: no two runs make the same number of calls.
        let tries = times(small.min(places), places + 4);
        for n in 0..tries {
            let at = first + n * places.max(tries) / tries;
            // In turns, where not all are tried.
            turn += 1;
            let wanted = times(1, what.len());
            for what in what.iter().cycle().skip(turn % what.len()).take(wanted) {
                let arguments = ["-e".to_owned(), format!("trace={calls}"), "-e".to_owned()];
                let inject = format!("inject={calls}:{what}:when={at}");
                let arguments = [&arguments[..], &[inject]].concat();
                let Outcome { hit, sent, stored, gaps } = run(&left, &arguments, is_killed);
                row.runs += u64::from(hit);
                row.sent += sent;
                row.stored += stored;
                row.gaps += gaps;
            }
        }
    }
    assert!(row.runs > 0, "no call was disturbed");
    row.report();
}

#[test]
fn each_system_call_that_fails_is_survived_without_a_silent_loss() {
    each("16 a system call fails", &["error=ENOSPC", "error=EIO"], 2, false);
}

#[test]
fn a_crash_at_each_system_call_loses_nothing() {
    each("2 crash at each system call", &["signal=KILL"], 2, true);
}

/// The disk never gets well again while the process lives.
#[test]
fn a_disk_that_fails_for_good_is_told_of() {
    strace_works();
    let left = left();
    let mut row = Row { fault: "16 a disk fails for good", ..Row::default() };
    let whole = ["pwrite64", "fdatasync", "pwrite64,fdatasync,ftruncate"];
    for calls in &whole[..times(2, 3)] {
        for from in (3..times(4, 40)).step_by(times(1, 3)) {
            for error in ["ENOSPC", "EIO"].into_iter().take(times(1, 2)) {
                let arguments = [
                    "-e".to_owned(),
                    format!("trace={calls}"),
                    "-e".to_owned(),
                    format!("inject={calls}:error={error}:when={from}+"),
                ];
                let Outcome { hit, sent, stored, gaps } = run(&left, &arguments, false);
                row.runs += u64::from(hit);
                row.sent += sent;
                row.stored += stored;
                row.gaps += gaps;
            }
        }
    }
    row.report();
}
