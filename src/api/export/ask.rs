//! What is to be exported, and how.

use super::super::problem::Problem;
use crate::{
    encode::Format,
    query::{Direction, Filter},
};

/// The parameters of an export.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) format: Format,
    pub(super) bom: bool,
    pub(super) direction: Direction,
    pub(super) filter: Filter,
}

impl Ask {
    pub(super) fn of(parameters: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut ask = Self {
            format: Format::Csv,
            bom: false,
            direction: Direction::Older,
            filter: Filter::new(),
        };
        for (name, value) in parameters {
            let wrong = |detail: String| Problem::parameter(&name, detail);
            match name.as_str() {
                "format" => {
                    ask.format = value
                        .parse()
                        .map_err(|error: crate::encode::UnknownFormat| wrong(error.to_string()))?;
                }
                "bom" => {
                    ask.bom = match value.as_str() {
                        "true" => true,
                        "false" => false,
                        _ => return Err(wrong("`bom` is `true` or `false`".to_owned())),
                    };
                }
                "order" => {
                    ask.direction = match value.as_str() {
                        "desc" => Direction::Older,
                        "asc" => Direction::Newer,
                        _ => return Err(wrong("`order` is `desc` or `asc`".to_owned())),
                    };
                }
                "limit" | "cursor" | "page" | "offset" | "count" => {
                    let detail = format!(
                        "an export is the whole result of its filter and takes no `{name}`; for a \
                         page of it ask `/records`"
                    );
                    return Err(wrong(detail));
                }
                _ => {
                    ask.filter = ask
                        .filter
                        .any_of(&name, value.split(','))
                        .map_err(|error| wrong(error.to_string()))?;
                }
            }
        }
        if ask.bom && ask.format != Format::Csv {
            let detail = "a byte order mark goes before CSV alone: leave `bom` out";
            return Err(Problem::parameter("bom", detail));
        }
        Ok(ask)
    }
}
