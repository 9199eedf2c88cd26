use super::*;

#[test]
fn values_under_secret_keys_are_replaced_whatever_they_are() {
    for value in ["\"x\"", "1", "-1.5e9", "true", "null", "{}", "[1,{\"a\":\"]}\"}]", "\"a\\\"b\""]
    {
        let input = format!(r#"{{ "a" : 1 , "passWord" : {value} , "b" : [ ] }}"#);
        assert_eq!(json_of(&input), r#"{"a":1,"passWord":"[REDACTED]","b":[]}"#);
    }
}

#[test]
fn what_is_taken_out_is_listed_with_its_path_and_method() {
    let (_, shape, log) =
        json_log(r#"{"users":[{"a":1},{"pin":1,"x/y":"ghp_16C7e42F292c"}],"n":4111111111111111}"#);
    assert_eq!(shape, JsonShape::Valid);
    assert_eq!(log, ["/users/1/pin key", "/users/1/x~1y key_prefix", "/n card"]);
}

#[test]
fn the_text_stays_as_it_was_written_but_for_white_space() {
    for (input, output) in [
        ("", ""),
        (" 1 ", "1"),
        ("1e999999", "1e999999"),
        (
            "[ 1.0 , -0 , 1E+2 , 123456789012345678901234567890.10 ]",
            "[1.0,-0,1E+2,123456789012345678901234567890.10]",
        ),
        (r#"{"a":1,"a":2,"a":{"a":3}}"#, r#"{"a":1,"a":2,"a":{"a":3}}"#),
        (r#"{"pin":1,"pin":2}"#, r#"{"pin":"[REDACTED]","pin":"[REDACTED]"}"#),
        (r#""\u0041\/\n\u00e9é""#, r#""\u0041\/\n\u00e9é""#),
        (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
        ("\u{feff}{}", "{}"),
        (" { } ", "{}"),
    ] {
        assert_eq!(json_of(input), output);
    }
}

#[test]
fn nul_and_lone_surrogates_become_the_replacement_character() {
    assert_eq!(json_of(r#"["a\u0000b"]"#), "[\"a\u{fffd}b\"]");
    assert_eq!(
        json_of(r#"["\ud800","\udc00x","\ud800\ud800","\ud83d\ude00\ud83d"]"#),
        "[\"\u{fffd}\",\"\u{fffd}x\",\"\u{fffd}\u{fffd}\",\"😀\u{fffd}\"]"
    );
    assert_eq!(json_of(r#"{"a\u0000":1}"#), "{\"a\u{fffd}\":1}");
}

#[test]
fn an_escaped_key_is_read() {
    assert_eq!(json_of(r#"{"pass\u0077ord":"x"}"#), r#"{"pass\u0077ord":"[REDACTED]"}"#);
}

#[test]
fn json_inside_a_string_is_read_too() {
    let inner = r#"{"user":"ana","password":"hunter2"}"#;
    let mut text = inner.to_owned();
    for _ in 0..5 {
        text = serde_json::json!({ "payload": text }).to_string();
        let out = json_of(&text);
        assert!(!out.contains("hunter2"), "{out}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap();
    }
    let one = serde_json::json!({ "payload": inner }).to_string();
    assert_eq!(json_of(&one), r#"{"payload":"{\"user\":\"ana\",\"password\":\"[REDACTED]\"}"}"#);
    let spaced = r#"{"a":"[ 1,  2 ]"}"#;
    assert_eq!(json_of(spaced), spaced, "without a secret it stays as it is");
}

#[test]
fn a_secret_that_is_a_key_is_masked() {
    assert_eq!(json_of(r#"{"ghp_16C7e42F292c":{"uses":3}}"#), r#"{"[REDACTED]":{"uses":3}}"#);
}

#[test]
fn a_cut_text_is_rewritten_as_far_as_it_goes() {
    for (input, output) in [
        (r#"{"a":1,"password":"hun"#, r#"{"a":1,"password":"[REDACTED]""#),
        (r#"{"password":{"a":["x"#, r#"{"password":"[REDACTED]""#),
        (r#"{"password":12"#, r#"{"password":"[REDACTED]""#),
        (r#"{"password":"#, r#"{"password":"#),
        (r#"{"password"  "#, r#"{"password""#),
        (r#"{"passw"#, r#"{"passw"#),
        (r#"{"a":"b\"#, r#"{"a":"b\"#),
        (r#"{"a":"b\u00"#, r#"{"a":"b\u00"#),
        (r#"{"a":tr"#, r#"{"a":tr"#),
        (r#"{"a":4111111111"#, r#"{"a":"[REDACTED]""#),
        (r#"[[["#, r#"[[["#),
        (r#"[1,"#, r#"[1,"#),
    ] {
        let (out, shape, _) = json_log(input);
        assert_eq!((out.as_str(), shape), (output, JsonShape::Cut), "{input}");
    }
}

#[test]
fn text_that_is_no_json_loses_its_secrets_all_the_same() {
    for input in [
        r#"{"a":1,}{"password":"hunter2"}"#,
        "{\"a\":1}\n{\"password\":\"hunter2\"}\n",
        r#"{password: "hunter2"}"#,
        r#"{password: hunter2, a: 1}"#,
        r#"{'password': 'hunter2, hunter2'}"#,
        r#"{'a':'it"s', "password":"hunter2"}"#,
        r#"{"a":'it"s', 'b': {\"password\": \"hunter2\"}}"#,
        r#"{"password" : ["hunter2""#,
        r#"{"password":"x"hunter2"}"#,
        r#"{"password":"x"hunter2"#,
        r#"}}]]{"password":"hunter2"}"#,
        r#""password":"hunter2""#,
        r#"{"a":"x" "password":"hunter2"}"#,
        r#"["password":"hunter2"]"#,
        r#"oops, the password: hunter2"#,
        "{\"a\":\"\u{1}\",\"password\":\"hunter2\"}",
        r#"db is postgres://app:hunter2@db/x today"#,
        r#"callback({"password":"hunter2"});"#,
        r#"{"a":01,"password":hunter2}"#,
        "-----BEGIN PRIVATE KEY----- hunter2",
        r#"password=hunter2&a=b"#,
    ] {
        let (out, _, log) = json_log(input);
        assert!(!out.contains("hunter2"), "{input} → {out}");
        assert!(!log.is_empty(), "{input}");
    }
    let utf16: Vec<u8> =
        r#"{"password":"hunter2"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(!json_of(utf16).replace(char::is_control, "").contains("hunter2"));
}

#[test]
fn prose_stays_prose() {
    let text = "internal error, try again later";
    assert_eq!(json_log(text), (text.replace(", ", ","), JsonShape::Invalid, Vec::new()));
    assert_eq!(json_of("{\"a\":1}\n{\"a\":2}\n"), "{\"a\":1}\n{\"a\":2}");
}

#[test]
fn shapes_agree_with_a_strict_parser() {
    for text in [
        "1",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1e",
        "tru",
        "nul",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{1:2}",
        "[1 2]",
        "\"a\" \"b\"",
        "[]]",
        "{]",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\t\"",
        "{\"a\":1,\"b\"}",
        "{\"a\":1 \"b\":2}",
        "[1]",
        "{\"a\":[{}]}",
        "1 2",
    ] {
        let valid = serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert_eq!(json_log(text).1 == JsonShape::Valid, valid, "{text}");
    }
}

#[test]
fn further_keys_are_those_of_the_call() {
    let (mut out, mut log) = (String::new(), Redactions::new());
    let extra = KeySet::new(["diagnosis"]).unwrap();
    let input = br#"{"patientDiagnosis":"flu"}"#;
    let redactor = Redactor::default();
    redactor.json(input, Extent::Whole, &extra, &mut out, &mut log.field("body"));
    assert_eq!(out, r#"{"patientDiagnosis":"[REDACTED]"}"#);
    assert_eq!(json_of(input), r#"{"patientDiagnosis":"flu"}"#);
}

#[test]
fn a_body_is_kept_only_in_a_format_that_is_understood() {
    let body = |kind: &str, input: &str| {
        let (mut out, mut log) = (String::new(), Redactions::new());
        Redactor::default()
            .body(
                kind,
                input.as_bytes(),
                Extent::Whole,
                &KeySet::default(),
                &mut out,
                &mut log.field("body"),
            )
            .then_some(out)
    };
    let json = r#"{"pin":1}"#;
    let kept = Some(r#"{"pin":"[REDACTED]"}"#.to_owned());
    for kind in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/problem+json",
        "application/x-ndjson",
        "text/plain",
        "text/plain;charset=UTF-8",
    ] {
        assert_eq!(body(kind, json), kept, "{kind}");
    }
    assert_eq!(
        body("application/x-www-form-urlencoded", "pin=1&a=b").unwrap(),
        "pin=[REDACTED]&a=b"
    );
    for kind in ["", "multipart/form-data; boundary=x", "application/xml", "image/png", "json", "ä"]
    {
        assert_eq!(body(kind, json), None, "{kind}");
    }
}
