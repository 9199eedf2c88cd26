//! Reading parameters.

use super::{Extra, PARAMETERS, ParamError, Parameter, Params, values::values};
use crate::{
    query::{
        Count, Direction, FIELDS, Filter, ParseContext, QueryField, Values,
        expr::Expr,
        interval::Interval,
        parse::{Asked, Moments, any_of, bare, moments},
        zone::TimeZone,
    },
    record::{Field, Kind},
    suggest::did_you_mean,
    time::Timestamp,
};

/// A parameter that may be given, with what it was given as.
struct Given<'a> {
    /// As it was sent.
    name: &'a str,
    value: &'a str,
}

pub(super) fn read(
    pairs: &[(String, String)],
    extras: &[Extra],
    now: Timestamp,
) -> Result<Params, ParamError> {
    let mut fields: Vec<(&'static QueryField, Given<'_>)> = Vec::new();
    let mut single: Vec<(&'static Parameter, Given<'_>)> = Vec::new();
    for (name, value) in pairs {
        let given = Given { name, value };
        if value.is_empty() {
            let shown = shown(name);
            known(name, extras)?;
            return Err(ParamError::new(name, format!("`{shown}` is empty; leave it out")));
        }
        match known(name, extras)? {
            Known::Field(field) if field.values() == Values::Words => {
                refuse_second(
                    fields.iter().find(|(other, _)| other.name() == field.name()).map(|(_, g)| g),
                    &given,
                )?;
                fields.push((field, given));
            }
            Known::Field(field) => fields.push((field, given)),
            Known::Parameter(parameter) => {
                refuse_second(
                    single.iter().find(|(other, _)| other.name == parameter.name).map(|(_, g)| g),
                    &given,
                )?;
                single.push((parameter, given));
            }
        }
    }
    let find = |name: &str| {
        single.iter().find(|(parameter, _)| parameter.name == name).map(|(_, given)| given)
    };
    let tz = find("tz").map(zone).transpose()?.unwrap_or_default();
    let context = ParseContext { now, tz };
    let mut expr = Expr::EVERY;
    for field in FIELDS.iter().filter(|field| field.is_parameter()) {
        let given = || fields.iter().filter(|(other, _)| other.name() == field.name());
        if given().next().is_none() {
            continue;
        }
        let any = given().map(|(_, given)| condition(field, given, &context));
        expr = expr.and(Expr::Any(any.collect::<Result<_, _>>()?).normal());
    }
    let mut filter = Filter::from_expr(expr);
    filter = time(filter, find("from"), find("to"), &context)?;
    if let Some(given) = find("q") {
        let asked = Filter::parse(given.value, &context)
            .map_err(|error| ParamError::query(given.name, error))?;
        filter = filter.and(asked);
    }
    let limit = find("limit")
        .map(|given| number(given, 1, Params::MAX_LIMIT))
        .transpose()?
        .unwrap_or(Params::DEFAULT_LIMIT);
    let cursor = find("cursor");
    Ok(Params {
        filter: Filter::from_expr(Expr::from(filter).normal()),
        order: find("order")
            .map(|given| word(given, &[("desc", Direction::Older), ("asc", Direction::Newer)]))
            .transpose()?
            .unwrap_or_default(),
        limit,
        cursor: cursor.map(|given| given.value.to_owned()),
        offset: offset(find("page"), find("offset"), cursor, limit)?,
        count: find("count")
            .map(|given| {
                word(given, &[("estimate", Count::Estimate), ("exact", Count::UpTo(Count::CAP))])
            })
            .transpose()?,
        interval: find("interval")
            .map(|given| word(given, &Interval::ALL.map(|interval| (interval.as_str(), interval))))
            .transpose()?
            .unwrap_or_default(),
        fields: find("fields").map(countable).transpose()?.unwrap_or_default(),
        top: find("top").map(|given| number(given, 1, Params::MAX_TOP)).transpose()?,
        prefix: find("prefix").map(|given| given.value.to_owned()),
        format: find("format").map(|given| given.value.to_ascii_lowercase()),
        bom: find("bom").map(yes_or_no).transpose()?.unwrap_or_default(),
        proofs: find("proofs").map(yes_or_no).transpose()?.unwrap_or_default(),
        restricted: find("restricted").map(yes_or_no).transpose()?.unwrap_or_default(),
        ticket: find("ticket").map(|given| given.value.to_owned()),
        tz: context.tz,
        now,
    })
}

