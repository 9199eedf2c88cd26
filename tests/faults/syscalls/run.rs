//! One process under strace, and one that empties the spool behind it.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

use super::{
    child::{DEADLINE, EACH, JOURNAL, NAME, SPOOL, Said, pipeline},
    journal::Journal,
};
use crate::process::{PATIENCE, within};

/// How long a strict request waits for the disk, in milliseconds: where nothing is wrong with it, it is not given up.
const UNDISTURBED: u64 = 600_000;
/// Where something is, it may be; whoever is told so early is told the truth as well.
const SHORT: u64 = 500;

fn strace() -> PathBuf {
    env::var_os("TEST_STRACE").map_or_else(|| "strace".into(), PathBuf::from)
}

/// Says aloud what is missing, rather than to try nothing.
pub(super) fn strace_works() {
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
    (name, deadline): (&str, u64),
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
        .args(["--exact", "syscalls::child::child", "--nocapture", "--test-threads=1"])
        .env(SPOOL, folder)
        .env(JOURNAL, journal)
        .env(NAME, name)
        .env(DEADLINE, deadline.to_string())
        .env_remove("FAULTS_TABLE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for a process, not for ever; returns how it ended, and what it said.
fn wait(mut child: Child, context: &str) -> (ExitStatus, Said) {
    fn reader(mut pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
        let (told, text) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            told.send(String::from_utf8_lossy(&bytes).into_owned())
        });
        text
    }
    let (out, err) = (reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap()));
    // Both end with the process.
    let Ok(out) = out.recv_timeout(PATIENCE) else {
        // strace takes what it traces with it.
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("{context}: it does not end");
    };
    let err = err.recv_timeout(PATIENCE).unwrap();
    let status = child.wait().unwrap();
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
pub(super) struct Left {
    folder: tempfile::TempDir,
    said: Said,
}

pub(super) fn left() -> Left {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    private(&spool);
    let child = command(None, &spool, Path::new(""), ("a", UNDISTURBED)).spawn().unwrap();
    let (status, said) = wait(child, "the process before");
    assert!(status.success() && said.ended && said.taken.len() == EACH, "{said:?}");
    assert!(said.answered.values().all(|status| *status == 200), "{said:?}");
    Left { folder, said }
}

/// What came of one run.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcome {
    /// The call was made so often.
    pub(super) hit: bool,
    pub(super) sent: u64,
    pub(super) stored: u64,
    pub(super) gaps: u64,
}

/// One process under strace, then one that empties the spool; checks what the head of this file says.
pub(super) fn run(left: &Left, arguments: &[String], is_killed: bool) -> Outcome {
    let context = arguments.join(" ");
    let folder = tempfile::tempdir().unwrap();
    let (spool, journal) = (folder.path().join("spool"), folder.path().join("journal"));
    copy(&left.folder.path().join("spool"), &spool);
    fs::write(&journal, "").unwrap();
    let log = folder.path().join("strace");
    let child = command(Some((arguments, &log)), &spool, &journal, ("b", SHORT)).spawn().unwrap();
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
    let store = Journal::new(journal);
    let look = || {
        let lines = store.lines().unwrap();
        let gaps: u64 = lines.iter().map(|line| line.missing).sum();
        let missing =
            owed.iter().filter(|id| !lines.iter().any(|line| line.thing == ***id)).count();
        (missing as u64, gaps, lines)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut wrote = store.wrote();
        let next = pipeline(store.clone(), spool)
            .start()
            .await
            .unwrap_or_else(|error| panic!("{context}: the next process does not start: {error}"));
        loop {
            wrote.mark_unchanged();
            let (missing, gaps, lines) = look();
            if missing <= gaps {
                break;
            }
            let more = tokio::time::timeout(PATIENCE, wrote.changed()).await;
            assert!(
                more.is_ok(),
                "{context}: {missing} are missing, gaps tell of {gaps}\nsaid {}\nfound {lines:?}",
                said.text
            );
        }
        within("a flush", next.flush()).await;
        next.shutdown(Duration::from_secs(60)).await;
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
pub(super) fn counts(left: &Left) -> Vec<(&'static str, usize, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let (spool, journal) = (folder.path().join("spool"), folder.path().join("journal"));
    copy(&left.folder.path().join("spool"), &spool);
    fs::write(&journal, "").unwrap();
    let log = folder.path().join("strace");
    let trace = vec!["-e".to_owned(), format!("trace={}", CALLS.join(","))];
    let child =
        command(Some((&trace, &log)), &spool, &journal, ("b", UNDISTURBED)).spawn().unwrap();
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
