//! The bodies of the fuzz targets, on bytes by chance, on golden ones, and on golden ones with something done to them.

use std::{fs, path::Path};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tower_activity::fuzzing::TARGETS;

use crate::{chance::Chance, table::times};

/// What a run of the fuzzer begins with: the files of `tests/faults/seeds/NAME`, and bytes of our golden files.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/seeds").join(name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    seeds.sort_unstable();
    seeds
}

fn edited(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<Index>(), any::<u8>()), 0..6);
    (select(seeds), edits, any::<Option<Index>>()).prop_map(|(mut bytes, edits, cut)| {
        for (at, byte) in edits {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        bytes
    })
}

#[test]
fn what_the_fuzzer_asserts_holds() {
    for (name, body) in TARGETS {
        let seeds = seeds(name);
        for seed in &seeds {
            body(seed);
        }
        // A spool that is recovered three times takes longer than a cell.
        let cases = if *name == "segments" { times(20, 2_000) } else { times(150, 20_000) };
        let config = Config { failure_persistence: None, ..Config::with_cases(cases as u32) };
        let bytes = prop_oneof![
            2 => edited(seeds),
            1 => vec(any::<u8>(), 0..400),
            1 => vec(select(&b"{}[]\":,=&%;\n.-+*()/\\ aA019\0\xff\x80"[..]), 0..80),
        ];
        // The same ones each time; others where there is time to look into what they find.
        let mut chance = Chance::new(name);
        let seed: Vec<u8> = (0..32).map(|_| chance.below(256) as u8).collect();
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let tried = TestRunner::new_with_rng(config, random).run(&bytes, |bytes| {
            body(&bytes);
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
