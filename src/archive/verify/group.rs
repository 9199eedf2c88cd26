//! A row group while it is read: decoded, and hashed anew.

use super::super::{
    columns::Row,
    names::FileKind,
    reader::{key, settle},
    table::Piece,
};
use crate::{
    ledger::{Hash, leaf_hash},
    record::{Canonical, Group, Seal},
};

/// What became of a row group.
pub(super) struct Looked {
    pub(super) rows: Vec<Row>,
    pub(super) leaves: Vec<Hash>,
    pub(super) erased: u64,
    pub(super) faults: Vec<(Row, FileKind, String)>,
    /// Why the personal groups could not be read.
    pub(super) unreadable: Option<String>,
}

/// Decodes and hashes a row group.
pub(super) fn looked(piece: &Piece, beside: Option<&Piece>) -> parquet::errors::Result<Looked> {
    let mut rows = vec![Row::default(); piece.rows];
    piece.read(&mut rows)?;
    let mut looked = Looked {
        leaves: Vec::with_capacity(rows.len()),
        rows: Vec::new(),
        erased: 0,
        faults: Vec::new(),
        unreadable: None,
    };
    let mut canonical = Canonical::new();
    for row in &rows {
        let leaf = leaf_hash(canonical.encode_committed(&row.record, &row.commitments));
        looked.leaves.push(leaf);
    }
    let Some(beside) = beside else {
        looked.rows = rows;
        return Ok(looked);
    };
    let keys: Vec<_> = rows.iter().map(key).collect();
    if let Err(error) = beside.read(&mut rows) {
        looked.unreadable = Some(error.to_string());
        looked.rows = rows;
        return Ok(looked);
    }
    for (row, own) in rows.iter_mut().zip(keys) {
        if key(row) != own {
            let why = "it is the row of another record";
            looked.faults.push((row.clone(), FileKind::Personal, why.to_owned()));
            (row.record.id, row.record.writer_id, row.record.seq) = own;
            continue;
        }
        settle(row);
        for (index, group) in Group::ERASABLE.into_iter().enumerate() {
            looked.erased += u64::from(matches!(row.record.seals.of(group), Seal::Erased(_)));
            if canonical.commitment(&row.record, group) != row.commitments[index] {
                let why =
                    format!("its group {} is not the one that was committed to", group.as_str());
                looked.faults.push((row.clone(), FileKind::Personal, why));
            }
        }
    }
    looked.rows = rows;
    Ok(looked)
}
