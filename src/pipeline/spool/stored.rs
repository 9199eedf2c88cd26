//! How far a stream is stored, written down for the next process: if the store holds less by then, it was put back.
//!
//! ```text
//! 8 magic "TWACTPOS"   1 version   7 zero   8 number   4 CRC-32C
//! ```
//!
//! A hint. It is written after the fact, it is not synced, and nothing is sent or removed because of it: what is stored is
//! what the store says.

use std::io;

use super::{Core, Number, stream::Stream};

/// The name of the file.
pub(super) const NAME: &str = "stored";
const MAGIC: [u8; 8] = *b"TWACTPOS";
const VERSION: u8 = 1;
const SIZE: usize = 28;

impl Core {
    /// Writes down how far a stream is stored, if that has changed.
    pub(super) fn say_stored(&self, stream: &Stream) {
        let number = {
            let segments = stream.segments();
            // Until the store was asked, the earlier word stays.
            if !segments.is_asked || segments.acked == segments.said {
                return;
            }
            segments.acked
        };
        match write(stream, number) {
            Ok(()) => stream.segments().said = number,
            Err(error) => self.report("say what is stored of", &error),
        }
    }

    /// The same for every stream.
    pub(super) fn say_all_stored(&self) {
        self.say_stored(&self.stream);
        let old = self.old.lock().clone();
        old.iter().for_each(|stream| self.say_stored(stream));
    }
}

/// Reads what an earlier process has written down; 0 where that cannot be read.
pub(super) fn read(stream: &Stream) -> Number {
    let read = || -> io::Result<Option<Number>> {
        let file = stream.fs.open(&stream.folder.join(NAME))?;
        let mut bytes = [0; SIZE];
        let read = file.read_at(&mut bytes, 0)?;
        Ok(decode(&bytes[..read]))
    };
    read().ok().flatten().unwrap_or(0)
}

fn write(stream: &Stream, number: Number) -> io::Result<()> {
    let path = stream.folder.join(NAME);
    let file = match stream.fs.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => stream.fs.create(&path)?,
        opened => opened?,
    };
    file.write_at(&encode(number), 0)
}

fn encode(number: Number) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8] = VERSION;
    bytes[16..24].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..24]);
    bytes[24..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Number> {
    let crc = u32::from_le_bytes(bytes.get(24..SIZE)?.try_into().ok()?);
    let is_whole =
        bytes[..8] == MAGIC && bytes[8] == VERSION && crc == crc32c::crc32c(&bytes[..24]);
    let number = Number::from_le_bytes(bytes[16..24].try_into().ok()?);
    (is_whole && number >= 0).then_some(number)
}
