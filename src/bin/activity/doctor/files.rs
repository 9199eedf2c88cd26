//! What lies beside the log: rules and keys.

use std::{fs, io, path::Path};

use tower_activity::{
    Keys,
    rules::{Rules, SizeLimit},
};

use super::{Finding, words};
use crate::{arguments::Common, store};

pub(super) fn rules(file: Option<&Path>) -> Vec<Finding> {
    let Some(file) = file else { return Vec::new() };
    let read = Rules::rest().with_file(file).and_then(|rules| rules.check());
    vec![match read {
        Ok(()) => Finding::fine("rules", format!("{} is sound", file.display())),
        Err(error) => Finding::wrong(
            "rules",
            words(&error),
            "mend the line; until then the service does not start",
        ),
    }]
}

/// Returns how large the log may get, where a file says so.
pub(super) fn size_limit(file: &Path) -> Option<SizeLimit> {
    // What is wrong with the file is said elsewhere.
    Rules::rest().with_file(file).ok()?.retention_policy()?.size_limit()
}

pub(super) fn keys(common: &Common) -> Vec<Finding> {
    let Some(path) = store::keys_path(common) else {
        return vec![Finding::note(
            "keys",
            "there is no key file: sessions and attempted accounts are left out, cursors end with the process, \
             and checkpoints are not signed",
            "name a file with --keys or ACTIVITY_KEYS; it is made at the first start",
        )];
    };
    // Looked at, not made: a doctor changes nothing.
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![Finding::note(
            "keys",
            format!("{} is not there yet", path.display()),
            "the service makes it at its first start; keep a copy of it apart from the database",
        )],
        Err(error) => vec![Finding::wrong(
            "keys",
            format!("{} cannot be looked at: {error}", path.display()),
            "see that the service's user may enter the folder",
        )],
        Ok(_) => vec![match Keys::open(&path) {
            Ok(_) => Finding::fine(
                "keys",
                format!("{} is readable, and by its owner alone", path.display()),
            ),
            Err(error) => Finding::wrong(
                "keys",
                words(&error),
                "the file belongs to the service's user, with mode 0600",
            ),
        }],
    }
}