enum Known {
    Field(&'static QueryField),
    Parameter(&'static Parameter),
}

fn known(name: &str, extras: &[Extra]) -> Result<Known, ParamError> {
    let of = |parameter: &Parameter| {
        std::iter::once(parameter.name).chain(parameter.also.iter().copied())
    };
    let taken = |extra: Extra| extras.contains(&extra);
    let parameter = PARAMETERS.iter().find(|parameter| of(parameter).any(|known| known == name));
    let field = QueryField::named(name)
        .filter(|field| field.is_parameter() && field.names().any(|known| known == name));
    match (parameter, field) {
        (Some(parameter), _) if taken(parameter.extra) => Ok(Known::Parameter(parameter)),
        (_, Some(field)) if taken(Extra::Filters) => Ok(Known::Field(field)),
        (None, None) => {
            let fields =
                FIELDS.iter().filter(|field| field.is_parameter() && taken(Extra::Filters));
            let others = PARAMETERS.iter().filter(|parameter| taken(parameter.extra));
            let near = fields.flat_map(QueryField::names).chain(others.flat_map(of));
            let near = did_you_mean(name, near);
            let in_q = match QueryField::named(name) {
                Some(field) if taken(Extra::Filters) => {
                    format!("; in `q` it is asked for as `{}`", field.example())
                }
                _ => near,
            };
            let shown = shown(name);
            Err(ParamError::new(name, format!("there is no parameter `{shown}`{in_q}")))
        }
        _ => Err(ParamError::new(name, format!("`{name}` is not a parameter here"))),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect::<String>().escape_debug().to_string()
}

fn refuse_second(first: Option<&Given<'_>>, second: &Given<'_>) -> Result<(), ParamError> {
    let Some(first) = first else { return Ok(()) };
    let detail = if first.name == second.name {
        format!("`{}` is given twice", second.name)
    } else {
        format!("`{}` is given twice: it is another spelling of `{}`", second.name, first.name)
    };
    Err(ParamError::new(second.name, detail))
}

fn condition(
    field: &'static QueryField,
    given: &Given<'_>,
    context: &ParseContext,
) -> Result<Expr, ParamError> {
    let read = || {
        if field.values() == Values::Words {
            return bare(given.value);
        }
        any_of(&Asked::whole(field), &values(given.value)?, context)
    };
    read().map_err(|error| ParamError::query(given.name, error))
}

fn zone(given: &Given<'_>) -> Result<TimeZone, ParamError> {
    // A `+` that was not escaped arrives as a space.
    let value = match given.value.strip_prefix(' ') {
        Some(rest) => format!("+{rest}"),
        None => given.value.to_owned(),
    };
    value.parse::<TimeZone>().map_err(|error| ParamError::new(given.name, error.to_string()))
}

/// Adds both ends of time. A day, month or year is whole at either end; a moment ends before itself, so
/// that the end of one question is the beginning of the next.
fn time(
    filter: Filter,
    from: Option<&Given<'_>>,
    to: Option<&Given<'_>>,
    context: &ParseContext,
) -> Result<Filter, ParamError> {
    let read = |given: &Given<'_>| -> Result<Moments, ParamError> {
        let value = given.value.trim();
        // A `+` that was not escaped arrives as a space.
        let mended = value.rsplit_once(' ').map(|(at, offset)| format!("{at}+{offset}"));
        moments(value, context).or_else(|| moments(&mended?, context)).ok_or_else(|| {
            let shown = shown(given.value);
            let expected = Values::Time.expected();
            let detail = format!("`{shown}` is no time; `{}` takes {expected}", given.name);
            ParamError::new(given.name, detail)
        })
    };
    let start = from.map(read).transpose()?.map(|from| from.start);
    let end = to.map(read).transpose()?.map(|to| if to.whole { to.end } else { to.start });
    if let (Some(from), Some(to)) = (from, to)
        && start >= end
    {
        let detail = format!("`{}` lies before `{}`: nothing is between them", to.name, from.name);
        return Err(ParamError::new(to.name, detail));
    }
    let filter = match start {
        Some(start) => filter.from(start),
        None => filter,
    };
    Ok(match end {
        Some(end) => filter.to(end),
        None => filter,
    })
}

fn number(given: &Given<'_>, least: usize, most: usize) -> Result<usize, ParamError> {
    let digits = given.value.bytes().all(|byte| byte.is_ascii_digit());
    let number =
        given.value.parse().ok().filter(|number| digits && (least..=most).contains(number));
    number.ok_or_else(|| {
        let detail = match most {
            usize::MAX => format!("`{}` is a number from {least} on", given.name),
            most => format!("`{}` is a number from {least} to {most}", given.name),
        };
        ParamError::new(given.name, detail)
    })
}

fn word<T: Copy>(given: &Given<'_>, words: &[(&str, T)]) -> Result<T, ParamError> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given.value));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let near = did_you_mean(given.value, known.iter().copied());
        let known = known.join(", ");
        ParamError::new(given.name, format!("`{}` is one of {known}{near}", given.name))
    })
}

