//! Chat templates: the text that a member makes of a conversation.
//!
//! A GGUF file carries its template as Jinja source, written for Python's `jinja2` as the Hugging
//! Face libraries set it up: `trim_blocks`, `lstrip_blocks`, no autoescape, loop controls, the
//! functions `raise_exception` and `strftime_now`, a `tojson` that does not escape HTML, and the
//! variables `messages`, `add_generation_prompt`, `bos_token`, `eos_token`, `tools` and `documents`
//! (both none); on request also `enable_thinking` and `thinking`, see [`Template::ask_to_think`]. A
//! member that has no template uses the plain one, see [`Template::plain`].

mod guard;
mod python;
mod thread;

use std::error::Error as _;

use chrono::NaiveDateTime;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::sentinels::Sentinels;
use super::{Message, Role, Turn, folded, unfolded};
use crate::thought;

/// Instructions that a render may take, however short the conversation; a message takes some
/// hundred.
const BASE_FUEL: u64 = 200_000;

/// Instructions that each message adds to that.
const MESSAGE_FUEL: u64 = 4_000;

/// Longest rendering, bytes beyond eight times the contents.
const MAX_OUTPUT: usize = 1024 * 1024;

/// Name of the one template of an environment.
const NAME: &str = "chat";

/// Why a template could not be read, or a conversation not be rendered with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The source is not a template.
    #[error("chat template, line {line}: {message}")]
    Syntax {
        /// The line of the template, from 1.
        line: usize,
        /// What went wrong, in words.
        message: String,
    },
    /// The template met something it cannot work with.
    #[error("chat template, line {line}: {message}")]
    Render {
        /// The line of the template, from 1.
        line: usize,
        /// What went wrong, in words.
        message: String,
    },
    /// The template refused the conversation, in its own words (`raise_exception`).
    #[error("the chat template (line {line}) says: {message}")]
    Raised {
        /// The line of the template, from 1.
        line: usize,
        /// What went wrong, in words.
        message: String,
    },
    /// The source is longer than any template.
    #[error("the chat template has {bytes} bytes, more than {limit}")]
    TooLong {
        /// Its size.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// The template does not come to an end.
    #[error("the chat template (line {line}) takes too long for {messages} messages")]
    Runaway {
        /// The line of the template, from 1.
        line: usize,
        /// Messages of the conversation.
        messages: usize,
    },
    /// The template writes much more than the conversation has.
    #[error("the chat template writes {bytes} bytes, more than {limit} for this conversation")]
    TooMuch {
        /// Its size.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// The template engine itself failed.
    #[error("chat template: {message}")]
    Engine {
        /// What went wrong, in words.
        message: String,
    },
}

/// A conversation as one member reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The conversation in the template's words.
    pub text: String,
    /// The template takes no system messages, so they stand at the start of the user message that
    /// follows.
    pub system_folded: bool,
}

/// How one member spells a conversation.
#[derive(Debug, Clone)]
pub struct Template {
    /// `None` for the plain template.
    engine: Option<Environment<'static>>,
    bos: String,
    eos: String,
    /// What [`Template::ask_to_think`] was told.
    thinks: bool,
    /// Whether it spells thoughts.
    knows_thoughts: bool,
}

/// What [`Template::arrange`] chose.
pub(super) struct Arranged {
    pub text: String,
    pub turns: Vec<Turn>,
    pub system_folded: bool,
}

impl Template {
    /// Reads a Jinja template. `bos` and `eos` are the texts of the member's begin and end tokens,
    /// empty if it has none.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`] with the line, [`TemplateError::TooLong`],
    /// [`TemplateError::Engine`].
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Template, TemplateError> {
        if source.len() > guard::MAX_SOURCE {
            return Err(TemplateError::TooLong {
                bytes: source.len(),
                limit: guard::MAX_SOURCE,
            });
        }
        // Jinja reads every kind of line end as a line feed.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let knows_thoughts = source.contains(thought::OPEN) || source.contains(thought::CLOSE);
        let engine = thread::run(move || {
            let mut engine = python::environment().map_err(|error| template_error(&error, 0))?;
            engine
                .add_template_owned(NAME, guard::rewrite(&source)?)
                .map_err(|error| template_error(&error, 0))?;
            Ok(engine)
        })?;
        Ok(Template {
            engine: Some(engine),
            bos: bos.to_owned(),
            eos: eos.to_owned(),
            thinks: true,
            knows_thoughts,
        })
    }

