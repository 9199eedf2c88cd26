//! Places outside of the database for signed heads.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

use crate::trouble::Trouble;

/// A place for signed heads.
#[derive(Debug, Clone)]
pub(crate) enum Anchor {
    /// A file that is appended to: one note after the other, an empty line behind each.
    File(PathBuf),
    /// A command of the shell that reads a note, as one that puts it into an archive or sends it as a mail.
    Run(String),
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("run", command)) if !command.trim().is_empty() => {
                Ok(Self::Run(command.to_owned()))
            }
            _ => Err("name a place as in `file:/mnt/worm/checkpoints` or `run:COMMAND`".to_owned()),
        }
    }
}

impl Anchor {
    /// Puts a note there; when it returns, it is there.
    pub(crate) fn put(&self, note: &str) -> Result<(), Trouble> {
        match self {
            Self::File(path) => append(path, note).map_err(|error| {
                Trouble::new(format!("could not append to {}: {error}", path.display()))
            }),
            Self::Run(command) => run(command, note)
                .map_err(|error| Trouble::new(format!("could not run `{command}`: {error}"))),
        }
    }

    /// Returns the notes that are there.
    pub(crate) fn read(&self) -> Result<Vec<String>, Trouble> {
        let Self::File(path) = self else {
            return Err(Trouble::new(
                "a command is no place to read from; name the file with the checkpoints, as in file:PATH",
            ));
        };
        let text = fs::read_to_string(path).map_err(|error| {
            Trouble::new(format!("the anchor {} cannot be read: {error}", path.display()))
        })?;
        let notes = notes(&text);
        if notes.is_empty() {
            let why = format!("there is no checkpoint in the anchor {}", path.display());
            return Err(Trouble::new(why));
        }
        Ok(notes)
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

    #[test]
    fn notes_come_back_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        let anchor: Anchor = format!("file:{}", path.display()).parse().unwrap();
        let note = |n: u8| format!("log\n{n}\nroot\n\n\u{2014} log sig\n\u{2014} log sig{n}\n");
        for n in 1..=3 {
            anchor.put(&note(n)).unwrap();
        }
        assert_eq!(anchor.read().unwrap(), [note(1), note(2), note(3)]);
        fs::write(&path, "").unwrap();
        assert!(anchor.read().is_err());
        let copied = folder.path().join("copied");
        let anchor: Anchor = format!("run:cat > {}", copied.display()).parse().unwrap();
        anchor.put(&note(7)).unwrap();
        assert_eq!(fs::read_to_string(copied).unwrap(), note(7));
        assert!("run:exit 3".parse::<Anchor>().unwrap().put(&note(7)).is_err());
        for wrong in ["", "file:", "run: ", "/mnt/worm", "s3:bucket"] {
            assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
        }
    }
}
