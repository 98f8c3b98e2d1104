//! A line of a task file, by its fields.

use super::{Ask, Question};
use crate::grade::words;
use regex::Regex;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::HashMap;

/// What a line may be.
const FORMS: &str = "a line is {\"query\": text, \"choices\": [text, …], \"gold\": index}, \
    {\"query\": text, \"answer\": text}, {\"question\": text, \"answer\": number}, \
    {\"context\": text, \"continuation\": text}, {\"query\": text, \"pattern\": regex} or \
    {\"prompt\": text, \"test\": text, \"entry_point\": name}";

#[derive(Deserialize)]
struct Choice {
    query: String,
    choices: Vec<String>,
    gold: i64,
}

#[derive(Deserialize)]
struct Last {
    context: String,
    continuation: String,
}

#[derive(Deserialize)]
struct Short {
    query: String,
    answer: String,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Number {
    question: String,
    answer: f64,
}

#[derive(Deserialize)]
struct Form {
    query: String,
    pattern: String,
    excludes: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    prompt: String,
    test: String,
    entry_point: String,
}

/// The question in a line, or what is wrong with it.
pub fn question(line: usize, bytes: &[u8]) -> Result<Question, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        format!(
            "not valid UTF-8 at byte {} of the line",
            e.valid_up_to() + 1
        )
    })?;
    let keys: HashMap<String, IgnoredAny> = read(text)?;
    let has = |key: &str| keys.contains_key(key);
    let (query, ask) = if has("choices") || has("gold") {
        choice(read(text)?)?
    } else if has("continuation") || has("context") {
        last(read(text)?)?
    } else if has("test") || has("entry_point") {
        code(read(text)?)?
    } else if has("pattern") {
        form(read(text)?)?
    } else if has("question") {
        let Number { question, answer } = read(text)?;
        not_blank("question", &question)?;
        (question, Ask::Number { answer })
    } else if has("answer") {
        short(read(text)?)?
    } else {
        return Err(format!("no field says what it asks for; {FORMS}"));
    };
    Ok(Question { line, query, ask })
}

fn choice(fields: Choice) -> Result<(String, Ask), String> {
    let Choice {
        query,
        choices,
        gold,
    } = fields;
    not_blank("query", &query)?;
    if choices.len() < 2 {
        let n = choices.len();
        return Err(format!("at least two choices are needed, and there is {n}"));
    }
    if let Some(i) = choices.iter().position(|c| c.trim().is_empty()) {
        return Err(format!("choice {i} (counted from 0) is empty"));
    }
    match usize::try_from(gold) {
        Ok(gold) if gold < choices.len() => Ok((query, Ask::Choice { choices, gold })),
        _ => Err(format!(
            "gold is {gold}, and the choices are numbered 0 to {}",
            choices.len() - 1
        )),
    }
}

fn last(fields: Last) -> Result<(String, Ask), String> {
    not_blank("context", &fields.context)?;
    not_blank("continuation", &fields.continuation)?;
    let continuation = fields.continuation;
    Ok((fields.context, Ask::Last { continuation }))
}

fn short(fields: Short) -> Result<(String, Ask), String> {
    not_blank("query", &fields.query)?;
    not_blank("answer", &fields.answer)?;
    if words(&fields.answer).is_empty() {
        let answer = fields.answer;
        return Err(format!(
            "the answer \"{answer}\" leaves nothing to compare: punctuation does not count"
        ));
    }
    let mut answers = vec![fields.answer];
    for alias in fields.aliases {
        if !answers.contains(&alias) && !words(&alias).is_empty() {
            answers.push(alias);
        }
    }
    Ok((fields.query, Ask::Short { answers }))
}

fn form(fields: Form) -> Result<(String, Ask), String> {
    not_blank("query", &fields.query)?;
    let Form {
        query,
        pattern,
        excludes,
    } = fields;
    let named = [("pattern", Some(&pattern)), ("excludes", excludes.as_ref())];
    for (name, regex) in named {
        if let Some(Err(error)) = regex.map(|regex| Regex::new(regex)) {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            return Err(format!("{name}: {last}"));
        }
    }
    Ok((query, Ask::Form { pattern, excludes }))
}

fn code(fields: Code) -> Result<(String, Ask), String> {
    let Code {
        prompt,
        test,
        entry_point,
    } = fields;
    not_blank("prompt", &prompt)?;
    not_blank("test", &test)?;
    let starts = entry_point.starts_with(|c: char| c == '_' || c.is_alphabetic());
    if !starts || !entry_point.chars().all(|c| c == '_' || c.is_alphanumeric()) {
        return Err(format!("entry_point is no name: \"{entry_point}\""));
    }
    Ok((prompt, Ask::Code { test, entry_point }))
}

fn not_blank(name: &str, text: &str) -> Result<(), String> {
    match text.trim().is_empty() {
        true => Err(format!("the {name} is empty")),
        false => Ok(()),
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        // serde_json counts lines within the text it was given, which is one line.
        let told = error.to_string();
        let what = told.split(" at line ").next().unwrap_or(&told);
        format!("{what} (column {}); {FORMS}", error.column())
    })
}
