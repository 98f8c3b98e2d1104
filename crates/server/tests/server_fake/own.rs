//! The key `packllm`.

use super::*;

#[test]
fn nothing_is_told_that_was_not_asked_for() {
    let server = Running::new();
    assert_eq!(
        chat(&server, json!({ "max_tokens": 2 })).get("packllm"),
        None
    );
    let told = chat(&server, json!({ "max_tokens": 2, "packllm": {} }));
    let members = told["packllm"]["members"].as_array().unwrap();
    let weights: f64 = members.iter().map(|m| m["weight"].as_f64().unwrap()).sum();
    assert!((weights - 1.0).abs() < 1e-9);
    assert!(
        members
            .iter()
            .all(|m| m["bits_per_byte"].as_f64().unwrap() > 0.0)
    );
    assert_eq!(told["packllm"]["attribution"], Value::Null);
}

#[test]
fn words_are_attributed_and_make_up_the_answer() {
    let server = Running::new();
    let asked = json!({ "max_tokens": 16, "packllm": { "attribution": true } });
    let whole = chat(&server, asked.clone());
    let words = |told: &Value| -> Vec<Value> {
        told["packllm"]["attribution"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let all = words(&whole);
    let text: String = all
        .iter()
        .map(|word| word["text"].as_str().unwrap())
        .collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"]);
    assert!(
        all.iter()
            .all(|word| word["contributions"].as_array().unwrap().len() == 2)
    );
    let mut streamed = question("Hello there", asked);
    streamed["stream"] = json!(true);
    let server = Running::new();
    let chunks = server.client.post(CHAT, &streamed).chunks();
    assert_eq!(chunks.iter().flat_map(words).collect::<Vec<_>>(), all);
}

#[test]
fn members_and_fusion_are_those_of_the_request_alone() {
    let server = Running::new();
    let content = |asked: Value| {
        let answer = chat(&server, asked);
        answer["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let ask = |own: Value| content(json!({ "max_tokens": 10, "packllm": own }));
    let plain = content(json!({ "max_tokens": 10 }));
    let left = ask(json!({ "members": ["left"] }));
    let right = ask(json!({ "members": ["right"] }));
    assert_ne!(left, right);
    assert_eq!(ask(json!({ "weights": "left=1,right=0" })), left);
    let told = chat(
        &server,
        json!({ "max_tokens": 2, "packllm": { "weights": "left=3,right=1", "mix": "linear" } }),
    );
    assert_eq!(told["packllm"]["members"][0]["weight"], 0.75);
    assert_eq!(told["packllm"]["fusion"]["mix"], "linear");
    assert_eq!(content(json!({ "max_tokens": 10 })), plain);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let server = Running::new();
    for (key, value) in [
        ("weights", json!("best")),
        ("weights", json!("nobody=1")),
        ("mix", json!("cubic")),
        ("members", json!(["nobody"])),
        ("members", json!([])),
        ("drop", json!(2)),
        ("tau", json!(0)),
        ("heads", json!(0)),
    ] {
        let body = question("Hello", json!({ "packllm": { key: value } }));
        let error = refused(&server, CHAT, &body).json();
        assert_eq!(error["error"]["param"], format!("packllm.{key}"), "{error}");
    }
}
