//! `/v1/messages`.

use super::*;

const MESSAGES: &str = "/v1/messages";

#[test]
fn a_message_is_the_same_whole_and_streamed() {
    let server = Running::new();
    let mut body = question(
        "Hello there",
        json!({ "max_tokens": 8, "system": "Be brief." }),
    );
    let whole = server.client.post(MESSAGES, &body).json();
    assert_eq!(whole["type"], "message");
    assert_eq!(whole["stop_reason"], "max_tokens");
    body["stream"] = json!(true);
    let events = server.client.post(MESSAGES, &body).events();
    let names: Vec<&str> = events
        .iter()
        .map(|(name, _)| name.as_deref().unwrap())
        .collect();
    assert_eq!(names[..2], ["message_start", "content_block_start"]);
    assert_eq!(
        names[names.len() - 3..],
        ["content_block_stop", "message_delta", "message_stop"]
    );
    let mut text = String::new();
    for (name, data) in &events {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], name.as_deref().unwrap());
        text += data["delta"]["text"].as_str().unwrap_or_default();
    }
    assert_eq!(text, whole["content"][0]["text"]);
}

#[test]
fn tokens_are_counted_as_they_are_read() {
    let server = Running::new();
    let body = question(
        "Hello there of the sky",
        json!({ "max_tokens": 1, "system": [{ "type": "text", "text": "a" }] }),
    );
    let counted = server
        .client
        .post("/v1/messages/count_tokens", &body)
        .json();
    let usage = &server.client.post(MESSAGES, &body).json()["usage"];
    let read = usage["input_tokens"].as_u64().unwrap()
        + usage["cache_read_input_tokens"].as_u64().unwrap();
    assert_eq!(counted["input_tokens"], read);
}

#[test]
fn the_stop_sequence_is_named_and_errors_have_their_form() {
    let server = Running::new();
    let whole = server
        .client
        .post(MESSAGES, &question("Hello", json!({ "max_tokens": 16 })))
        .json();
    let text = whole["content"][0]["text"].as_str().unwrap();
    let stop: String = text.chars().skip(3).take(2).collect();
    let body = question(
        "Hello",
        json!({ "max_tokens": 16, "stop_sequences": [stop] }),
    );
    let answer = server.client.post(MESSAGES, &body).json();
    assert_eq!(answer["stop_reason"], "stop_sequence");
    assert_eq!(answer["stop_sequence"], stop);
    let error = refused(
        &server,
        MESSAGES,
        &question("Hello", json!({ "tools": [{}] })),
    )
    .json();
    assert_eq!(error["type"], "error");
    assert_eq!(error["error"]["type"], "invalid_request_error");
}
