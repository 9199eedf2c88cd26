//! cargo run --example explain_routes < ROUTES.tsv
//!
//! Shows what the convention makes of a list of routes.
//!
//! Reads lines with tabs; the first names the columns, of which `method` and `path` are used.
//! Prints one JSON object per route, in the same order.

use std::{
    io::{self, BufRead, Write},
    process::ExitCode,
};

use serde::Serialize;
use tower_activity::{
    record::Operation,
    rules::{CompiledRules, Rules},
};

fn main() -> ExitCode {
    let rules = match Rules::rest().compile() {
        Ok(rules) => rules,
        Err(error) => return fail(&error.to_string()),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let told = explain_all(&rules, io::stdin().lock(), &mut out);
    match told.and_then(|()| out.flush().map_err(|e| format!("could not write: {e}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("explain_routes: {why}");
    ExitCode::FAILURE
}

/// Explains every line of a table of routes.
fn explain_all(
    rules: &CompiledRules,
    input: impl BufRead,
    out: &mut impl Write,
) -> Result<(), String> {
    let mut columns = None;
    for (n, line) in input.lines().enumerate() {
        let n = n + 1;
        let line = line.map_err(|e| format!("line {n}: could not read: {e}"))?;
        let cells: Vec<&str> = line.trim_end_matches('\r').split('\t').collect();
        let Some((method, path)) = columns else {
            let find = |name: &str| {
                cells
                    .iter()
                    .position(|cell| cell.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
                    .ok_or_else(|| format!("line {n}: the header has no column `{name}`"))
            };
            columns = Some((find("method")?, find("path")?));
            continue;
        };
        if line.trim().is_empty() {
            continue;
        }
        let cell = |at: usize, name: &str| {
            cells
                .get(at)
                .map(|cell| cell.trim())
                .filter(|cell| !cell.is_empty())
                .ok_or_else(|| format!("line {n}: the column `{name}` is empty"))
        };
        let (method, path) = (cell(method, "method")?, cell(path, "path")?);
        if !method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
            return Err(format!("line {n}: `{}` is not a method", method.escape_debug()));
        }
        let told = explain(rules, &method.to_ascii_uppercase(), path)
            .map_err(|e| format!("line {n}: could not write JSON: {e}"))?;
        writeln!(out, "{told}").map_err(|e| format!("could not write: {e}"))?;
    }
    match columns {
        Some(_) => Ok(()),
        None => {
            Err("the input is empty: a header line with `method` and `path` comes first".into())
        }
    }
}

/// One line of the output, in the order in which it reads best.
#[derive(Serialize)]
struct Line<'a> {
    method: &'a str,
    route: &'a str,
    entity_type: Option<&'a str>,
    action: &'a str,
    operation: Operation,
    entity_id: Option<&'a str>,
    parents: Vec<Parent<'a>>,
    rule: Option<&'a str>,
}

#[derive(Serialize)]
struct Parent<'a> {
    #[serde(rename = "type")]
    entity_type: &'a str,
    param: Option<&'a str>,
}

fn explain(rules: &CompiledRules, method: &str, route: &str) -> serde_json::Result<String> {
    let why = rules.explain(method, route, 200);
    serde_json::to_string(&Line {
        method,
        route,
        entity_type: why.entity_type(),
        action: why.action(),
        operation: why.operation(),
        entity_id: why.entity_id().param(),
        parents: why
            .parents()
            .iter()
            .map(|thing| Parent { entity_type: &thing.entity_type, param: thing.id.param() })
            .collect(),
        rule: why.considered().last().map(|considered| considered.rule()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: &str) -> Result<String, String> {
        let rules = Rules::rest().compile().unwrap();
        let mut out = Vec::new();
        explain_all(&rules, input.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn columns_are_found_by_name() {
        let out = run("summary\tpath\tmethod\nx\t/api/v1/orders/{id}/items/{item}\tPUT\n").unwrap();
        assert_eq!(
            out,
            "{\"method\":\"PUT\",\"route\":\"/api/v1/orders/{id}/items/{item}\",\
             \"entity_type\":\"item\",\"action\":\"update\",\"operation\":\"update\",\
             \"entity_id\":\"item\",\"parents\":[{\"type\":\"order\",\"param\":\"id\"}],\
             \"rule\":\"rest\"}\n"
        );
    }

    #[test]
    fn bad_input_is_named_with_its_line() {
        for (input, error) in [
            ("", "the input is empty: a header line with `method` and `path` comes first"),
            ("verb\tpath\n", "line 1: the header has no column `method`"),
            ("method\tpath\nPUT\n", "line 2: the column `path` is empty"),
            ("method\tpath\nP!T\t/a\n", "line 2: `P!T` is not a method"),
        ] {
            assert_eq!(run(input).unwrap_err(), error);
        }
    }
}
