//! Requests as programs send them, field by field, and what they read of the answers; taken from
//! the sources that each test names.

use super::*;

/// The text of a stream and its last usage, as clients gather them.
fn gather(reply: &Reply) -> (String, Value) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let chunks = reply.chunks();
    let deltas = chunks.iter().map(|c| &c["choices"][0]["delta"]["content"]);
    let text = deltas.filter_map(Value::as_str).collect();
    let usage = chunks.iter().map(|c| &c["usage"]).rfind(|u| u.is_object());
    (text, usage.cloned().unwrap_or_default())
}

fn is_count(value: &Value) -> bool {
    value.as_u64().is_some_and(|n| n > 0)
}

const BEARER: (&str, &str) = ("Authorization", "Bearer none");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn send(server: &Running, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let body = body.to_string();
    server.client.send("POST", path, headers, body.as_bytes())
}

/// open-webui/open-webui: `backend/open_webui/routers/openai.py`, `utils/payload.py`,
/// `routers/tasks.py`, `utils/middleware.py`.
#[test]
fn open_webui_over_openai() {
    let server = Running::new();
    let models = server.client.send("GET", "/v1/models", &[BEARER], b"");
    assert_eq!(models.json()["data"][0]["id"], "fake");
    let user = [
        ("X-OpenWebUI-User-Name", "A%20User"),
        ("X-OpenWebUI-User-Id", "b2c7"),
        ("X-OpenWebUI-User-Email", "a@example.org"),
        ("X-OpenWebUI-User-Role", "admin"),
        ("X-OpenWebUI-Chat-Id", "51b7"),
    ];
    let headers: Vec<_> = [BEARER, JSON].into_iter().chain(user).collect();
    let asked = json!({
        "stream": true, "model": "fake", "stream_options": { "include_usage": true },
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Hello" },
            { "role": "assistant", "content": "Hello!" },
            { "role": "user", "content": [
                { "type": "text", "text": "Why?", "cache_control": { "type": "ephemeral" } },
            ] },
        ],
        "temperature": 0.8, "top_p": 0.9, "min_p": 0.05, "max_tokens": 12, "seed": 3,
        "frequency_penalty": 0.0, "presence_penalty": 0.0, "stop": ["###"], "logit_bias": {},
        "response_format": { "type": "text" }, "reasoning": { "effort": "low" },
    });
    let (text, usage) = gather(&send(&server, CHAT, &headers, &asked));
    assert!(!text.is_empty() && is_count(&usage["completion_tokens"]));
    let title = json!({
        "model": "fake", "stream": false, "max_completion_tokens": 1000, "seed": 3,
        "messages": [{ "role": "user", "content": "### Task:\nGenerate a concise title." }],
    });
    let title = send(&server, CHAT, &headers, &title);
    assert_eq!(title.status, 200, "{}", title.text());
    let title = title.json();
    assert_eq!(title["choices"].as_array().unwrap().len(), 1);
    assert!(title["choices"][0]["message"]["content"].is_string());
    // It shows `error.detail`, or all of `error`.
    let mut wrong = asked;
    wrong["top_p"] = json!(7);
    let error = send(&server, CHAT, &headers, &wrong);
    assert_eq!(error.header("content-type"), Some("application/json"));
    assert!(error.json()["error"]["message"].is_string());
}

/// open-webui/open-webui: `backend/open_webui/routers/ollama.py`, `utils/payload.py`.
#[test]
fn open_webui_over_ollama() {
    let server = Running::new();
    let version = server.client.get("/api/version").json();
    assert!(version["version"].is_string());
    let tags = server.client.get("/api/tags").json();
    let loaded = server.client.get("/api/ps").json();
    assert_eq!(tags["models"][0]["model"], "fake");
    assert_eq!(loaded["models"][0]["name"], tags["models"][0]["name"]);
    let expires = loaded["models"][0]["expires_at"].as_str().unwrap();
    assert!(chrono_like(expires), "{expires}");
    let asked = json!({
        "model": "fake", "stream": true,
        "messages": [{ "role": "user", "content": "Hello" }],
        "options": {
            "temperature": 0.8, "top_p": 0.9, "seed": 3, "mirostat": 0, "mirostat_eta": 0.1,
            "mirostat_tau": 5.0, "num_ctx": 2048, "num_batch": 512, "num_keep": 24,
            "repeat_last_n": 64, "repeat_penalty": 1.1, "tfs_z": 1, "top_k": 40, "min_p": 0.0,
            "use_mmap": true, "use_mlock": false, "num_thread": 2, "num_gpu": 1,
            "num_predict": 12, "new_topic_penalty": 0.0, "stop": ["###"],
        },
        "keep_alive": "5m", "think": false,
    });
    let reply = send(&server, "/api/chat", &[JSON], &asked);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert!(lines.iter().all(|l| l["message"]["content"].is_string()));
    assert_eq!(last["done"], true);
    for key in [
        "total_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ] {
        assert!(is_count(&last[key]), "{key}: {last}");
    }
    assert!(last["load_duration"].is_u64());
}

