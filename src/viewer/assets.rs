//! The files of the page, embedded.

use std::{io::Write as _, sync::LazyLock};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::fields;

/// One file, ready to be sent.
#[derive(Debug)]
pub(crate) struct Asset {
    name: &'static str,
    /// Its media type.
    pub(crate) media: &'static str,
    /// As it is.
    pub(crate) plain: Bytes,
    /// Compressed with gzip.
    pub(crate) gzip: Bytes,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("web/", $name)))),*]
    };
}

/// Every file of `web/`; the tests hold this list against the folder.
const FILES: &[(&str, &str)] = files![
    "api.js",
    "app.js",
    "cellmenu.js",
    "columnpicker.js",
    "columns.js",
    "counts.js",
    "diff.js",
    "dom.js",
    "drawer.js",
    "empty.js",
    "export.js",
    "facets.js",
    "grammar.js",
    "health.js",
    "histogram.js",
    "icon.svg",
    "list.js",
    "listpage.js",
    "live.js",
    "me.js",
    "problems.js",
    "proof.js",
    "query.js",
    "range.js",
    "related.js",
    "rows.js",
    "search.js",
    "sentence.js",
    "state.js",
    "stats.js",
    "styles.css",
    "tabs.js",
    "time.js",
    "trail.js",
    "words.en.js",
    "words.de.js",
];

/// The chart library, as its author published it.
const UPLOT: &[(&str, &str)] = &[
    ("uplot.css", include_str!("uplot/uPlot.min.css")),
    ("uplot.js", include_str!("uplot/uPlot.esm.js")),
];

/// Compressed when the first reader comes: some milliseconds, and no second copy of each file in the repository.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files = FILES.iter().chain(UPLOT);
    let embedded = files.map(|(name, text)| made(name, Bytes::from_static(text.as_bytes())));
    embedded.chain([made("fields.js", Bytes::from(fields::module()))]).collect()
});

static REVISION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for Asset { name, plain, .. } in &*ASSETS {
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update((plain.len() as u64).to_be_bytes());
        hash.update(plain);
    }
    crate::record::hex(&hash.finalize()[..8])
});

fn made(name: &'static str, plain: Bytes) -> Asset {
    let media = match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let mut gzip = GzEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::best());
    // Writing to memory does not fail; if it did, the file would go out as it is.
    let gzip = gzip.write_all(&plain).and_then(|()| gzip.finish()).unwrap_or_default();
    Asset { name, media, plain, gzip: gzip.into() }
}

/// Returns a hash of all files, as it stands in their addresses.
pub(crate) fn revision() -> &'static str {
    &REVISION
}

/// Returns a file by its path below the revision.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == path)
}

/// Returns the languages that there is a catalogue of words for.
pub(super) fn languages() -> impl Iterator<Item = &'static str> {
    let names = FILES.iter().map(|(name, _)| *name);
    names.filter_map(|name| name.strip_prefix("words.")?.strip_suffix(".js"))
}

/// Returns the modules of the page in a language, in no order that matters.
pub(super) fn modules(language: &str) -> impl Iterator<Item = &'static str> {
    let words = format!("words.{language}.js");
    let names = ASSETS.iter().map(|asset| asset.name).filter(|name| name.ends_with(".js"));
    names.filter(move |name| !name.starts_with("words.") || *name == words)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::*;

    /// All that a browser loads, compressed.
    const MOST_BYTES: usize = 150 * 1024;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/viewer/web")
    }

    fn files_below(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files =
            entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] });
        files.collect()
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let mut there: Vec<_> = files_below(&folder())
            .into_iter()
            .map(|path| path.strip_prefix(folder()).unwrap().to_str().unwrap().replace('\\', "/"))
            .collect();
        there.sort_unstable();
        let mut embedded: Vec<_> = FILES.iter().map(|(name, _)| *name).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, there);
    }

    /// Nobody mends somebody else's code here: what is published can be compared with what is embedded.
    #[test]
    fn the_chart_library_is_the_one_that_was_published() {
        let readme = include_str!("uplot/README.md");
        for (name, text) in UPLOT {
            let hash = crate::record::hex(&Sha256::digest(text));
            assert!(readme.contains(&hash), "{name} has the hash {hash}");
        }
    }

    #[test]
    fn all_of_it_is_small_in_every_language() {
        let size = |name: &str| asset(name).unwrap().gzip.len();
        let other = ASSETS.iter().map(|asset| asset.name).filter(|name| !name.ends_with(".js"));
        let other: usize = other.map(size).sum();
        for language in languages() {
            let bytes = other + modules(language).map(size).sum::<usize>();
            assert!(bytes > other && bytes < MOST_BYTES, "{language}: {bytes}");
        }
        for asset in &*ASSETS {
            assert!(!asset.gzip.is_empty(), "{}", asset.name);
            assert_ne!(asset.media, "application/octet-stream", "{}", asset.name);
        }
    }

    /// What a record says came from clients. These would let it become markup or code.
    #[test]
    fn no_module_makes_markup_or_code_of_text() {
        for (name, text) in FILES.iter().chain(UPLOT).filter(|(name, _)| name.ends_with(".js")) {
            for sink in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "srcdoc",
                "createContextualFragment",
                "DOMParser",
            ] {
                assert!(!text.contains(sink), "{name} uses {sink}");
            }
        }
    }

    #[test]
    fn a_page_is_sent_one_catalogue_alone() {
        assert_eq!(languages().next(), Some("en"));
        for language in languages() {
            let sent: Vec<_> =
                modules(language).filter(|name| name.starts_with("words.")).collect();
            assert_eq!(sent, [format!("words.{language}.js")]);
        }
    }

    #[test]
    fn every_import_leads_to_a_file() {
        for (name, text) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
            for line in
                text.lines().filter(|line| line.starts_with("import") || line.starts_with("} from"))
            {
                let path = line.rsplit('"').nth(1).unwrap_or_else(|| panic!("{name}: {line}"));
                let path = path.strip_prefix("./").unwrap_or_else(|| panic!("{name}: {path}"));
                assert!(asset(path).is_some(), "{name} imports {path}");
            }
        }
    }
}
