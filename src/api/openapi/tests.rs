use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn described() -> Value {
    serde_json::from_str(&DOCUMENT).expect("the description is JSON")
}

#[test]
fn every_endpoint_is_described_and_nothing_else_is() {
    let document = described();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let there: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let wanted: BTreeSet<_> =
        ENDPOINTS.iter().map(|e| (e.method.to_owned(), e.path.to_owned())).collect();
    assert_eq!(there, wanted);
}

#[test]
fn operations_have_names_of_their_own_and_every_reference_leads_somewhere() {
    let document = described();
    let mut names = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is there twice");
        }
    }
    let text = DOCUMENT.as_str();
    let mut references = 0;
    for reference in text.split("\"$ref\":\"").skip(1) {
        let name = reference.split('"').next().unwrap();
        let name = name.strip_prefix('#').unwrap();
        assert!(document.pointer(name).is_some_and(Value::is_object), "{name}");
        references += 1;
    }
    assert!(references > 15, "{references}");
}

#[test]
fn what_the_path_names_is_a_parameter() {
    let document = described();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let parameters: Vec<_> =
                operation["parameters"].as_array().into_iter().flatten().collect();
            let mut seen = BTreeSet::new();
            for parameter in &parameters {
                let name = (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
                assert!(seen.insert(name), "{path}: {name:?} is there twice");
            }
            for name in path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
                let found = parameters.iter().find(|p| p["in"] == "path" && p["name"] == name);
                assert_eq!(found.unwrap()["required"], true, "{path}: {name}");
            }
        }
    }
}

/// The table is what the guard goes by and what is described: each route is in it, and each of it is routed.
#[test]
fn the_table_has_every_route_of_the_router() {
    fn collect(folder: &std::path::Path, routes: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, routes);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // What tests mount is none of ours.
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                for route in code.split(".route(\"").skip(1) {
                    routes.insert(route.split('"').next().unwrap_or_default().to_owned());
                }
            }
        }
    }
    let mut routes = BTreeSet::new();
    collect(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"), &mut routes);
    let table: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.path.to_owned()).collect();
    assert_eq!(routes, table);
}
