//! The key file.
//!
//! ```text
//! tower-activity keys 1
//! # keep this file secret, and a copy of it where the database is not
//! pseudonym 4f1c09ab 64 hexadecimal digits
//! cursor 77d0aa10 64 hexadecimal digits
//! signing 09be3c55 64 hexadecimal digits
//! ```
//!
//! The first line tells the version of the format. Each further line is a use, the key's id and
//! the key; the id is derived from the key, so that a damaged line is found. There may be several
//! `pseudonym` lines, one per epoch, the oldest first, and several `signing` lines while that key changes, the
//! newest first. Empty lines and `#` lines are skipped.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Epoch, Inner, Keys, KeysError, KeysErrorKind, Secret, key_id};
use crate::record::{hex, unhex};

const HEADER: &str = "tower-activity keys";
const VERSION: u32 = 1;
/// Some hundred epochs; more is no key file.
pub(super) const LARGEST: u64 = 64 * 1024;

pub(super) fn open(path: &Path) -> Result<Keys, KeysError> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(failed(path, "cannot be opened", error)),
    }
}

pub(super) fn failed(path: &Path, what: &str, source: io::Error) -> KeysError {
    KeysError {
        kind: KeysErrorKind::Io,
        path: path.to_owned(),
        what: format!("{what} ({source})"),
        source: Some(source),
    }
}

fn read(path: &Path, file: File) -> Result<Keys, KeysError> {
    parsed(path, &text(path, &file)?)
}

/// Reads the text of a key file that only those may read who should.
pub(super) fn text(path: &Path, file: &File) -> Result<String, KeysError> {
    let meta = file.metadata().map_err(|error| failed(path, "cannot be examined", error))?;
    let refuse =
        |kind, what: String| Err(KeysError { kind, path: path.to_owned(), what, source: None });
    if !meta.is_file() {
        return refuse(
            KeysErrorKind::Malformed,
            "is not a file; name a file, it is made if it is missing".to_owned(),
        );
    }
    // A group may read, which is how secrets are often mounted into containers.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o027 != 0 {
            return refuse(
                KeysErrorKind::Exposed,
                format!(
                    "others may read or change it (mode {mode:04o}); run `chmod 600 {}`, and replace the keys if they were seen",
                    path.display()
                ),
            );
        }
    }
    let mut text = String::new();
    let size = file
        .take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(path, "cannot be read", error))?;
    if size as u64 > LARGEST {
        return refuse(KeysErrorKind::Malformed, "is too large for a key file".to_owned());
    }
    Ok(text)
}

/// Reads the keys out of the text of a key file.
pub(super) fn parsed(path: &Path, text: &str) -> Result<Keys, KeysError> {
    parse(text).map_err(|(kind, what)| KeysError {
        kind,
        path: path.to_owned(),
        what,
        source: None,
    })
}

fn parse(text: &str) -> Result<Keys, (KeysErrorKind, String)> {
    let malformed = |what: String| (KeysErrorKind::Malformed, what);
    let restore = "restore it from a copy; without the keys old pseudonyms cannot be compared";
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    let version = lines
        .next()
        .and_then(|(_, line)| line.strip_prefix(HEADER))
        .and_then(|version| version.trim().parse::<u32>().ok())
        .ok_or_else(|| {
            malformed(format!("does not begin with `{HEADER} {VERSION}`; name another file"))
        })?;
    if version != VERSION {
        return Err((
            KeysErrorKind::Newer,
            format!("has version {version}, this program reads {VERSION}; use a newer one"),
        ));
    }
    let mut past = Vec::new();
    let (mut cursor, mut signing) = (None, Vec::new());
    for (n, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // The line itself is not shown: it may hold a key.
        let &[what, id, key] = words.as_slice() else {
            return Err(malformed(format!("line {n} is not a use, an id and a key; {restore}")));
        };
        let key = unhex(key)
            .filter(|key| key_id(key) == id)
            .ok_or_else(|| malformed(format!("line {n} is damaged; {restore}")))?;
        let place = match what {
            "pseudonym" => {
                past.push(Epoch::new(key));
                continue;
            }
            "signing" => {
                if signing.contains(&key) {
                    return Err(malformed(format!("line {n} repeats the {what} key; {restore}")));
                }
                signing.push(key);
                continue;
            }
            "cursor" => &mut cursor,
            _ => return Err(malformed(format!("line {n} has an unknown use; {restore}"))),
        };
        if place.replace(key).is_some() {
            return Err(malformed(format!("line {n} repeats the {what} key; {restore}")));
        }
    }
    match (past.pop(), cursor, signing) {
        (Some(current), Some(cursor), signing) if !signing.is_empty() => {
            Ok(Keys(Arc::new(Inner { current, past, cursor, signing })))
        }
        _ => Err(malformed(format!("lacks a key; {restore}"))),
    }
}

pub(super) fn write(keys: &Keys) -> String {
    let inner = &keys.0;
    let mut text = format!(
        "{HEADER} {VERSION}\n# keep this file secret, and a copy of it where the database is not\n"
    );
    let mut line = |what: &str, key: &Secret| {
        text.push_str(&format!("{what} {} {}\n", key_id(key), hex(key)));
    };
    inner.past.iter().chain([&inner.current]).for_each(|epoch| line("pseudonym", &epoch.key));
    line("cursor", &inner.cursor);
    inner.signing.iter().for_each(|key| line("signing", key));
    text
}

fn make(path: &Path) -> Result<Keys, KeysError> {
    let keys = Keys::generate()
        .map_err(|error| failed(path, "no random numbers for new keys", io::Error::other(error)))?;
    let text = write(&keys);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            failed(path, "cannot be made, its folder does not exist; make the folder", error)
        }
        _ => failed(path, "cannot be made; check who may write to its folder", error),
    };
    // Written aside and linked into place: nobody ever sees half a key file, and a link, unlike a
    // rename, does not replace the file of a process that was faster.
    let aside = beside(path, &key_id(&keys.0.cursor));
    let made = write_new(&aside, &text).and_then(|()| fs::hard_link(&aside, path));
    let removed = fs::remove_file(&aside);
    match made {
        Ok(()) => {
            removed.map_err(failed)?;
            // Some file systems cannot: at most the fresh file is lost, before anything was stored under its keys.
            drop(sync_folder(path));
            Ok(keys)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = File::open(path).map_err(failed)?;
            read(path, file)
        }
        Err(error) if removed.is_err() => Err(failed(error)),
        // It could be written aside but not linked: a file system without links. `create_new`
        // still does not replace a file; half of it is refused by whoever reads it too early.
        Err(_) => match write_new(path, &text) {
            Ok(()) => Ok(keys),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                read(path, File::open(path).map_err(failed)?)
            }
            Err(error) => Err(failed(error)),
        },
    }
}

pub(super) fn beside(path: &Path, unique: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{unique}.new"));
    path.with_file_name(name)
}

pub(super) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Has the folder of a file on the disk: what was put there, or replaced.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let opened = File::open(folder.unwrap_or(Path::new(".")));
    if cfg!(windows) && opened.is_err() {
        // Folders cannot be opened there, and a rename is on the disk without it.
        return Ok(());
    }
    opened?.sync_all()
}
