//! `openapi.json` and what is served agree.

use super::*;
use packllm_server::openapi;
use std::collections::BTreeSet;

/// Routes that stand in no document: other names of documented ones, and what is not served.
const ALIASES: &[&str] = &[
    "/",
    "/openapi.json",
    "/chat/completions",
    "/models",
    "/v1/health",
];

#[test]
fn the_document_is_served_as_it_is() {
    let server = Running::new();
    let served = server.client.get("/openapi.json").json();
    assert_eq!(served, serde_json::to_value(openapi()).unwrap());
}

#[test]
fn every_route_of_the_document_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::with(FakeSource::default(), |options| {
        options.sessions = Some(folder.path().to_owned());
    });
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let message = json!({ "role": "user", "content": "Hello" });
            let begun = json!({ "messages": [message] });
            let begun = server.client.post("/packllm/sessions", &begun).json();
            let path = path.replace("{model}", "fake");
            let path = path.replace("{name}", begun["id"].as_str().unwrap());
            let reply = server
                .client
                .send(&method.to_uppercase(), &path, &[], b"{}");
            assert_ne!(reply.status, 404, "{method} {path}");
            let status = reply.status.to_string();
            let known: BTreeSet<&String> = operations[method]["responses"]
                .as_object()
                .unwrap()
                .keys()
                .collect();
            assert!(known.contains(&status), "{method} {path}: {status}");
        }
    }
    for alias in ALIASES {
        let method = if alias.ends_with("completions") {
            "POST"
        } else {
            "GET"
        };
        assert_ne!(
            server.client.send(method, alias, &[], b"{}").status,
            404,
            "{alias}"
        );
        assert!(!paths.contains_key(*alias));
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn look(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(to)) = map.get("$ref") {
                    let path = to.strip_prefix('#').unwrap();
                    assert!(document.pointer(path).is_some(), "{to}");
                }
                map.values().for_each(|value| look(value, document));
            }
            Value::Array(list) => list.iter().for_each(|value| look(value, document)),
            _ => {}
        }
    }
    let document = serde_json::to_value(openapi()).unwrap();
    look(&document, &document);
}
