//! Questions without what the log itself keeps as pseudonyms.
//!
//! Whoever looks for a session, or for the account that a failed login tried, writes it in plain text, and what he asked
//! is recorded. There it stands as the records have it: as a pseudonym.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{
    api::{consents::SUBJECT, endpoint::Endpoint, parameters::pairs, state::Api},
    privacy::{AddressPolicy, Keys, MARKER},
    query::{Extra, FIELDS, Form, PARAMETERS, Parameter, Params},
    record::{Category, Field},
};

/// The endpoints that take filters.
const ASKING: [&str; 9] =
    ["records", "entity", "actor", "session", "stats", "facets", "export", "bundle", "live"];

/// Returns a question as its record has it: path, and query without its `?`.
pub(super) fn question(endpoint: Endpoint, path: &str, query: &str, api: &Api) -> (String, String) {
    let asks_of_consents = endpoint.name == "consents";
    if !asks_of_consents && !ASKING.contains(&endpoint.name) {
        return (path.to_owned(), query.to_owned());
    }
    let recorder = api.recorder();
    let addresses =
        Category::ALL.iter().any(|one| recorder.address_policy(*one) == AddressPolicy::Hmac);
    let hide = |field: &Field, value: &str| hidden(field, value, addresses, recorder.keys());
    if asks_of_consents {
        return (path.to_owned(), of_consents(query, &hide));
    }
    (in_path(endpoint, path, &hide), in_query(query, api, &hide))
}

/// Returns what stands for a value; `None` where that is the value itself.
///
/// An account is known by its `@`: whatever else stands in those fields are the application's own ids, which it keeps as
/// they are.
fn hidden(field: &Field, value: &str, addresses: bool, keys: Option<&Keys>) -> Option<String> {
    let purpose = Keys::purpose_of(field).filter(|_| !Keys::is_pseudonym(value))?;
    let is_kept = match purpose {
        Keys::ADDRESS => !addresses,
        Keys::ACCOUNT => !value.contains('@'),
        _ => false,
    };
    let stands =
        || keys.map_or_else(|| MARKER.to_owned(), |keys| keys.pseudonym(purpose, None, value));
    (!is_kept).then(stands)
}

fn in_path(
    endpoint: Endpoint,
    path: &str,
    hide: &impl Fn(&Field, &str) -> Option<String>,
) -> String {
    let field = match endpoint.name {
        "entity" => "entity_id",
        "actor" => "actor_id",
        "session" => "session_id",
        _ => return path.to_owned(),
    };
    let stands = path.trim_end_matches('/').rsplit_once('/').and_then(|(before, id)| {
        let id = percent_decode_str(id).decode_utf8_lossy();
        Some(format!("{before}/{}", hide(Field::named(field)?, &id)?))
    });
    stands.unwrap_or_else(|| path.to_owned())
}

/// Consents are not asked for by a filter.
fn of_consents(query: &str, hide: &impl Fn(&Field, &str) -> Option<String>) -> String {
    let Ok(pairs) = pairs(query) else { return MARKER.to_owned() };
    let subjects = Field::named("subject_ids").expect("every record has the field");
    let stands = |name: &str, value: &str| match name {
        SUBJECT => hide(subjects, value),
        _ => None,
    };
    if !pairs.iter().any(|(name, value)| stands(name, value).is_some()) {
        return query.to_owned();
    }
    let text = |(name, value): &(String, String)| {
        let value = stands(name, value).unwrap_or_else(|| value.clone());
        format!("{}={}", encoded(name), encoded(&value))
    };
    pairs.iter().map(text).collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn in_query(query: &str, api: &Api, hide: &impl Fn(&Field, &str) -> Option<String>) -> String {
    let extras: Vec<Extra> = PARAMETERS.iter().map(Parameter::extra).collect();
    let read = pairs(query).ok().map(|pairs| (Params::read(&pairs, &extras, api.now()), pairs));
    let Some((Ok(params), pairs)) = read else {
        // Nobody answers it; it may be one of those all the same.
        return if query.is_empty() { String::new() } else { MARKER.to_owned() };
    };
    let mut found = false;
    let filter = params.filter.rewritten(&mut |field, value| match hide(field, value) {
        Some(stands) => {
            found = true;
            Form::Instead(stands)
        }
        None => Form::AsItIs,
    });
    let filter = filter.without_patterns(&mut |field, pattern| {
        hide(field, pattern).map(|_| {
            found = true;
            MARKER.to_owned()
        })
    });
    if !found {
        return query.to_owned();
    }
    let is_in_filter = |name: &str| {
        let of = |parameter: &&Parameter| {
            parameter.name() == name || parameter.other_spellings().contains(&name)
        };
        let extra = PARAMETERS.iter().find(of).map(Parameter::extra);
        extra.is_none_or(|extra| extra == Extra::Filters)
            || FIELDS.iter().any(|field| field.is_parameter() && field.names().any(|n| n == name))
    };
    let mut text = format!("q={}", encoded(&filter.to_string()));
    for (name, value) in pairs.iter().filter(|(name, _)| !is_in_filter(name)) {
        text.push_str(&format!("&{}={}", encoded(name), encoded(value)));
    }
    text
}
