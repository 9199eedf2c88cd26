//! The command `activity`: asks a log, runs one for services in any language, and looks after it.
//!
//! Exit codes: 0 done; 1 what was looked at is not as it should be (`doctor`, `rules check`, `verify`); 2 the
//! command line is wrong, and for `verify` that the log is unaltered but incomplete; 3 it could not run.

mod anchor;
mod archive;
mod arguments;
mod bundle;
mod checkpoint;
mod consent;
mod diagnostics;
mod doctor;
#[cfg(test)]
mod documented;
mod escaped;
mod export;
mod hold;
mod key;
mod key_file;
mod line;
mod listen;
mod migrate;
mod out;
mod partial;
mod query;
mod question;
mod records;
mod report;
mod restore;
mod retention;
mod rules;
mod secret;
mod serve;
mod stats;
mod store;
mod subject;
mod tail;
mod trouble;
mod verify;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::{CommandFactory as _, Parser as _};
use trouble::Trouble;

#[tokio::main]
async fn main() -> ExitCode {
    let line = line::told_apart(&Arguments::command(), std::env::args_os());
    let verifies = line.iter().any(|word| word == "verify");
    let arguments = match Arguments::try_parse_from(line) {
        Ok(arguments) => arguments,
        Err(told) => {
            // Help and version come this way too, and nobody may be there to read them.
            let _unheard = told.print();
            return match told.exit_code() {
                0 => ExitCode::SUCCESS,
                // 2 says of a log that it is incomplete, and here nothing is known of it.
                _ if verifies => ExitCode::from(3),
                _ => ExitCode::from(2),
            };
        }
    };
    match run(arguments).await {
        Ok(code) => code,
        Err(trouble) if trouble.is_unheard() => ExitCode::SUCCESS,
        Err(trouble) => {
            out::note(trouble.to_string());
            trouble.exit_code()
        }
    }
}

async fn run(Arguments { common, command }: Arguments) -> Result<ExitCode, Trouble> {
    match command {
        Command::Migrate(arguments) => migrate::run(&common, &arguments).await,
        Command::Query(arguments) => query::run(&common, &arguments).await,
        Command::Tail(arguments) => tail::run(&common, &arguments).await,
        Command::Stats(arguments) => stats::run(&common, &arguments).await,
        Command::Report(arguments) => report::run(&common, &arguments).await,
        Command::Export(arguments) => export::run(&common, &arguments).await,
        Command::Bundle(arguments) => bundle::run(&common, &arguments).await,
        Command::Doctor(arguments) => doctor::run(&common, &arguments).await,
        Command::Verify(arguments) => verify::run(&common, &arguments).await,
        Command::Checkpoint(arguments) => checkpoint::run(&common, &arguments).await,
        Command::Retention(arguments) => retention::run(&common, &arguments).await,
        Command::Archive(arguments) => archive::run(&common, &arguments).await,
        Command::Hold(arguments) => hold::run(&common, &arguments).await,
        Command::Serve(arguments) => serve::run(&common, &arguments).await,
        Command::Key(arguments) => key::run(&common, &arguments).await,
        Command::Consent(arguments) => consent::run(&common, &arguments).await,
        Command::Subject(arguments) => subject::run(&common, &arguments).await,
        Command::Rules(arguments) => rules::run(&common, &arguments),
        Command::Completions { shell } => arguments::completions(shell),
        Command::Man { command } => arguments::man(command.as_deref()),
    }
}