fn yes_or_no(given: &Given<'_>) -> Result<bool, ParamError> {
    word(given, &[("true", true), ("false", false), ("1", true), ("0", false)])
}

/// Returns how many records to pass over.
fn offset(
    page: Option<&Given<'_>>,
    offset: Option<&Given<'_>>,
    cursor: Option<&Given<'_>>,
    limit: usize,
) -> Result<usize, ParamError> {
    let (given, skip) = match (page, offset) {
        (None, None) => return Ok(0),
        (Some(_), Some(given)) => {
            let detail = "`offset` and `page` contradict each other; give one of them";
            return Err(ParamError::new(given.name, detail));
        }
        (Some(page), None) => {
            let number = number(page, 1, usize::MAX)?;
            (page, (number - 1).saturating_mul(limit))
        }
        (None, Some(offset)) => (offset, number(offset, 0, usize::MAX)?),
    };
    if cursor.is_some() {
        let detail =
            format!("`{}` and `cursor` contradict each other; give one of them", given.name);
        return Err(ParamError::new(given.name, detail));
    }
    if skip.saturating_add(limit) > Params::MAX_OFFSET {
        let detail = format!(
            "`{}` reaches beyond the first {} records; go on with `cursor`, the `next` of the answer",
            given.name,
            Params::MAX_OFFSET
        );
        return Err(ParamError::new(given.name, detail));
    }
    Ok(skip)
}

/// The fields that can be counted by.
fn countable(given: &Given<'_>) -> Result<Vec<&'static Field>, ParamError> {
    let countable = |known: &&'static QueryField| {
        !matches!(known.values(), Values::Key(_))
            && known.field().is_some_and(|field| {
                matches!(field.kind(), Kind::Text | Kind::Word | Kind::Integer)
            })
    };
    let mut fields: Vec<&'static Field> = Vec::new();
    for name in given.value.split(',').map(str::trim) {
        let Some(known) = QueryField::named(name).filter(|known| countable(known)) else {
            let names = FIELDS.iter().filter(countable).map(QueryField::name);
            let near = did_you_mean(name, names);
            let detail = format!("there is nothing to count by `{}`{near}", shown(name));
            return Err(ParamError::new(given.name, detail));
        };
        if let Some(field) = known.field()
            && !fields.contains(&field)
        {
            fields.push(field);
        }
    }
    Ok(fields)
}
