//! Taking people out of a quarantine file.
//!
//! Lines of others stay byte for byte. The file is written aside and renamed into place, as a whole, while it is locked:
//! who adds a line meanwhile waits, and adds it to the new one.

use std::{
    borrow::Cow,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::held;
use crate::{
    pipeline::spool::Judged,
    privacy::own_alike,
    record::{Field, Members, Record, Spelling, hex},
};

/// A quarantine file that nobody adds to until this is dropped.
#[derive(Debug)]
pub(in crate::pipeline) struct Kept {
    path: PathBuf,
    file: File,
}

/// What is to stand in a quarantine file.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Anew {
    text: Vec<u8>,
    /// Lines that are not as they were.
    changed: u64,
    /// Lines of which nobody knows what they hold.
    pub(in crate::pipeline) unreadable: u64,
}

impl Anew {
    pub(in crate::pipeline) const fn changes(&self) -> bool {
        self.changed > 0
    }
}

/// What is read of a line.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    record: Option<&'l RawValue>,
    #[serde(borrow)]
    bytes: Option<Cow<'l, str>>,
}

impl Kept {
    /// Takes hold of the file; waits for whoever is adding a line.
    ///
    /// # Errors
    ///
    /// When there is none, it cannot be opened or locked, or this is not Unix.
    pub(in crate::pipeline) fn open(path: &Path) -> io::Result<Self> {
        if !cfg!(unix) {
            // Who adds a line could not tell that another file has taken its place.
            return Err(io::ErrorKind::Unsupported.into());
        }
        // What a link leads to is what is written anew.
        let path = fs::canonicalize(path)?;
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::other("this is not a file"));
        }
        let (file, locked) = held(&path, OpenOptions::new().read(true).write(true))?;
        locked?;
        Ok(Self { path, file })
    }

    /// Has `empty` take out of each record what is to go; it tells whether anything was. Changes nothing yet.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(in crate::pipeline) fn look(
        &mut self,
        empty: &mut dyn FnMut(&mut Record) -> bool,
    ) -> io::Result<Anew> {
        let mut text = Vec::new();
        self.file.read_to_end(&mut text)?;
        let mut anew = Anew::default();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match judged(line.trim_ascii(), empty) {
                Judged::Becomes(line) => {
                    anew.text.extend_from_slice(&line);
                    anew.text.push(b'\n');
                    anew.changed += 1;
                    continue;
                }
                Judged::Unreadable => anew.unreadable += 1,
                Judged::Stays => {}
            }
            anew.text.extend_from_slice(line);
        }
        Ok(anew)
    }

    /// Puts a file with these lines in its place.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then the file is what it was.
    pub(in crate::pipeline) fn change(&self, anew: &Anew) -> io::Result<()> {
        if !anew.changes() {
            return Ok(());
        }
        let mut name = OsString::from(&self.path);
        name.push(".new");
        let fresh = PathBuf::from(name);
        // Left by an attempt that did not end; nobody else writes it while the file is locked.
        drop(fs::remove_file(&fresh));
        let written = self.write(&fresh, &anew.text).and_then(|()| fs::rename(&fresh, &self.path));
        if written.is_err() {
            drop(fs::remove_file(&fresh));
        }
        written?;
        #[cfg(unix)]
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn write(&self, fresh: &Path, text: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(fresh)?;
        file.write_all(text)?;
        file.sync_all()?;
        own_alike(fresh, &self.file.metadata()?)
    }
}

fn judged(line: &[u8], empty: &mut dyn FnMut(&mut Record) -> bool) -> Judged {
    if line.is_empty() {
        return Judged::Stays;
    }
    let mut record = Record::default();
    let read: Option<Line<'_>> = serde_json::from_slice(line).ok();
    let becomes = match read {
        Some(Line { record: Some(raw), .. }) if exported(raw.get(), &mut record).is_some() => {
            empty(&mut record)
                .then(|| serde_json::to_value(&record).ok().map(|value| ("record", value)))
        }
        Some(Line { bytes: Some(bytes), .. }) if portable(&bytes, &mut record).is_some() => {
            empty(&mut record).then(|| {
                let mut bytes = Vec::new();
                record.to_portable(&mut bytes);
                Some(("bytes", hex(&bytes).into()))
            })
        }
        _ => return Judged::Unreadable,
    };
    let Some(becomes) = becomes else { return Judged::Stays };
    let rest = serde_json::from_slice::<Map<String, Value>>(line).ok();
    match becomes.zip(rest) {
        Some(((name, value), mut rest)) => {
            rest.insert(name.to_owned(), value);
            Judged::Becomes(Value::Object(rest).to_string().into_bytes())
        }
        None => Judged::Unreadable,
    }
}

/// Reads a record as [`keep`](super::keep) wrote it.
fn exported(json: &str, record: &mut Record) -> Option<()> {
    let members: Members<'_> = serde_json::from_str(json).ok()?;
    for (name, raw) in members.0 {
        // Beside the fields it says which groups are erased, or kept aside; these are empty.
        if name != "erased" && name != "restricted" {
            record.set_spelled(Field::named(&name)?, raw.get(), Spelling::Export).ok()?;
        }
    }
    Some(())
}

