use std::sync::Arc;

use http::{HeaderMap, Method};

use super::super::{
    CompiledRules, Delivery, Ended, EntityIdFrom, FinishPoint, How, Level, Mask, Plan, Route, Rule,
    Rules, SCAN_BYTES, UNMATCHED,
};

fn plan(rules: &CompiledRules, method: &Method, template: &str) -> Arc<Plan> {
    rules.plan(method, Route::Template(template))
}

fn open(plan: &Plan) -> Mask {
    plan.applicable(&HeaderMap::new(), None, "/")
}

#[test]
fn mutations_are_recorded_and_reads_only_when_refused() {
    let rules = Rules::rest().compile().unwrap();
    let put = plan(&rules, &Method::PUT, "/api/orders/{id}");
    for status in [200, 400, 401, 404, 500] {
        let mask = open(&put);
        let meaning = put.decide(&mask, &Ended::with_status(status)).unwrap();
        assert_eq!((&*meaning.rule, &*meaning.action), ("rest", "update"));
        assert_eq!(meaning.path_param("/api/orders/5", "id").as_deref(), Some("5"));
    }
    let get = plan(&rules, &Method::GET, "/api/orders/{id}");
    let mask = open(&get);
    assert!(!get.is_none(), "it may still be refused");
    for (status, recorded) in [(200, false), (404, false), (500, false), (403, true), (429, true)] {
        assert_eq!(get.decide(&mask, &Ended::with_status(status)).is_some(), recorded, "{status}");
    }
    let panic = Ended { panicked: true, ..Ended::default() };
    assert!(get.decide(&mask, &panic).is_some());
    let aborted = Ended { aborted: true, ..Ended::with_status(200) };
    assert!(get.decide(&mask, &aborted).is_none());
    assert!(put.decide(&open(&put), &aborted).is_some());
}

#[test]
fn a_rule_that_names_a_read_is_one() {
    let rules = Rules::rest()
        .rule(Rule::new("report").route("/api/slow").entity("report").action("download"))
        .compile()
        .unwrap();
    let get = plan(&rules, &Method::GET, "/api/slow");
    let meaning = get.decide(&open(&get), &Ended::with_status(200)).unwrap().clone();
    assert_eq!((&*meaning.action, meaning.operation), ("download", crate::record::Operation::Read));
    // By convention alone, what a POST starts is recorded as work.
    let rules = Rules::rest().compile().unwrap();
    let post = plan(&rules, &Method::POST, "/reports/{id}/export");
    assert!(post.decide(&open(&post), &Ended::with_status(200)).is_some());
}

#[test]
fn the_first_rule_that_matches_wins_by_status() {
    let rules = Rules::rest()
        .rule(Rule::new("refused").route("/login").status(["4xx"]).action("login_refused"))
        .rule(Rule::new("rest of it").route("/login").level(Level::None))
        .compile()
        .unwrap();
    let plan = plan(&rules, &Method::POST, "/login");
    let mask = open(&plan);
    let refused = plan.decide(&mask, &Ended::with_status(401)).unwrap();
    assert_eq!((&*refused.rule, refused.how), ("refused", How::Rule));
    assert_eq!(refused.entity_type.as_deref(), Some("user"), "the convention fills in");
    assert!(plan.decide(&mask, &Ended::with_status(200)).is_none());
    assert!(!plan.is_none());
}

#[test]
fn a_rule_takes_what_it_leaves_out_from_the_reading_for_its_status() {
    let rules = Rules::rest()
        .rule(Rule::new("refused").route("/login").status(["401"]).severity(3))
        .compile()
        .unwrap();
    let plan = plan(&rules, &Method::POST, "/login");
    let refused = plan.decide(&Mask::default(), &Ended::with_status(401)).unwrap();
    assert_eq!((&*refused.action, refused.severity), ("login_failed", Some(3)));
    assert!(!refused.attempted_account.is_empty());
}

#[test]
fn a_rule_that_only_makes_logins_strict_still_tells_the_failed_ones() {
    let rules = Rules::rest()
        .rule(Rule::new("strict").route("/login").delivery(Delivery::Strict))
        .rule(Rule::new("named").route("/signin").status(["2xx"]).action("enter"))
        .compile()
        .unwrap();
    let strict = plan(&rules, &Method::POST, "/login");
    for (status, action) in [(200, "login"), (401, "login_failed"), (500, "login")] {
        let meaning = strict.decide(&Mask::default(), &Ended::with_status(status)).unwrap();
        assert_eq!((&*meaning.rule, &*meaning.action), ("strict", action));
        let why = rules.explain("POST", "/login", status);
        assert_eq!((why.rule(), why.action()), ("strict", action));
    }
    let named = plan(&rules, &Method::POST, "/signin");
    let enter = named.decide(&Mask::default(), &Ended::with_status(200)).unwrap();
    assert_eq!(&*enter.action, "enter");
    assert_eq!(enter.entity_id, EntityIdFrom::Actor);
}

