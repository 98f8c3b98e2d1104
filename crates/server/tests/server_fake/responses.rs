//! `/v1/responses`.

use super::*;

const RESPONSES: &str = "/v1/responses";

#[test]
fn events_come_in_the_order_that_clients_expect() {
    let server = Running::new();
    let mut body = json!({ "input": "Hello there", "max_output_tokens": 8, "temperature": 0 });
    let whole = server.client.post(RESPONSES, &body).json();
    assert!(whole["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(whole["status"], "incomplete");
    let item = &whole["output"][0];
    assert!(item["id"].as_str().unwrap().starts_with("msg_"));
    body["stream"] = json!(true);
    let events = server.client.post(RESPONSES, &body).events();
    let mut names: Vec<String> = events
        .iter()
        .map(|(name, _)| name.clone().unwrap())
        .collect();
    names.dedup();
    let want = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ];
    assert_eq!(names, want.map(|name| format!("response.{name}")));
    let mut text = String::new();
    for (i, (name, data)) in events.iter().enumerate() {
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["sequence_number"], i);
        assert_eq!(data["type"], name.as_deref().unwrap());
        text += data["delta"].as_str().unwrap_or_default();
    }
    assert_eq!(text, item["content"][0]["text"]);
}

#[test]
fn a_conversation_comes_whole_and_nothing_is_kept() {
    let server = Running::new();
    let input = json!([
        { "role": "user", "content": [{ "type": "input_text", "text": "Hello" }] },
        { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Yes" }] },
        { "role": "user", "content": "And?" },
    ]);
    let body = json!({ "input": input, "instructions": "Be brief.", "max_output_tokens": 2 });
    assert_eq!(server.client.post(RESPONSES, &body).status, 200);
    let body = json!({ "input": "Hello", "previous_response_id": "resp_1" });
    let error = refused(&server, RESPONSES, &body).json();
    assert_eq!(error["error"]["param"], "previous_response_id");
}
