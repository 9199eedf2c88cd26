use proptest::prelude::*;

use super::*;
use crate::pipeline::spool::{
    format::{self, FRAMES_AT, Kind, Secret},
    fuzzed,
};

/// A spool of three segments, with opens among the records, as a process left it that was killed.
fn three_segments() -> (Memory, Vec<String>) {
    let fs = Memory::new();
    let spool = open(&fs);
    let mut records = Vec::new();
    let at = Timestamp::from_micros(5);
    for n in 1..=30 {
        let text = format!("r{n}:{}", "x".repeat(5_000));
        let open = (n % 3 == 0).then(|| spool.begin(Share::General, at, b"begun").unwrap().open);
        spool.append(Share::General, open, at, text.as_bytes()).unwrap();
        records.push(text);
    }
    assert_eq!(fs.paths(".seg").len(), 3);
    records.sort_unstable();
    (fs.after_kill(), records)
}

/// Recovers, twice, and checks that nothing is lost in silence, invented, or doubled.
fn check(fs: &Memory, records: &[String]) -> Store {
    let mut store = Store::default();
    recover(fs, &mut store);
    let mut found = store.records();
    // Where an end cannot be read, its open has none: that is told of besides the gap.
    found.retain(|record| record != "ended:begun");
    let mut known = found.clone();
    known.dedup();
    assert_eq!(known.len(), found.len(), "doubled");
    assert!(found.iter().all(|record| records.contains(record)), "invented");
    let told = found.len() as u64 + store.missing();
    if store.is_uncounted() {
        assert!(told <= records.len() as u64);
    } else {
        assert_eq!(told, records.len() as u64, "lost in silence");
    }
    // A second run, into another store, does the same; into this one, nothing.
    let mut again = Store::default();
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.streams, store.streams);
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.streams, store.streams);
    store
}

#[test]
fn a_tail_that_is_cut_anywhere_loses_the_torn_frame_alone() {
    let fs = Memory::new();
    let spool = open(&fs);
    for n in 1..=5 {
        append(&spool, &format!("r{n}"));
    }
    let path = fs.paths(".seg").remove(0);
    let bytes = fs.bytes(&path);
    let frame = format::frame_size(2);
    assert_eq!(bytes.len(), FRAMES_AT as usize + 5 * frame);
    let mut row = Row { fault: "19 tail cut at every byte", ..Row::default() };
    for cut in 0..3 * frame {
        let fs = fs.after_kill();
        let keep = bytes.len() - cut;
        fs.edit(&path, |bytes| bytes.truncate(keep));
        let mut store = Store::default();
        recover(&fs, &mut store);
        let whole = 5 - cut.div_ceil(frame);
        assert_eq!(store.records(), texts(1..=whole), "cut by {cut}");
        let is_torn = !cut.is_multiple_of(frame);
        assert_eq!(store.missing(), u64::from(is_torn), "cut by {cut}");
        row.runs += 1;
        row.sent += 5;
        row.stored += whole as u64;
        row.gaps += store.missing();
    }
    row.report();
}

#[test]
fn a_segment_that_is_deleted_or_zeroed_leaves_a_gap() {
    let (fs, records) = three_segments();
    for (index, path) in fs.paths(".seg").into_iter().enumerate() {
        for is_zeroed in [false, true] {
            let fs = fs.after_kill();
            if is_zeroed {
                fs.edit(&path, |bytes| bytes.fill(0));
            } else {
                fs.remove(&path);
            }
            let mut store = Store::default();
            recover(&fs, &mut store);
            if index < 2 {
                let store = check(&fs.after_kill(), &records);
                assert!(store.missing() >= 5);
            } else {
                // Of a file that is gone nothing tells that there was one, and of one that is there, not what it held.
                assert_eq!((store.missing(), store.is_uncounted()), (0, is_zeroed));
            }
        }
    }
}

#[test]
fn a_segment_whose_header_is_gone_is_read_all_the_same() {
    let (fs, records) = three_segments();
    for path in fs.paths(".seg") {
        for end in [112, 1_024] {
            let fs = fs.after_kill();
            fs.edit(&path, |bytes| bytes[..end].fill(0xA5));
            assert_eq!(check(&fs, &records).missing(), 0);
        }
    }
}

#[test]
fn a_stream_whose_headers_are_all_gone_is_told_of() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    append(&spool, "r2");
    spool.begin(Share::General, Timestamp::default(), b"begun").unwrap();
    let fs = fs.after_kill();
    let path = fs.paths(".seg").remove(0);
    fs.edit(&path, |bytes| {
        bytes[6..120].fill(0xA5);
        bytes[560..607].fill(0xA5);
    });
    let mut store = Store::default();
    recover(&fs, &mut store);
    assert_eq!(store.all(), ["gap:?"]);
    let mut again = Store::default();
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.streams, store.streams);
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.streams, store.streams);
}

