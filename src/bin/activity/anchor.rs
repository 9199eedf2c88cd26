//! Places outside of the database for signed heads.

use std::{
    fs,
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

use tower_activity::{
    ledger::Note,
    store::Evidence as _,
    time::{Clock as _, SystemClock},
};

use crate::{
    out,
    store::{Store, is_postgres, shown},
    trouble::Trouble,
};

/// So many heads are read from a database at once.
const PAGE: usize = 100;

/// A place for signed heads.
#[derive(Debug, Clone)]
pub(crate) enum Anchor {
    /// A file that is appended to: one note after the other, an empty line behind each.
    File(PathBuf),
    /// A command of the shell that reads a note, as one that puts it into an archive or sends it as a mail.
    Run(String),
    /// Another database, which somebody else owns.
    Store(String),
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("run", command)) if !command.trim().is_empty() => {
                Ok(Self::Run(command.to_owned()))
            }
            Some(("sqlite", file)) if !file.is_empty() => Ok(Self::Store(text.to_owned())),
            Some(_) if is_postgres(text) => Ok(Self::Store(text.to_owned())),
            _ => Err("name a place as in `file:/mnt/worm/checkpoints`, `run:COMMAND` or `postgres://host/database`"
                .to_owned()),
        }
    }
}

impl Anchor {
    /// Puts a note there; when it returns, it is there.
    pub(crate) async fn put(&self, note: &str) -> Result<(), Trouble> {
        match self {
            Self::Store(url) => {
                let store = Store::existing_at(url).await?.reader();
                Ok(store.add_anchor(note, SystemClock::default().now()).await?)
            }
            Self::File(path) => append(path, note).map_err(|error| {
                Trouble::new(format!("could not append to {}: {error}", path.display()))
            }),
            Self::Run(command) => run(command, note)
                .map_err(|error| Trouble::new(format!("could not run `{command}`: {error}"))),
        }
    }

    /// Returns the notes that are there.
    pub(crate) async fn read(&self) -> Result<Vec<String>, Trouble> {
        let (notes, name) = match self {
            Self::File(path) => {
                let text = fs::read_to_string(path).map_err(|error| {
                    Trouble::new(format!("the anchor {} cannot be read: {error}", path.display()))
                })?;
                (notes(&text), path.display().to_string())
            }
            Self::Store(url) => (stored(url).await?, shown(url)),
            Self::Run(_) => {
                return Err(Trouble::new(
                    "a command is no place to read from; name the file with the checkpoints, as in file:PATH",
                ));
            }
        };
        let (sound, others): (Vec<_>, Vec<_>) =
            notes.into_iter().partition(|note| note.parse::<Note>().is_ok());
        if sound.is_empty() {
            return Err(Trouble::new(format!(
                "there is no checkpoint in the anchor {name}; `activity checkpoint --anchor` puts them there"
            )));
        }
        // The head of a mail, or half a note where the disk was full: it is no fault of the log, and nobody may be able to
        // mend a file that only grows.
        if let Some(first) = others.first() {
            out::note(format!(
                "the anchor {name} holds {} pieces that are no signed notes, and are not compared; the first begins with {:?}",
                others.len(),
                first.chars().take(40).collect::<String>()
            ));
        }
        Ok(sound)
    }
}

/// Returns the heads that another database keeps.
async fn stored(url: &str) -> Result<Vec<String>, Trouble> {
    let store = Store::existing_at(url).await?.reader();
    let (mut notes, mut after) = (Vec::new(), 0);
    loop {
        let page = store.anchors(after, PAGE).await?;
        let full = page.len() == PAGE;
        after = page.last().map_or(after, |(number, _)| *number);
        notes.extend(page.into_iter().map(|(_, note)| note));
        if !full {
            return Ok(notes);
        }
    }
}

/// A note is two paragraphs: the text and its signatures. A paragraph that belongs to none takes no other note along.
fn notes(text: &str) -> Vec<String> {
    let paragraphs = text.split("\n\n").map(|part| part.trim_matches('\n'));
    let mut notes: Vec<String> = Vec::new();
    let mut is_open = false;
    for paragraph in paragraphs.filter(|part| !part.trim().is_empty()) {
        let signs = paragraph.lines().all(|line| line.starts_with('\u{2014}'));
        match notes.last_mut().filter(|_| signs && is_open) {
            Some(note) => *note = format!("{note}\n{paragraph}\n"),
            None => notes.push(format!("{paragraph}\n")),
        }
        is_open = !signs;
    }
    notes
}

fn append(path: &Path, note: &str) -> io::Result<()> {
    // Half a note, which a full disk left, is not to run into this one.
    let apart = if ends_apart(path) { "" } else { "\n\n" };
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
    // One write, so that notes of several processes do not run into each other.
    file.write_all(format!("{apart}{note}\n").as_bytes())?;
    file.sync_all()
}

/// Tells whether a file ends with an empty line, as far as whoever appends may read it.
fn ends_apart(path: &Path) -> bool {
    let mut end = [0; 2];
    let read = fs::File::open(path).and_then(|mut file| {
        file.seek(io::SeekFrom::End(-2))?;
        file.read_exact(&mut end)
    });
    read.is_err() || end == *b"\n\n"
}

fn run(command: &str, note: &str) -> io::Result<()> {
    let mut child = Command::new("sh").args(["-c", command]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take()
        && let Err(error) = stdin.write_all(note.as_bytes())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(error);
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notes_come_back_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let anchor: Anchor = format!("file:{}", path.display()).parse().unwrap();
        let note =
            |n: u8| format!("log\n{n}\nroot\n\n\u{2014} log AAAAAAA=\n\u{2014} log AAAA{n}AA=\n");
        for n in 1..=3 {
            anchor.put(&note(n)).await.unwrap();
        }
        assert_eq!(anchor.read().await.unwrap(), [note(1), note(2), note(3)]);
        // Half a note, and the head of a mail: the others are read all the same.
        let torn = &note(4)[..9];
        let mail = "From: log\n\nDear auditor,\n\n";
        fs::write(&path, format!("{mail}{}\n{torn}", note(1))).unwrap();
        anchor.put(&note(2)).await.unwrap();
        anchor.put(&note(3)).await.unwrap();
        assert_eq!(anchor.read().await.unwrap(), [note(1), note(2), note(3)]);
        // Signatures whose text is lost sign no other.
        let lost = "\u{2014} log AAAAAAA=\n";
        fs::write(&path, format!("{lost}\n{}\n{lost}\n{}\n", note(1), note(2))).unwrap();
        assert_eq!(anchor.read().await.unwrap(), [note(1), note(2)]);
        for none in ["", "\n\n", "no note", mail, torn, lost] {
            fs::write(&path, none).unwrap();
            let error = anchor.read().await.unwrap_err().to_string();
            assert!(error.contains("there is no checkpoint in the anchor"), "{error}");
        }
        let copied = folder.path().join("copied");
        let anchor: Anchor = format!("run:cat > {}", copied.display()).parse().unwrap();
        anchor.put(&note(7)).await.unwrap();
        assert_eq!(fs::read_to_string(copied).unwrap(), note(7));
        assert!("run:exit 3".parse::<Anchor>().unwrap().put(&note(7)).await.is_err());
        for wrong in ["", "file:", "run: ", "/mnt/worm", "s3:bucket"] {
            assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
        }
    }
}
