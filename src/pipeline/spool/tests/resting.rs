use std::collections::BTreeMap;

use memory::{Call, Failing};

use super::*;
use crate::pipeline::spool::{Judged, Kept, Resting, SpoolError, format::FRAMES_AT};

/// What somebody is called, and what stands there when he is gone.
const NAME: &str = "ana";
const GONE: &str = "nobody";

/// Takes the name out, wherever it is.
fn emptied(kept: Kept<'_>) -> Judged {
    let text = String::from_utf8(kept.record.to_vec()).unwrap();
    match text.contains(NAME) {
        true => Judged::Becomes(text.replace(NAME, GONE).into_bytes()),
        false => Judged::Stays,
    }
}

fn rest(fs: &Memory) -> Result<Resting, SpoolError> {
    Resting::open(Arc::new(fs.clone()), root())
}

/// Takes her out of all files; returns how many were written anew, and how many places cannot be read.
fn erase(fs: &Memory) -> Result<(u64, u64), SpoolError> {
    let spool = rest(fs)?;
    spool.tidy()?;
    let (mut changed, mut unreadable) = (0, 0);
    for file in spool.files() {
        let looked = spool.look(file, &mut emptied)?;
        changed += u64::from(looked.changes());
        unreadable += looked.unreadable;
        spool.change(file, &looked)?;
    }
    Ok((changed, unreadable))
}

/// Three segments, as a process left them that was killed: every fourth record is about her, and so are some that
/// began and did not end.
fn left() -> (Memory, Vec<String>) {
    let fs = Memory::new();
    let spool = open(&fs);
    let at = Timestamp::from_micros(5);
    let mut records = Vec::new();
    for n in 0..40 {
        let who = if n % 4 == 0 { NAME } else { "bob" };
        let text = format!("{n}:{who}:{}", "x".repeat(4_000));
        let begun = format!("{n}:{who} began");
        let open = match n % 5 {
            0 => {
                records.push(format!("ended:{begun}"));
                spool.begin(Share::General, at, begun.as_bytes()).unwrap();
                None
            }
            1 => Some(spool.begin(Share::General, at, begun.as_bytes()).unwrap().open),
            _ => None,
        };
        spool.append(Share::General, open, at, text.as_bytes()).unwrap();
        records.push(text);
    }
    sync(&spool);
    spool.core.fs.sync_folder(root()).unwrap();
    assert_eq!(fs.paths(".seg").len(), 3);
    records.sort_unstable();
    // As a lock that was let go stands there.
    let fs = fs.after_power_cut();
    fs.put(&root().join("lock"), Vec::new());
    (fs, records)
}

fn without_her(records: &[String]) -> Vec<String> {
    let mut records: Vec<_> = records.iter().map(|text| text.replace(NAME, GONE)).collect();
    records.sort_unstable();
    records
}

fn stored(fs: &Memory) -> Store {
    let mut store = Store::default();
    recover(&fs.after_kill(), &mut store);
    store
}

/// Returns the frames of a segment by kind and number.
fn frames(fs: &Memory, path: &std::path::Path) -> BTreeMap<(u8, u64), Vec<u8>> {
    let bytes = fs.bytes(path);
    let mut at = FRAMES_AT as usize;
    let mut frames = BTreeMap::new();
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize + 20;
        let number = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().unwrap());
        frames.insert((bytes[at + 4], number), bytes[at..at + len].to_vec());
        at += len;
    }
    frames
}

#[test]
fn frames_of_others_stay_byte_for_byte_and_those_that_change_keep_their_numbers() {
    let (fs, records) = left();
    let before = stored(&fs);
    assert_eq!(before.records(), records);
    let old: Vec<_> = fs.paths(".seg").iter().map(|path| frames(&fs, path)).collect();
    assert!(fs.holds(NAME.as_bytes()));
    assert_eq!(erase(&fs).unwrap(), (3, 0));
    assert!(!fs.holds(NAME.as_bytes()));
    for (path, old) in fs.paths(".seg").iter().zip(old) {
        let new = frames(&fs, path);
        assert!(new.keys().eq(old.keys()));
        for (key, frame) in old {
            let is_hers = frame.windows(NAME.len()).any(|w| w == NAME.as_bytes());
            assert_eq!(new[&key] == frame, !is_hers, "{key:?}");
        }
    }
    let after = stored(&fs);
    assert_eq!(after.records(), without_her(&records));
    let without = |of: &Store| -> Vec<_> {
        of.streams.values().flatten().map(|text| text.replace(NAME, GONE)).collect()
    };
    assert_eq!(without(&after), without(&before), "in the same order, under the same numbers");
    // Again, and there is nothing to do.
    let (_, written) = (erase(&fs).unwrap(), fs.bytes_written());
    assert_eq!((erase(&fs).unwrap(), fs.bytes_written()), ((0, 0), written));
}

