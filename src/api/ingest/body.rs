//! Reading the body, and finding its items in it.
//!
//! The whole body is looked through once before anything is taken: an array that breaks off in the middle
//! leaves nothing behind. Nothing is built meanwhile, and nothing recurses, however deep or wide the body is.

use std::{fmt, ops::Range, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use serde::{
    Deserializer as _,
    de::{self, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;
use crate::api::problem::Problem;

/// The most bytes of one request.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// What is larger than this is not even heard out.
const MAX_HEARD: usize = 4 * MAX_BYTES;
/// The most items of one request.
pub(super) const MAX_ITEMS: usize = 10_000;
/// A body that has not arrived by then does not arrive.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// What a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// An object, an array of them, or several one after the other.
    Json,
    /// An object in each line.
    Lines,
}

/// The items of a request, as places in its body.
#[derive(Debug)]
pub(super) struct Items {
    body: Bytes,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    bytes: Range<usize>,
    /// The line, where items are lines.
    line: Option<usize>,
}

impl Items {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns the text of an item.
    pub(super) fn text(&self, index: usize) -> Result<&str, Refusal> {
        let place = &self.places[index];
        std::str::from_utf8(&self.body[place.bytes.clone()]).map_err(|error| {
            let at = place.bytes.start + error.valid_up_to();
            Refusal::new("invalid-json", format!("{}byte {at} is not UTF-8", place.shown()))
        })
    }

    /// Returns where the item stands, to be written before what is wrong with it.
    pub(super) fn place(&self, index: usize) -> String {
        self.places[index].shown()
    }
}

impl Place {
    fn shown(&self) -> String {
        self.line.map(|line| format!("line {line}: ")).unwrap_or_default()
    }
}

/// Returns what the body is said to be written in.
///
/// A type is demanded: without one, pages of other sites could have a browser on this machine write
/// into a log that is open for development.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let refuse =
        |detail: &str| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail);
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(refuse("send the body as it is, without `Content-Encoding`"));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "application/json" => Ok(Format::Json),
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonl"
        | "application/jsonlines"
        | "application/x-jsonlines" => Ok(Format::Lines),
        _ => Err(refuse(
            "say what the body is: `Content-Type: application/json`, or `application/x-ndjson` for \
             JSON Lines",
        )),
    }
}

fn too_large() -> Problem {
    let detail = format!("a request takes {MAX_BYTES} bytes at the most; send several");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
}

/// Memory for the bodies of all requests at once, in KiB.
///
/// A body takes as much of it as has arrived, and not before: whoever sends slowly holds up nobody.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    /// Has room for so many of the largest bodies.
    pub(super) fn new(bodies: usize) -> Self {
        Self(Arc::new(Semaphore::new(bodies * MAX_BYTES / 1_024)))
    }

    /// Takes none yet.
    fn none(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0).try_acquire_many_owned(0).map_err(|_| Self::full())
    }

    /// Adds to what was taken until it is enough for so many bytes.
    fn grow(&self, taken: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), Problem> {
        let more = bytes.div_ceil(1_024).saturating_sub(taken.num_permits());
        let more = u32::try_from(more).map_err(|_| Self::full())?;
        taken.merge(Arc::clone(&self.0).try_acquire_many_owned(more).map_err(|_| Self::full())?);
        Ok(())
    }

    fn full() -> Problem {
        let detail = "the bodies of other requests fill the memory for them; send it again later";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).retry_after(1)
    }
}

/// Reads a body up to the bound, with the room that it takes.
pub(super) async fn read(
    body: Body,
    room: &Room,
) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    if body.size_hint().lower() > MAX_HEARD as u64 {
        return Err(too_large());
    }
    let all = async {
        let mut body = pin!(body);
        let (mut all, mut heard, mut taken) = (BytesMut::new(), 0_usize, room.none()?);
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let broken = |_| bad("unreadable-body", "the body broke off");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            heard = heard.saturating_add(data.len());
            if heard <= MAX_BYTES {
                room.grow(&mut taken, heard)?;
                all.extend_from_slice(&data);
            } else if heard <= MAX_HEARD {
                // Kept no longer, and heard to its end: many clients read no answer before they have sent
                // everything.
                all = BytesMut::new();
                taken = room.none()?;
            } else {
                return Err(too_large());
            }
        }
        if heard > MAX_BYTES { Err(too_large()) } else { Ok((all.freeze(), taken)) }
    };
    tokio::time::timeout(READ_WITHIN, all).await.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {} seconds", READ_WITHIN.as_secs());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail))
    })
}