/// What recovery finds after an edit of the last segment, three times: in a store, in another one, in the same one again.
fn found(fs: &Memory, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<String> {
    let path = fs.paths(".seg").into_iter().rfind(|path| !fs.bytes(path).is_empty()).unwrap();
    let fs = fs.after_kill();
    fs.edit(&path, edit);
    let mut store = Store::default();
    recover(&fs, &mut store);
    let mut again = Store::default();
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.streams, store.streams);
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.streams, store.streams);
    store.all()
}

#[test]
fn damage_behind_the_last_record_is_told_of_without_a_number() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    append(&spool, "r2");
    append(&spool, "r3");
    let begun = spool.begin(Share::General, Timestamp::default(), b"begun").unwrap().open;
    let (start, frame) = (FRAMES_AT as usize, format::frame_size(2));
    // The last two records, and what stands behind them can be read.
    let two = |bytes: &mut Vec<u8>| bytes[start + frame..start + 3 * frame].fill(0xA5);
    assert_eq!(found(&fs, two), ["ended:begun", "gap:?", "r1"]);
    // One of them, whose header can be read: it says which.
    let one = |bytes: &mut Vec<u8>| bytes[start + 3 * frame - 1] ^= 1;
    assert_eq!(found(&fs, one), ["ended:begun", "gap:1", "r1", "r2"]);
    spool.cancel(begun).unwrap();
    // All to the end of the file, and zeros in the place of it.
    for byte in [0xA5, 0] {
        let rest = |bytes: &mut Vec<u8>| bytes[start + 2 * frame..].fill(byte);
        assert_eq!(found(&fs, rest), ["gap:?", "r1", "r2"]);
    }
}

#[test]
fn a_torn_frame_before_a_file_that_was_made_ahead_is_told_of() {
    let fs = Memory::new();
    let spool = open(&fs);
    while fs.paths(".seg").len() < 2 {
        append(&spool, &"x".repeat(9_000));
        spool.core.tidy();
    }
    assert!(fs.bytes(&fs.paths(".seg")[1]).is_empty());
    append(&spool, "last");
    let found = found(&fs, |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(found.iter().filter(|record| *record == "gap:1").count(), 1);
    assert!(!found.contains(&"last".to_owned()));
}

#[test]
fn records_before_a_last_segment_that_holds_none_are_told_of() {
    let (fs, records) = three_segments();
    let path = fs.paths(".seg").remove(2);
    fs.edit(&path, |bytes| bytes.truncate(FRAMES_AT as usize));
    let path = fs.paths(".seg").remove(1);
    fs.edit(&path, |bytes| bytes.truncate(bytes.len() - 6_000));
    let mut store = Store::default();
    recover(&fs, &mut store);
    assert!(!store.is_uncounted());
    assert!((1..=2).contains(&store.missing()), "{}", store.missing());
    assert!(store.records().len() < records.len());
}

#[test]
fn a_copy_of_a_segment_under_another_name_doubles_nothing() {
    let (fs, records) = three_segments();
    let paths = fs.paths(".seg");
    for from in 0..3 {
        let bytes = fs.bytes(&paths[from]);
        for (to, path) in paths.iter().enumerate() {
            let fs = fs.after_kill();
            fs.edit(path, |old| old.clone_from(&bytes));
            let mut store = Store::default();
            recover(&fs, &mut store);
            let found = store.records();
            let mut known = found.clone();
            known.dedup();
            assert_eq!(known, found);
            let store = check(&fs, &records);
            assert_eq!(store.is_uncounted(), to == 2 && from != to);
        }
        let fs = fs.after_kill();
        let extra = paths[2].with_file_name("0000000000000009.seg");
        fs.put(&extra, bytes.clone());
        assert_eq!(check(&fs, &records).missing(), 0);
        assert_eq!(
            fs.paths(".seg").iter().filter(|p| p.starts_with("/spool/quarantine")).count(),
            1
        );
    }
}

#[test]
fn no_flipped_bit_loses_anything_in_silence() {
    let (fs, records) = three_segments();
    let paths = fs.paths(".seg");
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut row = Row { fault: "20 flipped bits", ..Row::default() };
    for _ in 0..times(150, 20_000) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let fs = fs.after_kill();
        let path = &paths[(random >> 40) as usize % 3];
        fs.edit(path, |bytes| {
            let bit = random as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        });
        let store = check(&fs, &records);
        assert!(store.missing() <= 1);
        row.runs += 1;
        row.sent += records.len() as u64;
        row.stored += store.records().len() as u64;
        row.gaps += store.missing();
    }
    row.report();
}