/// As a kill does: from some call on, nothing is done any more. Then the power may go, too.
#[test]
fn who_is_killed_amid_leaves_every_file_as_it_was_or_as_it_should_be() {
    let (fs, records) = left();
    let all = without_her(&records);
    let mut row = Row { fault: "erasure in a spool, killed at each call", ..Row::default() };
    for after in 0.. {
        let tried = fs.after_kill();
        let dead = Failing {
            call: Call::Any,
            after,
            times: u64::MAX,
            error: std::io::ErrorKind::PermissionDenied,
        };
        tried.fail([dead]);
        let is_done = erase(&tried).is_ok();
        tried.fail([]);
        for left in [tried.after_kill(), tried.after_power_cut()] {
            left.put(&root().join("lock"), Vec::new());
            let found = stored(&left);
            assert_eq!(without_her(&found.records()), all, "{after}");
            assert_eq!(found.missing(), 0, "{after}");
            let was = found.records().iter().filter(|text| text.contains(NAME)).count();
            assert!(!is_done || was == 0, "{after}");
            // The next one comes to the end, and nothing of her is left beside it.
            let (_, unreadable) = erase(&left).unwrap();
            assert_eq!(unreadable, 0);
            assert!(!left.holds(NAME.as_bytes()) && left.paths(".new").is_empty(), "{after}");
            assert_eq!(stored(&left).records(), all, "{after}");
            row.runs += 1;
            row.sent += records.len() as u64;
            row.stored += found.records().len() as u64;
        }
        if is_done {
            assert!(after > 50, "{after} calls");
            break;
        }
    }
    row.report();
}

#[test]
fn a_disk_that_lies_or_is_full_changes_nothing() {
    let (fs, records) = left();
    for call in [Call::Create, Call::Write, Call::Sync, Call::Own, Call::Rename] {
        let tried = fs.after_kill();
        // The lock is made as a file is.
        let after = u64::from(call == Call::Create);
        tried.fail([Failing { call, after, times: 1, error: std::io::ErrorKind::StorageFull }]);
        let said = erase(&tried).unwrap_err().to_string();
        assert!(said.contains("cannot write anew") && said.contains(".seg"), "{call:?}: {said}");
        tried.fail([]);
        assert_eq!(stored(&tried).records(), records, "{call:?}");
        assert!(tried.paths(".new").is_empty());
    }
}

#[test]
fn what_cannot_be_read_stays_and_is_counted() {
    let (fs, _) = left();
    let paths = fs.paths(".seg");
    // The header of one segment, and a frame of another one that is about her.
    fs.edit(&paths[0], |bytes| bytes[..1_024].fill(0xA5));
    let place = |bytes: &[u8]| {
        let found = bytes.windows(8).position(|window| window == format!(":{NAME}:xxx").as_bytes());
        found.unwrap()
    };
    let mut damaged = Vec::new();
    fs.edit(&paths[1], |bytes| {
        let at = place(bytes);
        bytes[at + 50] ^= 1;
        damaged = bytes[at..at + 60].to_vec();
    });
    let before = stored(&fs);
    assert_eq!(before.missing(), 1);
    let (_, unreadable) = erase(&fs).unwrap();
    assert_eq!(unreadable, 1, "the frame; what has no header is read by that of the others");
    assert!(fs.holds(&damaged), "damage stays for whoever looks into it");
    let after = stored(&fs);
    assert_eq!((after.records().len(), after.missing()), (before.records().len(), 1));
    assert!(!after.records().iter().any(|text| text.contains(NAME)));
    assert_eq!(after.records(), without_her(&before.records()));

    // The copies that were made of it are gone through as well.
    let fs = fs.after_kill();
    recover(&fs, &mut Store::default());
    fs.put(&root().join("lock"), Vec::new());
    let copies = fs.paths(".seg").into_iter().filter(|path| path.starts_with("/spool/quarantine"));
    assert_eq!(copies.count(), 2);
    let (fs, _) = left();
    fs.edit(&fs.paths(".seg")[1], |bytes| {
        let at = place(bytes);
        bytes[at + 50] ^= 1;
    });
    recover(&fs, &mut Store::default());
    let fs = fs.after_kill();
    fs.put(&root().join("lock"), Vec::new());
    let (changed, unreadable) = erase(&fs).unwrap();
    assert_eq!(unreadable, 2, "in the segment and in its copy");
    assert!(changed > 3, "{changed}: the copy as well");
    let left = fs.paths(".seg").iter().map(|path| fs.bytes(path)).collect::<Vec<_>>().concat();
    let text = String::from_utf8_lossy(&left);
    assert_eq!(text.matches(NAME).count(), 2, "each time the damaged frame alone");
}

#[test]
fn a_spool_in_use_is_refused_and_so_is_what_is_none() {
    let fs = Memory::new();
    let said = |fs: &Memory| rest(fs).unwrap_err().to_string();
    assert!(said(&fs).contains("no process has used this folder"), "{}", said(&fs));
    fs.put(&root().join("lock"), Vec::new());
    let spool = open(&fs);
    assert!(said(&fs).contains("a process uses it; stop that one first"), "{}", said(&fs));
    drop(spool);
    let held = rest(&fs).unwrap();
    let id = WriterId::new(77);
    let refused = Spool::open_still(Arc::new(fs.clone()), root(), settings(), clock(), id);
    assert!(refused.unwrap_err().to_string().contains("another process has it open"));
    drop(held);
    open(&fs);
}

#[test]
fn a_segment_of_a_later_version_is_left_alone_and_counted() {
    let (fs, _) = left();
    let path = fs.paths(".seg").remove(0);
    fs.edit(&path, |bytes| {
        for copy in [0, 512] {
            bytes[copy + 8] = 9;
            let crc = crc32c::crc32c(&bytes[copy..copy + 108]);
            bytes[copy + 108..copy + 112].copy_from_slice(&crc.to_le_bytes());
        }
    });
    let before = fs.bytes(&path);
    assert_eq!(erase(&fs).unwrap(), (2, 1));
    assert_eq!(fs.bytes(&path), before);
}
