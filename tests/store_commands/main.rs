//! `packllm models`, `pack` and `doctor` as a user runs them: the program itself, a store in a
//! temporary folder, tiny models, no network but this machine's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod align;
mod bad_homes;
mod doctor;
mod from_anywhere;
#[path = "../hub/mod.rs"]
mod hub;
mod models;
mod packs;
#[allow(dead_code, reason = "the tests of answers use the rest of it")]
#[path = "../answer_commands/pty.rs"]
mod pty;
mod pulls;
#[path = "../tiny/mod.rs"]
mod tiny;
#[path = "../user/mod.rs"]
mod user;

use serde_json::Value;
use std::fs;
use std::path::Path;
use tiny::TinyModel;
use user::{Done, User, says, text};
