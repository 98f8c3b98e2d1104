//! The plan of a run: questions laid out, contestants, and a record of all settings.

use crate::app::App;
use crate::cli::{EvalArgs, ScoreName, SuiteName};
use crate::hints::words;
use crate::plural::{be, counted};
use crate::settings::{PackPlan, Usage, usage};
use anyhow::{Result, bail};
use packllm_engine::competence::Frame;
use packllm_engine::weight::{Method, MethodError};
use packllm_eval::{
    Ask, Fault, Framing, Judge, Layout, Question, Score, Script, Sheet, Shots, Suite, Task,
};
use std::path::PathBuf;

/// Most faults that are listed.
const FAULTS_TOLD: usize = 5;

/// The questions of a task file, ready for the members.
pub struct Exam {
    pub name: String,
    pub file: PathBuf,
    pub digest: String,
    pub questions: Vec<Laid>,
    /// Lines and questions that were left out.
    pub skipped: usize,
}

/// A question, laid out.
pub struct Laid {
    pub line: usize,
    pub query: String,
    pub ask: Ask,
    pub paper: Paper,
}

/// How a question is put.
pub enum Paper {
    /// As text and what may follow it.
    Sheet(Sheet),
    /// To be answered.
    Script(Script),
}

impl Laid {
    /// The right option of a choice.
    pub fn gold(&self) -> usize {
        match self.ask {
            Ask::Choice { gold, .. } => gold,
            _ => 0,
        }
    }

    /// Whether examples come before it.
    pub fn has_examples(&self) -> bool {
        match &self.paper {
            Paper::Sheet(sheet) => !sheet.shots.is_empty(),
            Paper::Script(script) => !script.shots.is_empty(),
        }
    }
}

/// Questions at a time where nobody says how many.
const PARALLEL: u32 = 8;

/// Refuses what cannot be meant, before anything is read.
pub fn check(args: &EvalArgs) -> Result<()> {
    if args.tasks.is_empty() && args.suite.is_none() {
        return usage(
            "no questions: give files of them (TASK.jsonl), or --suite quick for 300 of our own",
        );
    }
    if args.limit == Some(0) {
        return usage("--limit 0: at least one question is needed");
    }
    if args.shots_from.is_some() && args.few_shot == 0 {
        return usage("--shots-from without --few-shot: say how many examples");
    }
    if !(0.0..1.0).contains(&args.dev) {
        let dev = args.dev;
        return usage(format!(
            "--dev {dev}: a share of the questions, from 0 to less than 1"
        ));
    }
    Ok(())
}

/// Whether some question is read in this frame.
pub fn has(exams: &[Exam], frame: Frame) -> bool {
    let mut questions = exams.iter().flat_map(|exam| &exam.questions);
    questions.any(|question| {
        let is_chat = match &question.paper {
            Paper::Sheet(_) => false,
            Paper::Script(script) => script.framing == Framing::Chat,
        };
        is_chat == (frame == Frame::Chat)
    })
}

/// Sizes of the members' files.
pub fn sizes(pack: &PackPlan) -> Vec<u64> {
    let size = |member: &crate::settings::MemberPlan| std::fs::metadata(&member.path);
    let sizes = pack.members.iter().map(size);
    sizes
        .map(|found| found.map_or(0, |found| found.len()))
        .collect()
}

/// How many questions are decided at a time.
pub fn parallel(args: &EvalArgs) -> Result<u32> {
    match args.parallel {
        Some(several) if several > 1 && args.replay => usage(format!(
            "--replay and --parallel {several} do not go together: questions share batches, which \
             cannot be repeated for one of them; use --parallel 1"
        )),
        Some(given) => Ok(given),
        None if args.replay => Ok(1),
        None => Ok(PARALLEL),
    }
}

/// Reads all task files and lays their questions out. Nothing is loaded yet.
pub fn exams(app: &App, args: &EvalArgs) -> Result<Vec<Exam>> {
    let tasks = read(app, args)?;
    let given = match &args.shots_from {
        Some(file) => Some(pool(app, args, file)?),
        None => None,
    };
    tasks
        .into_iter()
        .map(|task| {
            let pool = match &given {
                _ if args.few_shot == 0 => Vec::new(),
                Some(pool) => pool.clone(),
                None if is_ours(args, &task) => whole_domain(&task.name),
                None => pool(app, args, &task.file)?,
            };
            let has_answers = pool
                .iter()
                .any(|question| question.ask.solution().is_some());
            if args.few_shot > 0 && !has_answers {
                app.dim(&format!(
                    "note: {}: no examples, as its questions have no answers to show",
                    task.name
                ));
                return lay_out(args, task, Shots::default());
            }
            lay_out(args, task, Shots::draw(pool, args.few_shot, args.seed()))
        })
        .collect()
}

