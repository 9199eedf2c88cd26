use proptest::prelude::*;

use super::super::pattern::{Fit, Pattern};

fn fit(pattern: &str, template: &str) -> Fit {
    Pattern::parse(pattern).unwrap().fit(&Pattern::template(template))
}

#[test]
fn a_pattern_meets_templates_by_whole_segments() {
    for (pattern, template, expected) in [
        ("/orders/{id}", "/orders/{order_id}", Fit::Always),
        ("/orders/{id}", "/orders/:id", Fit::Always),
        ("/orders/{id}/", "/orders/{id}", Fit::Always),
        ("/orders/{id}", "/orders/search", Fit::No),
        ("/orders/*", "/orders/search", Fit::Always),
        ("/orders/*", "/orders/{id}", Fit::Always),
        ("/orders/search", "/orders/{id}", Fit::ByPath),
        ("/orders/{id}", "/orders/{id}/status", Fit::No),
        ("/status", "/orders/{id}/status", Fit::No),
        ("/order", "/orders", Fit::No),
        ("/**", "/", Fit::Always),
        ("/api/**", "/api", Fit::Always),
        ("/api/**", "/api/a/{b}/c", Fit::Always),
        ("/api/**", "/apis", Fit::No),
        ("/**/login", "/a/b/login", Fit::Always),
        ("/**/login", "/login", Fit::Always),
        ("/**/login", "/login/x", Fit::No),
        ("/a/**/z", "/a/z", Fit::Always),
        ("/a/**/z", "/a/{b}", Fit::ByPath),
        ("/files/{*path}", "/files/{*rest}", Fit::Always),
        ("/files/{*path}", "/files", Fit::No),
        ("/files/{name}", "/files/{*rest}", Fit::ByPath),
        ("/files/**", "/files/{*rest}", Fit::Always),
        ("/", "/", Fit::Always),
        ("/", "/a", Fit::No),
    ] {
        assert_eq!(fit(pattern, template), expected, "{pattern} {template}");
    }
}

#[test]
fn a_pattern_meets_raw_paths_by_whole_segments() {
    for (pattern, path, expected) in [
        ("/orders/{id}", "/orders/55", true),
        ("/orders/{id}", "/orders/55/", true),
        ("/orders/{id}", "/orders", false),
        ("/orders/{id}", "/orders//", false),
        ("/status", "/orders/1/status", false),
        ("/a/**/z", "/a/b/c/z", true),
        ("/a/**/z", "/a/z", true),
        ("/a/**/z", "/a", false),
        ("/{*rest}", "/", false),
        ("/{*rest}", "/a/b", true),
        ("/**", "/", true),
    ] {
        assert_eq!(
            Pattern::parse(pattern).unwrap().matches_path(path),
            expected,
            "{pattern} {path}"
        );
    }
}

#[test]
fn bad_patterns_are_refused() {
    for bad in [
        "",
        "orders",
        "/a b",
        "/a//b",
        "/a?x",
        "/a#x",
        "/**/b/**",
        "/{a}/{a}",
        "/{",
        "/}",
        "/{}",
        "/a{b}",
        "/***",
        "/{*a}/**",
        "/{a:\\d+}",
    ] {
        assert!(Pattern::parse(bad).is_err(), "{bad}");
    }
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]".prop_map(String::from),
        2 => "[a-c]".prop_map(|name| format!("{{{name}}}")),
        1 => Just("*".to_owned()),
    ]
}

proptest! {
    #[test]
    fn a_fit_that_is_certain_holds_for_every_path(
        pattern in prop::collection::vec(segment(), 0..5),
        rest in prop::option::of(0usize..5),
        template in prop::collection::vec(segment(), 0..5),
        values in prop::collection::vec("[a-c]", 5),
    ) {
        let mut pattern = pattern;
        if let Some(at) = rest {
            let at = at.min(pattern.len());
            pattern.insert(at, "**".to_owned());
        }
        // Names repeat by chance; such a pattern is no pattern.
        let Ok(pattern) = Pattern::parse(&format!("/{}", pattern.join("/"))) else {
            return Ok(());
        };
        let path: Vec<&str> = template
            .iter()
            .zip(&values)
            .map(|(segment, value)| if segment.len() == 1 && segment != "*" { segment.as_str() } else { value.as_str() })
            .collect();
        let path = format!("/{}", path.join("/"));
        let template = Pattern::template(&format!("/{}", template.join("/")));
        let matches = pattern.matches_path(&path);
        match pattern.fit(&template) {
            Fit::Always => prop_assert!(matches),
            // A parameter is never a fixed segment of a router's, though the text would do.
            Fit::No => {
                let has_literal = template.segments().iter().any(|s| matches!(s, super::super::pattern::Segment::Literal(_)));
                let has_param = pattern.param_names().next().is_some();
                prop_assert!(!matches || (has_literal && has_param));
            }
            Fit::ByPath => {}
        }
    }

    #[test]
    fn a_path_of_a_template_gives_its_parameters_back(values in prop::collection::vec("[^/?#]{1,6}", 3)) {
        let encode = |text: &String| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let path = format!("/a/{}/b/{}/{}", encode(&values[0]), encode(&values[1]), encode(&values[2]));
        for (name, value) in ["x", "y", "z"].iter().zip(&values) {
            let got = super::super::params("/a/{x}/b/{y}/{z}", &path, name);
            prop_assert_eq!(got.as_deref(), Some(value.as_str()));
        }
    }
}
