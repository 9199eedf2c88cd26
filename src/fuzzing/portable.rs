use super::input::Input;
use crate::record::Record;

/// A record as bytes: what is read can be written and read again as the same; and so can any record.
///
/// # Panics
///
/// Panics where that does not hold.
pub fn portable(data: &[u8]) {
    let mut record = Record::default();
    // What was there before must not show through.
    record.path.set("/left/over");
    match Record::from_portable(data, &mut record) {
        Ok(()) => {
            assert_ne!(&*record.path, "/left/over", "what was there before shows through");
            comes_back(&record);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let mut made = Input::new(data).record();
    // Of another version, it is refused.
    made.schema_version = Record::SCHEMA_VERSION;
    comes_back(&made);
}

fn comes_back(record: &Record) {
    let written = write(record);
    let mut again = Record::default();
    again.path.set("/left/over");
    Record::from_portable(&written, &mut again).expect("what was written can be read");
    assert_eq!(&again, record);
    assert_eq!(write(&again), written);
    // A field more, of a kind that may be skipped, changes nothing; one that is cut short is refused.
    let mut longer = written.clone();
    longer.extend_from_slice(&[200, 1, 7]);
    Record::from_portable(&longer, &mut again).expect("a field that may be skipped is skipped");
    assert_eq!(&again, record);
    assert!(Record::from_portable(&longer[..longer.len() - 1], &mut again).is_err());
}

fn write(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.to_portable(&mut bytes);
    bytes
}
