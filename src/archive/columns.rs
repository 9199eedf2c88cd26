//! The columns of the two Parquet files, and rows on their way into them and out of them.
//!
//! `records`: the place in the ledger, the sealed fields, the four commitments. `personal`: whose row it is, the fields
//! of the personal groups, their salts. Rows and row groups of both files correspond.
//!
//! Moments are microseconds in UTC, numbers 64 bits wide, salts and commitments bytes, all else text: what the
//! common engines read alike.

use std::{str, sync::Arc, sync::LazyLock};

use bytes::Bytes;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::{reader::ColumnReader, writer::ColumnWriter},
    data_type::ByteArray,
    errors::{ParquetError, Result},
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr},
        reader::RowGroupReader,
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr},
};

use crate::{
    ledger::Hash,
    record::{Address, Field, Group, Kind, Record, RecordId, Seal, Value, WriterId},
    time::Timestamp,
};

/// No row group has more rows.
pub(super) const MAX_ROWS: usize = 20_000;

/// A record with its place in the ledger.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) record: Box<Record>,
    /// The position of its entry.
    pub(super) position: i64,
    /// Its index among the records of the entry.
    pub(super) index: i64,
    /// Those of the four groups, as they stand beside the sealed fields.
    pub(super) commitments: [Option<Hash>; 4],
}

/// The columns of a file.
#[derive(Debug)]
pub(super) struct Layout {
    columns: Vec<Column>,
    schema: TypePtr,
    pub(super) properties: WriterPropertiesPtr,
}

#[derive(Debug)]
struct Column {
    name: String,
    of: Of,
    required: bool,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy)]
enum Of {
    Field(&'static Field),
    Position,
    Index,
    Commitment(usize),
    Salt(Group),
}

/// The columns of `records`.
pub(super) static RECORDS: LazyLock<Layout> = LazyLock::new(|| {
    let mut columns = vec![
        Column { name: "position".to_owned(), of: Of::Position, required: true },
        Column { name: "entry_index".to_owned(), of: Of::Index, required: true },
    ];
    columns.extend(fields(|field| field.group() == Group::Sealed));
    columns.extend(Group::ERASABLE.into_iter().enumerate().map(|(index, group)| Column {
        name: format!("{}_commitment", group.as_str()),
        of: Of::Commitment(index),
        required: false,
    }));
    Layout::new("records", columns)
});

/// The columns of `personal`.
pub(super) static PERSONAL: LazyLock<Layout> = LazyLock::new(|| {
    let key = |field: &Field| ["id", "writer_id", "seq"].contains(&field.name());
    let mut columns: Vec<_> = fields(key).collect();
    columns.extend(fields(|field| field.group() != Group::Sealed));
    columns.extend(Group::ERASABLE.map(|group| Column {
        name: format!("{}_salt", group.as_str()),
        of: Of::Salt(group),
        required: false,
    }));
    Layout::new("personal", columns)
});

fn fields(wanted: impl Fn(&Field) -> bool) -> impl Iterator<Item = Column> {
    let empty = Record::default();
    Record::FIELDS.iter().filter(move |field| wanted(field)).map(move |field| Column {
        name: field.name().to_owned(),
        of: Of::Field(field),
        // What a record without anything has, every one has.
        required: !field.value(&empty).is_null(),
    })
}

/// One value on its way into a file.
enum Cell<'r> {
    Null,
    Integer(i64),
    Bytes(&'r [u8]),
    Id(RecordId),
    Address(Address),
}

impl Column {
    fn physical(&self) -> Physical {
        match self.of {
            Of::Position | Of::Index => Physical::INT64,
            Of::Commitment(_) | Of::Salt(_) => Physical::BYTE_ARRAY,
            Of::Field(field) => match field.kind() {
                Kind::Time | Kind::Integer | Kind::Stream => Physical::INT64,
                _ => Physical::BYTE_ARRAY,
            },
        }
    }

    fn logical(&self) -> Option<LogicalType> {
        match self.of {
            Of::Field(field) => match field.kind() {
                Kind::Time => Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
                Kind::Integer | Kind::Stream => None,
                _ => Some(LogicalType::String),
            },
            _ => None,
        }
    }

