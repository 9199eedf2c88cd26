//! `activity subject`

mod erase;

use std::process::ExitCode;

use crate::{
    arguments::{Common, Subject, SubjectCommand},
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Subject) -> Result<ExitCode, Trouble> {
    match &arguments.command {
        SubjectCommand::Erase(erase) => erase::run(common, erase).await,
    }
}
