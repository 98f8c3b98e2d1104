//! A pack behind the interfaces that clients already speak: OpenAI, Anthropic, Ollama, llama-server.
//!
//! A [`Server`] listens, and drives a [`Pack`](packllm_engine::pack::Pack) that its [`Source`] loads:
//!
//! ```text
//!  http: safety → log → a dialect       one thread, tokio         desk: threads of its own
//!  ┌────────────────────────────────┐  Request   ┌──────────────────────────────────────────┐
//!  │ openai  anthropic  ollama  …   │ ─────────► │ queue → a thread an active conversation   │
//!  │ JSON → Request, events → JSON  │ ◄───────── │ shelf of idle ones · load, unload         │
//!  └────────────────────────────────┘   Event    └──────────────────────────────────────────┘
//! ```
//!
//! A dialect turns JSON into a `Request` and events into JSON, and touches no engine; the desk knows
//! no dialect. The crate prints nothing and knows no llama.cpp: what loads a pack, where
//! lines go and which signals end it is its caller's.

mod about;
mod anthropic;
mod config;
mod desk;
mod error;
mod facts;
mod form;
mod http;
mod llama;
mod ollama;
mod openai;
mod own;
mod page;
mod request;
mod responses;
mod server;
mod sessions;

pub use config::{Limits, Log, LogFormat, Options, Safety};
pub use desk::Source;
pub use http::openapi;
pub use server::{Handle, ServeError, Server};
