//! The one request that every dialect becomes, and the one set of checks.

use crate::config::{Limits, MAX_LOGPROBS};
use crate::error::Refusal;
use crate::form::AskedForm;
use packllm_engine::chat::{Message, Role};
use packllm_engine::engine::Fusion;
use packllm_engine::sample::Params;
use packllm_engine::weight::Method;
use packllm_grammar::Form;
use packllm_parameter::{Value, Values, find};
use serde::Deserialize;
use utoipa::ToSchema;

/// What is asked of the pack.
#[derive(Debug, Clone)]
pub struct Request {
    pub prompt: Prompt,
    /// What it sets of sampling and fusing; the rest is as the server was started.
    pub values: Values,
    /// The members that may take part; None: all.
    pub members: Option<Vec<String>>,
    /// Its own stop strings.
    pub stops: Vec<String>,
    pub choices: u32,
    /// Whether it wants to know how likely each character was, and how many alternatives.
    pub logprobs: Option<usize>,
    /// Whether models may think.
    pub think: Option<bool>,
    pub attribution: bool,
    /// The form of its answer; None: any text.
    pub form: Option<AskedForm>,
}

/// What the members read.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A conversation, and how its answer begins.
    Chat {
        messages: Vec<Message>,
        begun: String,
    },
    /// A text to go on with.
    Text(String),
}

/// A string, or several.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// Text, or parts of it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Part {
    /// `text`, `input_text` or `output_text`; others are refused.
    pub r#type: String,
    pub text: Option<String>,
}

impl Content {
    /// Its text.
    ///
    /// # Errors
    /// A part that is no text.
    pub fn into_text(self, field: &str) -> Result<String, Refusal> {
        let parts = match self {
            Content::Text(text) => return Ok(text),
            Content::Parts(parts) => parts,
        };
        let text = parts.into_iter().map(|part| match &*part.r#type {
            "text" | "input_text" | "output_text" => Ok(part.text.unwrap_or_default()),
            // What a model thought before is not read again.
            "thinking" | "redacted_thinking" | "reasoning" => Ok(String::new()),
            other => Err(Refusal::not_served(
                field,
                &format!("a part of type {other:?}; members read text alone"),
            )),
        });
        text.collect()
    }
}

/// The request as it grows, field by field.
pub struct Draft<'a> {
    limits: &'a Limits,
    request: Request,
}

impl<'a> Draft<'a> {
    pub fn new(limits: &'a Limits, prompt: Prompt) -> Self {
        let request = Request {
            prompt,
            values: Values::default(),
            members: None,
            stops: Vec::new(),
            choices: 1,
            logprobs: None,
            think: None,
            attribution: false,
            form: None,
        };
        Self { limits, request }
    }

    pub fn finish(self) -> Request {
        self.request
    }

    /// The number of a field, which is this parameter of the program.
    pub fn number(&mut self, field: &str, key: &str, value: Option<f64>) -> Result<(), Refusal> {
        self.set(field, key, value.map(Value::Number))
    }

    pub fn whole(&mut self, field: &str, key: &str, value: Option<i64>) -> Result<(), Refusal> {
        self.set(field, key, value.map(|n| Value::Whole(n.into())))
    }

    pub fn text(&mut self, field: &str, key: &str, value: Option<String>) -> Result<(), Refusal> {
        self.set(field, key, value.map(Value::Text))
    }

    fn set(&mut self, field: &str, key: &str, value: Option<Value>) -> Result<(), Refusal> {
        let (Some(value), Some(parameter)) = (value, find(key)) else {
            return Ok(());
        };
        let set = parameter.set(&mut self.request.values, &value);
        set.map_err(|wrong| {
            let message = format!("{field} must be {}, not {}", wrong.bounds, wrong.value);
            Refusal::field(field, message)
        })
    }

    /// −1 draws one, as for llama-server.
    pub fn seed(&mut self, field: &str, seed: Option<i64>) -> Result<(), Refusal> {
        let seed = seed.filter(|&seed| seed != -1);
        let seed = seed.map(|seed| Value::Whole(u64::from_ne_bytes(seed.to_ne_bytes()).into()));
        self.set(field, "seed", seed)
    }

