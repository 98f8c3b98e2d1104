//! engine
pub mod branches;
