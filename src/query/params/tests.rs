//! Parameters, by what filter they make and how they are refused.

use super::*;

const ALL: &[Extra] = &[
    Extra::Filters,
    Extra::Order,
    Extra::Limit,
    Extra::Cursor,
    Extra::Offset,
    Extra::Count,
    Extra::Interval,
    Extra::Fields,
    Extra::Top,
    Extra::Format,
    Extra::Bom,
    Extra::Proofs,
    Extra::Restricted,
];

/// Reads what stands in a query string, decoded.
fn read(pairs: &[(&str, &str)], extras: &[Extra]) -> Result<Params, ParamError> {
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Params::read(&pairs, extras, "2026-05-11T12:00:00Z".parse().unwrap())
}

fn filter(pairs: &[(&str, &str)]) -> String {
    read(pairs, ALL).unwrap_or_else(|error| panic!("{pairs:?}: {error}")).filter.to_string()
}

fn refused(pairs: &[(&str, &str)]) -> String {
    let error = read(pairs, ALL).expect_err("it is wrong");
    assert!(pairs.iter().any(|(name, _)| *name == error.parameter()), "{error:?}");
    error.to_string()
}

#[test]
fn filters_are_all_wanted_and_commas_mean_any() {
    for (pairs, written) in [
        (&[("action", "CREATE,log*")][..], "action:create OR action:log*"),
        (&[("verb", "create"), ("action", "update")], "action:create,update"),
        (&[("user_id", "ana"), ("entity_type", "order")], "entity_type:order actor_id:ana"),
        (&[("object_type", "order"), ("object_id", "5 5")], "entity_type:order entity_id:\"5 5\""),
        (
            &[("workspace_id", "a(b)"), ("ip_address", "10.0.0.0/8")],
            "tenant_id:\"a(b)\" ip:10.0.0.0/8",
        ),
        (
            &[("event", "order.cancel,user.*")],
            "entity_type:order action:cancel OR entity_type:user action:*",
        ),
        (&[("status", "5xx,404")], "status:500..599 OR status:404"),
        (&[("status", ">=500")], "status:>=500"),
        (&[("entity_id", "a\\,b"), ("rule", "\"x, y\",z")], "entity_id:\"a,b\" rule:\"x, y\",z"),
        (&[("entity_id", "O\"Brien\"")], "entity_id:\"O\\\"Brien\\\"\""),
        (&[("actor_id", "-x")], "actor_id:\"-x\""),
        (&[("search", "cancel* \"big order\" a:b (-) --")], "cancel* \"big order\" \"a b\""),
        (
            &[("q", "status:>=500 OR panic"), ("outcome", "failure")],
            "outcome:failure (status:>=500 OR panic)",
        ),
        (
            &[("action", "login_success")],
            "action:\"login_success\" OR action:login outcome:success",
        ),
        (&[("subject_id", "c-17")], "subject_id:c-17"),
    ] {
        assert_eq!(filter(pairs), written, "{pairs:?}");
    }
}

#[test]
fn days_are_whole_in_the_time_zone_and_moments_end_before_themselves() {
    let range = |pairs: &[(&str, &str)]| {
        let (from, to) = read(pairs, ALL).unwrap().filter.range();
        let shown =
            |at: Option<Timestamp>| at.map_or(String::new(), |at| at.to_string()[..19].to_owned());
        format!("{} {}", shown(from), shown(to))
    };
    for (pairs, shown) in [
        (
            &[("from", "2026-01-01"), ("to", "2026-01-31")][..],
            "2026-01-01T00:00:00 2026-02-01T00:00:00",
        ),
        (
            &[("start_date", "2026-01"), ("until", "2026-01")],
            "2026-01-01T00:00:00 2026-02-01T00:00:00",
        ),
        (
            &[("from", "2026-01-01T10:00:00Z"), ("to", "2026-01-01T11:00:00Z")],
            "2026-01-01T10:00:00 2026-01-01T11:00:00",
        ),
        (&[("since", "now-24h")], "2026-05-10T12:00:00 "),
        (&[("from", "2026-01-01"), ("tz", "Asia/Kolkata")], "2025-12-31T18:30:00 "),
        (&[("to", "2026-01-01"), ("tz", " 02:00")], " 2026-01-01T22:00:00"),
        // A `+` that nobody escaped.
        (&[("from", "2026-01-01T10:00:00 02:00")], "2026-01-01T08:00:00 "),
    ] {
        assert_eq!(range(pairs), shown, "{pairs:?}");
    }
}

