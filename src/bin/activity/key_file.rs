//! `activity key rotate`, and `activity key list --file`

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;
use tower_activity::{Keys, privacy::KeyUse};

use crate::{
    arguments::Common,
    checkpoint::trust_lines,
    out,
    store::{self, Store},
    trouble::Trouble,
};

pub(crate) fn list(common: &Common) -> Result<ExitCode, Trouble> {
    let path = path(common)?;
    if !path.exists() {
        return Err(Trouble::new(format!(
            "there is no key file `{}`; the first start of a service makes it",
            path.display()
        )));
    }
    let keys = Keys::open(&path)?;
    if out::is_table(common) {
        shown(&keys)?;
    } else {
        for (what, id, in_use) in keys.ids() {
            out::json(&json!({ "use": what.as_str(), "id": id, "in_use": in_use }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn rotate(common: &Common, uses: &[KeyUse]) -> Result<ExitCode, Trouble> {
    let mut uses = uses.to_vec();
    uses.sort_unstable_by_key(|what| what.as_str());
    uses.dedup();
    let keys = Keys::rotate(path(common)?, &uses)?;
    let signs = uses.contains(&KeyUse::Signing);
    // The keys are new by now, whatever the log says.
    let lines = match signs {
        true => of_log(common, &keys).await.map_err(|trouble| trouble.to_string()),
        false => Ok(Vec::new()),
    };
    if out::is_table(common) {
        shown(&keys)?;
        if let Some(line) = lines.as_ref().ok().and_then(|lines| lines.first()) {
            out::note("for the trust file, beside the line of the key before:");
            out::line(line)?;
        }
    } else {
        let all: Vec<_> = keys
            .ids()
            .map(|(what, id, used)| json!({ "use": what.as_str(), "id": id, "in_use": used }))
            .collect();
        let line = lines.as_ref().ok().and_then(|lines| lines.first());
        out::json(&json!({ "keys": all, "trust_line": line }))?;
    }
    if let Err(why) = lines {
        out::note(format!(
            "the line for the trust file is not known ({why}); `activity checkpoint --trust-line` prints it later"
        ));
    }
    out::note(
        "start each process again that has the key file open: until then it goes on with the keys of before. Keep a \
         copy of the file where the database is not",
    );
    Ok(ExitCode::SUCCESS)
}

async fn of_log(common: &Common, keys: &Keys) -> Result<Vec<String>, Trouble> {
    let log = Store::existing(common).await?.reader();
    trust_lines(&log, keys.signing_seeds()).await
}

fn path(common: &Common) -> Result<PathBuf, Trouble> {
    store::keys_path(common).ok_or_else(|| {
        Trouble::usage(
            "nothing says where the keys are: name the file with --keys or ACTIVITY_KEYS",
        )
    })
}

fn shown(keys: &Keys) -> Result<(), Trouble> {
    let mut rows = out::Rows::titled(&["use", "id", "in use"]);
    for (what, id, in_use) in keys.ids() {
        rows.row([
            out::cell(what.as_str()),
            out::cell(&id),
            out::cell(if in_use { "yes" } else { "" }),
        ]);
    }
    rows.whole(&[1]);
    rows.print()
}
