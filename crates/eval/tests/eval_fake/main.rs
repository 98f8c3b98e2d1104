//! Questions put to members without weights.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod answering;
mod following;
mod judging;
mod mined;
mod parallel;
#[path = "../../../engine/tests/engine_fake/rig.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod rig;
