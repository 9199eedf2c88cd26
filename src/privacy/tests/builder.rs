use super::*;

#[test]
fn the_list_of_headers_is_honoured() {
    let redactor = Redactor::default();
    for name in [
        "authorization",
        "Cookie",
        "set-cookie",
        "x-api-key",
        "X-Amzn-Oidc-Data",
        "dpop",
        "x-hub-signature-256",
        "x-hub-signature",
        "x-forwarded-client-cert",
        "x-shop-secret",
        "x-access-token",
        "sec-websocket-protocol",
        "stripe-signature",
    ] {
        assert!(redactor.is_sensitive_header(name), "{name}");
    }
    for name in [
        "content-type",
        "user-agent",
        "x-request-id",
        "location",
        "traceparent",
        "host",
        "",
        "x-forwarded-for",
        "forwarded",
        "x-amzn-trace-id",
        "accept",
        "authority",
        "ä",
        "idempotency-key",
    ] {
        assert!(!redactor.is_sensitive_header(name), "{name}");
    }
}

#[test]
fn defaults_are_added_to() {
    let redactor = Redactor::builder()
        .key("diagnosis")
        .query_name("=ref")
        .header("x-internal-*")
        .value_prefix("acme_", 8)
        .build()
        .unwrap();
    assert!(redactor.is_sensitive_header("X-Internal-Id"));
    assert_eq!(
        query_of(&redactor, "ref=1&diagnosis=x&token=y&p=acme_12345678"),
        "ref=[REDACTED]&diagnosis=[REDACTED]&token=[REDACTED]&p=[REDACTED]"
    );
}

#[test]
fn a_default_is_taken_away_by_its_name_only() {
    let redactor = Redactor::builder()
        .allow_key("session")
        .allow_key("apiKey")
        .allow_query_name("token")
        .allow_header("X-Api-Key")
        .allow_value("card")
        .build()
        .unwrap();
    let (mut out, mut log) = (String::new(), Redactions::new());
    let input =
        br#"{"session":"a","session_id":"b","api_key":"c","token":"d","n":4111111111111111}"#;
    redactor.json(input, Extent::Whole, &KeySet::default(), &mut out, &mut log.field("body"));
    assert_eq!(
        out,
        r#"{"session":"a","session_id":"[REDACTED]","api_key":"c","token":"[REDACTED]","n":4111111111111111}"#
    );
    assert!(!redactor.is_sensitive_header("x-api-key"));
    assert!(redactor.is_sensitive_header("x-auth-token"));
    assert_eq!(
        query_of(&redactor, "token=a&code=b&x_token=c"),
        "token=a&code=[REDACTED]&x_token=[REDACTED]"
    );
    assert!(Redactor::default().is_sensitive_header("x-api-key"), "the others keep theirs");
}

#[test]
fn an_unknown_name_is_an_error_with_the_nearest() {
    let error = |builder: RedactorBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(
        error(Redactor::builder().allow_key("sesion")),
        "there is no key `sesion` on the list to allow; the nearest is `session`"
    );
    assert_eq!(
        error(Redactor::builder().allow_query_name("AccessToken2")),
        "there is no query name `AccessToken2` on the list to allow; the nearest is `access_token`"
    );
    assert_eq!(
        error(Redactor::builder().allow_header("x-api-keys")),
        "there is no header `x-api-keys` on the list to allow; the nearest is `x-api-key`"
    );
    assert_eq!(
        error(Redactor::builder().allow_value("cards")),
        "there is no value detector `cards` on the list to allow; the nearest is `card`"
    );
    assert_eq!(
        error(Redactor::builder().allow_key("session").allow_key("session")),
        "there is no key `session` on the list to allow; the nearest is `sessid`"
    );
    assert_eq!(
        error(Redactor::builder().key("a*b").key("*")),
        "the pattern `a*b` has a `*` inside a word"
    );
    assert_eq!(error(Redactor::builder().header("*")), "`*` cannot be used as a header");
    assert_eq!(
        error(Redactor::builder().value_prefix("", 1)),
        "`` cannot be used as a value prefix"
    );
}
