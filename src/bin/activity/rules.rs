//! `activity rules`

use std::{path::Path, process::ExitCode};

use serde_json::json;
use tower_activity::{rules::Rules, rules::RulesError};

use crate::{
    arguments::{self, Common, RulesCommand},
    out,
    trouble::{Trouble, with_causes},
};

pub(crate) fn run(common: &Common, arguments: &arguments::Rules) -> Result<ExitCode, Trouble> {
    match &arguments.command {
        RulesCommand::Check { file } => check(common, file),
        RulesCommand::Explain { method, route, status, rules } => {
            explain(common, method, route, *status, rules.as_deref())
        }
    }
}

fn read(file: &Path) -> Result<Rules, RulesError> {
    let rules = Rules::rest().with_file(file)?;
    rules.check()?;
    Ok(rules)
}

fn check(common: &Common, file: &Path) -> Result<ExitCode, Trouble> {
    let error = read(file).err().map(|error| with_causes(&error));
    if !out::is_table(common) {
        let found = json!({ "file": file, "sound": error.is_none(), "error": error });
        out::heard(out::json(&found))?;
    }
    match error {
        None if out::is_table(common) => {
            out::line(&format!("{}: nothing is wrong", file.display()))?;
        }
        None => {}
        Some(error) => {
            out::note(error);
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(
    common: &Common,
    method: &str,
    route: &str,
    status: u16,
    file: Option<&Path>,
) -> Result<ExitCode, Trouble> {
    let rules = match file {
        Some(file) => read(file)?,
        None => Rules::rest(),
    };
    let method: http::Method = method
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| Trouble::usage(format!("{method:?} is no HTTP method")))?;
    let explanation = rules.explain(method.as_str(), route, status)?;
    if out::is_table(common) {
        out::line(&explanation.to_string())?;
    } else {
        out::json(&explanation)?;
    }
    Ok(ExitCode::SUCCESS)
}
