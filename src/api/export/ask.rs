//! How it is to be exported.

use super::super::{parameters::Parameters, problem::Problem};
use crate::{encode::Format, query::Direction};

/// The parameters of an export that are not its filter.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) format: Format,
    pub(super) bom: bool,
    pub(super) direction: Direction,
}

impl Ask {
    pub(super) fn take(parameters: &mut Parameters) -> Result<Self, Problem> {
        let formats = Format::ALL.map(|format| (format.as_str(), format));
        let format = parameters.word("format", &formats)?.unwrap_or(Format::Csv);
        let bom = parameters.word("bom", &[("true", true), ("false", false)])?.unwrap_or(false);
        if bom && format != Format::Csv {
            let detail = "a byte order mark goes before CSV alone; leave out `bom`";
            return Err(Problem::parameter("bom", detail));
        }
        let order = [("desc", Direction::Older), ("asc", Direction::Newer)];
        let direction = parameters.word("order", &order)?.unwrap_or_default();
        for name in ["limit", "cursor", "page", "offset", "count"] {
            if parameters.take(name)?.is_some() {
                let detail = format!(
                    "an export is the whole result of its filter and takes no `{name}`; for a page of \
                     it ask `/records`"
                );
                return Err(Problem::parameter(name, detail));
            }
        }
        Ok(Self { format, bom, direction })
    }
}
