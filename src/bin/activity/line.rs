//! Tells the words of a query from options: `-actor_id:bot` leaves something out, `-n` is an option.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

/// What a command that looks for records calls its words.
const QUERY: &str = "query";

/// Returns the line in such a form that clap takes no word of a query for an option: with a space before it.
///
/// Not `allow_hyphen_values`: after the first word that takes every option for a word, `--output` too.
pub(crate) fn told_apart(
    command: &Command,
    line: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut built = command.clone();
    built.build();
    let mut command = &built;
    let mut line = line.into_iter();
    let mut told: Vec<OsString> = line.next().into_iter().collect();
    while let Some(argument) = line.next() {
        let Some(text) = argument.to_str() else {
            told.push(argument);
            continue;
        };
        if text == "--" {
            told.push(argument);
            break;
        }
        if !text.starts_with('-') || text == "-" {
            command = command.find_subcommand(text).unwrap_or(command);
            told.push(argument);
        } else if is_word(command, text) {
            told.push(OsString::from(format!(" {text}")));
        } else {
            let waits = waits_for_its_value(command, text);
            told.push(argument);
            // Whatever it is.
            told.extend(waits.then(|| line.next()).flatten());
        }
    }
    told.extend(line);
    told
}

/// Returns a word of a query without the space that told it apart.
pub(crate) fn word(text: &str) -> &str {
    text.strip_prefix(' ').filter(|word| word.starts_with('-')).unwrap_or(text)
}

fn is_word(command: &Command, text: &str) -> bool {
    let mut chars = text[1..].chars();
    let Some(first) = chars.next().filter(|first| *first != '-') else { return false };
    let attached = chars.as_str();
    let queries = command.get_positionals().any(|argument| argument.get_id() == QUERY);
    queries
        && match command.get_arguments().find(|argument| argument.get_short() == Some(first)) {
            None => true,
            Some(_) if attached.is_empty() => false,
            Some(option) if takes_value(option) => !is_value(option, attached),
            Some(_) => true,
        }
}

/// A value that stands right behind its letter: `-n50`, `-oall.csv`; not `-name` or `-order`.
fn is_value(option: &Arg, attached: &str) -> bool {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let file = |text: &str| !text.contains(':') && text.contains(['.', '/']);
    attached.starts_with('=')
        || if option.get_id() == "out" { file(attached) } else { number(attached) }
}

fn waits_for_its_value(command: &Command, text: &str) -> bool {
    let option = match text.strip_prefix("--") {
        Some(long) => command.get_arguments().find(|argument| argument.get_long() == Some(long)),
        None if text.len() == 2 => command
            .get_arguments()
            .find(|argument| argument.get_short() == text[1..].chars().next()),
        None => None,
    };
    option.is_some_and(takes_value)
}

fn takes_value(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::arguments::Arguments;

    fn told(line: &str) -> String {
        let line = line.split(' ').map(OsString::from);
        let told = told_apart(&Arguments::command(), line);
        let told: Vec<_> =
            told.iter().map(|text| text.to_str().unwrap().replace(' ', "·")).collect();
        told.join(" ")
    }

    #[test]
    fn words_are_told_from_options_wherever_they_stand() {
        for (line, expected) in [
            ("activity query -actor_id:bot -n 5", "activity query ·-actor_id:bot -n 5"),
            ("activity query a:b --output table", "activity query a:b --output table"),
            ("activity --store -x query -name", "activity --store -x query ·-name"),
            ("activity query -n5 -n=5 -n -5", "activity query -n5 -n=5 -n -5"),
            ("activity query --tz -11:00 -(a", "activity query --tz -11:00 ·-(a"),
            ("activity query -host:x -Version -h", "activity query ·-host:x ·-Version -h"),
            ("activity export -oall.csv -order", "activity export -oall.csv ·-order"),
            ("activity export -outcome:denied -o -x", "activity export ·-outcome:denied -o -x"),
            ("activity query -- -a --b", "activity query -- -a --b"),
            ("activity query --frob -", "activity query --frob -"),
            ("activity key revoke -x", "activity key revoke -x"),
            ("activity", "activity"),
        ] {
            assert_eq!(told(line), expected);
        }
    }

    #[test]
    fn an_option_that_there_is_not_is_no_word() {
        let line = ["activity", "query", "action:x", "--outptu", "table"].map(OsString::from);
        let read = Arguments::try_parse_from(told_apart(&Arguments::command(), line));
        assert!(read.unwrap_err().to_string().contains("--output"));
    }
}