    /// Most tokens of the answer; a negative number is no limit.
    pub fn limit(&mut self, field: &str, tokens: Option<i64>) -> Result<(), Refusal> {
        self.whole(field, "predict", tokens.map(|tokens| tokens.max(-1)))
    }

    /// A number below 1 keeps all, as for llama-server.
    pub fn top_k(&mut self, field: &str, k: Option<i64>) -> Result<(), Refusal> {
        self.whole(field, "top-k", k.map(|k| k.max(0)))
    }

    pub fn stops(&mut self, field: &str, stops: Option<OneOrMany>) -> Result<(), Refusal> {
        let stops = stops.map(OneOrMany::into_vec).unwrap_or_default();
        let Limits {
            stops: most,
            stop_bytes,
            ..
        } = *self.limits;
        if stops.len() > most {
            let message = format!("{field} may have {most} strings, not {}", stops.len());
            return Err(Refusal::field(field, message));
        }
        if stops.iter().any(|stop| stop.len() > stop_bytes) {
            let message = format!("a string of {field} may have {stop_bytes} bytes");
            return Err(Refusal::field(field, message));
        }
        // Clients send empty ones for none.
        let stops = stops.into_iter().filter(|stop| !stop.is_empty());
        self.request.stops = stops.collect();
        Ok(())
    }

    pub fn choices(&mut self, field: &str, n: Option<i64>) -> Result<(), Refusal> {
        let n = n.unwrap_or(1);
        let most = self.limits.choices;
        let fits = u32::try_from(n).ok().filter(|n| (1..=most).contains(n));
        let wrong = || Refusal::field(field, format!("{field} must be from 1 to {most}, not {n}"));
        self.request.choices = fits.ok_or_else(wrong)?;
        Ok(())
    }

    pub fn logprobs(&mut self, field: &str, alternatives: i64) -> Result<(), Refusal> {
        let fits = usize::try_from(alternatives).ok();
        let fits = fits.filter(|&n| n <= MAX_LOGPROBS);
        let wrong = || {
            let message = format!("{field} must be from 0 to {MAX_LOGPROBS}, not {alternatives}");
            Refusal::field(field, message)
        };
        self.request.logprobs = Some(fits.ok_or_else(wrong)?);
        Ok(())
    }

    pub fn think(&mut self, think: Option<bool>) {
        self.request.think = think;
    }

    pub fn attribution(&mut self, asked: bool) {
        self.request.attribution = asked;
    }

    pub fn form(&mut self, form: Option<AskedForm>) {
        self.request.form = form;
    }

    /// A form of its own, in the notation of Lark.
    pub fn grammar(&mut self, field: &'static str, grammar: Option<String>) -> Result<(), Refusal> {
        let Some(grammar) = grammar.filter(|grammar| !grammar.is_empty()) else {
            return Ok(());
        };
        if let Some(other) = &self.request.form {
            let message = format!("{field} and {} do not go together", other.field);
            return Err(Refusal::field(field, message));
        }
        let form = Form::Lark(grammar);
        self.request.form = Some(AskedForm { field, form });
        Ok(())
    }

    pub fn members(&mut self, members: Option<Vec<String>>) {
        self.request.members = members;
    }
}

/// Refuses what would change the answer and is not served: a number that is not the one that
/// changes nothing.
pub fn neutral(field: &str, value: Option<f64>, neutral: f64, why: &str) -> Result<(), Refusal> {
    match value {
        Some(value) if value != neutral => Err(Refusal::not_served(field, why)),
        _ => Ok(()),
    }
}

/// Refuses a field that says something.
pub fn absent(field: &str, value: &Option<serde_json::Value>, why: &str) -> Result<(), Refusal> {
    use serde_json::Value;
    let says = match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    };
    match says {
        true => Err(Refusal::not_served(field, why)),
        false => Ok(()),
    }
}

