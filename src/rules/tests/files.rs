use super::super::{Delivery, FinishPoint, Keep, Level, RetentionPolicy, Rule, Rules};
use crate::record::{Category, Operation};

const JSON: &str = r#"{
  "defaults": {
    "ignore_prefixes": ["api", "v1"],
    "trusted_proxies": ["10.0.0.0/8", "192.0.2.7"],
    "max_request_body": 4096
  },
  "rule": [
    {
      "name": "cancel order",
      "route": "/api/orders/{id}/cancel",
      "methods": ["POST"],
      "entity": "order",
      "action": "cancel",
      "entity_id": "{id}",
      "parents": [{ "type": "shop", "id": "request:/shop" }],
      "description": "{actor} cancelled order {id}",
      "delivery": "strict",
      "finish": "end",
      "redact": ["iban"]
    },
    {
      "name": "failed login",
      "route": "/auth/login",
      "status": ["401", 403],
      "entity": "user",
      "action": "login_failed",
      "category": "authentication",
      "attempted_account": "/user"
    },
    {
      "name": "sensitive read",
      "route": "/api/patients/{id}/**",
      "methods": "GET",
      "headers": { "x-purpose": "*" },
      "level": "request_response",
      "max_response_body": 1000
    }
  ]
}"#;

#[cfg(feature = "toml")]
const TOML: &str = r#"
[defaults]
ignore_prefixes = ["api", "v1"]
trusted_proxies = ["10.0.0.0/8", "192.0.2.7"]
max_request_body = 4096

[[rule]]
name = "cancel order"
route = "/api/orders/{id}/cancel"
methods = ["POST"]
entity = "order"
action = "cancel"
entity_id = "{id}"
parents = [{ type = "shop", id = "request:/shop" }]
description = "{actor} cancelled order {id}"
delivery = "strict"
finish = "end"
redact = ["iban"]

[[rule]]
name = "failed login"
route = "/auth/login"
status = ["401", 403]
entity = "user"
action = "login_failed"
category = "authentication"
attempted_account = "/user"

[[rule]]
name = "sensitive read"
route = "/api/patients/{id}/**"
methods = "GET"
headers = { x-purpose = "*" }
level = "request_response"
max_response_body = 1_000
"#;

fn built() -> Rules {
    Rules::rest()
        .ignore_prefixes(["api", "v1"])
        .trusted_proxies(["10.0.0.0/8".parse().unwrap(), "192.0.2.7/32".parse().unwrap()])
        .max_request_body(4096)
        .rule(
            Rule::new("cancel order")
                .route("/api/orders/{id}/cancel")
                .methods(["POST"])
                .entity("order")
                .action("cancel")
                .entity_id("{id}")
                .parent("shop", "request:/shop")
                .description("{actor} cancelled order {id}")
                .delivery(Delivery::Strict)
                .finish(FinishPoint::End)
                .redact(["iban"]),
        )
        .rule(
            Rule::new("failed login")
                .route("/auth/login")
                .status(["401", "403"])
                .entity("user")
                .action("login_failed")
                .category(Category::Authentication)
                .attempted_account(["/user"]),
        )
        .rule(
            Rule::new("sensitive read")
                .route("/api/patients/{id}/**")
                .methods(["GET"])
                .header("x-purpose", "*")
                .level(Level::RequestResponse)
                .max_response_body(1000),
        )
}

#[test]
fn builder_and_files_give_the_same_rules() {
    let built = built();
    assert_eq!(Rules::rest().with_json(JSON).unwrap(), built);
    #[cfg(feature = "toml")]
    assert_eq!(Rules::rest().with_toml(TOML).unwrap(), built);
    assert_ne!(Rules::none().with_json(JSON).unwrap(), built);
}

#[test]
fn what_code_sets_holds_against_a_file() {
    let rules = Rules::rest().max_request_body(77).with_json(JSON).unwrap();
    assert_eq!(rules.defaults().max_request_body(), 77);
    assert_eq!(rules.defaults().ignore_prefixes().count(), 2);
}

#[test]
fn a_file_is_read_by_its_extension() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("activity.JSON");
    std::fs::write(&json, JSON).unwrap();
    assert_eq!(Rules::rest().with_file(&json).unwrap(), built());
    let missing = Rules::rest().with_file(folder.path().join("none.toml")).unwrap_err();
    assert!(missing.to_string().contains("none.toml: could not read the rules file: "));
    assert!(std::error::Error::source(&missing).is_some());
}

