//! Disks that are full, stuck, or not what they should be.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    client::{Ask, Load, Notes},
    oracle::{Found, assert_adds_up, compare, in_file},
    process::{Place, Server, reached, until},
    table::times,
};

const MIB: u64 = 1 << 20;

/// How a disk is filled.
enum Disk {
    /// The server has a small disk of its own, in a namespace of its own: it goes with the server.
    Own(Vec<&'static str>),
    /// Where no disk may be mounted: a limit on its files, which may be set and lifted from outside.
    Limit,
}

impl Disk {
    fn find() -> Self {
        let mounts = |words: &[&str]| {
            Command::new("unshare")
                .args(&words[1..])
                .args(["sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        let ways = [
            vec!["unshare", "--mount", "--propagation", "private"],
            vec!["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"],
        ];
        match ways.into_iter().find(|words| mounts(words)) {
            Some(words) => Self::Own(words),
            None => {
                eprintln!(
                    "15: nothing may be mounted here; a limit on the size of files stands in for a full disk"
                );
                Self::Limit
            }
        }
    }

    fn place(&self) -> Place {
        let place = Place::durable();
        let disk = place.path().join("disk");
        fs::create_dir(&disk).unwrap();
        let disk = disk.to_str().unwrap();
        match self {
            Self::Own(words) => {
                let mount =
                    format!("mount -t tmpfs -o size=96m tmpfs {disk} && exec \"$0\" \"$@\"");
                let spool = format!("{disk}/spool");
                let words = words.iter().copied().chain(["sh", "-c", &mount]);
                place.under(words.map(str::to_owned).collect()).with("FAULTS_SPOOL", spool)
            }
            // The signal that comes with it would end the process.
            Self::Limit => place.under(
                ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""].map(str::to_owned).to_vec(),
            ),
        }
    }

    /// Where the server's disk is, seen from here.
    fn ballast(place: &Place, server: &Server) -> PathBuf {
        let disk = place.path().join("disk");
        PathBuf::from(format!("/proc/{}/root{}/ballast", server.pid, disk.display()))
    }

    /// Fills it to the last byte.
    fn fill(&self, place: &Place, server: &Server) {
        match self {
            Self::Own(_) => {
                let mut file = fs::File::create(Self::ballast(place, server)).unwrap();
                let zeros = vec![0; 1 << 16];
                while file.write_all(&zeros).is_ok() {}
            }
            Self::Limit => limit(server, "0"),
        }
    }

    fn free(&self, place: &Place, server: &Server) {
        match self {
            Self::Own(_) => fs::remove_file(Self::ballast(place, server)).unwrap(),
            Self::Limit => limit(server, "unlimited"),
        }
    }
}

fn limit(server: &Server, bytes: &str) {
    let pid = server.pid.to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    let done = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
    assert!(done.success());
}

/// Has clients work before, while, and after the disk is full.
async fn full(fault: &'static str, mode: &str) -> (Found, Notes, serde_json::Value) {
    let disk = Disk::find();
    // Only a disk that is full refuses here, not one that is slow.
    let place = disk.place().with("FAULTS_MODE", mode).with("FAULTS_STRICT_DEADLINE", 600_000);
    let server = place.start().await;
    // A streamed answer whose outcome has no room is cut before its last frame, which ends its client; none of the
    // others is.
    let mixed = Load::start(&server, "d", 4, Ask::Mixed);
    let load = Load::start(&server, "o", 3, Ask::Orders);
    let rounds = times(2, 20);
    for _ in 0..rounds {
        load.answered(load.count() + 100).await;
        disk.fill(&place, &server);
        let is_refused = async || {
            let tally = server.tally().await;
            let ran = tally["ran"].as_u64().unwrap();
            tally["dropped"].as_u64() > Some(0) || (load.count() + mixed.count()) as u64 > ran + 50
        };
        until("refused anything", is_refused).await;
        load.answered(load.count() + 100).await;
        disk.free(&place, &server);
        // By itself: as soon as it takes records again, they are stored.
        let stored = async || server.tally().await["stored"].as_u64().unwrap();
        let before = stored().await;
        until("recovered", async || stored().await >= before + 50).await;
    }
    let mut notes = load.stop().await;
    notes.add(mixed.stop().await);
    let last = Load::of(&server, "last", 2, Ask::Mixed, 100).ended().await;
    let recovered = last.answered(200);
    assert_eq!(recovered, last.sent.len(), "it works as before");
    let only_last = compare(&last, &[]).lost;
    notes.add(last);
    let report = server.stop().await;
    assert_adds_up(&report);
    let rows = in_file(&place.file());
    let found = compare(&notes, &rows);
    found.row(fault, rounds, &notes).report();
    found.assert_sound();
    assert!(only_last.iter().all(|id| rows.iter().any(|row| &row.request_id == id)));
    (found, notes, report)
}

/// Fault 15, durable: the gap says how many are missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_spool_on_a_full_disk_sheds_counts_and_recovers_by_itself() {
    let (found, notes, report) = full("15 disk full, durable", "durable").await;
    assert_eq!(notes.answered(200), notes.sent.len(), "no request fails for it");
    assert!(found.gaps > 0);
    assert_eq!(found.stored + found.gaps, notes.sent.len() as u64);
    assert_eq!(report["dropped"].as_u64(), Some(found.gaps));
    assert_eq!(found.lost.len() as u64, found.gaps, "each of those that are lost is told of");
}

/// Fault 15, strict: nothing is attempted that could not be recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_spool_on_a_full_disk_refuses_and_recovers_by_itself() {
    let (found, notes, report) = full("15 disk full, strict", "strict").await;
    assert!(found.lost.is_empty(), "answered with success and lost: {:?}", found.lost);
    let (refused, after) = (notes.answered(503), notes.answered(500));
    assert!(refused > 0);
    let cut = notes.sent.len() - notes.seen.len();
    assert!(cut <= 4, "the client ends there: {cut}");
    assert_eq!(notes.answered(200) + refused + after, notes.seen.len());
    // Their intents are left; here they are gone with the disk.
    let left = found.unvouched.len() + found.unanswered.len();
    assert_eq!(report["spooled"].as_u64(), Some(left as u64));
    let ran = report["ran"].as_u64().unwrap();
    assert_eq!(
        ran,
        (notes.answered(200) + after + cut) as u64,
        "what was refused was not attempted"
    );
}