/// A conversation of messages: where the last is the pack's, its answer goes on from there.
///
/// # Errors
/// There is none.
pub fn chat(mut messages: Vec<Message>) -> Result<Prompt, Refusal> {
    // Templates take one message of the system, at the beginning.
    let leading = messages.iter().take_while(|m| m.role == Role::System);
    let leading = leading.count();
    if leading > 1 {
        let texts: Vec<String> = messages.drain(..leading).map(|m| m.content).collect();
        messages.insert(0, Message::system(texts.join("\n\n")));
    }
    let last = messages.pop_if(|last| last.role == Role::Assistant);
    if messages.is_empty() {
        return Err(Refusal::field(
            "messages",
            "messages must have at least one of a user",
        ));
    }
    let begun = last.map(|last| last.content).unwrap_or_default();
    Ok(Prompt::Chat { messages, begun })
}

/// The role of this name; `tool` and others are not served.
pub fn role(name: &str, field: &str) -> Result<Role, Refusal> {
    match name {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" | "model" => Ok(Role::Assistant),
        "tool" | "function" => Err(Refusal::not_served(
            field,
            "messages of tools; tool calling comes later",
        )),
        other => {
            let known = "system, developer, user or assistant";
            let message = format!("the role of a message must be {known}, not {other:?}");
            Err(Refusal::field(field, message))
        }
    }
}

impl Request {
    /// How its answer is drawn.
    pub fn sampling(&self, default: &Params) -> Params {
        let values = &self.values;
        Params {
            temperature: values.temp.unwrap_or(default.temperature),
            top_k: values.top_k.unwrap_or(default.top_k),
            top_p: values.top_p.unwrap_or(default.top_p),
            min_p: values.min_p.unwrap_or(default.min_p),
            repeat_penalty: values.repeat_penalty.unwrap_or(default.repeat_penalty),
            repeat_last_n: match values.repeat_last_n {
                Some(n) => usize::try_from(n).unwrap_or(1 << 20),
                None => default.repeat_last_n,
            },
            seed: values.seed.unwrap_or(default.seed),
            ..default.clone()
        }
    }

    /// How members with these names are fused.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn fusion(&self, default: &Fusion, names: &[String]) -> Result<Fusion, Refusal> {
        let values = &self.values;
        let mut fusion = default.clone();
        if let Some(text) = &values.weights {
            let wrong = |error: packllm_engine::weight::MethodError| {
                Refusal::field("packllm.weights", error.to_string())
            };
            fusion.method = Method::parse(text, names).map_err(wrong)?;
        }
        fusion.mix = values.mix.or(fusion.mix);
        fusion.tau = values.tau.unwrap_or(fusion.tau);
        fusion.prior_bytes = values.prior_bytes.unwrap_or(fusion.prior_bytes);
        fusion.rate = values.rate.unwrap_or(fusion.rate);
        fusion.drop = values.drop.unwrap_or(fusion.drop);
        fusion.floor = values.floor.unwrap_or(fusion.floor);
        fusion.confidence = values.confidence.or(fusion.confidence);
        fusion.budget.epsilon = values.epsilon.unwrap_or(fusion.budget.epsilon);
        fusion.budget.hypotheses = values.heads.unwrap_or(fusion.budget.hypotheses);
        Ok(fusion)
    }

    /// Which members are silent.
    ///
    /// # Errors
    /// A member that is not there, or none that is.
    pub fn silent(&self, names: &[String]) -> Result<Vec<bool>, Refusal> {
        let Some(members) = &self.members else {
            return Ok(vec![false; names.len()]);
        };
        let known = || names.join(", ");
        if let Some(name) = members.iter().find(|name| !names.contains(name)) {
            let message = format!("no member is named {name:?}; there are {}", known());
            return Err(Refusal::field("packllm.members", message));
        }
        if members.is_empty() {
            let message = format!("packllm.members must name some of {}", known());
            return Err(Refusal::field("packllm.members", message));
        }
        Ok(names.iter().map(|name| !members.contains(name)).collect())
    }
}
