//! stub
use super::{
    Defaults,
    condition::Entry,
    error::{Origin, Problem},
};
pub(super) struct Parsed {
    pub(super) entries: Vec<Entry>,
    pub(super) defaults: Defaults,
    pub(super) defaults_origin: Origin,
    pub(super) problems: Vec<Problem>,
}
pub(super) fn parse(_text: &str, _name: Option<&str>, _json: bool) -> Parsed {
    Parsed {
        entries: Vec::new(),
        defaults: Defaults::default(),
        defaults_origin: Origin::default(),
        problems: Vec::new(),
    }
}