/// `2126-01-01T00:00:00.000000000Z`, which Python reads from 3.11 on.
fn chrono_like(time: &str) -> bool {
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape.starts_with("0000-00-00T00:00:00") && shape.ends_with('Z')
}

/// continuedev/continue: `core/llm/openaiTypeConverters.ts`,
/// `packages/openai-adapters/src/apis/OpenAI.ts`.
#[test]
fn continue_chats_and_completes() {
    let server = Running::new();
    let key = ("x-api-key", "none");
    let asked = json!({
        "messages": [
            { "role": "system", "content": "You are in chat mode." },
            { "role": "user", "content": "Hello" },
            // It sends a space for what is empty.
            { "role": "assistant", "content": " " },
            { "role": "user", "content": [{ "type": "text", "text": "And now?" }] },
        ],
        "model": "fake", "max_tokens": 12, "temperature": 0.5, "top_p": 1,
        "frequency_penalty": 0, "presence_penalty": 0, "stream": true, "stop": ["</end>"],
        "stream_options": { "include_usage": true },
    });
    let (text, usage) = gather(&send(&server, CHAT, &[BEARER, key, JSON], &asked));
    assert!(!text.is_empty() && is_count(&usage["prompt_tokens"]));
    // Its stop strings for code: it takes care that there are no more than some servers take.
    let complete = json!({
        "prompt": "fn main() {", "model": "fake", "max_tokens": 8, "temperature": 0.01,
        "stream": true, "stop": ["\n\n", "/src/", "#- coding: utf-8", "```"],
    });
    let reply = send(&server, "/v1/completions", &[BEARER, JSON], &complete);
    let chunks = reply.chunks();
    let texts = chunks
        .iter()
        .map(|c| c["choices"][0]["text"].as_str().unwrap());
    assert!(!texts.collect::<String>().is_empty());
    // Fill in the middle is asked of a route of its own, which is not there.
    let fim = json!({ "model": "fake", "prompt": "a", "suffix": "b", "stream": true });
    assert_eq!(
        send(&server, "/v1/fim/completions", &[JSON], &fim).status,
        404
    );
}

/// zed-industries/zed: `crates/open_ai/src/open_ai.rs`, `completion.rs`,
/// `crates/language_models/src/provider/open_ai_compatible.rs`.
#[test]
fn zed_chats() {
    let server = Running::new();
    let asked = json!({
        "model": "fake",
        "messages": [
            { "role": "system", "content": "You are a highly skilled software engineer." },
            { "role": "user", "content": [
                { "type": "text", "text": "Hello" }, { "type": "text", "text": " there" },
            ] },
            { "role": "assistant", "content": "Hello!", "reasoning_content": "A greeting." },
            { "role": "user", "content": "Why is the sky blue?" },
        ],
        "stream": true, "stream_options": { "include_usage": true },
        "max_completion_tokens": 12, "temperature": 1.0, "prompt_cache_key": "thread",
        "reasoning_effort": "low",
    });
    let reply = send(&server, CHAT, &[JSON, BEARER], &asked);
    for chunk in reply.chunks() {
        for choice in chunk["choices"].as_array().unwrap() {
            assert!(choice["index"].is_u64());
            let role = &choice["delta"]["role"];
            assert!(role.is_null() || role == "assistant");
            assert!(choice["finish_reason"].is_null() || choice["finish_reason"].is_string());
        }
    }
    let (text, usage) = gather(&reply);
    assert!(!text.is_empty());
    for key in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        assert!(is_count(&usage[key]), "{key}");
    }
}