/// Returns the message of a file that is not sound.
#[cfg(feature = "toml")]
fn refused(toml: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("activity.toml");
    std::fs::write(&path, toml).unwrap();
    let error = Rules::rest().with_file(&path).unwrap_err();
    error.to_string().replace(&format!("{}", path.display()), "activity.toml")
}

#[cfg(feature = "toml")]
#[test]
fn every_mistake_is_named_with_file_line_rule_and_a_way_out() {
    for (toml, message) in [
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a\"\nenitty = \"x\"\n",
            "activity.toml:4: rule \"a\": unknown key `enitty`; did you mean `entity`?",
        ),
        (
            "[default]\nlevel = \"none\"\n",
            "activity.toml:1: unknown key `default`; did you mean `defaults`?",
        ),
        (
            "[defaults]\nlevel = \"metdata\"\n",
            "activity.toml:2: `metdata` is not a level (one of none, metadata, request, \
             request_response); did you mean `metadata`?",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a*\"\n",
            "activity.toml:3: rule \"a\": segment `a*` of route `/a*` is neither text, `{name}`, \
             `*` nor `**`: patterns match whole segments",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a/:id\"\n",
            "activity.toml:3: rule \"a\": segment `:id` of route `/a/:id` is written `{id}`",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a/{id}\"\nentity_id = \"{di}\"\n",
            "activity.toml:4: rule \"a\": entity_id names the parameter `{di}`, which the route \
             does not have (`{id}`); did you mean `id`?",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a/{id}\"\nentity_id = \"id\"\n",
            "activity.toml:4: rule \"a\": entity_id `id` is neither `{parameter}`, `location`, \
             `created`, `actor`, `none`, `request:/pointer` nor `response:/pointer`; did you mean \
             `{id}`?",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a/{id}\"\ndescription = \"{actr} left\"\n",
            "activity.toml:4: rule \"a\": description has the slot `{actr}`, which is neither a \
             parameter of the route (`{id}`) nor one of actor, entity, entity_id, action, \
             outcome, status, method, route, tenant; did you mean `actor`?",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a\"\nmethods = [\"psot\"]\n",
            "activity.toml:4: rule \"a\": `psot` is not a known method; did you mean `POST`?",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a\"\n\n[[rule]]\nname = \"a\"\nroute = \"/b\"\n",
            "activity.toml:6: rule \"a\": the name is taken by an earlier rule (activity.toml:1)",
        ),
        (
            "[[rule]]\nname = \"all\"\nroute = \"/a/**\"\n\n[[rule]]\nname = \"one\"\nroute = \
             \"/a/{id}\"\nmethods = [\"PUT\"]\n",
            "activity.toml:6: rule \"one\": never reached: the earlier rule \"all\" \
             (activity.toml:1) matches everything that this one does; move this one above it or \
             narrow that one",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a\"\nlevel = \"none\"\ndelivery = \"strict\"\n",
            "activity.toml:5: rule \"a\": `delivery` says something about a record that level \
             `none` forbids",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a\"\nmax_response_body = 9\nlevel = \"request\"\n",
            "activity.toml:4: rule \"a\": `max_response_body` bounds a body that level `request` \
             does not keep",
        ),
        (
            "[[rule]]\nname = \"rest\"\nroute = \"/a\"\n",
            "activity.toml:2: rule \"rest\": the name is that of a convention",
        ),
        ("[[rule]]\nroute = \"/a\"\n", "activity.toml:1: rule \"\": the rule has no name"),
        ("[rule]\nname = \"a\"\n", "activity.toml:1: `rule` is a list of tables: write `[[rule]]`"),
        (
            "[[rule]]\nname = \"a\"\nroute = 7\n",
            "activity.toml:3: rule \"a\": `route` is text, not a number",
        ),
        (
            "[defaults]\ntrusted_proxies = [\"10.0.0.0/40\"]\naddress = \"ful\"\n",
            "activity.toml:2: `10.0.0.0/40` is not a network such as `10.0.0.0/8`\n\
             activity.toml:3: `ful` is not an address policy (one of full, truncate, hmac, none); \
             did you mean `full`?",
        ),
        (
            "[[rule]]\nname = \"a\"\nroute = \"/a\"\nattempted_account = \"user\"\nstatus = \
             \"40x\"\n",
            "activity.toml:4: rule \"a\": `user` is not a JSON pointer: it starts with `/`, and \
             `~` stands only as `~0` or `~1`\n\
             activity.toml:5: rule \"a\": status `40x` is neither a code (`404`), a class \
             (`4xx`), a range (`400-499`), `grpc:` with a code, nor one of success, denied, \
             failure, error, aborted, panic; did you mean `4xx`?",
        ),
    ] {
        assert_eq!(refused(toml), message);
    }
}

