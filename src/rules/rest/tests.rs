//! Each convention, by examples of APIs of all kinds.

use super::*;

fn ignore() -> Vec<String> {
    vec!["api".to_owned(), "rest".to_owned()]
}

/// Returns `entity/action` and, where there are any, the id and the parents.
fn told(method: &str, template: &str) -> String {
    let reading = read(method, Some(&Pattern::template(template)), &ignore())
        .into_iter()
        .find(|reading| reading.status.contains(&crate::rules::Ended::with_status(200)))
        .unwrap_or_else(|| panic!("{method} {template} has no reading"));
    let mut out = format!("{}/{}", reading.entity_type().unwrap_or("-"), reading.action);
    if reading.entity_id != EntityIdFrom::Nothing {
        out.push_str(&format!(" {}", reading.entity_id));
    }
    for thing in &reading.parents {
        out.push_str(&format!(" <{} {}>", thing.entity_type, thing.id));
    }
    out
}

fn check(table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .filter_map(|(route, expected)| {
            let (method, template) = route.split_once(' ').unwrap();
            let got = told(method, template);
            (got != *expected).then(|| format!("{route}: {got}, not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn methods_on_collections_and_items_are_crud() {
    check(&[
        ("POST /api/v1/orders", "order/create created"),
        ("PUT /api/v1/orders/{id}", "order/update {id}"),
        ("PATCH /orders/:id", "order/update {id}"),
        ("DELETE /orders/{id}", "order/delete {id}"),
        ("POST /orders/{id}", "order/update {id}"),
        ("POST /api/categories", "category/create created"),
        ("POST /rest/api/3/issue", "issue/create created"),
        ("PUT /admin/api/2024-01/products/{product_id}.json", "product/update {product_id}"),
        ("PUT /user", "user/update"),
        ("PUT /me", "user/update actor"),
        ("PATCH /users/@me", "user/update actor"),
        ("PUT /api/settings/{name}", "setting/update {name}"),
        ("POST /api/orders/{id}/items", "item/create created <order {id}>"),
        ("DELETE /orgs/{a}/teams/{b}/repos/{c}", "repo/delete {c} <org {a}> <team {b}>"),
        ("PATCH /repos/{owner}/{repo}/issues/{number}", "issue/update {number} <repo {repo}>"),
        ("PUT /webhooks/{webhook_id}/{webhook_token}", "webhook/update {webhook_id}"),
        ("POST /namespaces/{ns}/pods", "pod/create created <namespace {ns}>"),
        ("POST /login_links", "login_link/create created"),
        ("POST /push-providers", "push_provider/create created"),
    ]);
}

#[test]
fn a_verb_at_the_end_is_the_action() {
    check(&[
        ("POST /api/orders/{id}/cancel", "order/cancel {id}"),
        ("POST /api/products/{id}/restore", "product/restore {id}"),
        ("POST /invoices/{invoice}/finalize", "invoice/finalize {invoice}"),
        ("POST /invoices/{invoice}/pay", "invoice/pay {invoice}"),
        ("POST /charges/{charge}/capture", "charge/capture {charge}"),
        ("PUT /repos/{owner}/{repo}/pulls/{n}/merge", "pull/merge {n} <repo {repo}>"),
        ("POST /repos/{o}/{repo}/actions/runs/{run}/rerun", "run/rerun {run} <repo {repo}>"),
        ("POST /users/{id}/lifecycle/reactivate", "user/reactivate {id}"),
        ("POST /users/{id}/actions/frobnicate", "user/frobnicate {id}"),
        ("POST /users/{id}/reset_password", "user/reset_password {id}"),
        ("POST /users/{id}/credentials/change_password", "user/change_password {id}"),
        ("POST /keys/{id}/keyRotate", "key/rotate_key {id}"),
        ("POST /users/{id}/email/verify", "user/verify_email {id}"),
        ("POST /notifications/{id}/read", "notification/mark_read {id}"),
        ("POST /documents/export", "document/export"),
        ("POST /issue/{id}/transitions", "issue/create_transition {id}"),
        ("POST /features/{id}/{lifecycle}", "feature/update {id}"),
        ("POST /stream/{id}/verification", "stream/verify {id}"),
        ("POST /orders/{id}/cancellation", "order/cancel {id}"),
        ("POST /levels/{id}:trim", "level/trim {id}"),
        ("POST /chat.postMessage", "chat/post_message"),
        ("POST /create-order", "order/create created"),
        ("POST /sendEmail", "email/send"),
        (
            "DELETE /droplets/{id}/destroy_with_associated_resources/dangerous",
            "droplet/destroy_with_associated_resources {id}",
        ),
        ("POST /deployments/{name}/scale", "deployment/scale {name}"),
    ]);
}

#[test]
fn words_that_are_verb_and_thing_go_by_what_stands_before_them() {
    check(&[
        ("POST /posts/{id}/like", "post/like {id}"),
        ("DELETE /posts/{id}/like", "post/unlike {id}"),
        ("PUT /gists/{gist_id}/star", "gist/star {gist_id}"),
        ("DELETE /gists/{gist_id}/star", "gist/unstar {gist_id}"),
        ("DELETE /issues/{id}/lock", "issue/unlock {id}"),
        ("POST /comments", "comment/create created"),
        ("POST /posts/{id}/comments", "comment/create created <post {id}>"),
        ("POST /reports", "report/create created"),
        ("POST /reviews", "review/create created"),
        ("POST /sign_requests/{id}/resend", "sign_request/resend {id}"),
    ]);
}

#[test]
fn a_property_belongs_to_its_item() {
    check(&[
        ("PUT /api/users/{id}/password", "user/update_password {id}"),
        ("PUT /api/users/{id}/avatar", "user/update_avatar {id}"),
        ("PUT /api/users/{id}/role", "user/update_role {id}"),
        ("PATCH /api/users/{id}/status", "user/update_status {id}"),
        ("PATCH /api/orders/{id}/status", "order/update_status {id}"),
        ("POST /api/products/{id}/stock", "product/update_stock {id}"),
        ("POST /api/products/{id}/image", "product/upload_image {id}"),
        ("DELETE /users/{id}/avatar", "user/delete_avatar {id}"),
        ("PUT /rest/api/3/issue/{key}/assignee", "issue/update_assignee {key}"),
        ("PUT /shops/{id}/settings", "shop/update_settings {id}"),
        ("PUT /shops/{id}/tags", "tag/update <shop {id}>"),
    ]);
}

#[test]
fn members_come_and_go() {
    check(&[
        ("POST /projects/{id}/members", "project/add_member {id}"),
        ("PUT /teams/{t}/members/{m}", "team/add_member {t} <member {m}>"),
        ("DELETE /teams/{t}/members/{m}", "team/remove_member {t} <member {m}>"),
        ("PATCH /teams/{t}/members/{m}", "team/update_member {t} <member {m}>"),
        ("PUT /groups/{g}/users/{u}", "group/add_user {g} <user {u}>"),
        ("DELETE /groups/{g}/users/{u}", "group/remove_user {g} <user {u}>"),
        ("PUT /repos/{o}/{r}/collaborators/{u}", "repo/add_collaborator {r} <collaborator {u}>"),
        ("DELETE /rooms/{r}/participants/@me", "room/leave {r}"),
        ("PUT /users/{u}/roles/{r}", "user/add_role {u} <role {r}>"),
        ("POST /users/{u}/roles", "user/add_role {u}"),
        ("PUT /tenants/{t}/users/{u}", "user/update {u} <tenant {t}>"),
        ("PUT /guilds/{g}/bans/{user_id}", "ban/add {user_id} <guild {g}>"),
    ]);
}

#[test]
fn many_at_once_is_said() {
    check(&[
        ("POST /messages/bulk-delete", "message/bulk_delete"),
        ("POST /orders/bulk", "order/create created"),
        ("POST /orders/{id}/lines/batch-update", "line/bulk_update <order {id}>"),
        ("DELETE /users/{id}/sessions", "session/delete <user {id}>"),
    ]);
}

#[test]
fn questions_are_reads_whatever_the_method() {
    for route in [
        "POST /orders/search",
        "POST /orders/query",
        "POST /orders/{id}/validate",
        "POST /invoices/{id}/preview",
        "POST /carts/{id}/calculate",
        "POST /v1/lookup",
        "GET /orders",
        "HEAD /orders/{id}",
        "OPTIONS /orders",
        "QUERY /orders",
        "PROPFIND /files/{*path}",
        "GET /graphql",
    ] {
        let (method, template) = route.split_once(' ').unwrap();
        let reading = read(method, Some(&Pattern::template(template)), &ignore()).remove(0);
        assert!(reading.is_read(), "{route}: {}", reading.action);
        for (status, recorded) in
            [(200, false), (404, false), (401, true), (403, true), (429, true)]
        {
            let ended = crate::rules::Ended::with_status(status);
            assert_eq!(reading.status.contains(&ended), recorded, "{route} {status}");
        }
    }
    assert_eq!(told("POST", "/graphql"), "graphql/execute");
    assert_eq!(told("POST", "/api/graphql"), "graphql/execute");
}

#[test]
fn logins_and_what_belongs_to_them() {
    check(&[
        ("POST /login", "user/login actor"),
        ("POST /api/v1/auth/sign-in", "user/login actor"),
        ("POST /users/login", "user/login actor"),
        ("POST /session", "user/login actor"),
        ("POST /logout", "user/logout actor"),
        ("GET /logout", "user/logout actor"),
        ("GET /auth/sign-out", "user/logout actor"),
        ("DELETE /session", "user/logout actor"),
        ("DELETE /sessions/current", "user/logout actor"),
        ("POST /register", "user/register created"),
        ("POST /auth/signup", "user/register created"),
        ("POST /oauth2/token", "token/create"),
        ("POST /auth/refresh", "token/refresh"),
        ("POST /password/reset", "user/reset_password"),
        ("POST /forgot-password", "user/reset_password"),
        ("POST /sources/{id}/sessions", "session/create created <source {id}>"),
        ("POST /chat/sessions", "session/create created"),
        ("POST /tournaments/{id}/register", "tournament/register {id}"),
    ]);
}

/// What logs somebody out changes something, whatever the method; to look at the form does not.
#[test]
fn logging_out_by_a_link_is_recorded_and_a_login_form_is_not() {
    for (route, recorded) in [("/logout", true), ("/login", false), ("/register", false)] {
        let readings = read("GET", Some(&Pattern::template(route)), &ignore());
        let ended = crate::rules::Ended::with_status(200);
        assert_eq!(readings.iter().any(|r| r.status.contains(&ended)), recorded, "{route}");
    }
}

#[test]
fn a_refused_login_is_a_failed_one_and_keeps_the_account() {
    let readings = read("POST", Some(&Pattern::template("/login")), &ignore());
    let of = |status| {
        let ended = crate::rules::Ended::with_status(status);
        readings.iter().find(|r| r.status.contains(&ended)).unwrap()
    };
    for (status, action) in [
        (200, "login"),
        (302, "login"),
        (401, "login_failed"),
        (422, "login_failed"),
        (500, "login"),
    ] {
        assert_eq!(of(status).action, action, "{status}");
        assert_eq!(of(status).category, Category::Authentication);
        assert_eq!(of(status).operation, Operation::Authenticate);
        assert_eq!(of(status).accounts.is_empty(), action == "login", "{status}");
    }
}

#[test]
fn below_an_item_a_login_is_an_action_like_others() {
    let readings = read("POST", Some(&Pattern::template("/sites/{id}/login")), &ignore());
    assert_eq!(readings.len(), 1);
    assert_eq!((readings[0].entity_type(), &*readings[0].action), (Some("site"), "login"));
}

#[test]
fn passwords_and_roles_have_their_category() {
    let category = |method: &str, route: &str| {
        read(method, Some(&Pattern::template(route)), &ignore()).remove(0).category
    };
    assert_eq!(category("PUT", "/users/{id}/password"), Category::Authentication);
    assert_eq!(category("POST", "/api_keys"), Category::Authentication);
    assert_eq!(category("PUT", "/users/{id}/role"), Category::Administration);
    assert_eq!(category("DELETE", "/roles/{id}"), Category::Administration);
    assert_eq!(category("POST", "/consents"), Category::Consent);
    assert_eq!(category("POST", "/orders"), Category::Activity);
}

#[test]
fn what_rests_on_nothing_is_a_guess() {
    let how = |route: &str| read("POST", Some(&Pattern::template(route)), &ignore()).remove(0).how;
    assert_eq!(how("/orders/{id}/cancel"), How::Convention);
    assert_eq!(how("/frobnicate"), How::Guess);
    assert_eq!(how("/{thing}"), How::Guess);
    let unmatched = read("DELETE", None, &ignore()).remove(0);
    assert_eq!((unmatched.how, unmatched.entity_type()), (How::Guess, None));
    assert_eq!(unmatched.action, "delete");
}

#[test]
fn the_status_of_an_order_is_not_a_health_check() {
    // A skip list that looks at the end of a path would lose this one.
    let reading =
        read("POST", Some(&Pattern::template("/orders/{id}/status")), &ignore()).remove(0);
    assert_eq!(reading.action, "update_status");
    assert!(reading.status.is_any());
}

proptest::proptest! {
    #[test]
    fn every_text_has_a_reading(method in "[A-Z]{1,7}", route in "\\PC{0,40}") {
        let readings = read(&method, Some(&Pattern::template(&route)), &ignore());
        proptest::prop_assert!(!readings.is_empty());
        for reading in readings {
            proptest::prop_assert!(!reading.action.is_empty());
        }
    }

    #[test]
    fn paths_of_all_kinds_have_a_reading(
        parts in proptest::collection::vec("[a-z]{1,8}s?|\\{[a-z]{1,5}\\}|cancel|me|bulk|actions|v1|\\*\\*|password|members|:[a-z]{1,4}", 0..7),
        method in "GET|POST|PUT|PATCH|DELETE|LINK",
    ) {
        let route = format!("/{}", parts.join("/"));
        proptest::prop_assert!(!read(&method, Some(&Pattern::template(&route)), &ignore()).is_empty());
    }
}