/// Fault 6, for the disk: it stops answering under load.
///
/// What traces the server holds one sync back, and whoever waits behind it, until it ends itself: so the disk is stuck
/// for as long as anybody is still to be refused, however fast or slow all of this is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_service_on_a_disk_that_is_stuck_refuses_in_time_and_recovers_by_itself() {
    const FOR_EVER: &str = "delay_enter=3600000000:when=20";
    let place = Place::durable()
        .with("FAULTS_MODE", "strict")
        .with("FAULTS_STRICT_DEADLINE", 500)
        .under(crate::points::traced("fdatasync", FOR_EVER));
    let mut server = place.start().await;
    let reports = Load::start(&server, "r", 4, Ask::Mixed);
    // None of these is cut off, so they last; the others are here to be refused too.
    let orders = Load::start(&server, "o", 3, Ask::Orders);
    loop {
        let fine = orders.count_with(200);
        orders.answered_with(503, 6).await;
        // On a slow machine one or the other is refused before; from here on it is everybody.
        if orders.count_with(200) == fine {
            break;
        }
    }
    server.untraced().await;
    orders.answered_with(200, 30).await;
    let mut notes = orders.stop().await;
    notes.add(reports.stop().await);
    let report = server.stop().await;
    assert_adds_up(&report);
    let found = compare(&notes, &in_file(&place.file()));
    found.row("6 disk stuck, strict", 1, &notes).report();
    found.assert_whole();
    let (fine, after) = (notes.answered(200), notes.answered(500));
    // A streamed answer whose outcome the disk does not take in time is cut before its last frame.
    let cut = notes.sent.len() - notes.seen.len();
    assert!(cut <= 4, "the client ends there: {cut}");
    assert_eq!(fine + after + notes.answered(503), notes.seen.len());
    let ran = (fine + after + cut) as u64;
    assert_eq!(report["ran"].as_u64(), Some(ran), "refused is not attempted");
}

