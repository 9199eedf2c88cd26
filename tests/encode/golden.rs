//! The golden files: what an export looks like, byte for byte.
//!
//! `GOLDEN=write cargo test --test encode golden` writes them again, after a change that is meant.

use std::{env, fs};

use tower_activity::encode::Format;

use crate::samples::{encode, folder, golden};

#[test]
fn golden_records_give_their_golden_exports() {
    let records = golden();
    for format in Format::ALL {
        let path = folder().join(format!("export.{}", format.extension()));
        let written = encode(format, &records);
        if env::var_os("GOLDEN").is_some_and(|value| value == "write") {
            fs::write(&path, &written).unwrap();
        }
        let golden = fs::read(&path).unwrap();
        for (number, (ours, theirs)) in
            written.split(|b| *b == b'\n').zip(golden.split(|b| *b == b'\n')).enumerate()
        {
            assert_eq!(
                String::from_utf8_lossy(ours),
                String::from_utf8_lossy(theirs),
                "line {} of {}",
                number + 1,
                path.display()
            );
        }
        assert_eq!(written.len(), golden.len(), "{}", path.display());
    }
}
