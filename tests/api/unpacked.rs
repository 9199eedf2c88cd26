//! An evidence bundle that was unpacked, and its own verifier, run by the real Python.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

/// The files of a bundle, in a folder that is gone afterwards.
pub(crate) struct Unpacked(TempDir);

impl Unpacked {
    pub(crate) fn of(bundle: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bundle)).expect("a whole zip file");
        zip.extract(folder.path()).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns all of it as one text.
    pub(crate) fn everything(&self) -> String {
        let mut names: Vec<_> =
            fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.into_iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// Returns the lines of a file as JSON.
    pub(crate) fn lines(&self, name: &str) -> Vec<serde_json::Value> {
        self.text(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Writes a file anew.
    pub(crate) fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs the verifier, and returns its code and what it said.
    pub(crate) async fn verify(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut python = Command::new("python3");
        python.arg("-I").arg(self.path("verify.py")).args(arguments);
        let output =
            python.output().await.expect("python3, which the verifier of a bundle runs in");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }
}
