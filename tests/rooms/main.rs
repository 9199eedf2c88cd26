//! The rooms of `src` and who may import whom.
//!
//! Reads the source text: a path that starts with `crate`, `self` or `super`, in a `use`
//! or in the middle of an expression, must lead into the same room or into one further
//! down. Outside crates that only some rooms may name are held to those rooms.

mod source;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use source::{Scan, module_of};

/// The rooms by level. A room imports from levels further up in this list, never from
/// its own level and never from below.
const LEVELS: &[&[&str]] = &[
    &["error", "suggest"],
    &["time"],
    &["record"],
    &["rules", "privacy", "query", "ledger", "encode"],
    &["store"],
    &["archive"],
    &["pipeline"],
    &["viewer", "bundle"],
    &["capture", "retention", "ship", "alert", "api"],
    &["testing", "fuzzing"],
];

/// Where an outside crate may be named: files whose path starts so.
const SQLX: &[&str] = &["store/sqlite.rs", "store/sqlite/", "store/postgres.rs", "store/postgres/"];
/// A program is a crate of its own, beside the rooms: `serve` is an axum server.
const AXUM: &[&str] = &["api.rs", "api/", "bin/"];

/// A broken rule, at a line of a file.
#[derive(Debug, PartialEq)]
struct Violation {
    file: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file, self.line, self.rule)
    }
}

#[test]
fn every_import_leads_downwards() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = sources(&root);
    assert!(
        sources.iter().any(|(file, _)| file == "lib.rs")
            && sources.iter().any(|(file, _)| file.starts_with("record/")),
        "the walk through {} missed files: {sources:?}",
        root.display()
    );

    let broken = check(&sources);

    let list: Vec<String> = broken.iter().map(Violation::to_string).collect();
    assert!(list.is_empty(), "\n{}\n", list.join("\n"));
}

