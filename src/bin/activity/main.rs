//! The command `activity`: asks a log, runs one for services in any language, and looks after it.
//!
//! Exit codes: 0 done; 1 what was looked at is not as it should be (`doctor`, `rules check`); 2 the command
//! line is wrong; 3 it could not run.

mod arguments;
mod diagnostics;
mod key;
mod migrate;
mod out;
mod rules;
mod secret;
mod serve;
mod store;
mod trouble;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser as _;
use trouble::Trouble;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(code) => code,
        Err(trouble) => {
            eprintln!("activity: {trouble}");
            ExitCode::from(3)
        }
    }
}

async fn run(Arguments { common, command }: Arguments) -> Result<ExitCode, Trouble> {
    match command {
        Command::Migrate(arguments) => migrate::run(&common, &arguments).await,
        Command::Serve(arguments) => serve::run(&common, &arguments).await,
        Command::Key(arguments) => key::run(&common, &arguments).await,
        Command::Rules(arguments) => rules::run(&common, &arguments),
        Command::Completions { shell } => Ok(arguments::completions(shell)),
        Command::Man => arguments::man(),
    }
}