#[test]
fn a_damaged_open_that_did_not_end_is_told_of() {
    let fs = Memory::new();
    let spool = open(&fs);
    append(&spool, "r1");
    spool.begin(Share::General, Timestamp::default(), b"begun").unwrap();
    append(&spool, "r2");
    let fs = fs.after_kill();
    let path = fs.paths(".seg").remove(0);
    fs.edit(&path, |bytes| {
        let at = bytes.windows(5).position(|window| window == b"begun").unwrap();
        bytes[at] ^= 1;
    });
    let mut store = Store::default();
    recover(&fs, &mut store);
    assert_eq!(store.all(), ["gap:1", "r1", "r2"]);
    let mut again = Store::default();
    recover(&fs.after_kill(), &mut again);
    assert_eq!(again.all(), store.all());
}

#[test]
fn an_open_that_cannot_be_read_at_all_is_told_of_unless_it_ended() {
    let fs = Memory::new();
    let spool = open(&fs);
    let at = Timestamp::default();
    let first = spool.begin(Share::General, at, b"first").unwrap().open;
    spool.append(Share::General, Some(first), at, b"r1").unwrap();
    spool.begin(Share::General, at, b"second").unwrap();
    spool.begin(Share::General, at, b"third").unwrap();
    append(&spool, "r2");
    let path = fs.paths(".seg").remove(0);
    for (begun, found) in [
        ("first", ["ended:second", "ended:third", "r1", "r2"].as_slice()),
        ("second", ["ended:third", "gap:1", "r1", "r2"].as_slice()),
    ] {
        let fs = fs.after_kill();
        fs.edit(&path, |bytes| {
            let at = bytes.windows(begun.len()).position(|w| w == begun.as_bytes()).unwrap();
            // The kind, in the header: nothing says then which open it was.
            bytes[at - format::frame_size(0) + 4] ^= 0x80;
        });
        let mut store = Store::default();
        recover(&fs, &mut store);
        assert_eq!(store.all(), found, "{begun}");
    }
}

#[test]
fn a_damaged_segment_is_kept_aside_and_what_follows_has_a_derived_name() {
    let (fs, records) = three_segments();
    let path = fs.paths(".seg").remove(1);
    fs.edit(&path, |bytes| bytes[20_000] ^= 1);
    let damaged = fs.bytes(&path);
    let store = check(&fs, &records);
    assert_eq!(store.missing(), 1);
    assert_eq!(store.streams.len(), 2);
    let aside = fs.paths(".seg").into_iter().find(|p| p.starts_with("/spool/quarantine")).unwrap();
    assert_eq!(fs.bytes(&aside), damaged);
    // The segment itself goes one day: before that, the copy is on the disk under its name.
    let kept = fs.after_power_cut();
    assert!(kept.paths(".seg").contains(&aside));
    assert_eq!(kept.bytes(&aside), damaged);
    assert_eq!(fs.paths(".gap").len(), 1);
}

#[test]
fn a_live_stream_goes_on_past_damage() {
    let fs = Memory::new();
    let spool = open(&fs);
    for n in 1..=9 {
        append(&spool, &format!("r{n}"));
    }
    sync(&spool);
    let path = fs.paths(".seg").remove(0);
    fs.edit(&path, |bytes| bytes[FRAMES_AT as usize + 3 * format::frame_size(2) + 30] ^= 1);
    let mut store = Store::default();
    let mut reader = spool.reader();
    drain(&mut reader, &mut store);
    append(&spool, "s");
    sync(&spool);
    drain(&mut reader, &mut store);
    assert_eq!(store.streams[&spool.writer_id()], ["r1", "r2", "r3"]);
    assert_eq!(store.streams[&reader.stream()], ["gap:1", "r5", "r6", "r7", "r8", "r9", "s"]);
    assert_eq!(spool.status().quarantined, 1);
}

#[test]
fn a_text_that_imitates_a_frame_is_not_taken_for_one() {
    let fs = Memory::new();
    let spool = open(&fs);
    // Somebody who knows the format and not the secret.
    let mut forged = b"r1:".to_vec();
    for kind in [Kind::Record, Kind::Open] {
        let seed = Secret::new([0; 32]).seed();
        format::encode(seed, kind, 2, 0, Timestamp::default(), b"forged", &mut forged);
    }
    spool.append(Share::General, None, Timestamp::default(), &forged).unwrap();
    append(&spool, "r3");
    let fs = fs.after_kill();
    let path = fs.paths(".seg").remove(0);
    fs.edit(&path, |bytes| bytes[FRAMES_AT as usize + 9] ^= 1);
    let mut store = Store::default();
    recover(&fs, &mut store);
    assert_eq!(store.all(), ["gap:1", "r3"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(times(64, 20_000) as u32) })]

    #[test]
    fn any_bytes_are_scanned_to_an_end(bytes in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..2_000)) {
        fuzzed::frames(&bytes);
    }

    #[test]
    fn segments_with_anything_written_over_them_are_recovered_or_told_of(bytes in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..300)) {
        fuzzed::segments(&bytes);
    }
}
