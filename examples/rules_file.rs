//! cargo run --example rules_file
//!
//! A rules file says what no convention can know, is asked what it makes of a request, and is refused
//! whole when something in it is wrong.

use tower_activity::rules::Rules;

const RULES: &str = r#"
[[rule]]
name = "month end"
route = "/ledger/{month}/close"
methods = ["POST"]
entity = "month"
action = "close"
entity_id = "{month}"
description = "{actor} closed the books of {month}"

# Reads are recorded where a rule asks for it.
[[rule]]
name = "payslips"
route = "/people/{id}/payslips/**"
methods = ["GET"]
entity = "payslip"
level = "metadata"

[[rule]]
name = "health"
route = "/health"
level = "none"
"#;

const BROKEN: &str = r#"
[[rule]]
name = "month end"
route = "/ledger/{month}/close"
entity_id = "{mont}"
acton = "close"
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // From a file: `Rules::rest().with_file("activity.toml")?`. Compiled once, asked many times.
    let rules = Rules::rest().with_toml(RULES)?.compile()?;
    for (method, route, status) in [
        ("POST", "/ledger/{month}/close", 200),
        ("GET", "/people/{id}/payslips/{month}", 200),
        ("GET", "/people/{id}", 200),
        ("DELETE", "/people/{id}", 403),
        ("POST", "/health", 200),
    ] {
        println!("{}\n", rules.explain(method, route, status));
    }

    let Err(error) = Rules::rest().with_toml(BROKEN) else { return Err("a broken file".into()) };
    println!("The broken file:\n{error}");
    Ok(())
}
