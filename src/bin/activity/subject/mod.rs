//! `activity subject`

mod erase;
mod export;

use std::process::ExitCode;

use crate::{
    arguments::{Common, Subject, SubjectCommand},
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Subject) -> Result<ExitCode, Trouble> {
    match &arguments.command {
        SubjectCommand::Export(export) => export::run(common, export).await,
        SubjectCommand::Erase(erase) => erase::run(common, erase).await,
    }
}
