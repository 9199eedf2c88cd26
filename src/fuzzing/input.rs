//! From any bytes to things to try.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    record::{
        ActorType, Address, Category, Group, Kind, Operation, Origin, Outcome, Record, RecordId,
        Seal, Value, WriterId,
    },
    time::Timestamp,
};

/// Bytes that are read from the front; zeros when they are used up.
#[derive(Debug)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let bytes = self.take(N);
        array[..bytes.len()].copy_from_slice(bytes);
        array
    }

    /// Returns at most so many bytes.
    pub(super) fn take(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Returns what is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn number(&mut self) -> i64 {
        match self.byte() {
            // Mostly small, now and then at an edge.
            0 => i64::MAX,
            1 => i64::MIN,
            2 => (1 << 53) - 1,
            3..=100 => i64::from_le_bytes(self.array()),
            _ => i64::from(i16::from_le_bytes(self.array())),
        }
    }

    pub(super) fn text(&mut self) -> String {
        let length = self.byte();
        String::from_utf8_lossy(self.take(usize::from(length))).into_owned()
    }

    pub(super) fn ip(&mut self) -> IpAddr {
        match self.byte() % 4 {
            0 => IpAddr::V6(Ipv6Addr::from(self.array::<16>())),
            1 => IpAddr::V6(Ipv4Addr::from(self.array::<4>()).to_ipv6_mapped()),
            _ => IpAddr::V4(Ipv4Addr::from(self.array::<4>())),
        }
    }

    /// Returns a record with some fields set to values that they can have.
    pub(super) fn record(&mut self) -> Record {
        let mut record = Record::default();
        let fields = self.below(24);
        for _ in 0..fields {
            self.edit(&mut record);
        }
        self.seal(&mut record);
        record
    }

    /// Sets one field.
    pub(super) fn edit(&mut self, record: &mut Record) {
        let field = &Record::FIELDS[self.below(Record::FIELDS.len())];
        let text;
        let value = match field.kind() {
            Kind::Id => Value::Id(RecordId::from_bytes(self.array())),
            Kind::Time => Value::Time(Timestamp::from_micros(self.number())),
            Kind::Integer => Value::Integer(self.number()),
            Kind::Stream => Value::Stream(WriterId::new(self.number())),
            Kind::Word => Value::Text(self.word()),
            Kind::Text => {
                text = self.text();
                Value::Text(&text)
            }
            Kind::Json => {
                text = self.text();
                Value::Json(&text)
            }
            Kind::Address => {
                let ip = self.ip();
                Value::Address(Address::truncated(ip, self.byte()))
            }
        };
        // A word of another vocabulary, or a number that the field does not hold, is refused: so be it.
        drop(field.set(record, value));
    }

    fn word(&mut self) -> &'static str {
        let lists =
            [Origin::WORDS, Category::WORDS, Operation::WORDS, Outcome::WORDS, ActorType::WORDS];
        let words = lists[self.below(lists.len())];
        words[self.below(words.len())]
    }

    fn seal(&mut self, record: &mut Record) {
        record.seal(std::array::from_fn(|_| self.array()));
        for group in Group::ERASABLE {
            // Mostly as a writer does it.
            match self.byte() {
                1 => record.seals.set(group, Seal::Empty),
                2 => record.seals.set(group, Seal::Salted(self.array())),
                3 => record.seals.set(group, Seal::Erased(self.array())),
                _ => {}
            }
        }
    }
}
