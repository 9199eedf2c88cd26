use super::*;

#[test]
fn forms_keep_their_names() {
    for (input, output) in [
        ("", ""),
        ("a=1&b=", "a=1&b="),
        ("user=ana&password=hunter2&x=%20+y", "user=ana&password=[REDACTED]&x=%20+y"),
        ("user%5Bpass%77ord%5D=x", "user%5Bpass%77ord%5D=[REDACTED]"),
        ("password=a=b=c&d=1", "password=[REDACTED]&d=1"),
        ("password=a;b=c&d=1", "password=[REDACTED]&d=1"),
        ("a=1;password=c", "a=1%3Bpassword%3D[REDACTED]"),
        ("note=call+ghp_16C7e42F292c+now", "note=call+[REDACTED]+now"),
        ("card_no=4111+1111+1111+1111", "card_no=[REDACTED]"),
        ("n=4111%201111%201111%201111", "n=[REDACTED]"),
        ("payload=%7B%22pin%22%3A1%7D", "payload={%22pin%22:%22[REDACTED]%22}"),
        ("ghp_16C7e42F292c", "[REDACTED]"),
        ("&&=&a", "&&=&a"),
        ("%=%4&%zz=%", "%=%4&%zz=%"),
        ("state=CA&code=SUMMER", "state=CA&code=SUMMER"),
    ] {
        assert_eq!(form_of(input, Extent::Whole), output, "{input}");
    }
}

#[test]
fn a_form_may_be_cut_anywhere() {
    for (input, output) in [
        ("a=1&password=h", "a=1&password=[REDACTED]"),
        ("a=1&passw", "a=1&passw"),
        ("t=ghp_a", "t=[REDACTED]"),
        ("t=4111%201111%2", "t=[REDACTED]"),
        ("ghp_a=1&b", "ghp_a=1&b"),
    ] {
        assert_eq!(form_of(input, Extent::Cut), output, "{input}");
    }
}

#[test]
fn query_strings_have_a_list_of_their_own() {
    let redactor = Redactor::default();
    for (input, output) in [
        ("page=2&code=abc&state=xyz", "page=2&code=[REDACTED]&state=[REDACTED]"),
        ("country_code=de&sort_key=a&states=x", "country_code=de&sort_key=a&states=x"),
        (
            "X-Amz-Signature=ab&x-amz-credential=cd&AWSAccessKeyId=ef",
            "X-Amz-Signature=[REDACTED]&x-amz-credential=[REDACTED]&AWSAccessKeyId=[REDACTED]",
        ),
        ("SAMLResponse=x&relay_state=y", "SAMLResponse=[REDACTED]&relay_state=[REDACTED]"),
        ("filter[password]=x", "filter[password]=[REDACTED]"),
        (
            "next=https%3A%2F%2Fa.b%2Fcb%3Faccess_token%3Dxyz%26c%3D1",
            "next=https://a.b/cb?access_token%3D[REDACTED]%26c%3D1",
        ),
        ("next=https%3A%2F%2Fu%3Ap%40a.b%2F", "next=https://[REDACTED]@a.b/"),
    ] {
        assert_eq!(query_of(&redactor, input), output, "{input}");
    }
    let all = Redactor::builder().mask_all_query_values().build().unwrap();
    assert_eq!(query_of(&all, "q=x&page=&flag"), "q=[REDACTED]&page=&flag");
}

#[test]
fn urls_lose_their_user() {
    for (input, output) in [
        (
            "https://u:p@host:1/a?token=1#id_token=2",
            "https://[REDACTED]@host:1/a?token=[REDACTED]#id_token=[REDACTED]",
        ),
        ("//u:p@host", "//[REDACTED]@host"),
        ("/a/b?x=1", "/a/b?x=1"),
        ("https://host/ana@example.com/x", "https://host/[REDACTED]/x"),
        ("https://host", "https://host"),
        ("", ""),
    ] {
        assert_eq!(url_of(input), output, "{input}");
    }
}