/// Reads a record of which [`keep_bytes`](super::keep_bytes) wrote the bytes, if this version can.
fn portable(text: &str, record: &mut Record) -> Option<()> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = text.as_bytes().chunks(2).map(pair).collect::<Option<_>>()?;
    Record::from_portable(&bytes, record).ok()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{
        pipeline::quarantine::{keep, keep_bytes},
        record::{Address, Group, Groups, Json, WriterId},
        time::Timestamp,
    };

    fn of(name: &str) -> Record {
        let mut record = Record { ip: "192.0.2.7".parse::<Address>().ok(), ..Record::default() };
        record.actor_id.set(name);
        record.description.set("wrote\nto \u{1F600}");
        record.changes = Json::from_stored(r#"[{"op":"add","path":"/n","new":1.50}]"#);
        record.occurred_at = Timestamp::from_micros(1_770_000_000_123_456);
        record.writer_id = WriterId::new(i64::MAX);
        record
    }

    fn without_ana(record: &mut Record) -> bool {
        let is_hers = record.actor_id == "ana";
        if is_hers {
            record.clear_group(Group::Identity);
        }
        is_hers
    }

    fn erase(path: &Path) -> io::Result<Anew> {
        let mut kept = Kept::open(path)?;
        let anew = kept.look(&mut without_ana)?;
        kept.change(&anew)?;
        Ok(anew)
    }

    #[test]
    fn lines_of_others_stay_byte_for_byte_and_hers_stay_without_her() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        let now = Timestamp::from_micros(5);
        let stream = WriterId::new(7);
        let portable = |name| {
            let mut bytes = Vec::new();
            of(name).to_portable(&mut bytes);
            bytes
        };
        keep(&path, &of("bob"), "no", now).unwrap();
        keep(&path, &of("ana"), "no", now).unwrap();
        keep_bytes(&path, stream, 3, &portable("ana"), "later", now).unwrap();
        keep_bytes(&path, stream, 4, &portable("bob"), "later", now).unwrap();
        keep_bytes(&path, stream, 5, &[9; 40], "later", now).unwrap();
        fs::write(folder.path().join("quarantine.jsonl.new"), "left over").unwrap();
        let mut before = fs::read_to_string(&path).unwrap();
        before.push_str("\n{\"record\":{\"no_such_field\":1}}\r\n{\"torn");
        fs::write(&path, &before).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

        let anew = erase(&path).unwrap();
        assert_eq!((anew.changed, anew.unreadable), (2, 3));
        let after = fs::read_to_string(&path).unwrap();
        let (before, lines): (Vec<_>, Vec<_>) =
            (before.split('\n').collect(), after.split('\n').collect());
        assert_eq!(before.len(), lines.len());
        for (at, (was, is)) in before.iter().zip(&lines).enumerate() {
            assert_eq!(was == is, ![1, 2].contains(&at), "{at}: {is}");
        }
        let line: Value = serde_json::from_str(lines[1]).unwrap();
        assert_eq!((&line["record"]["actor_id"], &line["error"]), (&Value::Null, &"no".into()));
        assert_eq!(line["record"]["description"], "wrote\nto \u{1F600}");
        let line: Value = serde_json::from_str(lines[2]).unwrap();
        let mut read = Record::default();
        portable_of(line["bytes"].as_str().unwrap(), &mut read);
        assert!(read.actor_id.is_absent() && read.ip.is_some());
        assert_eq!((&line["seq"], &line["writer_id"]), (&3.into(), &"7".into()));
        assert!(!after.contains("\"ana\"") && !after.contains("616e61"), "{after}");

        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        // Again, and it is not even written.
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        assert!(!erase(&path).unwrap().changes());
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    }

    fn portable_of(text: &str, record: &mut Record) {
        portable(text, record).unwrap();
    }

    /// Who adds a line while the file is written anew adds it to the new one.
    #[test]
    fn no_line_is_lost_that_is_added_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        let now = Timestamp::from_micros(5);
        keep(&path, &of("ana"), "no", now).unwrap();
        let mut kept = Kept::open(&path).unwrap();
        let anew = kept.look(&mut without_ana).unwrap();
        let (there, adds) = (path.clone(), std::sync::mpsc::channel());
        let writer = std::thread::spawn(move || {
            adds.0.send(()).unwrap();
            keep(&there, &of("bob"), "no", now)
        });
        // It has the old file open by now, or opens the new one: either is to be right.
        adds.1.recv().unwrap();
        kept.change(&anew).unwrap();
        drop(kept);
        writer.join().unwrap().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("\"bob\"") && !text.contains("\"ana\""), "{text}");
    }

    #[test]
    fn a_record_of_which_something_is_kept_aside_is_read_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        let mut record = of("ana");
        record.seals.restrict(Groups::of(Group::Content));
        keep(&path, &record, "no", Timestamp::from_micros(5)).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("\"restricted\""));
        let anew = erase(&path).unwrap();
        assert_eq!((anew.changed, anew.unreadable), (1, 0));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Kept::open(folder.path()).is_err());
        assert!(Kept::open(&folder.path().join("none")).is_err());
    }
}
