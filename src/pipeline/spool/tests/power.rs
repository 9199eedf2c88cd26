use super::*;

/// After each step of a trace, the power goes: with nothing of what was not synced, and with some of it.
#[test]
fn a_power_cut_loses_only_what_was_not_synced() {
    let fs = Memory::new();
    let clock = clock();
    let spool = open_with(&fs, settings(), Arc::clone(&clock));
    let at = Timestamp::default();
    let mut live = std::collections::VecDeque::new();
    let mut written = Vec::new();
    let mut synced = 0;
    let mut store = Store::default();
    let mut reader = spool.reader();
    let long = "x".repeat(400);
    let mut row = Row { fault: "3 power cut", ..Row::default() };
    for n in 0..times(200, 1_000) {
        match n % 5 {
            0 => {
                live.push_back(spool.begin(Share::General, at, format!("o{n}").as_bytes()).unwrap())
            }
            1 if live.len() > 3 => {
                let text = format!("o{n}:{long}");
                let open = live.pop_front().map(|begun| begun.open);
                spool.append(Share::General, open, at, text.as_bytes()).unwrap();
                written.push(text);
            }
            _ => {
                let text = format!("r{n}:{long}");
                append(&spool, &text);
                written.push(text);
            }
        }
        if n % 7 == 0 {
            sync(&spool);
            synced = written.len();
        }
        if n % 31 == 0 {
            drain(&mut reader, &mut store);
            clock.advance(Duration::from_secs(700));
            spool.core.tidy();
        }
        let mut random = n as u64 + 1;
        let cuts = [
            fs.after_power_cut(),
            fs.after_power_cut_with(|_, _, _| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                random >> 62 != 0
            }),
            fs.after_kill(),
        ];
        for (kind, cut) in cuts.into_iter().enumerate() {
            let mut after = store.clone();
            recover(&cut, &mut after);
            let mut found = after.records();
            found.retain(|record| !record.starts_with("ended:"));
            let sure = if kind == 2 { written.len() } else { synced };
            for record in &written[..sure] {
                assert!(found.contains(record), "{n}: lost {}", &record[..5]);
            }
            assert!(found.iter().all(|record| written.contains(record)), "{n}: invented");
            let count = found.len();
            found.dedup();
            assert_eq!(found.len(), count, "{n}: doubled");
            row.runs += 1;
            row.sent += written.len() as u64;
            row.stored += count as u64;
            row.gaps += after.missing();
            // What is missing is told, and is not more than what was not synced.
            assert!(after.missing() <= (written.len() - sure) as u64 + 1, "{n}");
        }
    }
    row.report();
}