#[test]
fn a_route_whose_every_candidate_is_none_passes_untouched() {
    let rules = Rules::rest()
        .rule(Rule::new("health").route("/health").level(Level::None))
        .compile()
        .unwrap();
    assert!(plan(&rules, &Method::POST, "/health").is_none());
    assert!(plan(&rules, &Method::GET, "/health").is_none());
    assert!(!plan(&rules, &Method::POST, "/orders/{id}/health").is_none(), "whole segments");
    let quiet = Rules::none().compile().unwrap();
    assert!(plan(&quiet, &Method::POST, "/orders").is_none());
}

#[test]
fn headers_and_host_are_asked_once_at_the_start() {
    let rules = Rules::none()
        .rule(
            Rule::new("bots")
                .methods(["GET"])
                .header("user-agent", "*bot*")
                .host(["*.example.com"])
                .delivery(Delivery::Durable)
                .level(Level::Request)
                .max_request_body(10),
        )
        .compile()
        .unwrap();
    let plan = plan(&rules, &Method::GET, "/a");
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", "Googlebot".parse().unwrap());
    let yes = plan.applicable(&headers, Some("www.example.com:80"), "/a");
    let no = plan.applicable(&headers, Some("example.org"), "/a");
    assert!(plan.decide(&yes, &Ended::with_status(200)).is_some());
    assert!(plan.decide(&no, &Ended::with_status(200)).is_none());
    assert_eq!(
        (plan.delivery(&yes), plan.delivery(&no)),
        (Delivery::Durable, Delivery::BestEffort)
    );
    assert_eq!((plan.request_body(&yes), plan.request_body(&no)), (Some(10), None));
    assert!(plan.is_none_for(&no) && !plan.is_none_for(&yes) && !plan.is_none());
}

#[test]
fn what_must_be_known_early_is_the_union_of_the_candidates() {
    let rules = Rules::rest()
        .rule(
            Rule::new("failed")
                .route("/pay")
                .status(["failure"])
                .level(Level::RequestResponse)
                .max_request_body(100)
                .max_response_body(200)
                .delivery(Delivery::Strict)
                .finish(FinishPoint::End),
        )
        .rule(Rule::new("fine").route("/pay").level(Level::Request).max_request_body(300))
        .compile()
        .unwrap();
    let plan = plan(&rules, &Method::POST, "/pay");
    let mask = open(&plan);
    assert_eq!(plan.request_body(&mask), Some(300));
    assert_eq!(plan.response_body(&mask), Some(200));
    assert_eq!(plan.delivery(&mask), Delivery::Strict);
    assert_eq!(plan.finish(&mask), FinishPoint::End);
    assert_eq!(plan.decide(&mask, &Ended::with_status(200)).unwrap().level, Level::Request);
}

#[test]
fn created_things_and_accounts_are_looked_for_in_bodies() {
    let rules = Rules::rest().compile().unwrap();
    let create = plan(&rules, &Method::POST, "/orders");
    assert!(create.scan_id(&open(&create)));
    assert!(!plan(&rules, &Method::PUT, "/orders/{id}").scan_id(&Mask::default()));
    let off = Rules::rest().id_from_response(false).compile().unwrap();
    assert!(!plan(&off, &Method::POST, "/orders").scan_id(&Mask::default()));

    let login = plan(&rules, &Method::POST, "/login");
    let mask = open(&login);
    assert_eq!(login.account_pointers(&mask)[0].as_str(), "/user");
    assert_eq!(login.request_body(&mask), Some(SCAN_BYTES));
    assert_eq!(
        login.decide(&mask, &Ended::with_status(401)).unwrap().action.as_ref(),
        "login_failed"
    );
    assert!(create.account_pointers(&mask).is_empty());
    assert_eq!(create.request_body(&mask), None);
}

#[test]
fn a_fixed_route_below_a_parameter_is_told_by_the_raw_path() {
    let rules = Rules::rest()
        .rule(Rule::new("theme").route("/settings/theme").entity("theme"))
        .compile()
        .unwrap();
    let plan = plan(&rules, &Method::PUT, "/settings/{name}");
    let none = HeaderMap::new();
    let of = |path: &str| {
        let mask = plan.applicable(&none, None, path);
        plan.decide(&mask, &Ended::with_status(200)).unwrap().rule.to_string()
    };
    assert_eq!(of("/settings/theme"), "theme");
    assert_eq!(of("/settings/locale"), "rest");
}

