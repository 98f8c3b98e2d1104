//! What `/api/chat` and `/api/generate` are asked.

use crate::error::Refusal;
use crate::form::AskedForm;
use crate::http::Served;
use crate::own::{self, Asked};
use crate::request::{self, Draft, OneOrMany, Prompt, Request};
use packllm_engine::chat::Message;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A conversation to answer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct OllamaChat {
    pub messages: Option<Vec<OllamaMessage>>,
    #[serde(flatten)]
    pub common: Common,
}

/// A text to answer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct OllamaGenerate {
    pub prompt: Option<String>,
    pub system: Option<String>,
    /// The prompt is a text to go on with.
    pub raw: Option<bool>,
    pub suffix: Option<String>,
    pub images: Option<Vec<String>>,
    /// Not served: members have templates of their own.
    pub template: Option<String>,
    /// Ignored: clients send back what they were given.
    #[schema(value_type = Option<Vec<i64>>)]
    #[expect(dead_code, reason = "in the document: the conversation comes as text")]
    pub context: Option<Value>,
    #[serde(flatten)]
    pub common: Common,
}

/// What both have.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Common {
    #[expect(
        dead_code,
        reason = "in the document: any name is answered by the pack"
    )]
    pub model: Option<String>,
    /// True where it is missing.
    pub stream: Option<bool>,
    pub options: Option<OllamaOptions>,
    /// Whether models may think; a word like `low` means yes.
    #[schema(value_type = Option<bool>)]
    pub think: Option<Value>,
    pub packllm: Option<Asked>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Value>,
    /// The form of the answer: `"json"`, or a JSON schema.
    #[schema(value_type = Option<Object>)]
    pub format: Option<Value>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct OllamaMessage {
    pub role: String,
    pub content: Option<String>,
    pub images: Option<Vec<String>>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub tool_calls: Option<Value>,
}

/// How the answer is drawn. What only says how a model is loaded is ignored.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct OllamaOptions {
    pub num_predict: Option<i64>,
    pub seed: Option<i64>,
    pub temperature: Option<f64>,
    pub top_k: Option<i64>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub repeat_penalty: Option<f64>,
    pub repeat_last_n: Option<i64>,
    pub stop: Option<OneOrMany>,
    /// Only 0 is served.
    pub mirostat: Option<f64>,
    /// Only 1 is served.
    pub typical_p: Option<f64>,
    /// Only 1 is served.
    pub tfs_z: Option<f64>,
    /// Only 0 is served.
    pub presence_penalty: Option<f64>,
    /// Only 0 is served.
    pub frequency_penalty: Option<f64>,
}

impl OllamaOptions {
    fn settle(self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let why = "the sampler has temperature, top_k, top_p and min_p";
        request::neutral("options.mirostat", self.mirostat, 0.0, why)?;
        request::neutral("options.typical_p", self.typical_p, 1.0, why)?;
        request::neutral("options.tfs_z", self.tfs_z, 1.0, why)?;
        let why = "the sampler has repeat_penalty instead";
        request::neutral("options.presence_penalty", self.presence_penalty, 0.0, why)?;
        request::neutral(
            "options.frequency_penalty",
            self.frequency_penalty,
            0.0,
            why,
        )?;
        draft.limit("options.num_predict", self.num_predict)?;
        draft.seed("options.seed", self.seed)?;
        draft.number("options.temperature", "temp", self.temperature)?;
        draft.top_k("options.top_k", self.top_k)?;
        draft.number("options.top_p", "top-p", self.top_p)?;
        draft.number("options.min_p", "min-p", self.min_p)?;
        draft.number(
            "options.repeat_penalty",
            "repeat-penalty",
            self.repeat_penalty,
        )?;
        draft.whole("options.repeat_last_n", "repeat-last-n", self.repeat_last_n)?;
        draft.stops("options.stop", self.stop)
    }
}

impl Common {
    pub fn into_request(self, served: &Served, prompt: Prompt) -> Result<(Request, bool), Refusal> {
        let why = "tool calling comes later";
        request::absent("tools", &self.tools, why)?;
        let mut draft = Draft::new(&served.options.limits, prompt);
        self.options.unwrap_or_default().settle(&mut draft)?;
        draft.think(self.think.map(|think| think != Value::Bool(false)));
        draft.form(AskedForm::of_ollama(self.format.as_ref())?);
        let own = own::settle(self.packllm, &mut draft)?;
        Ok((draft.finish(), own))
    }

    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(true)
    }
}

fn no_images(field: &str, images: Option<&Vec<String>>) -> Result<(), Refusal> {
    match images.is_some_and(|images| !images.is_empty()) {
        true => Err(Refusal::not_served(field, "members read text alone")),
        false => Ok(()),
    }
}

pub fn read(message: OllamaMessage, i: usize) -> Result<Message, Refusal> {
    let field = |name| format!("messages[{i}].{name}");
    no_images(&field("images"), message.images.as_ref())?;
    let why = "tool calling comes later";
    request::absent(&field("tool_calls"), &message.tool_calls, why)?;
    Ok(Message {
        role: request::role(&message.role, &field("role"))?,
        content: message.content.unwrap_or_default(),
    })
}

impl OllamaGenerate {
    /// None: there is nothing to answer, only a model to load.
    pub fn into_prompt(self) -> Result<Option<(Prompt, Common)>, Refusal> {
        no_images("images", self.images.as_ref())?;
        if self.template.is_some_and(|template| !template.is_empty()) {
            let why = "members have templates of their own";
            return Err(Refusal::not_served("template", why));
        }
        if self.suffix.is_some_and(|suffix| !suffix.is_empty()) {
            let why = "members are asked for what follows alone";
            return Err(Refusal::not_served("suffix", why));
        }
        let Some(text) = self.prompt.filter(|prompt| !prompt.is_empty()) else {
            return Ok(None);
        };
        let prompt = match self.raw {
            Some(true) => Prompt::Text(text),
            _ => {
                let system = self.system.filter(|system| !system.is_empty());
                let system = system.map(Message::system);
                request::chat(system.into_iter().chain([Message::user(text)]).collect())?
            }
        };
        Ok(Some((prompt, self.common)))
    }
}
