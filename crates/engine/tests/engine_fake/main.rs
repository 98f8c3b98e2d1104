//! The engine on members without weights: what it answers, what it evaluates, how it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod answers;
mod attribution;
mod cancels;
mod constraints;
mod continuations;
mod conversation;
mod drafts;
mod evidence;
mod failures;
mod many;
mod mined;
mod panics;
mod prompt_cache;
mod prompt_prefetch;
mod prompts;
mod replays;
mod rig;
mod toy_grammar;
