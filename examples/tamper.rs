//! cargo run --example tamper
//!
//! Somebody who owns the database changes one word in one row, past every trigger, and is found out. A person is erased,
//! as the law may ask, and nothing is found, for nothing was altered. Afterwards, try it yourself on the log that it
//! leaves behind:
//!
//! ```sh
//! cargo run --features cli --bin activity -- verify --store sqlite:tamper.db --trust tamper.trust
//! ```

use std::{
    env,
    error::Error,
    fs,
    io::{self, IsTerminal as _},
    path::Path,
};

use tower_activity::{
    Keys, Pipeline, Record, SqliteStore,
    ledger::{Note, NoteSigner, Trust, verify::Report},
    pipeline::ErasureRequest,
    record::Actor,
    store::{Audit, make_checkpoint},
    time::{Clock as _, SystemClock},
};

const LOG: &str = "tamper.db";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for old in [LOG, "tamper.db-wal", "tamper.db-shm", "tamper.keys", "tamper.trust"] {
        if Path::new(old).exists() {
            fs::remove_file(old)?;
        }
    }

    // A month of refunds, and a signed checkpoint. The key is not in the database.
    let store = SqliteStore::open(LOG).await?;
    let keys = Keys::open("tamper.keys")?;
    let pipeline = Pipeline::builder(store.clone()).keys(keys.clone()).start().await?;
    for order in 1..=200 {
        let ana = Actor::user("ana");
        pipeline.recorder().record(Record::by(ana).verb("refund").on("order", &order.to_string()));
        // As if they came over the month: an entry of the ledger accounts for ten, and what was edited is known as closely.
        if order % 10 == 0 {
            pipeline.flush().await;
        }
    }
    let now = SystemClock::default().now();
    let kept = make_checkpoint(&store, keys.signing_seeds(), now).await?.ok_or("an empty log")?;
    let note: Note = kept.note.parse()?;
    // Whose signatures count. An auditor keeps this where nobody can change it who can write the database.
    let name = note.text().lines().next().ok_or("a note without a name")?;
    let trust = NoteSigner::new(name, keys.signing_seed())?.key().to_string();
    fs::write("tamper.trust", format!("{trust}\n"))?;

    println!("As it was written:\n{}", told(&verify(&store).await?));

    let attacker = rusqlite::Connection::open(LOG)?;
    attacker
        .execute_batch("UPDATE activity_records SET action = 'cancel' WHERE entity_id = '117'")
        .map_err(|refused| println!("The application's own rights do not suffice: {refused}\n"))
        .expect_err("the log is append-only");
    // The owner of a database can take its triggers away, and put them back when he is done.
    let triggers = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name IN \
        ('activity_records_sealed', 'activity_records_groups', 'activity_records_delete')";
    let triggers: Vec<String> =
        attacker.prepare(triggers)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    attacker.execute_batch(
        "DROP TRIGGER activity_records_sealed; DROP TRIGGER activity_records_groups; \
         DROP TRIGGER activity_records_delete; \
         UPDATE activity_records SET action = 'cancel' WHERE entity_id = '117'",
    )?;
    println!(
        "After one word was changed by the owner of the database:\n{}",
        told(&verify(&store).await?)
    );

    attacker
        .execute_batch("UPDATE activity_records SET action = 'refund' WHERE entity_id = '117'")?;
    attacker.execute_batch(&triggers.join(";\n"))?;
    println!("After it was put back:\n{}", told(&verify(&store).await?));

    // The law asks for what a tamperer must not do. What was about her is gone, and the proofs do not notice.
    let request = ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").alone();
    let certificate = pipeline.eraser()?.erase(&request, |_progress| {}).await?;
    println!(
        "After ana was erased from {} records, as the log itself tells:\n{}",
        certificate.records,
        told(&verify(&store).await?)
    );
    pipeline.shutdown(std::time::Duration::from_secs(5)).await;
    Ok(())
}

async fn verify(store: &SqliteStore) -> Result<Report, Box<dyn Error>> {
    let trust: Trust = fs::read_to_string("tamper.trust")?.parse()?;
    Ok(Audit::new(store).trust(trust).run(|_progress| {}).await?)
}

fn told(report: &Report) -> String {
    // <https://no-color.org>
    let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || !io::stdout().is_terminal();
    let (red, green, plain) = match is_plain {
        true => ("", "", ""),
        false => ("\x1b[31m", "\x1b[32m", "\x1b[0m"),
    };
    let mut text = match report.altered.is_empty() {
        true => format!("  {green}unaltered{plain}"),
        false => format!("  {red}ALTERED{plain}"),
    };
    text += &format!(": {} records, checkpoints that agree: {}", report.records, report.heads);
    if report.erased > 0 {
        text += &format!(", {green}erased{plain}: {} personal groups", report.erased);
    }
    text.push('\n');
    for found in report.altered.kept() {
        text += &format!("  {found}\n");
    }
    text
}
