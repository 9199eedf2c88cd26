//! `activity checkpoint`

use std::process::ExitCode;

use tower_activity::{
    ledger::{Checkpoint as Head, Note, NoteError, NoteSigner, origin_of},
    store::{AnyStore, Evidence as _, make_checkpoint},
    time::{Clock as _, SystemClock},
};

use crate::{
    arguments::{Checkpoint, Common},
    out,
    store::{self, Store},
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Checkpoint) -> Result<ExitCode, Trouble> {
    let log = Store::existing(common).await?.reader();
    let keys = store::keys_of_log(common).await?.ok_or_else(|| {
        Trouble::usage(
            "nothing says where the keys are: name the file with --keys or ACTIVITY_KEYS",
        )
    })?;
    let seeds = keys.signing_seeds();
    if arguments.trust_line {
        for line in trust_lines(&log, seeds).await? {
            out::line(&line)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(before) = log.last_checkpoint().await? {
        said_of_another_key(&before.note, seeds);
    }
    let kept = make_checkpoint(&log, seeds, SystemClock::default().now()).await?;
    let kept = kept.ok_or_else(|| empty(common))?;
    for anchor in &arguments.anchor {
        anchor.put(&kept.note).await?;
    }
    if out::is_table(common) {
        out::bytes(kept.note.as_bytes())?;
    } else {
        out::json(&serde_json::json!({ "size": kept.size, "note": kept.note }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says so where none of the keys signed the checkpoint before: they are not those of the services, or the old one was lost.
fn said_of_another_key(note: &str, seeds: &[[u8; 32]]) {
    let signed = || -> Result<(), NoteError> {
        let note: Note = note.parse()?;
        let origin = Head::parse(note.text())?.origin;
        let signers = seeds.iter().map(|seed| NoteSigner::new(&origin, seed));
        let signers: Vec<_> = signers.collect::<Result<_, NoteError>>()?;
        note.verify(signers.iter().map(NoteSigner::key)).map(|_keys| ())
    };
    if signed().is_err() {
        out::note(
            "the checkpoint before this one was signed with another key: to whoever trusts that one alone, `verify` calls \
             this one forged, until the line of this key is in the trust file (--trust-line)",
        );
    }
}

fn empty(common: &Common) -> Trouble {
    let log = store::shown(common.store());
    Trouble::new(format!("there is nothing in the log {log} yet, hence nothing to sign"))
}

/// Returns the lines of the trust file for these keys.
pub(crate) async fn trust_lines(
    log: &AnyStore,
    seeds: &[[u8; 32]],
) -> Result<Vec<String>, Trouble> {
    let first = log.ledger_rows(0, 1).await?.pop().and_then(|row| row.entry.ok());
    let first = first.ok_or_else(|| {
        Trouble::new("the log has no first entry yet, after which its checkpoints are named")
    })?;
    let origin = origin_of(&first);
    let line = |seed| {
        let signer = NoteSigner::new(&origin, seed).map_err(|error| Trouble::of(&error))?;
        Ok(signer.key().to_string())
    };
    seeds.iter().map(line).collect()
}
