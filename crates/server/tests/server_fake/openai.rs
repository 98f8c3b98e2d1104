//! Chat completions, completions and models.

use super::*;

/// The content of an answer.
fn content(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

#[test]
fn an_answer_is_the_same_whole_and_streamed() {
    let server = Running::new();
    let whole = chat(&server, json!({ "max_tokens": 12 }));
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["model"], "fake");
    assert_eq!(whole["choices"][0]["finish_reason"], "length");
    let asked =
        json!({ "max_tokens": 12, "stream": true, "stream_options": { "include_usage": true } });
    let reply = server.client.post(CHAT, &question("Hello there", asked));
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let chunks = reply.chunks();
    let first = &chunks[0]["choices"][0]["delta"];
    assert_eq!(*first, json!({ "role": "assistant", "content": null }));
    let (last, usage) = (&chunks[chunks.len() - 2], &chunks[chunks.len() - 1]);
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        usage["usage"]["completion_tokens"],
        whole["usage"]["completion_tokens"]
    );
    let mut text = String::new();
    for chunk in &chunks[1..chunks.len() - 2] {
        let delta = chunk["choices"][0]["delta"].as_object().unwrap();
        assert_eq!(delta.len(), 1, "{chunk}");
        let piece = delta["content"].as_str().unwrap();
        assert!(!piece.is_empty());
        text += piece;
        for key in ["id", "created", "model", "object", "system_fingerprint"] {
            assert_eq!(chunk[key], chunks[0][key]);
        }
        assert_eq!(chunk["choices"][0]["index"], 0);
    }
    assert_eq!(text, content(&whole));
    assert!(
        chunks[0]["system_fingerprint"]
            .as_str()
            .unwrap()
            .starts_with('b')
    );
}

#[test]
fn a_seed_is_a_draw_and_none_is_another() {
    let server = Running::new();
    let drawn = |seed: Value| {
        let asked = json!({ "temperature": 1.0, "max_tokens": 16, "seed": seed });
        content(&chat(&server, asked)).to_owned()
    };
    assert_eq!(drawn(json!(7)), drawn(json!(7)));
    assert_ne!(drawn(json!(7)), drawn(json!(8)));
    assert_ne!(drawn(json!(null)), drawn(json!(null)));
    assert_ne!(drawn(json!(-1)), drawn(json!(-1)));
}

#[test]
fn choices_are_drawn_apart_and_counted_together() {
    let server = Running::new();
    let asked = json!({ "temperature": 1.0, "max_tokens": 8, "n": 3, "seed": 4 });
    let answer = chat(&server, asked.clone());
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    for (i, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], i);
    }
    assert_ne!(choices[0]["message"], choices[1]["message"]);
    let mut streamed = asked;
    streamed["stream"] = json!(true);
    let chunks = server
        .client
        .post(CHAT, &question("Hello there", streamed))
        .chunks();
    for (i, choice) in choices.iter().enumerate() {
        let own = chunks.iter().filter(|c| c["choices"][0]["index"] == i);
        let pieces = own.filter_map(|c| c["choices"][0]["delta"]["content"].as_str());
        assert_eq!(pieces.collect::<String>(), choice["message"]["content"]);
    }
}

#[test]
fn a_stop_string_ends_the_answer_and_is_no_part_of_it() {
    let server = Running::new();
    let whole = chat(&server, json!({ "max_tokens": 24 }));
    let text = content(&whole);
    let at = text.char_indices().nth(4).unwrap().0;
    let stop: String = text[at..].chars().take(2).collect();
    for stop in [json!(stop), json!(["never said", stop])] {
        let answer = chat(&server, json!({ "max_tokens": 24, "stop": stop }));
        let at = text
            .find(stop.as_str().or(stop[1].as_str()).unwrap())
            .unwrap();
        assert_eq!(content(&answer), &text[..at]);
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    }
}

