//! gRPC paths: `/package.Service/Method`.

use std::sync::Arc;

use super::{Reading, category_of, endings, vocabulary, words};
use crate::{
    record::Operation,
    rules::{
        EntityIdFrom, How,
        pattern::{Pattern, Segment},
    },
};

/// What a service's name ends with beside the thing.
const SUFFIXES: &[&str] = &["service", "api", "server", "rpc", "manager", "controller", "admin"];

/// First words of a method that ask; gRPC has no method that says it for them.
const QUESTIONS: &[&str] = &[
    "get", "list", "watch", "search", "query", "find", "lookup", "check", "count", "read", "fetch",
    "describe", "stream", "view", "show", "exists", "is", "has", "can",
];

/// Reads a route as a gRPC method, if it looks like one.
pub(super) fn read(method: &str, template: &Pattern) -> Option<Reading> {
    let [Segment::Literal(service), Segment::Literal(call)] = template.segments() else {
        return None;
    };
    let name = service.rsplit('.').next().unwrap_or(service);
    let capital = |text: &str| text.starts_with(|c: char| c.is_uppercase());
    if method != "POST" || !capital(name) || !capital(call) {
        return None;
    }
    let mut service_words = words::split(name);
    while service_words.len() > 1
        && service_words.last().is_some_and(|word| {
            SUFFIXES.contains(&word.as_str()) || super::segments::is_version(word)
        })
    {
        service_words.pop();
    }
    let call_words = words::split(call);
    let (first, rest) = call_words.split_first()?;
    let bulk = vocabulary::BULK.contains(&first.as_str()) && !rest.is_empty();
    let (first, rest) = if bulk { rest.split_first()? } else { (first, rest) };

    let mut how = How::Convention;
    let mut steps = vec![format!("a gRPC method: service `{name}`, method `{call}`")];
    let (action, operation) =
        if QUESTIONS.contains(&first.as_str()) || vocabulary::is_question(first) {
            steps.push(format!("`{first}` reads"));
            let action = if first == "list" { "list" } else { "read" };
            (action.to_owned(), Operation::Read)
        } else if let Some((_, operation)) = vocabulary::verb(first) {
            steps.push(format!("`{first}` is the action"));
            (first.clone(), operation)
        } else if first == "login" || first == "logout" {
            (first.clone(), Operation::Authenticate)
        } else {
            how = How::Guess;
            steps.push(format!("nothing is known of `{first}`: taken for an action"));
            (first.clone(), Operation::Execute)
        };
    // `OrderService/CancelOrder` cancels an order; `ShopService/CancelOrder` too.
    let service = words::entity(&service_words);
    let object = words::entity(rest);
    let (entity, action) = if rest.is_empty() || how == How::Guess {
        (service, call_words.join("_"))
    } else if vocabulary::ATTRIBUTES.contains(&object.as_str()) && object != service {
        (service, format!("{action}_{object}"))
    } else {
        (object, action)
    };
    let action = if bulk { format!("bulk_{action}") } else { action };
    steps.push(format!("`{entity}` is the entity"));
    let entity_id =
        if operation == Operation::Create { EntityIdFrom::Created } else { EntityIdFrom::Nothing };
    let category = category_of(&action).or_else(|| vocabulary::category_of_entity(&entity));
    Some(Reading {
        which: "grpc",
        how,
        authentication: false,
        status: endings(operation),
        entity_type: Some(entity),
        action,
        operation,
        category: category.unwrap_or_default(),
        entity_id,
        parents: Vec::new(),
        accounts: Arc::default(),
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_and_method_are_entity_and_action() {
        for (path, meaning) in [
            ("/shop.v1.OrderService/CancelOrder", "order/cancel/update"),
            ("/shop.v1.OrderService/CreateOrder", "order/create/create"),
            ("/shop.v1.OrderService/GetOrder", "order/read/read"),
            ("/shop.v1.OrderService/ListOrders", "order/list/read"),
            ("/shop.Orders/Cancel", "order/cancel/update"),
            ("/shop.ShopService/AddLineItem", "line_item/add/create"),
            ("/shop.UserService/UpdatePassword", "user/update_password/update"),
            ("/shop.UserService/BatchDeleteUsers", "user/bulk_delete/delete"),
            ("/Greeter/SayHello", "greeter/say_hello/execute"),
        ] {
            let reading = read("POST", &Pattern::template(path)).unwrap();
            let entity = reading.entity_type.as_deref().unwrap_or("-");
            let got = format!("{entity}/{}/{}", reading.action, reading.operation);
            assert_eq!(got, meaning, "{path}");
        }
        for other in ["/orders/cancel", "/Orders/{id}", "/a/B/C"] {
            assert!(read("POST", &Pattern::template(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn unknown_verbs_are_guesses_and_are_recorded() {
        let reading = read("POST", &Pattern::template("/Greeter/SayHello")).unwrap();
        assert_eq!(reading.how, How::Guess);
        assert!(reading.status.is_any());
    }
}