    /// Tells whether values repeat often enough to be worth a dictionary.
    fn repeats(&self) -> bool {
        match self.of {
            Of::Field(field) => {
                !matches!(field.kind(), Kind::Id | Kind::Time | Kind::Json)
                    && !matches!(
                        field.name(),
                        "seq" | "duration_us" | "trace_id" | "span_id" | "request_id"
                    )
            }
            _ => false,
        }
    }

    fn cell<'r>(&self, row: &'r Row) -> Cell<'r> {
        match self.of {
            Of::Position => Cell::Integer(row.position),
            Of::Index => Cell::Integer(row.index),
            Of::Commitment(index) => match &row.commitments[index] {
                Some(commitment) => Cell::Bytes(commitment),
                None => Cell::Null,
            },
            Of::Salt(group) => match row.record.seals.salt(group) {
                Some(salt) => Cell::Bytes(salt),
                None => Cell::Null,
            },
            Of::Field(field) => match field.value(&row.record) {
                Value::Null => Cell::Null,
                Value::Id(id) => Cell::Id(id),
                Value::Time(at) => Cell::Integer(at.as_micros()),
                Value::Integer(number) => Cell::Integer(number),
                Value::Stream(id) => Cell::Integer(id.get()),
                Value::Text(text) | Value::Json(text) => Cell::Bytes(text.as_bytes()),
                Value::Address(address) => Cell::Address(address),
            },
        }
    }

    fn write(&self, rows: &[Row], out: &mut ColumnWriter<'_>) -> Result<()> {
        let mut levels = Vec::with_capacity(rows.len());
        match out {
            ColumnWriter::Int64ColumnWriter(out) => {
                let mut values = Vec::with_capacity(rows.len());
                for row in rows {
                    match self.cell(row) {
                        Cell::Integer(number) => {
                            values.push(number);
                            levels.push(1);
                        }
                        _ => levels.push(0),
                    }
                }
                out.write_batch(&values, (!self.required).then_some(&*levels), None)?;
            }
            ColumnWriter::ByteArrayColumnWriter(out) => {
                let (mut text, mut ends) = (Vec::new(), Vec::with_capacity(rows.len()));
                for row in rows {
                    match self.cell(row) {
                        Cell::Null | Cell::Integer(_) => {
                            levels.push(0);
                            continue;
                        }
                        Cell::Bytes(bytes) => text.extend_from_slice(bytes),
                        Cell::Id(id) => text.extend_from_slice(id.to_string().as_bytes()),
                        Cell::Address(ip) => text.extend_from_slice(ip.to_string().as_bytes()),
                    }
                    levels.push(1);
                    ends.push(text.len());
                }
                let text = Bytes::from(text);
                let mut start = 0;
                let values: Vec<ByteArray> = ends
                    .into_iter()
                    .map(|end| text.slice(std::mem::replace(&mut start, end)..end).into())
                    .collect();
                out.write_batch(&values, (!self.required).then_some(&*levels), None)?;
            }
            _ => return Err(other(&self.name)),
        }
        Ok(())
    }

    /// Reads the column of a row group, and gives each row its value.
    fn read(&self, reader: &mut ColumnReader, rows: &mut [Row]) -> Result<()> {
        let mut levels = Vec::new();
        match reader {
            ColumnReader::Int64ColumnReader(reader) => {
                let mut values = Vec::new();
                let levels_of = (!self.required).then_some(&mut levels);
                let read = reader.read_records(rows.len(), levels_of, None, &mut values)?;
                self.give(rows, read.0, &levels, values, |row, number| self.set_number(row, number))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                let mut values = Vec::new();
                let levels_of = (!self.required).then_some(&mut levels);
                let read = reader.read_records(rows.len(), levels_of, None, &mut values)?;
                self.give(rows, read.0, &levels, values, |row, bytes: ByteArray| {
                    self.set_bytes(row, bytes.data())
                })
            }
            _ => Err(other(&self.name)),
        }
    }

    fn give<T>(
        &self,
        rows: &mut [Row],
        read: usize,
        levels: &[i16],
        values: Vec<T>,
        mut set: impl FnMut(&mut Row, T) -> Option<()>,
    ) -> Result<()> {
        if read != rows.len() || (!self.required && levels.len() != rows.len()) {
            return Err(wrong(&self.name, "it has fewer values than rows"));
        }
        let mut values = values.into_iter();
        for (index, row) in rows.iter_mut().enumerate() {
            if self.required || levels[index] > 0 {
                let value = values.next().ok_or_else(|| wrong(&self.name, "it lacks a value"))?;
                set(row, value).ok_or_else(|| wrong(&self.name, "a value is none of its kind"))?;
            }
        }
        Ok(())
    }

    fn set_number(&self, row: &mut Row, number: i64) -> Option<()> {
        match self.of {
            Of::Position => row.position = number,
            Of::Index => row.index = number,
            Of::Field(field) => {
                let value = match field.kind() {
                    Kind::Time => Value::Time(Timestamp::from_micros(number)),
                    Kind::Stream => Value::Stream(WriterId::new(number)),
                    _ => Value::Integer(number),
                };
                return field.set(&mut row.record, value).ok();
            }
            Of::Commitment(_) | Of::Salt(_) => return None,
        }
        Some(())
    }

    fn set_bytes(&self, row: &mut Row, bytes: &[u8]) -> Option<()> {
        match self.of {
            Of::Commitment(index) => row.commitments[index] = Some(bytes.try_into().ok()?),
            Of::Salt(group) => row.record.seals.set(group, Seal::Salted(bytes.try_into().ok()?)),
            Of::Field(field) => {
                let text = str::from_utf8(bytes).ok()?;
                let value = match field.kind() {
                    Kind::Id => Value::Id(text.parse().ok()?),
                    Kind::Address => Value::Address(text.parse().ok()?),
                    Kind::Json => Value::Json(text),
                    _ => Value::Text(text),
                };
                return field.set(&mut row.record, value).ok();
            }
            Of::Position | Of::Index => return None,
        }
        Some(())
    }
}