#[test]
fn a_prompt_that_goes_on_is_not_read_again() {
    let server = Running::new();
    let cached = |body: &Value| {
        let reply = server.client.post(CHAT, body).json();
        let usage = &reply["usage"];
        let prompt = usage["prompt_tokens"].as_u64().unwrap();
        let cached = usage["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap();
        assert_eq!(reply["timings"]["cache_n"], cached);
        (prompt, cached, content(&reply).to_owned())
    };
    let long = "What rises in the sky of bread? ".repeat(8);
    let mut body = question(&long, json!({ "max_tokens": 8 }));
    let (first, none, answer) = cached(&body);
    assert_eq!(none, 0);
    let (_, again, _) = cached(&body);
    assert_eq!(again, first - 1);
    let turns = body["messages"].as_array_mut().unwrap();
    turns.push(json!({ "role": "assistant", "content": answer }));
    turns.push(json!({ "role": "user", "content": "And the bread?" }));
    let (longer, most, _) = cached(&body);
    assert!(most >= first && most < longer, "{most} of {longer}");
}

#[test]
fn the_last_message_of_the_pack_is_gone_on_with() {
    let server = Running::new();
    let ask = |begun: &str| {
        let mut body = question("Hello there", json!({ "max_tokens": 6 }));
        let begun = json!({ "role": "assistant", "content": begun });
        body["messages"].as_array_mut().unwrap().push(begun);
        server.client.post(CHAT, &body).json()
    };
    let plain = chat(&server, json!({ "max_tokens": 6 }));
    assert_eq!(content(&ask("")), content(&plain));
    // It is read, as the beginning of this answer and not as a turn of its own, and not said again.
    let tokens = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
    let begun = ask("bread bread");
    assert_eq!(tokens(&begun), tokens(&plain) + 6);
    assert!(!content(&begun).starts_with("bread bread"));
}

#[test]
fn a_character_has_the_logprob_of_its_bytes() {
    let server = Running::new();
    let asked = json!({ "max_tokens": 12, "logprobs": true, "top_logprobs": 3 });
    let answer = chat(&server, asked);
    let said = answer["choices"][0]["logprobs"]["content"]
        .as_array()
        .unwrap();
    let text: String = said.iter().map(|c| c["token"].as_str().unwrap()).collect();
    assert_eq!(text, content(&answer));
    for character in said {
        let logprob = character["logprob"].as_f64().unwrap();
        assert!(logprob <= 0.0);
        assert_eq!(character["token"].as_str().unwrap().chars().count(), 1);
        let top = character["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 3);
        let best = top[0]["logprob"].as_f64().unwrap();
        // Greedy: the first byte was the likeliest that may come, and others make it less likely.
        assert!(logprob <= best + 1e-9);
        if character["bytes"].as_array().unwrap().len() == 1
            && top[0]["bytes"] == character["bytes"]
        {
            assert_eq!(logprob, best);
        }
    }
    let plain = chat(&server, json!({ "max_tokens": 12 }));
    assert_eq!(plain["choices"][0]["logprobs"], Value::Null);
    assert_eq!(content(&plain), content(&answer));
}

#[test]
fn a_thought_is_told_apart() {
    let source = FakeSource {
        template: fake::THINKING,
        ..FakeSource::default()
    };
    let server = Running::with(source, |_| {});
    let message = &chat(&server, json!({ "max_tokens": 8 }))["choices"][0]["message"];
    assert_eq!(message["content"], "");
    let thought = message["reasoning_content"].as_str().unwrap();
    assert!(!thought.is_empty() && !thought.contains("<think>"));
    let asked = json!({ "max_tokens": 8, "chat_template_kwargs": { "enable_thinking": false } });
    let message = &chat(&server, asked)["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], Value::Null);
    assert_ne!(message["content"], "");
    let asked = question("Hello there", json!({ "max_tokens": 8, "stream": true }));
    let chunks = server.client.post(CHAT, &asked).chunks();
    let pieces = chunks
        .iter()
        .filter_map(|c| c["choices"][0]["delta"]["reasoning_content"].as_str());
    assert_eq!(pieces.collect::<String>(), thought);
}

#[test]
fn a_text_goes_on() {
    let server = Running::new();
    let ask = |more: Value| {
        let mut body = json!({ "prompt": "The bread", "max_tokens": 8, "temperature": 0 });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        server.client.post("/v1/completions", &body)
    };
    let whole = ask(json!({})).json();
    let text = whole["choices"][0]["text"].as_str().unwrap();
    assert_eq!(whole["object"], "text_completion");
    let chunks = ask(json!({ "stream": true })).chunks();
    let pieces = chunks
        .iter()
        .filter_map(|c| c["choices"][0]["text"].as_str());
    assert_eq!(pieces.collect::<String>(), text);
    let echoed = ask(json!({ "echo": true, "logprobs": 1 })).json();
    assert_eq!(echoed["choices"][0]["text"], format!("The bread{text}"));
    let logprobs = &echoed["choices"][0]["logprobs"];
    assert_eq!(logprobs["text_offset"][0], 9);
    let length = |key: &str| logprobs[key].as_array().unwrap().len();
    assert_eq!(length("tokens"), text.chars().count());
    assert_eq!(length("top_logprobs"), length("tokens"));
}

#[test]
fn what_would_change_the_answer_is_refused_by_name() {
    let server = Running::new();
    let cases = [
        ("tools", json!([{ "type": "function" }])),
        ("functions", json!([{ "name": "f" }])),
        ("logit_bias", json!({ "5": 1 })),
        ("response_format", json!({ "type": "xml" })),
        ("response_format", json!({ "type": "json_schema" })),
        ("grammar", json!("root ::= \"a\"")),
        ("json_schema", json!({ "type": "object" })),
        ("audio", json!({ "voice": "a" })),
        ("modalities", json!(["audio"])),
        ("frequency_penalty", json!(0.5)),
        ("presence_penalty", json!(-0.5)),
        ("n", json!(0)),
        ("n", json!(9)),
        ("top_p", json!(1.5)),
        ("min_p", json!(-0.1)),
        ("repeat_penalty", json!(0)),
        ("top_logprobs", json!(3)),
        ("stop", json!(vec!["a"; 17])),
        ("stop", json!("a".repeat(257))),
        ("temperature", json!("hot")),
        ("max_tokens", json!(1e40)),
        ("seed", json!(1.5)),
    ];
    for (field, value) in cases {
        let body = question("Hello", json!({ field: value }));
        let error = refused(&server, CHAT, &body).json();
        assert_eq!(error["error"]["param"], field, "{error}");
        assert_eq!(error["error"]["type"], "invalid_request_error");
    }
    for (field, value) in [
        ("suffix", json!("x")),
        ("best_of", json!(2)),
        ("prompt", json!([1, 2])),
        ("prompt", json!(["a", "b"])),
    ] {
        let mut body = json!({ "prompt": "a", "max_tokens": 1 });
        body[field] = value;
        let error = refused(&server, "/v1/completions", &body).json();
        assert_eq!(error["error"]["param"], field);
    }
    let image = json!([{ "type": "image_url", "image_url": { "url": "http://x" } }]);
    let body = json!({ "messages": [{ "role": "user", "content": image }] });
    let error = refused(&server, CHAT, &body).json();
    assert_eq!(error["error"]["param"], "messages[0].content");
}

#[test]
fn null_is_absent_and_what_changes_nothing_is_taken() {
    let server = Running::new();
    let mut body = question("Hello there", json!({ "max_tokens": 4 }));
    let want = server.client.post(CHAT, &body).json();
    for (field, value) in [
        ("tools", json!([])),
        ("tool_choice", json!("none")),
        ("logit_bias", json!({})),
        ("response_format", json!({ "type": "text" })),
        ("frequency_penalty", json!(0)),
        ("n", Value::Null),
        ("stop", Value::Null),
        ("seed", Value::Null),
        ("max_completion_tokens", Value::Null),
        ("stream", Value::Null),
        ("model", json!("gpt-4o")),
        ("user", json!("me")),
        ("metadata", json!({ "a": [] })),
    ] {
        body[field] = value;
    }
    body["messages"][0]["content"] = json!([{ "type": "text", "text": "Hello there" }]);
    let got = server.client.post(CHAT, &body);
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(content(&got.json()), content(&want));
    body["tools"] = json!([{ "type": "function" }]);
    assert_eq!(server.client.post(CHAT, &body).status, 200);
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_whole() {
    let source = FakeSource {
        context: 128,
        ..FakeSource::default()
    };
    let server = Running::with(source, |_| {});
    let error = refused(&server, CHAT, &question(&"bread ".repeat(200), json!({}))).json();
    let error = &error["error"];
    assert_eq!(error["type"], "exceed_context_size_error");
    assert_eq!(error["n_ctx"], 128);
    assert!(error["n_prompt_tokens"].as_u64().unwrap() > 128);
    // A long answer ends where the context does.
    let answer = chat(&server, json!({ "max_tokens": 100_000 }));
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
}

#[test]
fn models_are_the_one_that_is_here() {
    let server = Running::with(FakeSource::default(), |options| {
        options.alias = Some("mine".into());
    });
    let models = server.client.get("/v1/models").json();
    assert_eq!(models["data"][0]["id"], "mine");
    assert_eq!(models["data"][0]["meta"]["n_ctx"], 4096);
    assert_eq!(server.client.get("/v1/models/mine").json()["id"], "mine");
    let error = server.client.get("/v1/models/other");
    assert_eq!(error.status, 404);
    assert_eq!(error.json()["error"]["code"], "model_not_found");
    assert_eq!(chat(&server, json!({ "max_tokens": 1 }))["model"], "mine");
}

#[test]
fn no_more_tokens_are_reported_than_were_asked_for() {
    let server = Running::new();
    for most in 1..12 {
        for seed in 0..4 {
            let asked = json!({ "max_tokens": most, "temperature": 1.5, "seed": seed, "n": 2 });
            let answer = chat(&server, asked);
            let tokens = answer["usage"]["completion_tokens"].as_u64().unwrap();
            assert!(tokens <= 2 * most, "{answer}");
            assert_eq!(answer["timings"]["predicted_n"], tokens);
        }
    }
}

#[test]
fn a_top_k_below_one_keeps_all() {
    let server = Running::new();
    let asked = |k: i64| json!({ "max_tokens": 12, "temperature": 1.0, "seed": 3, "top_k": k });
    let all = chat(&server, asked(0));
    assert_eq!(chat(&server, asked(-1))["choices"], all["choices"]);
    assert_eq!(chat(&server, asked(-40))["choices"], all["choices"]);
    assert_ne!(chat(&server, asked(1))["choices"], all["choices"]);
}

#[test]
fn a_route_says_by_which_methods_it_is_asked() {
    let server = Running::new();
    for (method, path, allowed) in [
        ("GET", CHAT, "POST"),
        ("DELETE", "/v1/models", "GET,HEAD"),
        ("POST", "/v1/models/fake", "GET,HEAD"),
        ("GET", "/embeddings", "POST"),
        ("GET", "/v1/messages", "POST"),
    ] {
        let reply = server.client.send(method, path, &[], b"");
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
        assert!(reply.json()["error"]["message"].is_string());
    }
}

#[test]
fn embeddings_and_the_like_are_not_implemented() {
    let server = Running::new();
    for path in [
        "/v1/embeddings",
        "/embeddings",
        "/api/embed",
        "/v1/rerank",
        "/infill",
    ] {
        assert_eq!(server.client.post(path, &json!({})).status, 501, "{path}");
    }
}
