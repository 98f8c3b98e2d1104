//! The commands that measure: weigh, score, eval, align, bench.

use super::parameters::{Drafting, Numbers, Reference, Seed, word};
use super::{Given, Loading, Packs, PromptArgs};
use clap::{Args, ValueEnum, value_parser};
use packllm_parameter::Vocab;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct WeighArgs {
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// With --raw: evaluate every likely token path instead of the text's own tokens alone (slow)
    #[arg(long, requires = "raw")]
    pub full: bool,
    #[command(flatten)]
    pub given: Given<Packs>,
    /// Print one JSON document
    #[arg(long, help_heading = None)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AlignArgs {
    /// The vocabulary to be covered: a GGUF file, with or without weights, or its name in the store
    #[arg(value_name = "REFERENCE")]
    pub reference: PathBuf,
    /// The vocabulary that is to cover it
    #[arg(value_name = "MEMBER")]
    pub member: PathBuf,
    /// Examples shown for each distance
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub examples: usize,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What a task file holds.
const EVAL_HELP: &str = "\
A task file has one JSON object a line; its fields say what it asks for:
  {\"query\": text, \"choices\": [text, …], \"gold\": index}     the likeliest of several options
  {\"query\": text, \"answer\": text, \"aliases\": [text, …]}    a text that contains an answer
  {\"question\": text, \"answer\": number}                     a text that ends with the number
  {\"context\": text, \"continuation\": text}                  the words that come next
  {\"query\": text, \"pattern\": regex, \"excludes\": regex}     a text of this form
  {\"prompt\": text, \"test\": text, \"entry_point\": name}      Python that passes check(), with --run-code";

#[derive(Debug, Args)]
#[command(
    after_help = EVAL_HELP,
    mut_arg("seed", |arg| arg.help("Seed of the draw of examples, and of the questions for --dev").help_heading(None).default_value("0"))
)]
pub struct EvalArgs {
    /// Files of questions
    #[arg(value_name = "TASK.jsonl")]
    pub tasks: Vec<PathBuf>,
    /// Questions of our own in ten domains, 30 (quick) or 100 (full) of each
    #[arg(long, value_enum)]
    pub suite: Option<SuiteName>,
    /// Put questions to a chat, by the members' templates (the default); options and words that come
    /// next are always judged as text
    #[arg(long, conflicts_with = "raw")]
    pub chat: bool,
    /// Put questions as plain text
    #[arg(long)]
    pub raw: bool,
    /// Most tokens of an answer [default: 80; 160 for a form, 256 for a number, 384 for code]
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub predict: Option<u32>,
    /// Run the Python that members write, confined: no network, no files, little time and memory
    #[arg(long)]
    pub run_code: bool,
    /// Share of each task by which the best member is chosen; it is compared on the rest. 0 chooses
    /// with hindsight
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    pub dev: f64,
    /// Let the best member answer so many times, and take the answer most like the others: what
    /// the pack's time could buy instead; 0 does not [default: by the sizes of the files]
    #[arg(long, value_name = "K", value_parser = value_parser!(u32).range(0..=64))]
    pub again: Option<u32>,
    /// Only the first questions of each file
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Solved examples before each question
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub few_shot: usize,
    /// Where the examples are drawn from [default: the task's own file]
    #[arg(long, value_name = "FILE", requires = "few_shot")]
    pub shots_from: Option<PathBuf>,
    #[command(flatten)]
    pub seed: Given<Seed>,
    /// Text between a question and its options [default: a space, unless white space is there]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub separator: Option<String>,
    /// What an option's log-probability is divided by: its bytes (mean), nothing, or its tokens
    #[arg(long, value_enum, default_value_t)]
    pub score: ScoreName,
    /// Ways to derive weights, or weights like one=0.7+other=0.3, separated by commas [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// As the published scorer: derive the weights for every option anew, and let `opt` give ties
    /// to the newcomer
    #[arg(long)]
    pub as_published: bool,
    /// Questions at a time, each in a conversation of its own; 1 repeats to the last digit, with
    /// more a pick can differ where the two best scores are within 5% of each other (these are
    /// counted as near ties) [default: 8; with --replay 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=25))]
    pub parallel: Option<u32>,
    /// Evaluate every batch a second time, and show what that alone takes
    #[arg(long)]
    pub replay: bool,
    /// Leave out lines that are no questions, and questions that do not fit, and say how many
    #[arg(long)]
    pub skip_bad: bool,
    /// Folder for a journal of the run, and for results.json, results.md and results.svg
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Go on with the run in --output
    #[arg(long, requires = "output")]
    pub resume: bool,
    #[command(flatten)]
    pub given: Given<Packs>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ScoreName {
    #[default]
    Mean,
    Sum,
    Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SuiteName {
    Quick,
    Full,
}

impl EvalArgs {
    /// Seed of the draw of examples.
    pub fn seed(&self) -> u64 {
        self.seed.seed.unwrap_or_default()
    }
}

#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Texts, taken as they are
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Share of each text that the weights come from; the rest is scored
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.5,
        allow_negative_numbers = true
    )]
    pub split: f64,
    /// Take only this much of each text, less what would cut a character
    #[arg(long, value_name = "N")]
    pub max_bytes: Option<usize>,
    /// Evaluate the text's own tokens alone instead of every likely token path (faster)
    #[arg(long)]
    pub chain: bool,
    #[command(flatten)]
    pub loading: Given<Loading>,
    /// Shared alphabets, separated by commas [default: auto]
    #[arg(
        long,
        help_heading = "Fusion",
        env = "PACKLLM_VOCAB",
        value_delimiter = ',',
        value_parser = word::<Vocab>()
    )]
    pub vocab: Vec<Vocab>,
    #[command(flatten)]
    pub reference: Given<Reference>,
    /// Ways to combine distributions, separated by commas [default: log]
    #[arg(
        long,
        help_heading = "Fusion",
        env = "PACKLLM_MIX",
        value_delimiter = ','
    )]
    pub mix: Vec<String>,
    /// Methods, separated by commas, or NAME=WEIGHT,…; repeat for several [default: every method]
    #[arg(long, help_heading = "Fusion", env = "PACKLLM_WEIGHTS")]
    pub weights: Vec<String>,
    #[command(flatten)]
    pub numbers: Given<Numbers>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub given: Given<Packs>,
    /// Take the prompt from a file instead of a built-in one of 120 tokens
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<std::path::PathBuf>,
    /// Tokens to generate
    #[arg(short = 'n', long, value_name = "N", default_value_t = 64)]
    pub predict: usize,
    #[command(flatten)]
    pub draft: Given<Drafting>,
    /// Pairs of a fused answer and its replay, and of answers with drafts and without
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub pairs: usize,
    /// Only time batches of each member where it runs now, and go by it from then on: how far to read
    /// ahead, which drafts are worth a try, how much of a prompt is read beside others' answers
    #[arg(long, conflicts_with_all = ["conversations", "file"])]
    pub tune: bool,
    /// Measure so many conversations at once as well
    #[arg(long, value_name = "N")]
    pub conversations: Option<usize>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
