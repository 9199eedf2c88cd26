//! JSON Lines with proofs: an export whose records have one member more, and behind them entries and the head.
//!
//! The head stands at the end, as the file is written in one go, so that it is read twice: once for what stands behind
//! the records, and once for these.

use std::{fs::File, io::BufReader, path::Path};

use serde::Deserialize;

use super::{
    AtMost, Lines, OFTEN, PATH, ReadError, Told, Verified, ended,
    zipped::{Read, entry, hashes, shown_entry, shown_record},
};
use crate::{
    bundle::{ENTRY_MEMBER, HEAD_MEMBER, PROOF_MEMBER},
    ledger::verify::Extract,
    record::{Field, Group, Members, Record, Seal, Spelling, Value, unhex},
};

/// What a line is.
enum Kind {
    Record,
    Entry,
    Head,
}

fn kind(line: &str) -> Kind {
    let begins = |member: &str| {
        let name = line.strip_prefix("{\"").and_then(|rest| rest.strip_prefix(member));
        name.is_some_and(|rest| rest.starts_with("\":"))
    };
    if begins(ENTRY_MEMBER) {
        Kind::Entry
    } else if begins(HEAD_MEMBER) {
        Kind::Head
    } else {
        Kind::Record
    }
}

/// The last line.
#[derive(Debug, Deserialize)]
struct HeadLine {
    ledger_head: ToldHead,
}

#[derive(Debug, Deserialize)]
struct ToldHead {
    checkpoint: String,
    #[serde(flatten)]
    told: Told,
}

#[derive(Debug, Deserialize)]
struct EntryMember<'l> {
    #[serde(borrow)]
    ledger_entry: &'l serde_json::value::RawValue,
}

pub(super) fn verify(
    path: &Path,
    begin: impl FnOnce(&str) -> Extract,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, ReadError> {
    let shown = path.display().to_string();
    let open = || {
        let file = File::open(path).map_err(|error| ReadError::reading(&shown, error))?;
        Ok::<_, ReadError>(Lines::of(shown.clone(), BufReader::with_capacity(1 << 16, file)))
    };
    let head = head(&mut open()?, &shown)?;
    let mut extract = begin(&head.checkpoint);
    let mut lines = open()?;
    let mut entries = 0;
    while let Some((number, line)) = lines.next()? {
        if let Ok(text) = line
            && matches!(kind(text), Kind::Entry)
        {
            let member = serde_json::from_str::<EntryMember<'_>>(text);
            let read = member.map_err(|error| error.to_string());
            let read = read.and_then(|member| entry(member.ledger_entry.get()));
            extract.entry(shown_entry(read, lines.at(number)));
            entries += 1;
        }
    }
    let (mut lines, mut records) = (open()?, 0);
    while let Some((number, line)) = lines.next()? {
        if line.as_ref().is_ok_and(|text| !matches!(kind(text), Kind::Record)) {
            continue;
        }
        let read = line.and_then(exported);
        extract.record(shown_record(read, lines.at(number)));
        records += 1;
        if number.is_multiple_of(OFTEN) {
            progress(extract.records());
        }
    }
    Ok(ended(extract, &head.told, entries, records))
}

/// Finds the head, which stands in the last line and nowhere else.
fn head(lines: &mut Lines<BufReader<File>>, shown: &str) -> Result<ToldHead, ReadError> {
    let (mut head, mut seen) = (None, 0);
    while let Some((number, line)) = lines.next()? {
        seen = number;
        if let Ok(text) = line
            && matches!(kind(text), Kind::Head)
        {
            let read = serde_json::from_str::<HeadLine>(text);
            let read = read.map_err(|error| {
                ReadError::new(format!("{}: the head cannot be read: {error}", lines.at(number)))
            })?;
            if head.replace((number, read.ledger_head)).is_some() {
                return Err(ReadError::new(format!("{shown} has two heads")));
            }
        }
    }
    match head {
        Some((number, head)) if number == seen => Ok(head),
        Some(_) => Err(ReadError::new(format!("{shown} goes on behind its head"))),
        None => Err(ReadError::new(format!(
            "{shown} does not end with the head of a ledger: it is cut off, or was not exported with `--proofs`, or is \
             no bundle"
        ))),
    }
}

/// The member of a record by which it is proved.
#[derive(Debug, Deserialize)]
struct Proof {
    entry: Option<i64>,
    path: AtMost<PATH>,
    #[serde(default)]
    salts: Sealed,
    #[serde(default)]
    commitments: Sealed,
    /// Fields that hold JSON that is null.
    #[serde(default)]
    nulls: AtMost<{ Record::FIELDS.len() }>,
}

#[derive(Debug, Default, Deserialize)]
struct Sealed {
    identity: Option<String>,
    network: Option<String>,
    target: Option<String>,
    content: Option<String>,
}

impl Sealed {
    fn of(&self, group: Group) -> Option<&str> {
        match group {
            Group::Identity => self.identity.as_deref(),
            Group::Network => self.network.as_deref(),
            Group::Target => self.target.as_deref(),
            Group::Content => self.content.as_deref(),
            Group::Sealed => None,
        }
    }
}

/// Reads a record as an export shows it; what it proves follows from its canonical bytes, which are made anew.
fn exported(line: &str) -> Result<Read, String> {
    let members: Members<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut record = Box::new(Record::default());
    let mut proof = None::<Proof>;
    let mut absent = Vec::new();
    for (name, raw) in members.0 {
        if name == PROOF_MEMBER {
            let read = serde_json::from_str::<Proof>(raw.get());
            proof = Some(read.map_err(|error| format!("its proof cannot be read: {error}"))?);
            continue;
        }
        let field = Field::named(&name)
            .ok_or_else(|| format!("no record has a field `{}`", name.escape_debug()))?;
        match raw.get() {
            "null" => absent.push(field),
            there => record.set_spelled(field, there, Spelling::Export)?,
        }
    }
    let proof = proof.ok_or_else(|| "it has no proof".to_owned())?;
    for name in &proof.nulls.0 {
        let field = absent.iter().find(|field| field.name() == name);
        let wrong = || format!("`{}` holds no JSON that is null", name.escape_debug());
        let set = field.ok_or_else(wrong)?.set(&mut record, Value::Json("null"));
        set.map_err(|error| error.to_string())?;
    }
    for group in Group::ERASABLE {
        let wrong = || format!("the seal of its group {} is none", group.as_str());
        let seal = match (proof.salts.of(group), proof.commitments.of(group)) {
            (None, None) => Seal::Empty,
            (Some(salt), None) => Seal::Salted(unhex(salt).ok_or_else(wrong)?),
            (None, Some(hash)) => Seal::Erased(unhex(hash).ok_or_else(wrong)?),
            (Some(_), Some(_)) => return Err(wrong()),
        };
        record.seals.set(group, seal);
    }
    let path = hashes(&proof.path.0)?;
    Ok(Read { record, entry: proof.entry, path, masked: crate::record::Groups::NONE })
}
