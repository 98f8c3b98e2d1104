//! The object that a response is.

use super::ResponseRequest;
use crate::desk::{Begun, Ended, Gathered};
use crate::facts::unix_time;
use crate::openai::wire::id;
use crate::own::Told;
use packllm_engine::engine::Finish;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// An answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResponseObject {
    id: String,
    object: &'static str,
    created_at: u64,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    pub status: &'static str,
    model: String,
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    #[schema(value_type = Option<Object>)]
    incomplete_details: Option<Value>,
    instructions: Option<String>,
    #[schema(value_type = Vec<Object>)]
    pub output: Vec<Value>,
    parallel_tool_calls: bool,
    previous_response_id: Option<String>,
    tool_choice: &'static str,
    #[schema(value_type = Vec<Object>)]
    tools: Vec<Value>,
    store: bool,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_output_tokens: Option<i64>,
    #[schema(value_type = Object)]
    text: Value,
    #[schema(value_type = Object)]
    metadata: Value,
    usage: Option<ResponseUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packllm: Option<Told>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct ResponseUsage {
    input_tokens: usize,
    input_tokens_details: InputDetails,
    output_tokens: usize,
    output_tokens_details: OutputDetails,
    total_tokens: usize,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct InputDetails {
    cached_tokens: usize,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct OutputDetails {
    reasoning_tokens: usize,
}

impl ResponseObject {
    pub fn new(asked: &ResponseRequest, model: &str) -> Self {
        Self {
            id: id("resp_"),
            object: "response",
            created_at: unix_time(),
            status: "in_progress",
            model: model.to_owned(),
            error: None,
            incomplete_details: None,
            instructions: asked.instructions.clone(),
            output: Vec::new(),
            parallel_tool_calls: false,
            previous_response_id: None,
            tool_choice: "none",
            tools: Vec::new(),
            store: false,
            temperature: asked.temperature,
            top_p: asked.top_p,
            max_output_tokens: asked.max_output_tokens,
            text: asked
                .text
                .clone()
                .unwrap_or_else(|| json!({ "format": { "type": "text" } })),
            metadata: json!({}),
            usage: None,
            packllm: None,
        }
    }

    pub fn end(&mut self, begun: &Begun, ended: &Ended) {
        self.status = status(ended);
        if ended.finish == Finish::Length {
            self.incomplete_details = Some(json!({ "reason": "max_output_tokens" }));
        }
        self.usage = Some(ResponseUsage {
            input_tokens: begun.prompt_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: begun.cached_tokens,
            },
            output_tokens: ended.tokens,
            output_tokens_details: OutputDetails {
                reasoning_tokens: 0,
            },
            total_tokens: begun.prompt_tokens + ended.tokens,
        });
    }
}

pub fn status(ended: &Ended) -> &'static str {
    match ended.finish {
        Finish::Length => "incomplete",
        _ => "completed",
    }
}

pub fn thought_item(id: &str, thought: &str) -> Value {
    json!({
        "id": id, "type": "reasoning", "summary": [],
        "content": [{ "type": "reasoning_text", "text": thought }],
    })
}

pub fn message_item(id: &str, status: &str, content: &[Value]) -> Value {
    json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
}

pub fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

pub fn whole(mut response: ResponseObject, gathered: Gathered, own: bool) -> ResponseObject {
    let begun = gathered.begun;
    for choice in gathered.choices {
        let ended = &choice.ended;
        response.end(&begun, ended);
        if !choice.thought.is_empty() {
            response
                .output
                .push(thought_item(&id("rs_"), &choice.thought));
        }
        let content = [text_part(&choice.text)];
        let item = message_item(&id("msg_"), status(ended), &content);
        response.output.push(item);
        response.packllm = own.then(|| Told::whole(&begun, choice.words, ended));
    }
    response
}
