//! Members on other machines.
//!
//! llama.cpp's RPC backend makes the devices of a machine usable from another. Its client aborts the
//! process when a connection is lost, so a member that uses such devices lives in a process of its
//! own: [`RemoteMember`] is the program's end, a [`Member`](packllm_engine::backend::Member) like any
//! other, and [`serve()`] is the loop of that process. What they say to each other is in `wire`.
//!
//! [`tunnel`] guards the connections of that process, [`probe`] asks a machine what it lends without
//! any of llama.cpp's code, and [`lend`] is the other end. Nothing here knows llama.cpp.

pub mod lend;
mod link;
mod member;
pub mod probe;
mod serve;
pub mod tunnel;
mod wire;

pub use link::Process;
pub use member::{RemoteMember, Setup};
pub use serve::serve;