fn bad(kind: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, kind, detail)
}

/// Finds the items.
pub(super) fn items(body: Bytes, format: Format) -> Result<Items, Problem> {
    let places = match format {
        Format::Lines => lines(&body),
        Format::Json => json(&body),
    }?;
    Ok(Items { body, places })
}

fn too_many() -> Problem {
    let detail = format!("a request takes {MAX_ITEMS} items at the most; send several");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many-items", detail)
}

fn lines(body: &[u8]) -> Result<Vec<Place>, Problem> {
    let (mut places, mut start) = (Vec::new(), bom(body));
    for (number, line) in body[start..].split(|byte| *byte == b'\n').enumerate() {
        let bytes = start..start + line.len();
        start = bytes.end + 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if places.len() == MAX_ITEMS {
            return Err(too_many());
        }
        places.push(Place { bytes, line: Some(number + 1) });
    }
    if places.is_empty() { Err(empty()) } else { Ok(places) }
}

fn json(body: &[u8]) -> Result<Vec<Place>, Problem> {
    let text = std::str::from_utf8(&body[bom(body)..]).map_err(|error| {
        let at = bom(body) + error.valid_up_to();
        let line = body[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        bad("invalid-json", format!("byte {at}, in line {line}, is not UTF-8"))
    })?;
    // An item borrows from the body; where it stands there is all that is kept of it.
    let place = |raw: &RawValue| {
        let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
        Place { bytes: start..start + raw.get().len(), line: None }
    };
    match text.trim_start().as_bytes().first() {
        None => Err(empty()),
        Some(b'[') => {
            let mut places = Vec::new();
            let mut reader = serde_json::Deserializer::from_str(text);
            let read = reader.deserialize_seq(Array { places: &mut places, place });
            if places.len() > MAX_ITEMS {
                return Err(too_many());
            }
            read.and_then(|()| reader.end()).map_err(|error| syntax(&error))?;
            Ok(places)
        }
        Some(b'{') => {
            let mut places = Vec::new();
            for raw in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
                places.push(place(raw.map_err(|error| syntax(&error))?));
                if places.len() > MAX_ITEMS {
                    return Err(too_many());
                }
            }
            Ok(places)
        }
        Some(_) => Err(bad("invalid-json", "send an object, an array of objects, or JSON Lines")),
    }
}

fn bom(body: &[u8]) -> usize {
    if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

fn empty() -> Problem {
    bad("empty-body", "there is nothing in the body; send an object, an array or JSON Lines")
}

fn syntax(error: &serde_json::Error) -> Problem {
    bad("invalid-json", format!("the body is not JSON, and nothing of it was taken: {error}"))
}

/// Notes where the elements of an array stand, without looking into them.
struct Array<'a, F> {
    places: &'a mut Vec<Place>,
    place: F,
}

impl<'de, F: Fn(&'de RawValue) -> Place> Visitor<'de> for Array<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            self.places.push((self.place)(raw));
            if self.places.len() > MAX_ITEMS {
                return Err(de::Error::custom("too many items"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_takes_room_as_it_arrives_and_gives_it_back() {
        let room = Room::new(1);
        let body = || Body::from(vec![b' '; MAX_BYTES / 2 + 1]);
        let (first, taken) = read(body(), &room).await.unwrap();
        assert_eq!((first.len(), taken.num_permits()), (MAX_BYTES / 2 + 1, 4_097));
        assert_eq!(read(body(), &room).await.unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
        // One that has sent nothing holds nothing.
        let (nothing, empty) = read(Body::empty(), &room).await.unwrap();
        assert_eq!((nothing.len(), empty.num_permits()), (0, 0));
        drop(taken);
        drop(read(body(), &room).await.unwrap());
        let too_long = Body::from(vec![b' '; MAX_BYTES + 1]);
        let refused = read(too_long, &room).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(room.0.available_permits(), MAX_BYTES / 1_024);
    }
}
