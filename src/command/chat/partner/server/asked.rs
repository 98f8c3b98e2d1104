//! What a server is asked: the messages, and what was set. What nobody set is as the server was started.

use super::super::Question;
use crate::hints::words;
use crate::settings::Usage;
use anyhow::Result;
use packllm_client::{About, Asked, Message};
use packllm_engine::mix::Mix;
use packllm_engine::weight::Method;
use packllm_grammar::Form;
use packllm_parameter::{Group, Value, Values, all};
use serde_json::json;

/// Numbers of the fusion, by their names in a request.
type Numbers = serde_json::Map<String, serde_json::Value>;

/// How the members are to be fused.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub weights: Option<Method>,
    pub mix: Option<Mix>,
    pub silent: Vec<bool>,
    numbers: Numbers,
}

impl Wishes {
    /// As it was given at the start.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn new(given: &Values, names: &[String]) -> Result<Self> {
        let weights = given.weights.as_ref();
        let weights = weights.map(|text| Method::parse(text, names)).transpose();
        Ok(Self {
            weights: weights.map_err(|error| Usage(format!("--weights: {}", words(&error))))?,
            mix: given.mix,
            silent: vec![false; names.len()],
            numbers: numbers(given),
        })
    }

    /// The request to answer a question.
    pub fn question(
        &self,
        about: &About,
        names: &[String],
        question: &Question<'_>,
    ) -> Result<packllm_client::Question> {
        let settings = question.settings;
        let values = settings.values();
        let limit = question.limit.map(i64::try_from).transpose()?;
        let is_packllm = about.is_packllm();
        Ok(packllm_client::Question {
            messages: messages(question),
            // What is below 0 is no limit to packllm, and nothing to others.
            max_tokens: limit.or(values.predict.filter(|_| is_packllm)),
            seed: values.seed.map(|seed| seed as i64),
            temperature: values.temp,
            top_p: values.top_p,
            top_k: values.top_k.map(i64::try_from).transpose()?,
            min_p: values.min_p,
            repeat_penalty: values.repeat_penalty,
            repeat_last_n: values.repeat_last_n,
            stop: values.stop.clone().unwrap_or_default(),
            reasoning_effort: (!settings.look.lets_think()).then_some("none"),
            response_format: question.form.and_then(format),
            packllm: is_packllm.then(|| Asked {
                weights: self.weights.as_ref().map(Method::to_string),
                mix: self.mix.map(|mix| mix.to_string()),
                members: self.speaking(names),
                attribution: settings.look.attribution,
                numbers: self.numbers.clone(),
            }),
            ..packllm_client::Question::to(about)
        })
    }

    /// The members that may take part; None: all.
    fn speaking(&self, names: &[String]) -> Option<Vec<String>> {
        let some = self.silent.contains(&true);
        let speaking = names
            .iter()
            .zip(&self.silent)
            .filter(|(_, silent)| !**silent);
        some.then(|| speaking.map(|(name, _)| name.clone()).collect())
    }
}

fn messages(question: &Question<'_>) -> Vec<Message> {
    let context = question.context.iter();
    let context = context.map(|m| Message::new(m.role.as_str(), m.content.as_str()));
    let begun = Some(question.begun).filter(|begun| !begun.is_empty());
    let begun = begun.map(|begun| Message::new("assistant", begun));
    context.chain(begun).collect()
}

fn format(form: &Form) -> Option<serde_json::Value> {
    match form {
        Form::Json(schema) => Some(json!({
            "type": "json_schema", "json_schema": { "name": "answer", "schema": schema },
        })),
        // `/set schema` makes no other.
        _ => None,
    }
}

/// The numbers of the fusion that were given.
fn numbers(given: &Values) -> Numbers {
    let parameters = all()
        .iter()
        .filter(|p| p.group == Group::Fusion && p.is_asked());
    let given = parameters.filter_map(|parameter| {
        let number = match parameter.get(given)? {
            Value::Number(number) => number.into(),
            Value::Whole(whole) => i64::try_from(whole).ok()?.into(),
            _ => return None,
        };
        Some((parameter.key.to_owned(), number))
    });
    given.collect()
}