#[test]
fn more_than_sixty_four_questions_are_all_answered() {
    let mut rules = Rules::none();
    for n in 0..130 {
        rules = rules.rule(Rule::new(format!("r{n}")).route(format!("/s/t{n}")));
    }
    let rules = rules.compile().unwrap();
    let plan = plan(&rules, &Method::PUT, "/s/{name}");
    for n in [0, 63, 64, 127, 128, 129] {
        let mask = plan.applicable(&HeaderMap::new(), None, &format!("/s/t{n}"));
        let meaning = plan.decide(&mask, &Ended::with_status(200)).unwrap();
        assert_eq!(*meaning.rule, *format!("r{n}"));
    }
}

#[test]
fn a_rule_names_parameters_its_own_way() {
    let rules = Rules::rest()
        .rule(
            Rule::new("a")
                .route("/shops/{shop}/orders/{id}")
                .parent("shop", "{shop}")
                .entity_id("{id}"),
        )
        .compile()
        .unwrap();
    let plan = plan(&rules, &Method::PUT, "/shops/{id}/orders/{order_id}");
    let meaning = plan.decide(&Mask::default(), &Ended::with_status(200)).unwrap();
    assert_eq!(meaning.entity_id, EntityIdFrom::Param("id".into()));
    let path = "/shops/3/orders/77";
    assert_eq!(meaning.path_param(path, "id").as_deref(), Some("77"));
    assert_eq!(meaning.path_param(path, "shop").as_deref(), Some("3"));
    assert_eq!(meaning.path_param(path, "order_id").as_deref(), Some("77"));
}

#[test]
fn names_that_cross_are_not_mixed_up() {
    let rules = Rules::rest()
        .rule(Rule::new("a").route("/shops/{id}/orders/{order}").severity(1))
        .compile()
        .unwrap();
    let plan = plan(&rules, &Method::PUT, "/shops/{shop}/orders/{id}");
    let meaning = plan.decide(&Mask::default(), &Ended::with_status(200)).unwrap();
    assert_eq!(meaning.entity_id, EntityIdFrom::Param("order".into()));
    assert_eq!(meaning.path_param("/shops/3/orders/77", "order").as_deref(), Some("77"));
    let shop = meaning.related[0].id.param().unwrap();
    assert_eq!(meaning.path_param("/shops/3/orders/77", shop).as_deref(), Some("3"));
}

#[test]
fn a_rule_about_the_parent_takes_the_parents_id() {
    let rules = Rules::rest()
        .rule(
            Rule::new("pay")
                .route("/shops/{s}/orders/{id}/payments")
                .methods(["POST"])
                .entity("order")
                .action("process_payment"),
        )
        .compile()
        .unwrap();
    let plan = plan(&rules, &Method::POST, "/shops/{s}/orders/{id}/payments");
    let meaning = plan.decide(&Mask::default(), &Ended::with_status(201)).unwrap();
    assert_eq!(meaning.entity_id, EntityIdFrom::Param("id".into()));
    let parents: Vec<_> = meaning.related.iter().map(|r| &*r.entity_type).collect();
    assert_eq!(parents, ["shop"]);
}

#[test]
fn services_without_a_router_take_their_templates_from_the_rules() {
    let rules = Rules::rest()
        .routes(["/orders/{id}", "/orders/search"])
        .rule(Rule::new("files").route("/files/**"))
        .compile()
        .unwrap();
    assert_eq!(rules.template_for("/orders/search"), Some("/orders/search"));
    assert_eq!(rules.template_for("/orders/55"), Some("/orders/{id}"));
    assert_eq!(rules.template_for("/files/a/b"), Some("/files/**"));
    assert_eq!(rules.template_for("/other"), None);
    let plan = plan(&rules, &Method::DELETE, "/files/**");
    let meaning = plan.decide(&Mask::default(), &Ended::with_status(200)).unwrap();
    assert_eq!((&*meaning.rule, meaning.entity_type.as_deref()), ("files", Some("file")));
}

#[test]
fn unmatched_mutations_are_recorded_without_an_entity() {
    let rules = Rules::rest().compile().unwrap();
    let plan = rules.plan(&Method::POST, Route::Unmatched);
    let meaning = plan.decide(&Mask::default(), &Ended::with_status(404)).unwrap();
    assert_eq!((meaning.entity_type.as_deref(), &*meaning.action), (None, "create"));
    assert_eq!(meaning.how, How::Guess);
    assert_eq!(Route::Unmatched.as_str(), UNMATCHED);
    let again = rules.plan(&Method::POST, Route::Unmatched);
    assert!(Arc::ptr_eq(&plan, &again));
}

