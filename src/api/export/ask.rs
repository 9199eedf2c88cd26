//! What is to be exported, and how.

use super::super::{parameters::Parameters, problem::Problem};
use crate::{
    encode::{Format, UnknownFormat},
    query::{Direction, Extra, Filter, Params},
    time::Timestamp,
};

/// The parameters of an export.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) format: Format,
    pub(super) bom: bool,
    pub(super) proofs: bool,
    pub(super) restricted: bool,
    pub(super) direction: Direction,
    pub(super) filter: Filter,
}

impl Ask {
    pub(super) fn read(parameters: &Parameters, now: Timestamp) -> Result<Self, Problem> {
        check_whole(parameters, "an export")?;
        let extras = [
            Extra::Filters,
            Extra::Order,
            Extra::Format,
            Extra::Bom,
            Extra::Proofs,
            Extra::Restricted,
        ];
        let params = parameters.read(&extras, now)?;
        check_order(parameters, &params)?;
        let format = params.format.as_deref().map(str::parse).transpose();
        let format = format
            .map_err(|error: UnknownFormat| Problem::parameter("format", error.to_string()))?
            .unwrap_or(if params.proofs { Format::JsonLines } else { Format::Csv });
        if params.bom && format != Format::Csv {
            let detail = "a byte order mark goes before CSV alone; leave out `bom`";
            return Err(Problem::parameter("bom", detail));
        }
        if params.proofs && format != Format::JsonLines {
            let detail = "only `jsonl` brings proofs along; leave out `proofs`, or ask `/bundle`";
            return Err(Problem::parameter("proofs", detail));
        }
        let Params { bom, proofs, restricted, order: direction, filter, .. } = params;
        Ok(Self { format, bom, proofs, restricted, direction, filter })
    }
}

/// Refuses what would make a part of `what`, which is a whole.
pub(in crate::api) fn check_whole(parameters: &Parameters, what: &str) -> Result<(), Problem> {
    for name in ["limit", "cursor", "page", "offset", "count"] {
        if parameters.raw(name).is_some() {
            let detail = format!(
                "{what} is the whole result of its filter and takes no `{name}`; for a page of it ask `/records`"
            );
            return Err(Problem::parameter(name, detail));
        }
    }
    Ok(())
}

/// What is kept aside comes in the order in which it was.
pub(in crate::api) fn check_order(parameters: &Parameters, params: &Params) -> Result<(), Problem> {
    if params.restricted && parameters.raw("order").is_some() {
        let detail = "what is restricted comes in the order in which it was; leave out `order`";
        return Err(Problem::parameter("order", detail));
    }
    Ok(())
}
