//! What an answer has to look like.

use crate::alphabet::Alphabet;
use crate::error::GrammarError;
use crate::locate;
use crate::structured::Structured;
use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use llguidance::{JsonCompileOptions, Matcher};
use serde_json::{Value, json};

/// Stack of the thread that reads a form: schemas refer and nest as deep as they like.
const STACK: usize = 64 << 20;

/// What an answer has to look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// JSON that a schema describes.
    Json(Value),
    /// A text of a grammar in Lark's notation, as llguidance reads it.
    Lark(String),
}

/// Whether a thought may come before the answer. Anything may be said in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Thought {
    /// The answer comes at once.
    #[default]
    None,
    /// The text may begin with `<think>…</think>`.
    May,
    /// The prompt has opened one: the text begins inside.
    Open,
}

impl Form {
    /// Any JSON object.
    #[must_use]
    pub fn object() -> Self {
        Form::Json(json!({ "type": "object" }))
    }

    /// What the schema in a text describes.
    ///
    /// # Errors
    /// [`GrammarError::NotJson`]. Whether the schema is supported shows in [`Form::over`].
    pub fn schema(text: &str) -> Result<Self, GrammarError> {
        let schema = serde_json::from_str(text);
        let schema = schema.map_err(|error| GrammarError::NotJson(error.to_string()))?;
        Ok(Form::Json(schema))
    }

    /// The constraint to texts of this form, spelled with the symbols of an alphabet.
    ///
    /// # Errors
    /// What is not supported, and where.
    pub fn over(&self, alphabet: &Alphabet, thought: Thought) -> Result<Structured, GrammarError> {
        let read = || match self.compile(alphabet, thought) {
            Ok(matcher) => Ok(Structured::new(alphabet.clone(), matcher)),
            Err(why) => Err(self.refusal(alphabet, why)),
        };
        // Its own thread for the stack alone.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK);
            let thread = thread.spawn_scoped(scope, read);
            let thread = thread.map_err(|error| GrammarError::Grammar(error.to_string()))?;
            let crashed = |_| GrammarError::Grammar("reading it failed".into());
            thread.join().map_err(crashed)?
        })
    }

    fn compile(&self, alphabet: &Alphabet, thought: Thought) -> Result<Matcher, String> {
        let mut grammars = vec![match self {
            Form::Json(schema) => GrammarWithLexer::from_json_schema(compact(schema)?),
            Form::Lark(grammar) => GrammarWithLexer::from_lark(grammar.clone()),
        }];
        if let Some(before) = before(thought) {
            grammars[0].name = Some("answer".into());
            grammars.insert(0, GrammarWithLexer::from_lark(before.into()));
        }
        let grammar = TopLevelGrammar {
            grammars,
            max_tokens: None,
        };
        let parser = alphabet.factory().create_parser(grammar);
        let mut matcher = Matcher::new(Ok(parser.map_err(|error| first_line(&error.to_string()))?));
        // Limits of size show at the first mask.
        matcher
            .compute_mask_or_eos()
            .map_err(|error| first_line(&error.to_string()))?;
        Ok(matcher)
    }

    fn refusal(&self, alphabet: &Alphabet, why: String) -> GrammarError {
        match self {
            Form::Lark(_) => GrammarError::Grammar(why),
            Form::Json(schema) => {
                let fails = |part: &Value| {
                    let part = Form::Json(part.clone());
                    part.compile(alphabet, Thought::None).err()
                };
                let path = locate::failure(schema, &why, &fails);
                GrammarError::Schema { path, why }
            }
        }
    }
}

/// What comes before the answer, in Lark.
fn before(thought: Thought) -> Option<&'static str> {
    match thought {
        Thought::None => None,
        Thought::May => Some(
            "start: (thought space?)? @answer\n\
             thought[lazy]: /<think>(.|\\n)*<\\/think>/\n\
             space: /[ \\r\\n\\t]{1,4}/\n",
        ),
        Thought::Open => Some(
            "start: thought space? @answer\n\
             thought[lazy]: /(.|\\n)*<\\/think>/\n\
             space: /[ \\r\\n\\t]{1,4}/\n",
        ),
    }
}

/// A schema with what we say of white space. A schema's own wishes for the parser would loosen what
/// it is held to, and are not heard.
fn compact(schema: &Value) -> Result<Value, String> {
    let mut schema = match schema {
        Value::Object(_) => schema.clone(),
        Value::Bool(true) => json!({}),
        Value::Bool(false) => return Err("nothing is allowed by it".into()),
        _ => return Err("a schema is an object or a truth value".into()),
    };
    let options = JsonCompileOptions {
        item_separator: ", ".into(),
        key_separator: ": ".into(),
        whitespace_flexible: false,
        ..JsonCompileOptions::default()
    };
    options.apply_to(&mut schema);
    Ok(schema)
}

/// Errors end with the parser's state.
fn first_line(error: &str) -> String {
    error.lines().next().unwrap_or_default().to_owned()
}
