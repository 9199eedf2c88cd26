//! What a segment is made of: its header, and frames.
//!
//! ```text
//! segment   0     header, 112 bytes          all integers are little-endian
//!           512   the same header once more, on another sector
//!           1024  frames, one behind the other; zeros or the end of the file behind the last one
//!
//! header    8 magic "TWACTSPL"   1 version   1 whether the first number is a guess   6 zero
//!           8 writer_id       8 number of the segment
//!           8 first number       8 first open number       8 created_at µs   32 secret of the stream
//!           20 zero              4 CRC-32C of what stands before
//!
//! frame     4 length of the payload   1 kind   1 version   2 check of the header
//!           8 number                  4 CRC-32C of header and payload
//!           payload: 8 open number that it ends (0: none)   8 recorded_at µs   the record
//! ```
//!
//! Both sums of a frame begin with a seed that is derived from the secret of the stream. Text of a record
//! can therefore not pass for a frame, whoever chose it: a scan that looks for the next good frame behind
//! a damaged one would otherwise find what a client has put into a header for it.

use sha2::{Digest as _, Sha256};

use super::{Number, OpenNumber};
use crate::{record::WriterId, time::Timestamp};

const MAGIC: [u8; 8] = *b"TWACTSPL";
/// The version of segments and of frames.
pub(super) const VERSION: u8 = 1;
/// Where frames begin.
pub(super) const FRAMES_AT: u64 = 1_024;
const HEADER: usize = 112;
/// Where the second copy of the header stands.
const COPY_AT: usize = 512;
/// What stands before the payload of a frame.
pub(super) const FRAME_HEADER: usize = 20;
/// What stands before the record in a payload.
const PREFIX: usize = 16;
/// The longest record that a frame takes.
pub(in crate::pipeline) const MAX_RECORD: usize = 16 << 20;

/// Returns the bytes of a frame with a record of this length.
pub(super) const fn frame_size(record: usize) -> usize {
    FRAME_HEADER + PREFIX + record
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What is known of something that has not finished.
    Open = 1,
    /// A finished record, with its number in the stream.
    Record = 2,
    /// An open that leads to no record.
    Cancel = 3,
    /// An open as it is known by now: copied forward, so that its segment could go, or because there is more to say of it.
    Carried = 4,
}

impl Kind {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Open,
            2 => Self::Record,
            3 => Self::Cancel,
            4 => Self::Carried,
            _ => return None,
        })
    }
}

/// The secret of a stream: what its salts and the sums of its frames are derived from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub(super) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the four salts of the record with this number: the same ones each time it is read.
    pub(in crate::pipeline) fn salts(&self, number: Number) -> [[u8; 16]; 4] {
        let mut salts = [[0; 16]; 4];
        for (half, pair) in salts.chunks_exact_mut(2).enumerate() {
            let digest = Sha256::new()
                .chain_update(b"tower-activity spool salts")
                .chain_update([half as u8])
                .chain_update(number.to_le_bytes())
                .chain_update(self.0)
                .finalize();
            pair.as_flattened_mut().copy_from_slice(&digest);
        }
        salts
    }

    /// Returns what the sums of the frames begin with.
    pub(super) fn seed(&self) -> Seed {
        let digest = Sha256::new()
            .chain_update(b"tower-activity spool frames")
            .chain_update(self.0)
            .finalize();
        Seed(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]))
    }
}

/// What the sums of a stream's frames begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) writer_id: WriterId,
    /// Counts the segments of a stream.
    pub(super) segment: u64,
    /// Every record from this number on stands in this segment or in a later one.
    pub(super) first: Number,
    /// The same for opens.
    pub(super) first_open: OpenNumber,
    /// How many records there were before it is not known, see `tail`.
    pub(super) is_guessed: bool,
    pub(super) created_at: Timestamp,
    pub(super) secret: Secret,
}

impl SegmentHeader {
    /// Returns the bytes before the first frame.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = [0; HEADER];
        block[..8].copy_from_slice(&MAGIC);
        block[8] = VERSION;
        block[9] = u8::from(self.is_guessed);
        block[16..24].copy_from_slice(&self.writer_id.get().to_le_bytes());
        block[24..32].copy_from_slice(&self.segment.to_le_bytes());
        block[32..40].copy_from_slice(&self.first.to_le_bytes());
        block[40..48].copy_from_slice(&self.first_open.to_le_bytes());
        block[48..56].copy_from_slice(&self.created_at.as_micros().to_le_bytes());
        block[56..88].copy_from_slice(&self.secret.0);
        let crc = crc32c::crc32c(&block[..HEADER - 4]);
        block[HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
        let mut bytes = vec![0; FRAMES_AT as usize];
        bytes[..HEADER].copy_from_slice(&block);
        bytes[COPY_AT..COPY_AT + HEADER].copy_from_slice(&block);
        bytes
    }