#[test]
fn methods_that_clients_make_up_share_one_plan() {
    let rules = Rules::rest()
        .rule(Rule::new("purge").methods(["PURGE"]).action("purge"))
        .compile()
        .unwrap();
    let odd = |name: &str| {
        let method = Method::from_bytes(name.as_bytes()).unwrap();
        plan(&rules, &method, "/cache")
    };
    assert!(Arc::ptr_eq(&odd("FROB"), &odd("NICATE")));
    let of = |plan: &Plan| {
        plan.decide(&Mask::default(), &Ended::with_status(200)).unwrap().action.to_string()
    };
    assert_eq!(of(&odd("PURGE")), "purge");
    assert_eq!(of(&odd("FROB")), "execute");
}

#[test]
fn an_explanation_says_who_won_and_why_no_other() {
    let rules = Rules::rest()
        .rule(Rule::new("other").route("/other").level(Level::None))
        .rule(Rule::new("refused").route("/api/orders/{id}/cancel").status(["denied"]))
        .compile()
        .unwrap();
    assert_eq!(
        rules.explain("POST", "/api/orders/{id}/cancel", 200).to_string(),
        "POST /api/orders/{id}/cancel → 200\n  \
         recorded as order/cancel (update, activity), id from {id}\n  \
         by rest (convention), level metadata, delivery best_effort\n  \
         - other: its route is another\n  \
         - refused: it is not about status 200\n  \
         + rest: no rule matches, and the convention is about this\n    \
         `api` is a prefix and names nothing\n    \
         `cancel` is an action\n    \
         `orders` in the singular is the entity `order`"
    );
    let read = rules.explain("GET", "/api/orders/7", 200);
    assert!(!read.recorded());
    assert_eq!(read.level(), Level::None);
    let json = serde_json::to_value(rules.explain("DELETE", "/api/orders/{id}", 204)).unwrap();
    assert_eq!(json["entity_id"], "{id}");
    assert_eq!(json["how"], "convention");
}

#[test]
fn a_rule_takes_what_it_leaves_out_from_the_same_reading_here_and_there() {
    let rule = Rule::new("r").methods(["POST"]).route("/**").status(["error"]).action("done");
    let rules = Rules::rest().rule(rule).compile().unwrap();
    let meaning = plan(&rules, &Method::POST, "/login");
    let meaning = meaning.decide(&Mask::default(), &Ended::with_status(401)).unwrap();
    let told = rules.explain("POST", "/login", 401);
    assert_eq!(told.entity_id(), &meaning.entity_id);
    assert_eq!((told.action(), told.rule()), ("done", "r"));
}

proptest::proptest! {
    #[test]
    fn an_explanation_agrees_with_the_plan(
        rules in proptest::collection::vec(
            ("/(orders|login|\\{a\\}|\\*\\*)(/\\{id\\})?(/cancel)?", "(|GET|POST|PUT)", "(|2xx|401|denied|error)", 0u8..3),
            0..4,
        ),
        method in "GET|POST|PUT|DELETE",
        template in "/(orders|login|\\{x\\})(/\\{y\\})?(/cancel|/status)?",
        status in proptest::sample::select(vec![200u16, 201, 302, 401, 404, 429, 500]),
    ) {
        let mut set = Rules::rest();
        for (n, (route, method, status, kind)) in rules.into_iter().enumerate() {
            let mut rule = Rule::new(format!("r{n}")).route(route);
            if !method.is_empty() {
                rule = rule.methods([method]);
            }
            if !status.is_empty() {
                rule = rule.status([status]);
            }
            let rule = match kind {
                0 => rule.level(Level::None),
                1 => rule.action("done"),
                _ => rule,
            };
            // A rule that nothing reaches is refused: the set is then tried without it.
            if set.clone().rule(rule.clone()).check().is_ok() {
                set = set.rule(rule);
            }
        }
        let rules = set.compile().unwrap();
        let plan = plan(&rules, &method.parse().unwrap(), &template);
        // Explanations take open questions as answered with yes.
        if !plan.asks() {
            let told = rules.explain(&method, &template, status);
            let meaning = plan.decide(&Mask::default(), &Ended::with_status(status));
            proptest::prop_assert_eq!(told.recorded(), meaning.is_some());
            if let Some(meaning) = meaning {
                proptest::prop_assert_eq!(told.rule(), &*meaning.rule);
                proptest::prop_assert_eq!(told.action(), &*meaning.action);
                proptest::prop_assert_eq!(told.entity_id(), &meaning.entity_id);
            }
        }
    }
}
