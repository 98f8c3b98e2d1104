//! The dialect of OpenAI: chat completions, completions, models.

pub mod chat;
pub mod completions;
pub mod models;
pub mod unserved;
pub mod wire;