    /// Reads the header from the first bytes of a segment; either copy will do.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut error = HeaderError::Damaged;
        for at in [0, COPY_AT] {
            let Some(block) = bytes.get(at..at + HEADER) else { break };
            match Self::decode_copy(block) {
                Ok(header) => return Ok(header),
                Err(HeaderError::Damaged) => {}
                Err(other) => error = other,
            }
        }
        if error == HeaderError::Damaged && bytes.iter().all(|byte| *byte == 0) {
            return Err(HeaderError::Blank);
        }
        Err(error)
    }

    fn decode_copy(block: &[u8]) -> Result<Self, HeaderError> {
        if block[..8] != MAGIC || u32_at(block, HEADER - 4) != crc32c::crc32c(&block[..HEADER - 4])
        {
            return Err(HeaderError::Damaged);
        }
        if block[8] != VERSION {
            return Err(HeaderError::Version(block[8]));
        }
        let mut secret = [0; 32];
        secret.copy_from_slice(&block[56..88]);
        Ok(Self {
            writer_id: WriterId::new(i64_at(block, 16)),
            segment: u64_at(block, 24),
            first: i64_at(block, 32),
            first_open: u64_at(block, 40),
            is_guessed: block[9] == 1,
            created_at: Timestamp::from_micros(i64_at(block, 48)),
            secret: Secret(secret),
        })
    }
}

/// Why a segment's header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// There is nothing: the segment was made ahead and never used.
    Blank,
    Damaged,
    /// It is another segment's, see `Stream::header`.
    Foreign,
    /// It was written by a version of this crate that knows another format.
    Version(u8),
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) number: u64,
    /// Bytes of the whole frame.
    pub(super) size: usize,
}

/// A frame as it stands in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub(super) head: Head,
    /// The open that it ends; 0: none.
    pub(super) ends: OpenNumber,
    pub(super) recorded_at: Timestamp,
    pub(super) record: &'a [u8],
}

/// What stands at a place where a frame should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parse<'a> {
    Frame(Parsed<'a>),
    /// More bytes are needed to say, so many in all.
    Short(usize),
    /// Zeros, as behind the last frame of a segment that was given its room ahead.
    Blank,
    /// No frame; its header may still be good.
    Broken(Option<Head>),
}

/// Reads the frame at the beginning of `bytes`.
pub(super) fn parse(seed: Seed, bytes: &[u8]) -> Parse<'_> {
    let Some(header) = bytes.get(..FRAME_HEADER) else { return Parse::Short(FRAME_HEADER) };
    if header.iter().all(|byte| *byte == 0) {
        return Parse::Blank;
    }
    let Some(head) = parse_head(seed, header) else { return Parse::Broken(None) };
    let Some(frame) = bytes.get(..head.size) else { return Parse::Short(head.size) };
    let crc = crc32c::crc32c_append(seed.0, &frame[..16]);
    let crc = crc32c::crc32c_append(crc, &frame[FRAME_HEADER..]);
    if crc != u32_at(frame, 16) {
        return Parse::Broken(Some(head));
    }
    Parse::Frame(Parsed {
        head,
        ends: u64_at(frame, FRAME_HEADER),
        recorded_at: Timestamp::from_micros(i64_at(frame, FRAME_HEADER + 8)),
        record: &frame[FRAME_HEADER + PREFIX..],
    })
}

/// Reads the header of a frame, of at least twenty bytes, if its check agrees.
pub(super) fn parse_head(seed: Seed, header: &[u8]) -> Option<Head> {
    let kind = Kind::from_byte(header[4])?;
    let length = u32_at(header, 0) as usize;
    if header[5] != VERSION || !(PREFIX..=PREFIX + MAX_RECORD).contains(&length) {
        return None;
    }
    let number = u64_at(header, 8);
    (check(seed, header) == u16::from_le_bytes([header[6], header[7]])).then_some(Head {
        kind,
        number,
        size: FRAME_HEADER + length,
    })
}

/// Writes a frame behind what `out` holds.
pub(super) fn encode(
    seed: Seed,
    kind: Kind,
    number: u64,
    ends: OpenNumber,
    recorded_at: Timestamp,
    record: &[u8],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    // A longer record is refused before it comes here, see `MAX_RECORD`.
    let length = (PREFIX + record.len()) as u32;
    let mut header = [0; FRAME_HEADER + PREFIX];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4] = kind as u8;
    header[5] = VERSION;
    header[8..16].copy_from_slice(&number.to_le_bytes());
    let check = check(seed, &header);
    header[6..8].copy_from_slice(&check.to_le_bytes());
    header[20..28].copy_from_slice(&ends.to_le_bytes());
    header[28..36].copy_from_slice(&recorded_at.as_micros().to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(record);
    let crc = crc32c::crc32c_append(seed.0, &out[start..start + 16]);
    let crc = crc32c::crc32c_append(crc, &out[start + FRAME_HEADER..]);
    out[start + 16..start + FRAME_HEADER].copy_from_slice(&crc.to_le_bytes());
}

/// Sums up length, kind, version and number, so that a length can be trusted before the payload is read.
fn check(seed: Seed, header: &[u8]) -> u16 {
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(seed.0, &header[..6]), &header[8..16]);
    (sum ^ (sum >> 16)) as u16
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array(bytes, at))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
