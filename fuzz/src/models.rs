//! Model files, the whole way: our reader, then llama.cpp, in child processes that try many files
//! each. Where one ends, the file under trial is a find, and another process goes on behind it.

use crate::damage::{Chance, damage};
use crate::tiny::TinyModel;
use anyhow::{Context, Result, bail};
use packllm_engine::gguf::Header;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The hidden command of a child.
pub const CHILD: &str = "try-files";

/// Files of one child.
const BATCH: u64 = 200;

/// Without a word for this long, a child hangs. A file takes it some milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Memory of its own that a child may take for files of some hundred kilobytes: bytes.
const MEMORY: u64 = 256 << 20;

/// A good file, and its parts: those that decide most have the best chance to be damaged.
pub(crate) struct Seed {
    bytes: Vec<u8>,
    parts: Vec<Range<usize>>,
}

impl Seed {
    fn of(bytes: Vec<u8>, folder: &Path) -> Result<Seed> {
        let path = folder.join("seed.gguf");
        fs::write(&path, &bytes)?;
        let header = Header::read(&path)?;
        packllm_llama::try_file(&path)?;
        let tokens = header.array("tokenizer.ggml.tokens");
        let facts = 0..tokens.map_or(0, |tokens| tokens.offset as usize);
        let data = header.data_offset as usize;
        let shapes = data.saturating_sub(64 * header.tensors.len())..data;
        let parts = vec![
            facts.clone(),
            facts,
            shapes,
            0..data,
            0..data,
            0..bytes.len(),
        ];
        Ok(Seed { bytes, parts })
    }
}

/// What came of many files.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files by what was said of them: `loads`, `reader refuses`, `llama.cpp refuses`.
    pub counts: BTreeMap<String, u64>,
    /// Seeds of files that ended a child, with how.
    pub finds: Vec<(u64, String)>,
    /// Most memory that a child held: kilobytes.
    pub peak: u64,
}

/// Tries `files` damaged files, of this seed and those that follow. Finds are written to `finds`.
///
/// # Errors
/// A file or process that cannot be made; a child that took more memory than small files justify.
pub fn run(program: &Path, files: u64, seed: u64, finds: &Path) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let seeds = seeds(folder.path())?;
    let mut outcome = Outcome::default();
    for batch in (0..files).step_by(BATCH as usize) {
        let numbers = seed + batch..seed + (batch + BATCH).min(files);
        for number in numbers.clone() {
            fs::write(path_of(folder.path(), number), damaged(&seeds, number))?;
        }
        let mut next = numbers.start;
        while next < numbers.end {
            let ended = try_from(program, folder.path(), next..numbers.end, &mut outcome)?;
            let Some((number, how)) = ended else { break };
            fs::create_dir_all(finds)?;
            fs::copy(path_of(folder.path(), number), path_of(finds, number))?;
            outcome.finds.push((number, how));
            next = number + 1;
        }
        for number in numbers {
            fs::remove_file(path_of(folder.path(), number))?;
        }
    }
    if outcome.peak > MEMORY >> 10 {
        bail!("a child held {} kB", outcome.peak);
    }
    Ok(outcome)
}

/// Three architectures, each with both kinds of vocabulary, and a real model where there is one.
pub(crate) fn seeds(folder: &Path) -> Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for architecture in ["llama", "smollm3", "mistral3"] {
        for model in [TinyModel::spm(1), TinyModel::bpe(2)] {
            let model = model.with_architecture(architecture).with_context(256);
            let seed = Seed::of(model.bytes(), folder).context(architecture);
            seeds.push(seed?);
        }
    }
    let real = std::env::var_os("PACKLLM_FUZZ_MODEL").map(PathBuf::from);
    if let Some(path) = real {
        seeds.push(Seed::of(fs::read(path)?, folder)?);
    }
    Ok(seeds)
}

pub(crate) fn damaged(seeds: &[Seed], number: u64) -> Vec<u8> {
    let mut chance = Chance::new(number);
    let seed = &seeds[chance.below(seeds.len())];
    let mut bytes = seed.bytes.clone();
    damage(&mut bytes, &seed.parts, &mut chance);
    bytes
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.gguf"))
}

/// Tries files in one child; the one that ended it, if one did.
fn try_from(
    program: &Path,
    folder: &Path,
    numbers: Range<u64>,
    outcome: &mut Outcome,
) -> Result<Option<(u64, String)>> {
    let mut child = Command::new(program)
        .arg(CHILD)
        .arg(folder)
        .args([numbers.start.to_string(), numbers.end.to_string()])
        .env("GGML_NO_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let words = words_of(&mut child);
    let errors = child.stderr.take();
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut errors) = errors {
            let _ = errors.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut now = numbers.start;
    loop {
        match words.recv_timeout(PATIENCE) {
            Ok(line) => match line.split_once(' ') {
                Some(("begin", number)) => now = number.parse()?,
                Some(("peak", kilobytes)) => outcome.peak = outcome.peak.max(kilobytes.parse()?),
                Some(("end", what)) => *outcome.counts.entry(what.to_owned()).or_default() += 1,
                _ => bail!("a child says {line:?}"),
            },
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                return Ok(Some((now, "hangs".to_owned())));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait()?;
    let errors = errors.join().unwrap_or_default();
    if status.success() {
        return Ok(None);
    }
    let telling = |line: &&str| line.contains("GGML_") || line.contains("what():");
    let said = errors.lines().find(telling).unwrap_or_default();
    let said = said.rsplit('/').next().unwrap_or_default();
    Ok(Some((now, format!("{status} {}", said.trim()))))
}

/// The lines of a child, as they come.
fn words_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// A child: tries the files of `numbers` in `folder`, and says so line by line.
///
/// # Errors
/// Nobody who listens.
pub fn try_files(folder: &Path, numbers: Range<u64>, say: &mut dyn FnMut(&str)) {
    limit();
    for number in numbers {
        say(&format!("begin {number}"));
        let path = path_of(folder, number);
        let ours = Header::read(&path).is_ok_and(|header| header.member().is_ok());
        let what = match (ours, packllm_llama::try_file(&path)) {
            (_, Ok(())) => "loads",
            (false, Err(_)) => "reader refuses",
            (true, Err(_)) => "llama.cpp refuses",
        };
        say(&format!("end {what}"));
    }
    say(&format!("peak {}", peak()));
}

fn limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        for (resource, most) in [(Resource::Data, MEMORY), (Resource::Core, 0)] {
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(most),
            };
            let _ = setrlimit(resource, limit);
        }
    }
}

/// Most memory that this process held, where the system says it: kilobytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
