//! Places outside of the database for signed heads.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

use tower_activity::{
    store::Evidence as _,
    time::{Clock as _, SystemClock},
};

use crate::{
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
        if notes.is_empty() {
            return Err(Trouble::new(format!("there is no checkpoint in the anchor {name}")));
        }
        Ok(notes)
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

/// A note is two paragraphs: the text and its signatures.
fn notes(text: &str) -> Vec<String> {
    let paragraphs: Vec<_> = text.split("\n\n").filter(|text| !text.trim().is_empty()).collect();
    let note = |parts: &[&str]| {
        let parts: Vec<_> = parts.iter().map(|part| part.trim_matches('\n')).collect();
        format!("{}\n", parts.join("\n\n"))
    };
    paragraphs.chunks(2).map(note).collect()
}

fn append(path: &Path, note: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
    // One write, so that notes of several processes do not run into each other.
    file.write_all(format!("{note}\n").as_bytes())?;
    file.sync_all()
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
        let note = |n: u8| format!("log\n{n}\nroot\n\n\u{2014} log sig\n\u{2014} log sig{n}\n");
        for n in 1..=3 {
            anchor.put(&note(n)).await.unwrap();
        }
        assert_eq!(anchor.read().await.unwrap(), [note(1), note(2), note(3)]);
        fs::write(&path, "").unwrap();
        assert!(anchor.read().await.is_err());
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