    /// The template of a member that has none: paragraphs, which base models continue well.
    ///
    /// ```text
    /// {system}
    ///
    /// User:
    /// {content}
    ///
    /// Assistant:
    /// {content}
    ///
    /// User:
    /// {content}
    ///
    /// Assistant:
    /// ```
    ///
    /// Contents are trimmed, but for the beginning of an answer: what was said stays as it was, so
    /// that it need not be evaluated again. Every content begins on a line of its own, so that
    /// neither it nor the answer begins with a space that other members' templates do not have:
    /// members must agree on the first byte. Answers end at one of [`Template::stops`].
    pub fn plain() -> Template {
        Template {
            engine: None,
            bos: String::new(),
            eos: String::new(),
            thinks: true,
            knows_thoughts: false,
        }
    }

    /// Whether the model may think before it answers, where its template leaves that open: if not,
    /// the variables `enable_thinking` (Qwen 3, SmolLM3, GLM) and `thinking` (DeepSeek 3.1,
    /// Granite) are false. Otherwise, as at first, neither is defined, and the template does what
    /// it does by itself.
    pub fn ask_to_think(&mut self, asked: bool) {
        self.thinks = asked;
    }

    /// Whether an answer may begin with a thought: the model has them, and they were not refused.
    pub fn may_think(&self) -> bool {
        self.thinks && self.knows_thoughts
    }

    /// Whether this is [`Template::plain`].
    pub fn is_plain(&self) -> bool {
        self.engine.is_none()
    }