/// Every `.rs` file below `root` with its text, by path relative to `root`.
fn sources(root: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("an entry of a folder that was just listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
                let name = path.strip_prefix(root).expect("found below the root");
                files.push((name.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    files.sort();
    files
}

/// Checks files against all rules, in the order of the files.
fn check(sources: &[(String, String)]) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut extractors: Vec<Violation> = Vec::new();
    for (file, text) in sources {
        let module = module_of(file);
        let scan = Scan::new(&module, text);
        for import in &scan.inside {
            if let Some(rule) = direction(&module, &import.segments) {
                broken.push(Violation { file: file.clone(), line: import.line, rule });
            }
        }
        let allowed = |places: &[&str]| places.iter().any(|place| file.starts_with(place));
        for import in &scan.outside {
            let here = |rule: &str| Violation {
                file: file.clone(),
                line: import.line,
                rule: rule.to_owned(),
            };
            match import.segments[0].as_str() {
                "sqlx" if !allowed(SQLX) => {
                    broken
                        .push(here("`sqlx` is named only inside store/sqlite and store/postgres"));
                }
                "axum" if allowed(AXUM) => {}
                "axum" if module.first().is_some_and(|room| room == "capture") => {
                    extractors.push(here("`axum` is named in one file of `capture` only"));
                }
                "axum" => broken.push(here(
                    "`axum` is named only in `api`, the extractor file of `capture` and the command",
                )),
                _ => {}
            }
        }
    }
    extractors.dedup_by(|next, first| next.file == first.file);
    if extractors.len() > 1 {
        let files: Vec<&str> = extractors.iter().map(|at| at.file.as_str()).collect();
        let files = files.join(", ");
        for mut violation in extractors {
            violation.rule.push_str(&format!(": now in {files}"));
            broken.push(violation);
        }
    }
    broken
}

/// Says what is wrong with a path from `module` to `target` (both below `crate`).
fn direction(module: &[String], target: &[String]) -> Option<String> {
    let level = |room: &str| LEVELS.iter().position(|rooms| rooms.contains(&room));
    let order = || {
        let levels: Vec<String> = LEVELS.iter().map(|rooms| rooms.join(", ")).collect();
        levels.join(" → ")
    };
    // The front door names every room; a program is a crate of its own.
    let from = module.first().filter(|room| *room != "bin")?;
    let Some(from_level) = level(from) else {
        return Some(format!("`{from}` is not a room that tests/rooms knows"));
    };
    let written = target.join("::");
    let to = target.first().map_or("", String::as_str);
    if to == from || to.ends_with('!') {
        return None;
    }
    let Some(to_level) = level(to) else {
        return Some(format!(
            "`{from}` imports `crate::{written}`, which is no room: name the room that has it"
        ));
    };
    (to_level >= from_level).then(|| {
        format!(
            "`{from}` imports `crate::{written}`: imports lead only downwards, and rooms on one \
             level do not import each other ({})",
            order()
        )
    })
}

mod checker {
    use super::*;

    fn broken(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<(String, String)> =
            files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        check(&sources)
            .iter()
            .map(|at| {
                let said = at.to_string();
                said.split(" (").next().expect("split gives a first part").to_owned()
            })
            .collect()
    }

    /// The lines that are refused in one file.
    fn lines(file: &str, text: &str) -> Vec<usize> {
        check(&[(file.to_owned(), text.to_owned())]).iter().map(|at| at.line).collect()
    }

    #[test]
    fn an_import_upwards_is_refused_with_file_line_and_rule() {
        let text = "//! A chapter.\n\nuse crate::store::Append;\n";
        assert_eq!(
            broken(&[("record/mod.rs", text)]),
            ["src/record/mod.rs:3: `record` imports `crate::store::Append`: imports lead only \
              downwards, and rooms on one level do not import each other"]
        );
    }

    #[test]
    fn imports_downwards_and_within_the_room_pass() {
        let text = "use crate::{record::{Record, words::Outcome}, error::Error};\n\
                    use super::queue::Queue;\n\
                    use self::inner::*;\n\
                    pub(crate) fn f() -> crate::store::Row { crate::record::f::<u8>() }\n";
        assert_eq!(lines("pipeline/writer.rs", text), [0; 0]);
    }

    #[test]
    fn rooms_on_one_level_do_not_import_each_other() {
        assert_eq!(lines("rules/mod.rs", "use crate::privacy::Redactor;"), [1]);
        assert_eq!(lines("api/mod.rs", "use crate::capture::Activity;"), [1]);
    }

    #[test]
    fn each_branch_of_a_tree_is_judged_at_its_own_line() {
        let text = "use crate::{\n    record::Record,\n    pipeline::{\n        Recorder,\n        \
                    Tally as Sum,\n    },\n    query,\n};\nuse std::fmt;\n";
        assert_eq!(lines("store/mod.rs", text), [4, 5]);
    }

    #[test]
    fn paths_inside_expressions_are_imports_too() {
        let text = "fn f() {\n    let x = if a { crate::capture::now() } else { 1 };\n}\n";
        assert_eq!(lines("store/mod.rs", text), [2]);
    }

    #[test]
    fn super_is_followed_up_to_the_rooms() {
        assert_eq!(lines("rules/file.rs", "use super::super::store::X;"), [1]);
        assert_eq!(lines("rules/mod.rs", "use super::store::X;"), [1]);
        assert_eq!(lines("rules/mod.rs", "mod tests {\n    use super::*;\n}\n"), [0; 0]);
        let twice = "mod a { mod b { fn f() {} }\n use super::super::store::X;\n }";
        assert_eq!(lines("rules/mod.rs", twice), [2]);
    }

    #[test]
    fn the_front_door_may_name_rooms_but_no_room_may_use_the_front_door() {
        assert_eq!(lines("lib.rs", "pub use crate::pipeline::Pipeline;"), [0; 0]);
        assert_eq!(lines("bin/activity/main.rs", "use crate::args::Args;"), [0; 0]);
        assert_eq!(lines("record/mod.rs", "use crate::Pipeline;"), [1]);
        assert_eq!(lines("record/mod.rs", "use crate::*;"), [1]);
        assert_eq!(lines("record/mod.rs", "fn f() { crate::shim!(x); }"), [0; 0]);
    }

    #[test]
    fn an_unknown_room_is_refused() {
        assert_eq!(
            broken(&[("attic/mod.rs", "use crate::record::Record;")]),
            ["src/attic/mod.rs:1: `attic` is not a room that tests/rooms knows"]
        );
    }

    #[test]
    fn comments_strings_and_characters_are_not_read() {
        let text = r####"
            // use crate::store::A;
            /* /* use crate::store::B; */ use crate::store::C; */
            /// [`crate::store::D`]
            const X: &str = "use crate::store::E; \" crate::store::F";
            const Y: &str = r##"" crate::store::G "# crate::store::H"##;
            const Z: (char, char, u8) = ('"', '\'', b'"');
            fn f<'a>(x: &'a str) -> &'a str { x }
            const B: &[u8] = br#"" crate::store::I"#;
        "####;
        assert_eq!(lines("record/mod.rs", text), [0; 0]);
        let real = format!("{text}use crate::store::Real;");
        assert_eq!(lines("record/mod.rs", &real), [10]);
    }

    #[test]
    fn sqlx_is_named_only_in_its_stores() {
        let text = "use sqlx::Row;\n#[derive(sqlx::FromRow)]\nstruct X;\n";
        assert_eq!(lines("store/sqlite/rows.rs", text), [0; 0]);
        assert_eq!(lines("store/postgres/mod.rs", text), [0; 0]);
        assert_eq!(lines("store/memory.rs", text), [1, 2]);
        assert_eq!(lines("lib.rs", "use {std::fmt, sqlx::Row};"), [1]);
        assert_eq!(lines("error.rs", "use sqlx as db;"), [1]);
    }

    #[test]
    fn axum_is_named_in_api_and_one_file_of_capture() {
        let text = "use axum::extract::MatchedPath;\n";
        assert_eq!(lines("api/mod.rs", text), [0; 0]);
        assert_eq!(lines("capture/axum.rs", text), [0; 0]);
        assert_eq!(lines("pipeline/mod.rs", text), [1]);
        assert_eq!(
            broken(&[("capture/axum.rs", text), ("capture/body.rs", text)]),
            [
                "src/capture/axum.rs:1: `axum` is named in one file of `capture` only: now in \
                 capture/axum.rs, capture/body.rs",
                "src/capture/body.rs:1: `axum` is named in one file of `capture` only: now in \
                 capture/axum.rs, capture/body.rs"
            ]
        );
    }

    #[test]
    fn the_command_may_serve_but_asks_no_database_itself() {
        assert_eq!(lines("bin/activity/serve/mod.rs", "use axum::Router;"), [0; 0]);
        assert_eq!(lines("bin/activity/serve/mod.rs", "use sqlx::Row;"), [1]);
    }

    #[test]
    fn a_module_of_ones_own_called_axum_is_not_the_crate() {
        assert_eq!(lines("pipeline/mod.rs", "mod axum;\npub use self::axum::Extractor;"), [0; 0]);
    }

    #[test]
    fn tests_may_drive_outside_crates_but_keep_the_direction() {
        let text = "#[cfg(test)]\nmod tests {\n    use axum::Router;\n    use crate::api::X;\n}\n\
                    fn f() { axum::serve(); }\n";
        assert_eq!(lines("pipeline/mod.rs", text), [4, 6]);
        assert_eq!(lines("pipeline/tests.rs", "use axum::Router;"), [0; 0]);
        assert_eq!(lines("pipeline/mod.rs", "#[cfg(not(test))]\nmod x {\nuse axum::A;\n}"), [3]);
    }
}