/// zed-industries/zed: the same with `"chat_completions": false`.
#[test]
fn zed_asks_for_responses() {
    let server = Running::new();
    let asked = json!({
        "model": "fake",
        "input": [
            { "type": "message", "role": "system",
              "content": [{ "type": "input_text", "text": "Be brief." }] },
            { "type": "message", "role": "user",
              "content": [{ "type": "input_text", "text": "Hello" }] },
            { "type": "message", "role": "assistant",
              "content": [{ "type": "output_text", "text": "Hello!", "annotations": [] }] },
            { "type": "message", "role": "user",
              "content": [{ "type": "input_text", "text": "Why?" }] },
        ],
        "store": false, "stream": true, "temperature": 1.0, "max_output_tokens": 16,
        "reasoning": { "effort": "low", "summary": "auto" },
    });
    let reply = send(&server, "/v1/responses", &[JSON, BEARER], &asked);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let kinds: Vec<_> = reply.events().into_iter().map(|(name, _)| name).collect();
    let named = |name: &str| kinds.iter().any(|kind| kind.as_deref() == Some(name));
    // It draws, and may end by itself before the limit.
    let ended = named("response.incomplete") || named("response.completed");
    assert!(named("response.output_text.delta") && ended, "{kinds:?}");
}

/// danny-avila/LibreChat: `packages/api/src/endpoints/openai/llm.ts`, `endpoints/models.ts`, by way
/// of `ChatOpenAI` of langchainjs.
#[test]
fn librechat_lists_and_chats() {
    let server = Running::new();
    let listed = server
        .client
        .send("GET", "/v1/models?user=b2c7", &[BEARER], b"");
    assert_eq!(listed.json()["data"][0]["id"], "fake");
    let asked = json!({
        "model": "fake", "temperature": 1, "top_p": 1, "presence_penalty": 0,
        "frequency_penalty": 0, "n": 1, "max_tokens": 12, "user": "b2c7", "stream": true,
        "stream_options": { "include_usage": true }, "reasoning_effort": "low",
        "messages": [
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "content": "Hello" },
        ],
    });
    let stainless = [
        ("User-Agent", "langchainjs-openai/1.0.0"),
        ("X-Stainless-Lang", "js"),
        ("X-Stainless-Retry-Count", "0"),
    ];
    let headers: Vec<_> = [BEARER, JSON].into_iter().chain(stainless).collect();
    let (text, usage) = gather(&send(&server, CHAT, &headers, &asked));
    assert!(!text.is_empty() && is_count(&usage["total_tokens"]));
}

/// sigoden/aichat: `src/client/openai.rs`, `openai_compatible.rs`.
#[test]
fn aichat_chats() {
    let server = Running::new();
    let mut asked = json!({
        "model": "fake", "max_tokens": 12, "temperature": 0.6, "top_p": 0.9, "stream": true,
        "messages": [
            { "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hello" },
        ],
    });
    let (text, _) = gather(&send(&server, CHAT, &[BEARER, JSON], &asked));
    assert!(!text.is_empty());
    asked["stream"] = json!(false);
    let whole = send(&server, CHAT, &[BEARER, JSON], &asked).json();
    assert!(
        !whole["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    assert!(whole["id"].is_string());
    for key in ["prompt_tokens", "completion_tokens"] {
        assert!(is_count(&whole["usage"][key]), "{key}");
    }
    asked["top_p"] = json!(7);
    let error = send(&server, CHAT, &[BEARER, JSON], &asked).json();
    assert!(error["error"]["message"].is_string() && error["error"]["type"].is_string());
}

/// microsoft/vscode: `extensions/copilot/src/extension/byok/vscode-node/ollamaProvider.ts`.
#[test]
fn vs_code_finds_the_pack_and_chats() {
    let server = Running::new();
    let version = server.client.get("/api/version").json();
    let numbers = version["version"].as_str().unwrap().split('.');
    let numbers: Vec<u32> = numbers.map(|n| n.parse().unwrap()).collect();
    assert!(numbers >= vec![0, 6, 4]);
    let model = server.client.get("/api/tags").json()["models"][0]["model"].clone();
    let shown = send(&server, "/api/show", &[JSON], &json!({ "model": model })).json();
    let info = &shown["model_info"];
    let architecture = info["general.architecture"].as_str().unwrap();
    assert_eq!(info[format!("{architecture}.context_length")], 4096);
    assert_eq!(info["general.basename"], "fake");
    assert_eq!(shown["capabilities"], json!(["completion"]));
    assert!(shown["details"]["family"].is_string() && shown["template"].is_string());
    let asked = json!({
        "model": model, "messages": [{ "role": "user", "content": "Hello" }], "stream": true,
        "temperature": 0.1, "top_p": 1, "n": 1, "max_tokens": 12,
        "stream_options": { "include_usage": true },
    });
    assert!(!gather(&send(&server, CHAT, &[JSON], &asked)).0.is_empty());
}