#[test]
fn what_goes_with_the_filter_is_read() {
    let params = read(&[], ALL).unwrap();
    assert_eq!((params.limit, params.offset, params.order), (50, 0, Direction::Older));
    let params = read(
        &[
            ("limit", "1000"),
            ("order", "ASC"),
            ("page", "10"),
            ("count", "exact"),
            ("interval", "day"),
            ("fields", "verb,outcome,status"),
            ("top", "5"),
            ("format", "CSV"),
            ("bom", "true"),
            ("proofs", "1"),
            ("restricted", "true"),
            ("tz", "Europe/Lisbon"),
        ],
        ALL,
    )
    .unwrap();
    assert_eq!((params.limit, params.offset, params.order), (1_000, 9_000, Direction::Newer));
    assert_eq!(params.count, Some(Count::UpTo(Count::CAP)));
    assert_eq!((params.interval, params.top, params.bom), (Interval::Day, Some(5), true));
    assert!(params.proofs && params.restricted);
    assert_eq!(format!("{:?}", params.fields), "[action, outcome, status]");
    assert_eq!(
        (params.format.as_deref(), params.tz.to_string().as_str()),
        (Some("csv"), "Europe/Lisbon")
    );
}

#[test]
fn what_is_wrong_is_named_with_what_is_right() {
    for (pairs, told) in [
        (&[("acton", "x")][..], "there is no parameter `acton`; did you mean `action`?"),
        (
            &[("duration", "5")],
            "there is no parameter `duration`; in `q` it is asked for as `duration:>=250ms`",
        ),
        (&[("ticket", "x")], "`ticket` is not a parameter here"),
        (&[("action", "")], "`action` is empty; leave it out"),
        (&[("limit", "0")], "`limit` is a number from 1 to 1000"),
        (&[("limit", "1001")], "`limit` is a number from 1 to 1000"),
        (&[("limit", "+5")], "`limit` is a number from 1 to 1000"),
        (&[("limit", "5"), ("limit", "6")], "`limit` is given twice"),
        (
            &[("from", "2026-01-01"), ("since", "2026-01-01")],
            "`since` is given twice: it is another spelling of `from`",
        ),
        (
            &[("from", "2026-02-01"), ("to", "2026-01-01")],
            "`to` lies before `from`: nothing is between them",
        ),
        (&[("order", "dsc")], "`order` is one of desc, asc; did you mean `desc`?"),
        (
            &[("offset", "9999"), ("limit", "2")],
            "`offset` reaches beyond the first 10000 records; go on with `cursor`, the `next` of the answer",
        ),
        (
            &[("page", "99999999999999999")],
            "`page` reaches beyond the first 10000 records; go on with `cursor`, the `next` of the answer",
        ),
        (&[("page", "0")], "`page` is a number from 1 on"),
        (
            &[("page", "1"), ("offset", "5")],
            "`offset` and `page` contradict each other; give one of them",
        ),
        (
            &[("page", "1"), ("cursor", "x")],
            "`page` and `cursor` contradict each other; give one of them",
        ),
        (&[("fields", "outcom")], "there is nothing to count by `outcom`; did you mean `outcome`?"),
        (&[("fields", "metadata")], "there is nothing to count by `metadata`"),
        (
            &[("q", "a actoin:x")],
            "`q`, column 3: there is no field `actoin`; did you mean `action`?",
        ),
        (
            &[("outcome", "success,denid")],
            "`outcome`, column 9: `outcome` has no word `denid`; expected one of success, denied, failure, aborted, unknown; did you mean `denied`?",
        ),
        (
            &[("action", "a,,b")],
            "`action`, column 3: expected a value of `action` right here: text, `*` for any run of characters",
        ),
        (&[("search", "--")], "`search`, column 1: there is no letter or digit to look for"),
        (
            &[("actor_id", "x\\")],
            "`actor_id`, column 2: nothing follows the backslash; write `\\\\` for a backslash itself",
        ),
    ] {
        assert_eq!(refused(pairs), told, "{pairs:?}");
    }
    assert!(refused(&[("tz", "Lisbon")]).starts_with("`Lisbon` is no time zone"));
    assert!(
        refused(&[("from", "yesteryear")])
            .starts_with("`yesteryear` is no time; `from` takes a day")
    );
    let column = read(&[("q", "a actoin:x")], ALL).unwrap_err().column();
    assert_eq!(column, Some(3));
}