    /// The texts that end an answer where no token does: in the plain template, what begins another
    /// turn.
    pub fn stops(&self) -> &'static [&'static str] {
        match self.is_plain() {
            true => &["\n\nUser:", "\nUser:", "\n\nAssistant:", "\nAssistant:"],
            false => &[],
        }
    }

    /// The text of the begin token, as given to [`Template::new`].
    pub fn bos(&self) -> &str {
        &self.bos
    }

    /// Renders a conversation; with `add_generation_prompt` up to where the assistant's answer
    /// begins.
    ///
    /// `now` is what `strftime_now` tells, in local time. If the template raises an error on a
    /// system message, or leaves its content out, the conversation is rendered with system messages
    /// folded into the user messages that follow them (`system\n\nuser`).
    ///
    /// # Errors
    /// The template's own error ([`TemplateError::Raised`]), [`TemplateError::Render`],
    /// [`TemplateError::Runaway`], [`TemplateError::TooMuch`], [`TemplateError::Engine`]. Where
    /// folding fails as well, the error without it.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        now: NaiveDateTime,
    ) -> Result<Rendered, TemplateError> {
        let Arranged {
            text,
            system_folded,
            ..
        } = self.arrange(messages, add_generation_prompt, now)?;
        Ok(Rendered {
            text,
            system_folded,
        })
    }

    /// [`Template::render`] together with the turns that the template was given.
    pub(super) fn arrange(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        now: NaiveDateTime,
    ) -> Result<Arranged, TemplateError> {
        let turns = unfolded(messages);
        let direct = self.render_exact(&turns, add_generation_prompt, now);
        let shown = match &direct {
            Ok(text) => self.shows_system(&turns, text, add_generation_prompt, now),
            Err(_) => turns.iter().all(|turn| turn.message.role != Role::System),
        };
        if !shown {
            let turns = folded(messages);
            if let Ok(text) = self.render_exact(&turns, add_generation_prompt, now) {
                return Ok(Arranged {
                    text,
                    turns,
                    system_folded: true,
                });
            }
        }
        Ok(Arranged {
            text: direct?,
            turns,
            system_folded: false,
        })
    }

    /// Whether every system message appears in the rendering. Another text is put in its place to
    /// find out: a short one might be part of the markup.
    fn shows_system(&self, turns: &[Turn], text: &str, prompt: bool, now: NaiveDateTime) -> bool {
        let is_system = |turn: &Turn| turn.message.role == Role::System && !turn.message.is_blank();
        if !turns.iter().any(is_system) {
            return true;
        }
        let Some(sentinels) = Sentinels::new(turns, text) else {
            return true;
        };
        let marked = sentinels.mark(turns, |turn| {
            is_system(turn).then_some(0..turn.message.content.len())
        });
        // The real rendering went well, so an error here is about the sentinel.
        self.render_exact(&marked, prompt, now)
            .map_or(true, |text| {
                turns
                    .iter()
                    .enumerate()
                    .filter(|(_, turn)| is_system(turn))
                    .all(|(index, _)| text.contains(&sentinels.text(index)))
            })
    }

    /// Renders just these turns.
    pub(super) fn render_exact(
        &self,
        turns: &[Turn],
        add_generation_prompt: bool,
        now: NaiveDateTime,
    ) -> Result<String, TemplateError> {
        let Some(engine) = &self.engine else {
            return Ok(render_plain(turns, add_generation_prompt));
        };
        let bytes: usize = turns.iter().map(|turn| turn.message.content.len()).sum();
        let fuel = BASE_FUEL + MESSAGE_FUEL * turns.len() as u64 + bytes as u64;
        let mut engine = engine.clone();
        engine.set_fuel(Some(fuel));
        engine.add_function("strftime_now", move |format: &str| {
            python::strftime(now, format)
        });
        let messages: Vec<Value> = turns
            .iter()
            .map(|turn| message_value(&turn.message))
            .collect();
        let count = messages.len();
        let thinking = match self.thinks {
            true => Value::UNDEFINED,
            false => Value::from(false),
        };
        let context = minijinja::context! {
            messages,
            add_generation_prompt,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            tools => Value::from(()),
            documents => Value::from(()),
            enable_thinking => thinking.clone(),
            thinking,
        };
        let text = thread::run(move || {
            engine
                .get_template(NAME)
                .and_then(|template| template.render(context))
                .map_err(|error| template_error(&error, count))
        })?;
        let limit = MAX_OUTPUT + 8 * bytes;
        if text.len() > limit {
            return Err(TemplateError::TooMuch {
                bytes: text.len(),
                limit,
            });
        }
        Ok(text)
    }
}

/// See [`Template::plain`].
fn render_plain(turns: &[Turn], add_generation_prompt: bool) -> String {
    let mut text = String::new();
    for turn in turns {
        text.push_str(match turn.message.role {
            Role::System if turn.message.is_blank() => continue,
            Role::System => "",
            Role::User => "User:\n",
            Role::Assistant => "Assistant:\n",
        });
        let content = turn.message.content.trim_end();
        text.push_str(match turn.message.role {
            Role::Assistant => content,
            Role::System | Role::User => content.trim_start(),
        });
        text.push_str("\n\n");
    }
    if add_generation_prompt {
        text.push_str("Assistant:\n");
    }
    text
}

fn template_error(error: &Error, messages: usize) -> TemplateError {
    let line = error.line().unwrap_or(0);
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(python::Raised(message)) = cause.downcast_ref() {
            return TemplateError::Raised {
                line,
                message: message.clone(),
            };
        }
        source = cause.source();
    }
    let message = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.kind() {
        ErrorKind::SyntaxError => TemplateError::Syntax { line, message },
        ErrorKind::OutOfFuel => TemplateError::Runaway { line, messages },
        _ => TemplateError::Render { line, message },
    }
}

fn message_value(message: &Message) -> Value {
    minijinja::context! { role => message.role.as_str(), content => message.content.as_str() }
}

#[cfg(test)]
mod tests;