impl Layout {
    fn new(name: &str, columns: Vec<Column>) -> Self {
        let field = |column: &Column| {
            let repetition = match column.required {
                true => Repetition::REQUIRED,
                false => Repetition::OPTIONAL,
            };
            let field = Type::primitive_type_builder(&column.name, column.physical())
                .with_repetition(repetition)
                .with_logical_type(column.logical());
            field.build().map(Arc::new)
        };
        let fields = columns.iter().map(field).collect::<Result<_>>();
        let schema = fields.and_then(|fields| {
            Type::group_type_builder(name).with_fields(fields).build().map(Arc::new)
        });
        let schema = schema.expect("names, types and repetitions go together");
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(format!("tower-activity {}", env!("CARGO_PKG_VERSION")))
            .set_max_row_group_row_count(None);
        for column in columns.iter().filter(|column| !column.repeats()) {
            let path = ColumnPath::new(vec![column.name.clone()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
        Self { columns, schema, properties: Arc::new(properties.build()) }
    }

    /// Begins a file.
    pub(super) fn begin(&self) -> Result<SerializedFileWriter<Vec<u8>>> {
        SerializedFileWriter::new(
            Vec::new(),
            Arc::clone(&self.schema),
            Arc::clone(&self.properties),
        )
    }

    /// Writes rows as a row group.
    pub(super) fn write(
        &self,
        rows: &[Row],
        out: &mut SerializedFileWriter<Vec<u8>>,
    ) -> Result<()> {
        let mut group = out.next_row_group()?;
        for column in &self.columns {
            let mut writer = group.next_column()?.ok_or_else(|| other(&column.name))?;
            column.write(rows, writer.untyped())?;
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Refuses a file of other columns.
    pub(super) fn expect(&self, schema: &SchemaDescriptor) -> Result<()> {
        let same = |(column, found): (&Column, &Arc<parquet::schema::types::ColumnDescriptor>)| {
            found.path().string() == column.name
                && found.physical_type() == column.physical()
                && found.max_rep_level() == 0
                && found.max_def_level() == i16::from(!column.required)
        };
        let all = schema.num_columns() == self.columns.len()
            && self.columns.iter().zip(schema.columns()).all(same);
        all.then_some(()).ok_or_else(|| {
            ParquetError::General("it has other columns than this version writes".to_owned())
        })
    }

    /// Reads a row group into rows, which there have to be as many of.
    pub(super) fn read(&self, group: &dyn RowGroupReader, rows: &mut [Row]) -> Result<()> {
        for (index, column) in self.columns.iter().enumerate() {
            column.read(&mut group.get_column_reader(index)?, rows)?;
        }
        Ok(())
    }
}

fn other(column: &str) -> ParquetError {
    wrong(column, "it is of another type")
}

fn wrong(column: &str, why: &str) -> ParquetError {
    ParquetError::General(format!("column {column}: {why}"))
}