/// All questions of a domain of ours.
fn whole_domain(name: &str) -> Vec<Question> {
    let domains = Suite::Full.tasks(None).into_iter();
    let mut found = domains.filter(|task| task.name == name);
    found.next().map_or(Vec::new(), |task| task.questions)
}

/// All questions that may serve as examples.
fn pool(app: &App, args: &EvalArgs, file: &std::path::Path) -> Result<Vec<Question>> {
    let task = Task::read(file, None)?;
    refuse(app, args, &task.faults)?;
    Ok(task.questions)
}

fn lay_out(args: &EvalArgs, task: Task, shots: Shots) -> Result<Exam> {
    let layout = Layout {
        separator: args.separator.clone(),
    };
    let framing = if args.raw {
        Framing::Raw
    } else {
        Framing::Chat
    };
    let limit = args.predict.map(|n| n as usize);
    let laid = |question: &Question| -> Result<Laid> {
        shots.check(question).map_err(|e| {
            let (file, line) = (task.file.display(), question.line);
            Usage(format!("{file}:{line}: {}", words(&e)))
        })?;
        Ok(Laid {
            line: question.line,
            query: question.query.clone(),
            ask: question.ask.clone(),
            paper: if question.ask.is_generated() {
                let script = Script::new(question, &shots, &layout, framing, limit);
                Paper::Script(script)
            } else {
                Paper::Sheet(layout.sheet(question, &shots))
            },
        })
    };
    Ok(Exam {
        questions: task.questions.iter().map(laid).collect::<Result<_>>()?,
        name: task.name,
        file: task.file,
        digest: task.digest,
        skipped: task.faults.len(),
    })
}

/// Whether a task is one of a suite, which has no file.
fn is_ours(args: &EvalArgs, task: &Task) -> bool {
    args.suite.is_some() && !args.tasks.contains(&task.file)
}

fn read(app: &App, args: &EvalArgs) -> Result<Vec<Task>> {
    let suite = args.suite.map(|suite| match suite {
        SuiteName::Quick => Suite::Quick,
        SuiteName::Full => Suite::Full,
    });
    let mut tasks = suite.map_or(Vec::new(), |suite| suite.tasks(args.limit));
    for file in &args.tasks {
        let mut task = Task::read(file, args.limit)?;
        if tasks.iter().any(|other| other.file == task.file) {
            return usage(format!("{}: given twice", file.display()));
        }
        if tasks.iter().any(|other| other.name == task.name) {
            task.name = file.display().to_string();
        }
        tasks.push(task);
    }
    let faults: Vec<Fault> = tasks.iter().flat_map(|t| t.faults.clone()).collect();
    refuse(app, args, &faults)?;
    Ok(tasks)
}

/// Fails if some lines are no questions, or says how many are left out.
fn refuse(app: &App, args: &EvalArgs, faults: &[Fault]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let n = faults.len();
    let mut text = format!("{} {} no question", counted(n, "line"), be(n));
    for fault in faults.iter().take(FAULTS_TOLD) {
        text += &format!("\n  {fault}");
    }
    if n > FAULTS_TOLD {
        text += &format!("\n  and {} more", n - FAULTS_TOLD);
    }
    if args.skip_bad {
        app.dim(&format!("note: {text}\n  (left out)"));
        return Ok(());
    }
    bail!("{text}\n  (--skip-bad leaves them out)")
}

/// Every member and the mixtures asked for.
pub fn judge(args: &EvalArgs, pack: &PackPlan) -> Result<Judge> {
    let known: Vec<(&str, Method)> = Method::named().collect();
    let members: Vec<String> = pack.members.iter().map(|m| m.name.clone()).collect();
    let mut methods: Vec<(String, Method)> = Vec::new();
    for name in &args.methods {
        if methods.iter().any(|(given, _)| given == name) {
            return usage(format!("--methods: {name} is given twice"));
        }
        // A comma parts methods, so that a plus parts weights.
        let method = Method::parse(&name.replace('+', ","), &members);
        match method {
            Ok(method) => methods.push((name.clone(), method)),
            Err(MethodError::UnknownMethod { .. }) => {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                return usage(format!(
                    "--methods: no method \"{name}\"; there are {names}, and NAME=WEIGHT+…"
                ));
            }
            Err(error) => return usage(format!("--methods: {error}")),
        }
    }
    if args.methods.is_empty() {
        methods = known
            .iter()
            .map(|(n, m)| ((*n).to_owned(), m.clone()))
            .collect();
    }
    if matches!(pack.fusion.method, Method::Given(_)) {
        methods.push(("given".into(), pack.fusion.method.clone()));
    }
    let mut judge = Judge::new(&members, methods, pack.fusion.clone());
    judge.score = match args.score {
        ScoreName::Mean => Score::Mean,
        ScoreName::Sum => Score::Sum,
        ScoreName::Token => Score::Token,
    };
    judge.per_option = args.as_published;
    judge.replay = args.replay;
    Ok(judge)
}
