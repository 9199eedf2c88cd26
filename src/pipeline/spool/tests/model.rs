use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Append(u16),
    Begin,
    End(prop::sample::Index),
    Cancel(prop::sample::Index),
    Sync,
    FailedSync,
    Drain,
    /// The store goes back by so many records.
    Restore(u8),
    Later,
    Kill,
    PowerCut,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (1_u16..20_000).prop_map(Op::Append),
        4 => Just(Op::Begin),
        3 => any::<prop::sample::Index>().prop_map(Op::End),
        1 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        4 => Just(Op::Sync),
        1 => Just(Op::FailedSync),
        3 => Just(Op::Drain),
        1 => (1_u8..9).prop_map(Op::Restore),
        2 => Just(Op::Later),
        1 => Just(Op::Kill),
        1 => Just(Op::PowerCut),
    ]
}

/// What a spool should be: a list.
#[derive(Default)]
struct Model {
    /// What was accepted since the last sync, and before it.
    fresh: Vec<String>,
    safe: Vec<String>,
    /// Live opens.
    live: Vec<(super::super::OpenNumber, String)>,
    count: usize,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(times(48, 5_000) as u32) })]

    #[test]
    fn whatever_happens_the_store_gets_what_was_accepted_once(ops in proptest::collection::vec(op(), 1..80)) {
        let mut fs = Memory::new();
        let mut clock = clock();
        let mut spool = open_with(&fs, settings(), Arc::clone(&clock));
        let mut reader = spool.reader();
        let mut store = Store::default();
        let mut model = Model::default();
        let at = Timestamp::from_micros(3);
        // Once the store went back behind what is still there, gaps tell of that.
        for op in ops {
            match op {
                Op::Append(len) => {
                    model.count += 1;
                    let text = format!("r{}:{}", model.count, "x".repeat(len as usize));
                    if spool.append(Share::General, None, at, text.as_bytes()).is_ok() {
                        model.fresh.push(text);
                    }
                }
                Op::Begin => {
                    model.count += 1;
                    let text = format!("o{}", model.count);
                    if let Ok(begun) = spool.begin(Share::General, at, text.as_bytes()) {
                        model.live.push((begun.open, text));
                    }
                }
                Op::End(which) if !model.live.is_empty() => {
                    let (open, text) = model.live.swap_remove(which.index(model.live.len()));
                    spool.append(Share::General, Some(open), at, text.as_bytes()).unwrap();
                    model.fresh.push(text);
                }
                Op::Cancel(which) if !model.live.is_empty() => {
                    let (open, _) = model.live.swap_remove(which.index(model.live.len()));
                    spool.cancel(open).unwrap();
                    sync(&spool);
                    model.safe.append(&mut model.fresh);
                }
                Op::End(_) | Op::Cancel(_) => {}
                Op::Sync => {
                    sync(&spool);
                    model.safe.append(&mut model.fresh);
                }
                Op::FailedSync => {
                    fs.fail(Some(memory::Failing {
                        call: memory::Call::Sync,
                        after: 0,
                        times: 1,
                        error: std::io::ErrorKind::Other,
                    }));
                    drop(spool.core.sync_once());
                    fs.fail(None);
                }
                Op::Drain => {
                    drain(&mut reader, &mut store);
                }
                Op::Restore(by) => {
                    // Only what is certainly kept: nothing is removed within ten minutes.
                    if spool.status().kept == 0 || spool.status().bytes < 500_000 {
                        let id = spool.writer_id();
                        let held = spool.core.stream.segments().list.front().and_then(|s| s.first());
                        if let Some(records) = store.streams.get_mut(&id) {
                            let floor = held.map_or(records.len(), |first| first as usize - 1);
                            let to = records.len().saturating_sub(by as usize).max(floor);
                            records.truncate(to);
                        }
                    }
                }
                Op::Later => {
                    drain(&mut reader, &mut store);
                    clock.advance(Duration::from_secs(700));
                    spool.core.tidy();
                }
                Op::Kill | Op::PowerCut => {
                    let is_kill = matches!(op, Op::Kill);
                    fs = if is_kill { fs.after_kill() } else { fs.after_power_cut() };
                    let before = store.records().len();
                    clock = super::clock();
                    spool = open_with(&fs, settings(), Arc::clone(&clock));
                    reader = spool.reader();
                    for old in spool.old_streams() {
                        drain_old(&old, &mut store);
                    }
                    if is_kill {
                        model.safe.append(&mut model.fresh);
                    }
                    // What did not end was ended; after a power cut, an end or an open may be gone that was not synced.
                    let mut found = store.records();
                    prop_assert!(found.len() >= before);
                    for (_, text) in model.live.drain(..) {
                        let ended = format!("ended:{text}");
                        let is_there = found.contains(&ended);
                        prop_assert!(is_there || !is_kill, "{ended}");
                        if is_there {
                            model.safe.push(ended);
                        }
                    }
                    for text in model.fresh.drain(..) {
                        // It was not synced: its open may have been, and was ended then.
                        let ended = format!("ended:{text}");
                        if found.contains(&text) {
                            model.safe.push(text);
                        } else if found.contains(&ended) {
                            model.safe.push(ended);
                        }
                    }
                    found.sort_unstable();
                    model.safe.sort_unstable();
                    prop_assert_eq!(&found, &model.safe);
                }
            }
        }
        sync(&spool);
        model.safe.append(&mut model.fresh);
        drain(&mut reader, &mut store);
        model.safe.sort_unstable();
        prop_assert_eq!(store.records(), model.safe);
        prop_assert_eq!(store.missing(), 0);
    }
}
