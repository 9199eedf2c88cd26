//! `docs/command.md` names what there is, and nothing else.

use clap::CommandFactory as _;

use crate::arguments::Arguments;

const DOCUMENT: &str = include_str!("../../../docs/command.md");

#[test]
fn every_command_and_option_is_in_the_document() {
    let mut root = Arguments::command();
    root.build();
    let rows = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('`').nth(1).unwrap_or_default());
    let table: Vec<_> = rows.take_while(|name| *name != "ACTIVITY_STORE").collect();
    let commands: Vec<_> =
        root.get_subcommands().filter(|command| command.get_name() != "help").collect();
    let names: Vec<_> = commands.iter().map(|command| command.get_name()).collect();
    let mut sorted = (table, names);
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    assert_eq!(sorted.0, sorted.1);
    let below = commands.iter().flat_map(|command| command.get_subcommands());
    for command in commands.iter().copied().chain(below) {
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            let known = ["help", "version"].contains(&option);
            assert!(
                known || DOCUMENT.contains(&format!("--{option}")),
                "{}: --{option}",
                command.get_name()
            );
        }
    }
}

#[test]
fn every_variable_is_in_the_document() {
    let source = concat!(
        include_str!("arguments/mod.rs"),
        include_str!("arguments/evidence.rs"),
        include_str!("arguments/keeping.rs"),
        include_str!("arguments/people.rs"),
        include_str!("arguments/reading.rs"),
        include_str!("arguments/running.rs"),
    );
    let named = source.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    for name in named.chain(["PORT", "ACTIVITY_MODE", "ACTIVITY_SPOOL", "RUST_LOG", "NO_COLOR"]) {
        assert!(DOCUMENT.contains(&format!("| `{name}` |")), "{name}");
    }
}
