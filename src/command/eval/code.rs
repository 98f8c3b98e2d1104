//! Python that members write is run, confined, if the user said so.

use super::plan::{Exam, Laid, Paper};
use crate::app::App;
use crate::cli::EvalArgs;
use crate::plural::counted;
use crate::settings::usage;
use anyhow::Result;
use packllm_engine::engine::EngineError;
use packllm_eval::program::program;
use packllm_eval::{Ask, Reply};
use packllm_sandbox::{Launcher, Limits, Outcome, Python, SandboxError};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The hidden command by which the program starts itself to confine a child.
pub const CONFINED: &str = "confined";

/// This process, just started by [`Runner`], confines itself and becomes a Python that runs code.
/// Comes back only if that fails.
pub fn become_confined(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let error = packllm_sandbox::confine_and_exec(arguments);
    tell!("{error}");
    ExitCode::FAILURE
}

/// What runs code: nothing, unless `--run-code` was given and there is code to run.
pub struct Runner {
    python: Option<Python>,
    cancel: Arc<AtomicBool>,
}

impl Runner {
    /// Finds Python and tries the confinement.
    ///
    /// # Errors
    /// A task with code without `--run-code`; what is missing to run code confined.
    pub fn new(app: &App, args: &EvalArgs, exams: &[Exam]) -> Result<Self> {
        let code = |exam: &&Exam| exam.questions.iter().any(|q| is_code(&q.ask));
        let exam = exams.iter().find(code);
        let python = match exam {
            Some(exam) if !args.run_code => {
                let n = exam.questions.iter().filter(|q| is_code(&q.ask)).count();
                return usage(format!(
                    "{}: {} run Python that members write; --run-code runs it, confined",
                    exam.file.display(),
                    counted(n, "question")
                ));
            }
            Some(_) => {
                let python = std::env::var_os("PACKLLM_PYTHON").filter(|path| !path.is_empty());
                let python = python.unwrap_or_else(|| "python3".into());
                // The very file that runs, also if another was put in its place meanwhile.
                let launcher = Launcher::new("/proc/self/exe", [CONFINED]);
                Some(Python::find(python, launcher)?)
            }
            None => None,
        };
        Ok(Self {
            python,
            cancel: Arc::clone(&app.cancel),
        })
    }

    /// Runs a reply to a question for code, and notes whether it passed.
    pub fn run(&self, question: &Laid, reply: &mut Reply) -> Result<()> {
        let (Some(python), Paper::Script(script), Ask::Code { test, entry_point }) =
            (&self.python, &question.paper, &question.ask)
        else {
            return Ok(());
        };
        let (prompt, framing) = (&question.query, script.framing);
        let program = program(prompt, &reply.text, test, entry_point, framing);
        match python.run(&program, &Limits::default(), &self.cancel) {
            Ok(outcome) => reply.passed = Some(outcome == Outcome::Passed),
            Err(SandboxError::Cancelled) => return Err(EngineError::Cancelled.into()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn is_code(ask: &Ask) -> bool {
    matches!(ask, Ask::Code { .. })
}
