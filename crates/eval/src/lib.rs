//! Multiple choice: which option of a question a pack finds likeliest.
//!
//! A question is laid out as plain text ([`layout`]), every member is evaluated on it once, and the
//! members' distributions along every option serve all [`Contestant`]s: each member by itself and
//! one mixture for each way to derive weights ([`judge`]), several questions at a time
//! ([`parallel`]). The weights come from the question's own
//! text, not from the examples before it: these are the same for all questions and would outweigh
//! it. What the contestants picked is counted in [`results`] by [`statistics`], and kept in a
//! [`journal`] from which a run that was cut short goes on.

pub mod journal;
pub mod judge;
pub mod layout;
pub mod parallel;
pub mod results;
pub mod statistics;
pub mod task;

pub use journal::{Journal, JournalEntry, JournalError, Outcome};
pub use judge::{Contestant, ContestantKind, Judge, NEAR_TIE, Score, Verdict, is_near_tie};
pub use layout::{Layout, Sheet, Shots, ShotsError};
pub use parallel::decide_all;
pub use results::{Answered, Row, Section};
pub use statistics::{Accuracy, Difference, paired};
pub use task::{Fault, Question, Task, TaskError};
