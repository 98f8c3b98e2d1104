//! packllm runs several small language models as one: at every byte of an answer each says what it
//! would write next, and a mixture of them writes it.
//!
//! * [`Member`](backend::Member): one model with its KV cache, tokens in, logits out. A
//!   [`fake`](backend::fake) is here; llama.cpp is the crate `packllm-llama`.
//! * [`Engine`](engine::Engine): members on threads of their own, shared by conversations.
//! * [`Lockstep`](engine::Lockstep): a conversation with all of them, in lockstep over a shared
//!   alphabet. Prompts in; evidence, weights and answers out.
//! * [`Fusion`](engine::Fusion): how they are fused. The alphabet, the mixture, where weights come
//!   from, how much is evaluated.
//! * [`Constraint`](constraint::Constraint): what may come next in an answer, whatever members say;
//!   valid UTF-8 is the first.
//! * [`Speakers`](chat::Speakers): every member's chat template, from conversations to prompts.
//! * [`Pack`](pack::Pack): an engine and its templates, loaded once.
//! * [`Conversation`](pack::Conversation): one of many with a pack. It reads messages or a text,
//!   weighs, and streams the answer.
//! * [`Host`](pack::Host): the program around a pack. It receives facts and progress; `()` ignores
//!   them.
//!
//! The library prints nothing, never exits, and reads neither the environment nor the home folder.
//! `ARCHITECTURE.md` says where things are; the module documentation of [`vocab::cover`] is about
//! its heart.
//!
//! # Example
//!
//! Two members without weights, which do not split texts alike, read a question and answer it. For
//! models from GGUF files see `examples/answer.rs` and `examples/weights.rs`.
//!
//! ```
//! use packllm_engine::backend::Member;
//! use packllm_engine::backend::fake::{FakeMember, FakeOptions};
//! use packllm_engine::chat::Message;
//! use packllm_engine::engine::{Engine, AnswerOptions, MemberSpec};
//! use packllm_engine::pack::{Pack, PackOptions};
//! use packllm_engine::sample::Params;
//! use std::sync::Arc;
//!
//! fn fake(name: &str, pieces: &'static [&'static [u8]], seed: u64) -> MemberSpec {
//!     let options = FakeOptions {
//!         seed,
//!         chat_template: Some("{% for m in messages %}{{ m.content }} {% endfor %}".into()),
//!         ..FakeOptions::default()
//!     };
//!     let vocab = FakeMember::vocab_of(pieces, true);
//!     MemberSpec {
//!         name: name.into(),
//!         // Called on the member's own thread.
//!         loader: Box::new(|_| Ok(Box::new(FakeMember::new(vocab, options)) as Box<dyn Member>)),
//!         prefetch: None,
//!         pace: Default::default(),
//!     }
//! }
//!
//! // Load.
//! let members = vec![
//!     fake("letters", &[b"a", b"b", b"c", b" "], 1),
//!     fake("pairs", &[b"ab", b"bc", b"ca", b"a", b"b", b"c", b" "], 2),
//! ];
//! let engine = Engine::load(members, Arc::default(), &mut |_| {})?;
//! let pack = Pack::new(engine, PackOptions::default(), &mut ())?;
//!
//! // Any number of conversations share it; each can be cancelled by a flag of its own.
//! let mut talk = pack.conversation(Arc::default())?;
//!
//! // Read and weigh: how well each predicted the question decides how much it counts.
//! let question = [Message::user("abc ab ca")];
//! let read = talk.read_chat(&question, 0, "", talk.score_request(), &mut ())?;
//! let weights = talk.lockstep.lambda();
//! assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
//!
//! // Answer.
//! let generation = AnswerOptions {
//!     limit: Some(8),
//!     sampling: Params { seed: 7, ..Params::default() },
//!     stops: talk.stops(),
//!     attribution: false,
//! };
//! let mut text = String::new();
//! let streamed = talk.stream(&generation, &read.opening, &mut |more| text.push_str(more.text))?;
//! assert_eq!(text, streamed.answer.text);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Tests in `src` share files with those in `tests`, which name the crate.
#[cfg(test)]
extern crate self as packllm_engine;

pub mod backend;
pub mod chat;
pub mod competence;
pub mod constraint;
pub mod digest;
pub mod engine;
pub mod gguf;
pub mod lock;
pub mod mix;
mod nearest;
pub mod pack;
pub mod prompt;
pub mod sample;
pub mod thought;
pub mod threads;
mod vector;
pub mod vocab;
pub mod weight;

pub use nearest::{did_you_mean, nearest};
