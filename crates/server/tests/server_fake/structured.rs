//! Answers that have to be of a form.

use super::*;

/// JSON that leaves little choice: the members of the fake have no sense.
fn schema() -> Value {
    json!({ "type": "object", "additionalProperties": false, "required": ["bread", "rises"],
        "properties": { "bread": { "enum": ["rye", "wheat"] }, "rises": { "type": "boolean" } } })
}

/// Whether a text is of the schema.
#[track_caller]
fn fits(text: &str) {
    let value: Value = serde_json::from_str(text).unwrap();
    let fields = value.as_object().unwrap();
    assert_eq!(fields.len(), 2, "{text}");
    assert!(
        fields["bread"] == "rye" || fields["bread"] == "wheat",
        "{text}"
    );
    assert!(fields["rises"].is_boolean(), "{text}");
}

fn format(schema: &Value) -> Value {
    json!({ "type": "json_schema", "json_schema": { "name": "bread", "strict": true, "schema": schema } })
}

#[test]
fn every_dialect_answers_in_the_form_that_is_asked_for() {
    let server = Running::new();
    for seed in 0..4 {
        let asked =
            json!({ "response_format": format(&schema()), "seed": seed, "temperature": 1.5 });
        let answer = chat(&server, asked);
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        fits(answer["choices"][0]["message"]["content"].as_str().unwrap());
    }
    let body = json!({ "input": "Hello", "text": { "format": { "type": "json_schema", "name": "bread",
        "schema": schema() } } });
    let answer = server.client.post("/v1/responses", &body).json();
    assert_eq!(answer["text"], body["text"]);
    fits(answer["output"][0]["content"][0]["text"].as_str().unwrap());

    let body = json!({ "prompt": "Hello", "stream": false, "format": schema() });
    let answer = server.client.post("/api/generate", &body).json();
    fits(answer["response"].as_str().unwrap());
}

#[test]
fn an_answer_that_is_cut_says_so() {
    let server = Running::new();
    let asked = json!({ "response_format": format(&schema()), "max_tokens": 2 });
    assert_eq!(
        chat(&server, asked)["choices"][0]["finish_reason"],
        "length"
    );
}

#[test]
fn the_next_answer_is_free_again() {
    let server = Running::new();
    let free = json!({ "max_tokens": 12 });
    let want = chat(&server, free.clone());
    chat(&server, json!({ "response_format": format(&schema()) }));
    let again = chat(&server, free);
    assert_eq!(again["choices"], want["choices"]);
}

#[test]
fn a_schema_that_is_not_supported_is_refused_with_its_path() {
    let server = Running::new();
    let mut schema = schema();
    schema["properties"]["bread"] = json!({ "type": "array", "uniqueItems": true });
    let body = question("Hello", json!({ "response_format": format(&schema) }));
    let error = refused(&server, CHAT, &body).json();
    assert_eq!(error["error"]["param"], "response_format");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("#/properties/bread") && message.contains("uniqueItems"),
        "{message}"
    );
    let body = json!({ "prompt": "Hello", "format": schema });
    let error = refused(&server, "/api/generate", &body).json();
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .contains("#/properties/bread"),
        "{error}"
    );
}

#[test]
fn a_grammar_is_asked_for_in_the_key_packllm() {
    let server = Running::new();
    let grammar =
        "start: size \" of \" (\"rye\" | \"wheat\")\nsize: /[1-9]/ \" loaves\" | \"a slice\"\n";
    for seed in 0..4 {
        let own = json!({ "grammar": grammar });
        let asked = json!({ "packllm": own, "temperature": 1, "seed": seed, "max_tokens": 40 });
        let answer = chat(&server, asked);
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "stop", "{answer}");
        let said = choice["message"]["content"].as_str().unwrap();
        let (size, of) = said.split_once(" of ").unwrap();
        assert!(size == "a slice" || size.ends_with(" loaves"), "{said}");
        assert!(["rye", "wheat"].contains(&of), "{said}");
    }
    for wrong in [
        json!({ "packllm": { "grammar": "start: nothing" } }),
        json!({ "packllm": { "grammar": grammar }, "response_format": format(&schema()) }),
    ] {
        let error = refused(&server, CHAT, &question("Hello", wrong)).json();
        assert_eq!(error["error"]["param"], "packllm.grammar", "{error}");
    }
}