#[cfg(feature = "toml")]
#[test]
fn the_file_of_the_chapter_is_sound() {
    let chapter = include_str!("../mod.rs");
    let toml: Vec<&str> = chapter
        .lines()
        .skip_while(|line| !line.ends_with("```toml"))
        .skip(1)
        .take_while(|line| !line.ends_with("```"))
        .map(|line| line.trim_start_matches("//!"))
        .collect();
    let rules = Rules::rest().with_toml(&toml.join("\n")).unwrap();
    let why = rules.explain("POST", "/auth/login", 401).unwrap();
    assert_eq!((why.rule(), why.action()), ("failed login", "login_failed"));
    let why = rules.explain("GET", "/api/patients/{pid}/files/{f}", 200).unwrap();
    assert!(why.recorded());
    assert_eq!((why.rule(), why.action()), ("sensitive read", "read"));
}

#[cfg(feature = "toml")]
#[test]
fn a_text_that_is_not_toml_is_refused_with_its_line() {
    let message = refused("[defaults]\nlevel = \n");
    assert!(message.starts_with("activity.toml:2: not TOML: "), "{message}");
}

#[test]
fn a_text_that_is_not_json_is_refused_with_its_line() {
    let error = Rules::rest().with_json("{\n  \"rule\": [,]\n}").unwrap_err();
    assert_eq!(error.problems()[0].line(), Some(2));
    assert!(error.to_string().starts_with("line 2: not JSON: "), "{error}");
}

#[test]
fn json_lines_are_those_of_the_text() {
    let json = "{\n \"rule\": [\n  {\n   \"name\": \"a\",\n   \"name\": \"b\",\n   \"rout\": \"/a\"\n  }\n ]\n}";
    let error = Rules::rest().with_json(json).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 5: rule \"a\": the key `name` stands twice\n\
         line 6: rule \"a\": unknown key `rout`; did you mean `route`?"
    );
}

#[test]
fn code_is_checked_as_files_are() {
    let rules = Rules::rest().rule(Rule::new("a").route("a")).rule(Rule::new("b").severity(9));
    let error = rules.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "rule \"a\": route `a` does not start with `/`\n\
         rule \"b\": severity is 0 to 6, as in OCSF"
    );
    assert!(rules.compile().is_err() && rules.explain("GET", "/a", 200).is_err());
}

#[test]
fn a_rule_that_some_paths_still_reach_is_sound() {
    for (first, second) in [
        ("/orders/search", "/orders/{id}"),
        ("/orders/{id}", "/orders/search"),
        ("/orders/{id}", "/orders/**"),
        ("/orders/{id}", "/orders/{id}/items"),
    ] {
        let rules =
            Rules::rest().rule(Rule::new("a").route(first)).rule(Rule::new("b").route(second));
        assert!(rules.check().is_ok(), "{first} {second}");
    }
    let split = Rules::rest()
        .rule(Rule::new("a").route("/a").methods(["PUT"]))
        .rule(Rule::new("b").route("/a").methods(["PUT", "POST"]))
        .rule(Rule::new("c").route("/a").status(["4xx"]))
        .rule(Rule::new("d").route("/a").header("x-a", "*"))
        .rule(Rule::new("e").route("/a"));
    assert!(split.check().is_ok());
    let hidden = split.rule(Rule::new("f").route("/a").header("x-b", "*"));
    assert!(hidden.check().unwrap_err().problems()[0].what().contains("\"e\""));
}

#[test]
fn a_rule_without_an_operation_takes_that_of_its_action() {
    let rules = Rules::rest()
        .rule(Rule::new("pay").route("/orders/{id}/pay").action("process_payment"))
        .rule(Rule::new("go").route("/go").methods(["POST"]).action("transfer_all"));
    let of = |route| rules.explain("POST", route, 200).unwrap().operation();
    assert_eq!(of("/orders/{id}/pay"), Operation::Execute);
    assert_eq!(of("/go"), Operation::Transfer);
}

