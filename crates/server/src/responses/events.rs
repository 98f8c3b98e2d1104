//! A response as events, in the order that clients expect.

use super::object::{ResponseObject, message_item, status, text_part, thought_item};
use crate::desk::{Begun, Event, Kind};
use crate::error::Refusal;
use crate::http::{Writer, event};
use crate::openai::wire::id;
use crate::own::Told;
use packllm_engine::engine::Finish;
use serde_json::{Value, json};

/// Events in the order that clients expect.
pub struct Events {
    response: ResponseObject,
    own: bool,
    sequence: u64,
    begun: Option<Begun>,
    /// The item that grows.
    open: Option<Open>,
    ended: bool,
}

struct Open {
    kind: Kind,
    id: String,
    text: String,
}

impl Events {
    pub fn new(response: ResponseObject, own: bool) -> Self {
        Self {
            response,
            own,
            sequence: 0,
            begun: None,
            open: None,
            ended: false,
        }
    }

    fn say(&mut self, name: &str, mut data: Value, out: &mut String) {
        data["type"] = name.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        event(Some(name), &data, out);
    }

    fn say_response(&mut self, name: &str, out: &mut String) {
        let response = json!({ "response": self.response });
        self.say(name, response, out);
    }

    fn index(&self) -> usize {
        self.response.output.len()
    }

    /// Opens an item of this kind, unless it is open.
    fn open(&mut self, kind: Kind, out: &mut String) {
        if self.open.as_ref().is_some_and(|open| open.kind == kind) {
            return;
        }
        self.shut("completed", out);
        let (id, item) = match kind {
            Kind::Thought => {
                let id = id("rs_");
                let item = json!({ "id": id, "type": "reasoning", "summary": [], "content": [] });
                (id, item)
            }
            Kind::Answer => {
                let id = id("msg_");
                let item = message_item(&id, "in_progress", &[]);
                (id, item)
            }
        };
        let index = self.index();
        let added = json!({ "output_index": index, "item": item });
        self.say("response.output_item.added", added, out);
        if kind == Kind::Answer {
            let part = json!({
                "item_id": id, "output_index": index, "content_index": 0, "part": text_part(""),
            });
            self.say("response.content_part.added", part, out);
        }
        let text = String::new();
        self.open = Some(Open { kind, id, text });
    }

    fn grow(&mut self, text: &str, told: Option<Told>, out: &mut String) {
        let index = self.index();
        let Some(open) = &mut self.open else {
            return;
        };
        open.text.push_str(text);
        let name = match open.kind {
            Kind::Thought => "response.reasoning_text.delta",
            Kind::Answer => "response.output_text.delta",
        };
        let mut delta = json!({
            "item_id": open.id, "output_index": index, "content_index": 0, "delta": text,
        });
        if open.kind == Kind::Answer {
            delta["logprobs"] = json!([]);
        }
        if let Some(told) = told {
            delta["packllm"] = json!(told);
        }
        self.say(name, delta, out);
    }

    /// Shuts the item that is open.
    fn shut(&mut self, status: &str, out: &mut String) {
        let Some(Open { kind, id, text }) = self.open.take() else {
            return;
        };
        let index = self.index();
        let place = |mut data: Value| {
            data["item_id"] = id.as_str().into();
            data["output_index"] = index.into();
            data["content_index"] = 0.into();
            data
        };
        let item = match kind {
            Kind::Thought => {
                let done = place(json!({ "text": text }));
                self.say("response.reasoning_text.done", done, out);
                thought_item(&id, &text)
            }
            Kind::Answer => {
                let done = place(json!({ "text": text, "logprobs": [] }));
                self.say("response.output_text.done", done, out);
                let done = place(json!({ "part": text_part(&text) }));
                self.say("response.content_part.done", done, out);
                message_item(&id, status, &[text_part(&text)])
            }
        };
        let done = json!({ "output_index": index, "item": item });
        self.say("response.output_item.done", done, out);
        self.response.output.push(item);
    }
}

impl Writer for Events {
    const TYPE: &'static str = "text/event-stream";
    const COMMENT: &'static str = ": \n\n";

    fn write(&mut self, happened: Event, out: &mut String) {
        match happened {
            Event::Begun(begun) => {
                self.response.packllm = self.own.then(|| Told::begun(&begun));
                self.begun = Some(*begun);
                self.say_response("response.created", out);
                self.say_response("response.in_progress", out);
            }
            Event::More(more) => {
                self.open(more.kind, out);
                let told = Told::words(more.words).filter(|_| self.own);
                self.grow(&more.text, told, out);
            }
            Event::Ended(ended) => {
                // An answer without a text is a message all the same.
                self.open(Kind::Answer, out);
                self.shut(status(&ended), out);
                if let Some(begun) = &self.begun {
                    self.response.end(begun, &ended);
                    let told = || Told::whole(begun, Vec::new(), &ended);
                    self.response.packllm = self.own.then(told);
                }
                self.ended = true;
                let name = match ended.finish {
                    Finish::Length => "response.incomplete",
                    _ => "response.completed",
                };
                self.say_response(name, out);
            }
            Event::Counted(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, out: &mut String) {
        self.response.status = "failed";
        let error = json!({ "code": "server_error", "message": refusal.message });
        self.response.error = Some(error);
        self.say_response("response.failed", out);
    }

    fn close(&mut self, _: &mut String) {}
}
