use super::input::Input;
use crate::{
    query::{Binding, Cursor, CursorError, Direction, Filter, Keyset, LiveCursor, Place},
    record::RecordId,
    time::Timestamp,
};

const KEY: [u8; 32] = [7; 32];

/// Cursors: what was sealed is opened as the same, only as one word, and only for its question.
///
/// # Panics
///
/// Panics where that does not hold.
pub fn cursor(data: &[u8]) {
    let everything = Filter::new();
    let binding = Binding::new(&everything, &everything);
    // What anybody sends: refused, or a word that we would write ourselves.
    let text = String::from_utf8_lossy(data);
    if let Ok(opened) = Cursor::open(&KEY, &text).and_then(|sealed| sealed.bound_to(binding)) {
        assert_eq!(opened.seal(&KEY, binding), text);
    }
    if let Ok(opened) = LiveCursor::open(&KEY, &text).and_then(|sealed| sealed.bound_to(binding)) {
        assert_eq!(opened.seal(&KEY, binding), text);
    }

    let mut input = Input::new(data);
    let now = Timestamp::from_micros(input.number());
    let flags = input.byte();
    let place = if flags & 4 == 0 {
        let occurred_at = Timestamp::from_micros(input.number());
        Place::Occurred(Keyset { occurred_at, id: RecordId::from_bytes(input.array()) })
    } else {
        Place::Committed(input.number())
    };
    let order = if flags & 1 == 0 { Direction::Older } else { Direction::Newer };
    let list = Cursor { place, order, back: flags & 2 != 0, now };
    let live = LiveCursor { position: input.number(), k: u32::from_le_bytes(input.array()), now };
    let words = [list.seal(&KEY, binding), live.seal(&KEY, binding)];

    let sealed = Cursor::open(&KEY, &words[0]).expect("ours");
    assert_eq!(sealed.now(), now);
    assert_eq!(sealed.bound_to(binding), Ok(list));
    assert_eq!(LiveCursor::open(&KEY, &words[1]).expect("ours").bound_to(binding), Ok(live));
    assert_eq!(Cursor::open(&KEY, &words[1]).err(), Some(CursorError::Kind));
    assert_eq!(LiveCursor::open(&KEY, &words[0]).err(), Some(CursorError::Kind));

    // For another question, and under another key.
    let acme = Filter::new().any_of("tenant_id", ["acme"]).expect("a field");
    let foreign = Cursor::open(&KEY, &words[0]).expect("ours");
    assert_eq!(foreign.bound_to(Binding::new(&everything, &acme)), Err(CursorError::Elsewhere));
    assert!(Cursor::open(&[8; 32], &words[0]).is_err());

    // With one character changed, cut, or longer.
    for word in words {
        let mut changed = word.clone().into_bytes();
        let at = input.below(changed.len());
        let with = input.byte();
        let is_same = changed[at] == with;
        changed[at] = with;
        let changed = String::from_utf8_lossy(&changed).into_owned();
        let cut = &word[..input.below(word.len())];
        let longer = format!("{word}A");
        for wrong in [&*changed, cut, &*longer] {
            let is_wrong =
                Cursor::open(&KEY, wrong).is_err() && LiveCursor::open(&KEY, wrong).is_err();
            assert!(is_wrong || (is_same && wrong == word), "{wrong} for {word}");
        }
    }
}
