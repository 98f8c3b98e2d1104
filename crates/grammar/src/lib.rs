//! Structured answers: a JSON schema, or a grammar in the dialect of Lark, as a
//! [`Constraint`](packllm_engine::constraint::Constraint) on answers. Parsing is llguidance's.
//!
//! ```
//! use packllm_engine::constraint::Constraint;
//! use packllm_grammar::{Alphabet, Form, Thought};
//!
//! let form = Form::schema(r#"{"type":"object","properties":{"age":{"type":"integer"}},
//!     "required":["age"],"additionalProperties":false}"#)?;
//! let mut constraint = form.over(&Alphabet::bytes()?, Thought::None)?;
//! let mut forced = Vec::new();
//! constraint.forced(&mut forced)?;
//! let forced = forced.iter().map(|&byte| byte as u8).collect::<Vec<u8>>();
//! assert_eq!(forced, br#"{"age": "#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`Form`]: what an answer has to look like.
//! * [`Alphabet`]: what it is spelled with, 256 bytes or the tokens of a shared vocabulary.
//! * [`Thought`]: whether `<think>…</think>`, in which anything may be said, comes before it.
//! * [`Structured`]: the constraint.
//! * [`Grammars`]: all of it for an answer of a [`Conversation`](packllm_engine::pack::Conversation).
//!
//! JSON is written as most of it is: a space after each colon and comma, and no other white space
//! between its parts. Small models would write white space for ever, and what is not a choice is
//! forced and costs nothing.

mod alphabet;
mod bind;
mod error;
mod form;
mod locate;
mod structured;

pub use alphabet::Alphabet;
pub use bind::Grammars;
pub use error::GrammarError;
pub use form::{Form, Thought};
pub use structured::Structured;