#[cfg(feature = "toml")]
proptest::proptest! {
    #[test]
    fn no_text_makes_the_reading_panic(text in "\\PC{0,200}") {
        drop(Rules::rest().with_toml(&text));
        drop(Rules::rest().with_json(&text));
    }

    #[test]
    fn no_broken_file_makes_the_reading_panic(
        cut in 0..TOML.len(),
        at in 0..JSON.len(),
        put in "[\\[\\]{}\"=,\n0-9a-z*/~.:-]{0,8}",
    ) {
        let toml = format!("{}{put}{}", &TOML[..cut], &TOML[cut..]);
        drop(Rules::rest().with_toml(&toml));
        drop(Rules::rest().with_toml(&TOML[..cut]));
        let json = format!("{}{put}{}", &JSON[..at], &JSON[at..]);
        drop(Rules::rest().with_json(&json));
    }

    #[test]
    fn whatever_a_rule_says_it_is_sound_or_refused(
        route in "/[a-z{}*:/]{0,20}",
        id in "[{}a-z:/~]{0,10}",
        status in "[0-9a-z:x-]{0,8}",
        description in "[{}a-z ]{0,20}",
    ) {
        let rule = Rule::new("a").route(route.clone()).entity_id(id).status([status]).description(description);
        let rules = Rules::rest().rule(rule);
        if let Ok(compiled) = rules.compile() {
            drop(compiled.explain("PUT", &route, 200).to_string());
        }
    }
}

#[test]
fn nesting_without_end_is_refused_not_followed() {
    let deep = format!("{{\"rule\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Rules::rest().with_json(&deep).is_err());
    let deep = format!("rule = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Rules::rest().with_toml(&deep).is_err());
    let long = format!("/{}", "a/".repeat(100_000));
    assert!(Rules::rest().rule(Rule::new("a").route(long)).check().is_err());
}

#[test]
fn a_file_says_how_long_records_are_kept() {
    let rules = Rules::rest()
        .with_json(
            r#"{ "retention": { "preset": "pci", "authentication": "2y", "consent": 4000,
                 "tenant": [{ "name": "health", "tenants": "clinic", "activity": "never" }] } }"#,
        )
        .unwrap();
    let policy = rules.retention_policy().unwrap();
    for (class, keep) in [
        ("authentication", Keep::Days(732)),
        ("activity", Keep::Days(365)),
        ("consent", Keep::Days(4_000)),
        ("activity.health", Keep::Forever),
        ("authentication.health", Keep::Days(732)),
        ("system", Keep::Forever),
    ] {
        assert_eq!(policy.keeps(class), Some(keep), "{class}");
    }
    assert_eq!(Rules::rest().with_json("{}").unwrap().retention_policy(), None);
    // Code overrides the file.
    let own = RetentionPolicy::default();
    let rules = Rules::rest().retention(own.clone()).with_json(r#"{ "retention": {} }"#).unwrap();
    assert_eq!(rules.retention_policy(), Some(&own));
}

#[test]
fn what_is_wrong_with_retention_is_told_with_its_line() {
    let file = r#"{ "retention": {
  "preset": "hippa",
  "activty": 3,
  "authentication": "soon",
  "administration": -1,
  "activity": 0,
  "consent": true,
  "system": 30,
  "tenant": [
    { "name": "a", "tenants": ["t"] },
    { "name": "a", "tenants": ["u"] },
    { "tenants": ["v"] },
    { "name": "b", "tenants": ["t"] },
    7
  ]
} }"#;
    let error = Rules::rest().with_json(file).unwrap_err();
    let told: Vec<_> =
        error.problems().iter().map(|problem| (problem.line().unwrap(), problem.what())).collect();
    let lines: Vec<_> = told.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14], "{told:#?}");
    let says = |line: usize, what: &str| {
        assert!(
            told.iter().any(|(of, text)| *of == line && text.contains(what)),
            "{line} {what} {told:#?}"
        );
    };
    says(2, "did you mean `hipaa`?");
    says(3, "did you mean `activity`?");
    says(4, "such as `90d`");
    says(6, "`never` keeps for ever");
    says(8, "verification");
    says(11, "another group `a`");
    says(12, "needs `name`");
    says(13, "is in `a` too");
}
