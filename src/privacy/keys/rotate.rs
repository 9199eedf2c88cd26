//! New keys beside the old ones.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{
    KeyUse, Keys, KeysError, KeysErrorKind, Secret,
    file::{self, beside, failed, sync_folder},
    key_id, secret,
};
use crate::record::hex;

pub(super) fn rotate(path: &Path, uses: &[KeyUse]) -> Result<Keys, KeysError> {
    let (locked, text) = lock(path)?;
    // Also what is in it now must be sound: nothing is put beside a damaged line.
    file::parsed(path, &text)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for what in uses {
        let new = secret().map_err(|error| {
            failed(path, "no random numbers for a new key", io::Error::other(error))
        })?;
        put(&mut lines, *what, &new);
    }
    let text = lines.join("\n") + "\n";
    let keys = file::parsed(path, &text)?;
    if text.len() as u64 > file::LARGEST {
        let what = "has no room for another key; take lines out of it that nothing is stored under any more";
        return Err(KeysError {
            kind: KeysErrorKind::Malformed,
            path: path.to_owned(),
            what: what.to_owned(),
            source: None,
        });
    }
    // What a link leads to is what is replaced.
    let real = fs::canonicalize(path)
        .map_err(|error| failed(path, "cannot be found behind its link", error))?;
    replace(&real, &locked, &text)
        .map_err(|error| failed(path, "cannot be replaced; its keys are what they were", error))?;
    sync_folder(&real).map_err(|error| {
        failed(
            path,
            "has the new keys, and its folder could not be synced: a power cut may bring the old ones back; \
             sync the disk before anything is recorded with them",
            error,
        )
    })?;
    Ok(keys)
}

/// Waits until nobody else changes the file, and returns it with its text. It is replaced as a whole, so that whoever
/// waited looks whether what he holds is still the file.
fn lock(path: &Path) -> Result<(File, String), KeysError> {
    loop {
        let open = || {
            File::open(path).map_err(|error| {
                let what = match error.kind() {
                    io::ErrorKind::NotFound => {
                        "does not exist; `activity key rotate` changes keys that are there"
                    }
                    _ => "cannot be opened",
                };
                failed(path, what, error)
            })
        };
        let held = open()?;
        held.lock().map_err(|error| failed(path, "cannot be locked", error))?;
        let text = file::text(path, &held)?;
        if text == file::text(path, &open()?)? {
            return Ok((held, text));
        }
    }
}

/// Puts a key where the one in use stands: the last of pseudonyms, the first that signs, the only one of cursors.
fn put(lines: &mut Vec<String>, what: KeyUse, key: &Secret) {
    let word = what.as_str();
    let line = format!("{word} {} {}", key_id(key), hex(key));
    let is_of_use = |line: &String| line.split_ascii_whitespace().next() == Some(word);
    let at = match what {
        KeyUse::Pseudonym => lines.iter().rposition(is_of_use).map(|last| last + 1),
        KeyUse::Signing | KeyUse::Cursor => lines.iter().position(is_of_use),
    };
    let at = at.unwrap_or(lines.len());
    if what == KeyUse::Cursor && at < lines.len() {
        lines[at] = line;
    } else {
        lines.insert(at, line);
    }
}

/// Gives a file the owner, the group and the mode of another, whose place it is to take: a service that reads its keys
/// goes on reading them, also where somebody else changes them.
pub(crate) fn own_alike(path: &Path, meta: &fs::Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let new = fs::metadata(path)?;
        if (new.uid(), new.gid()) != (meta.uid(), meta.gid()) {
            chown(path, Some(meta.uid()), Some(meta.gid()))?;
        }
    }
    fs::set_permissions(path, meta.permissions())
}

/// Writes it aside and renames it into place: whoever reads meanwhile has the old keys or the new ones. Who may read it
/// stays as it was.
fn replace(path: &Path, old: &File, text: &str) -> io::Result<()> {
    // What somebody who was killed has left there is in nobody's way.
    let unique = secret().map_err(io::Error::other)?;
    let aside = beside(path, &key_id(&unique));
    let written = file::write_new(&aside, text)
        .and_then(|()| own_alike(&aside, &old.metadata()?))
        .and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        // It may never have been made.
        drop(fs::remove_file(&aside));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_take_the_place_of_the_file_is_not_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        // Nothing is renamed over a folder.
        let path = folder.path().join("activity.keys");
        fs::create_dir(&path).unwrap();
        let old = File::open(&path).unwrap();
        assert!(replace(&path, &old, "secret\n").is_err());
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().path()).collect();
        assert_eq!(left, [path]);
    }
}
