use crate::rules::{CompiledRules, Rules, RulesError};

/// Rules files: what is wrong is told with a line of the file, what is right can be used, and TOML says what the
/// same tree says in JSON.
///
/// # Panics
///
/// Panics where that does not hold.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = if text.trim_start().starts_with('{') {
        Rules::rest().with_json(&text)
    } else {
        let read = Rules::rest().with_toml(&text);
        same_in_json(&text, &read);
        read
    };
    match read {
        Ok(rules) => {
            let compiled = rules.compile().expect("a set that was read can be used");
            assert_eq!(asked(&text, &compiled), asked(&text, &compiled));
        }
        Err(error) => told_with_a_line(&text, &error),
    }
}

fn told_with_a_line(text: &str, error: &RulesError) {
    assert!(!error.problems().is_empty());
    // One more than there are: a text may end in the middle of something.
    let lines = text.lines().count() + 1;
    for problem in error.problems() {
        assert!(!problem.what().is_empty());
        assert!(problem.line().is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
        assert!(problem.to_string().lines().count() == 1, "more than a line: {problem}");
    }
}

/// What the rules make of requests: to the routes that stand in the text, and to some others.
fn asked(text: &str, rules: &CompiledRules) -> Vec<String> {
    let quoted = text.split('"').skip(1).step_by(2).filter(|word| word.starts_with('/'));
    let others =
        ["/", "/api/v1/orders/{id}", "/orders/{id}/items/{item}/cancel", "/{*rest}", "<unmatched>"];
    let mut told = Vec::new();
    for route in quoted.take(8).chain(others) {
        for (method, status) in [("POST", 201), ("GET", 200), ("DELETE", 403), ("X", 500)] {
            let explanation = rules.explain(method, route, status);
            if explanation.recorded() {
                assert!(
                    !explanation.action().is_empty(),
                    "{method} {route}: a record without an action"
                );
            }
            told.push(serde_json::to_string(&explanation).expect("an explanation is JSON"));
        }
    }
    told
}

#[cfg(not(feature = "toml"))]
fn same_in_json(_: &str, read: &Result<Rules, RulesError>) {
    assert!(read.is_err(), "without the feature every text is refused");
}

#[cfg(feature = "toml")]
fn same_in_json(text: &str, read: &Result<Rules, RulesError>) {
    let Ok(tree) = toml::from_str::<toml::Table>(text) else {
        // What does not fit the types of that crate may still be read as a tree, and is then refused.
        return;
    };
    let json = serde_json::to_string(&tree).expect("a tree of TOML is one of JSON");
    match (read, Rules::rest().with_json(&json)) {
        (Ok(one), Ok(other)) => {
            let (one, other) = (one.compile().expect("read"), other.compile().expect("read"));
            assert_eq!(asked(text, &one), asked(text, &other), "{json}");
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) => panic!("refused in JSON: {error}\n{json}"),
        (Err(error), Ok(_)) => panic!("refused in TOML: {error}\n{text}"),
    }
}