/// Fault 18: the start says which folder is wrong.
#[tokio::test]
async fn a_spool_that_cannot_be_used_is_a_start_error_that_names_the_folder() {
    let place = Place::durable();
    let at = |name: &str| place.path().join(name);
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("shared")).unwrap();
    fs::set_permissions(at("shared"), fs::Permissions::from_mode(0o777)).unwrap();
    for (folder, what) in [
        (at("missing").join("spool"), "missing"),
        (at("file"), "a file"),
        (at("shared"), "open to others"),
        // Not even root makes a folder here.
        (PathBuf::from("/proc/self/spool"), "unwritable"),
    ] {
        let named = folder.to_str().unwrap().to_owned();
        let place = Place::durable().with("FAULTS_SPOOL", &named);
        let said = place.try_start().await.err().unwrap_or_else(|| panic!("{what}: it started"));
        assert!(said.contains("refused: ") && said.contains(&named), "{what}: {said}");
    }
}

/// Fault 22: two processes on one spool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_spool_is_refused_and_the_first_goes_on() {
    let place = Place::durable();
    let server = place.start().await;
    let load = Load::start(&server, "a", 2, Ask::Mixed);
    load.answered(10).await;
    let said = place.try_start().await.err().expect("a second one is refused");
    let spool = place.path().join("spool");
    assert!(said.contains("refused: ") && said.contains(spool.to_str().unwrap()), "{said}");
    load.answered(load.count() + 20).await;
    let notes = load.stop().await;
    assert_adds_up(&server.stop().await);
    let found = compare(&notes, &in_file(&place.file()));
    found.row("22 two processes", 1, &notes).report();
    found.assert_whole();
    assert!(found.gaps == 0);
}

/// Fault 23: a large old spool at the start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_spool_of_any_size_costs_little_memory_and_no_time_at_the_start() {
    const BYTES: usize = 30_000;
    let mib = times(64, 1_024);
    let bricks = (mib << 20) / BYTES;
    let place = Place::durable().with("FAULTS_CAP", 4_096 * MIB);
    let first = place.start().await;
    // What a server needs at work, without an old spool.
    let mut notes = Load::of(&first, "a", 4, Ask::Mixed, 200).ended().await;
    let usual = first.memory("VmHWM");
    first.take(0).await;
    let path = format!("/control/fill/{bricks}/{BYTES}");
    let (_, taken) = first.send(http::Method::POST, &path, "").await;
    assert_eq!(String::from_utf8_lossy(&taken), bricks.to_string());
    first.kill().await;

    // Nothing of it is stored before the first answer: it is not waited for.
    let place = place.with("FAULTS_TAKE", 0);
    let server = place.start().await;
    notes.add(Load::of(&server, "b", 1, Ask::Orders, 1).ended().await);
    let read = server.read();
    assert_eq!(notes.answered(200), notes.sent.len());
    server.take(1).await;
    let drained = async || {
        let file = rusqlite::Connection::open(place.file()).unwrap();
        file.busy_timeout(Duration::from_secs(60)).unwrap();
        let sql = "SELECT count(*) FROM activity_records WHERE entity_type = 'brick'";
        file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as usize
    };
    assert_eq!(reached(bricks, &drained).await, Ok(()), "of {bricks}");
    let most = server.memory("VmHWM").saturating_sub(usual);
    assert_adds_up(&server.stop().await);
    let found = compare(&notes, &in_file(&place.file()));
    let mut row = found.row("23 old spool at start", 1, &notes);
    row.sent += bricks as u64;
    row.stored += drained().await as u64;
    row.report();
    eprintln!(
        "23: {mib} MiB of old spool: {} MiB read by the first answer, {} MiB more at most",
        read >> 20,
        most >> 20
    );
    found.assert_whole();
    assert_eq!(drained().await, bricks);
    assert!(most <= times(60, 64) as u64 * MIB, "{} MiB more", most >> 20);
    // Nor is it read before: what the first batches hold, at most.
    assert!(read <= mib as u64 * MIB / 2, "{} MiB read of {mib}", read >> 20);
}
