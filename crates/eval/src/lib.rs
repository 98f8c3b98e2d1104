//! Questions: what members and mixtures of a pack make of them.
//!
//! A [`task`] is a file of questions. Some are decided from one evaluation of all members: which
//! option is likeliest ([`judge`], laid out as plain text by [`layout`]), and whether a text that
//! follows is said ([`follow`]). Others are answered with a text by every [`Contestant`] ([`answers`], put by
//! [`script`]) and graded ([`grade`], [`program`]). Contestants are each member by itself and one
//! mixture for each way to derive weights; several questions are decided at a time ([`parallel`]).
//!
//! The weights come from the question's own text, not from the examples before it: these are the
//! same for all questions and would outweigh it. What came of the questions becomes [`marks`], is
//! counted in [`results`] by [`statistics`], and kept in a [`journal`] from which a run that was cut
//! short goes on. [`suite`] holds questions of our own.

pub mod answers;
pub mod contestant;
pub mod follow;
pub mod grade;
pub mod journal;
pub mod judge;
pub mod layout;
pub mod marks;
pub mod parallel;
pub mod program;
pub mod results;
pub mod script;
pub mod statistics;
pub mod suite;
pub mod task;
pub mod verdict;

pub use answers::{Answers, Reply};
pub use contestant::{Contestant, ContestantKind};
pub use follow::Followed;
pub use journal::{Journal, JournalEntry, JournalError, Outcome};
pub use judge::{Judge, NEAR_TIE, Score, Verdict, is_near_tie};
pub use layout::{Layout, Sheet, Shots, ShotsError};
pub use marks::{Mark, Said};
pub use parallel::decide_all;
pub use results::{Answered, Row, Section, Texts, development};
pub use script::{Framing, Script};
pub use statistics::{Accuracy, Difference, mcnemar, paired};
pub use suite::Suite;
pub use task::{Ask, Fault, Question, Task, TaskError};
pub use verdict::{Advice, TuneVerdict};
