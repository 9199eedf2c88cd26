//! What the documents point at is there.

use std::path::{Path, PathBuf};

/// Every document that a reader is led to, relative to the root of the package.
fn documents() -> Vec<PathBuf> {
    let mut found = ["README.md", "DESIGN.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(PathBuf::from)
        .to_vec();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in std::fs::read_dir(root.join("docs")).unwrap() {
        let file = file.unwrap();
        // The pictures have a folder of their own.
        if file.file_type().unwrap().is_file() {
            found.push(Path::new("docs").join(file.file_name()));
        }
    }
    found
}

/// Returns a document's text without its blocks of code.
fn prose(document: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join(document)).unwrap();
    text.split("```").step_by(2).collect()
}

/// Returns the anchor that a heading has on the usual sites.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

/// A link that leads nowhere is a promise that is not kept.
#[test]
fn the_documents_link_to_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = documents();
    assert!(documents.len() > 7, "{documents:?}");
    let mut links = 0;
    for document in &documents {
        let text = prose(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            links += 1;
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let folder = document.parent().unwrap();
            let target = if file.is_empty() { document.clone() } else { folder.join(file) };
            assert!(root.join(&target).exists(), "{}: {link}", document.display());
            let headings = || {
                prose(&target).lines().any(|line| line.starts_with('#') && anchor(line) == place)
            };
            assert!(place.is_empty() || headings(), "{}: {link}", document.display());
        }
    }
    assert!(links > 20, "{links}");
}

/// Examples and documents that are named in code style exist too.
#[test]
fn the_examples_that_documents_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in documents() {
        let text = std::fs::read_to_string(root.join(&document)).unwrap();
        for name in text.split("--example ").skip(1) {
            let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
            let example = root.join("examples").join(&name[..end]);
            let there = example.is_dir() || example.with_extension("rs").exists();
            assert!(there, "{}: {}", document.display(), &name[..end]);
        }
    }
}
