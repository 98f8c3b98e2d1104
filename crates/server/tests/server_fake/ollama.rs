//! The dialect of Ollama.

use super::*;

fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    let text = reply.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn answers_are_lines_unless_that_is_refused() {
    let server = Running::new();
    let options = json!({ "num_predict": 8, "temperature": 0, "num_ctx": 2048, "num_gpu": 1 });
    let mut body = json!({ "model": "x", "messages": [{ "role": "user", "content": "Hello" }], "options": options });
    let streamed = lines(&server.client.post("/api/chat", &body));
    let last = streamed.last().unwrap();
    assert_eq!(last["done"], true);
    assert_eq!(last["done_reason"], "length");
    for key in [
        "total_duration",
        "prompt_eval_count",
        "eval_count",
        "eval_duration",
    ] {
        assert!(last[key].as_u64().unwrap() > 0, "{key}");
    }
    let pieces = streamed
        .iter()
        .map(|line| line["message"]["content"].as_str().unwrap());
    let text: String = pieces.collect();
    body["stream"] = json!(false);
    let whole = server.client.post("/api/chat", &body).json();
    assert_eq!(whole["message"]["content"], text);
    let body = json!({ "prompt": "Hello", "options": options });
    let generated = lines(&server.client.post("/api/generate", &body));
    let pieces = generated
        .iter()
        .map(|line| line["response"].as_str().unwrap());
    assert_eq!(pieces.collect::<String>(), text);
}

#[test]
fn clients_find_the_pack() {
    let server = Running::new();
    let version = server.client.get("/api/version").json();
    let numbers = version["version"].as_str().unwrap().split('.');
    assert!(numbers.into_iter().all(|n| n.parse::<u32>().is_ok()));
    assert_eq!(
        server.client.get("/api/tags").json()["models"][0]["name"],
        "fake"
    );
    assert_eq!(
        server.client.get("/api/ps").json()["models"][0]["context_length"],
        4096
    );
    let shown = server
        .client
        .post("/api/show", &json!({ "model": "fake" }))
        .json();
    assert_eq!(shown["capabilities"], json!(["completion"]));
    let loaded = server
        .client
        .post("/api/generate", &json!({ "model": "fake" }))
        .json();
    assert_eq!(loaded["done_reason"], "load");
    let reply = server.client.get("/api/nothing");
    assert_eq!(reply.status, 404);
    assert!(reply.json()["error"].is_string());
}

#[test]
fn what_is_not_served_is_refused_in_a_text() {
    let server = Running::new();
    for (field, value) in [
        ("template", json!("x")),
        ("suffix", json!("x")),
        ("images", json!(["aGk="])),
        ("format", json!("xml")),
        ("options", json!({ "mirostat": 2 })),
        ("options", json!({ "top_p": 2 })),
    ] {
        let mut body = json!({ "prompt": "Hello" });
        body[field] = value;
        let error = refused(&server, "/api/generate", &body).json();
        assert!(
            error["error"].as_str().unwrap().starts_with(field),
            "{error}"
        );
    }
}
