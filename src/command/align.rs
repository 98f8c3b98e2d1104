//! `packllm align`: how far one vocabulary covers another, token by token.

use crate::app::App;
use crate::cli::AlignArgs;
use crate::command::table::Table;
use crate::report::Unusable;
use crate::settings::Fetcher;
use anyhow::{Context, Result};
use packllm_engine::backend::{Token, Vocab};
use packllm_engine::gguf::Header;
use packllm_engine::vocab::mapped::{Link, Map};
use packllm_store::Source;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Longest piece that is shown in full: characters.
const SHOWN: usize = 24;

/// Two vocabularies and the map from the first to the second.
struct Alignment {
    files: [PathBuf; 2],
    reference: Vocab,
    member: Vocab,
    map: Map,
    /// Whether the map came from the store.
    found: bool,
    time: Duration,
}

pub fn run(app: &App, args: &AlignArgs) -> Result<ExitCode> {
    let files = [resolve(app, &args.reference)?, resolve(app, &args.member)?];
    let (reference, member) = (read(&files[0])?, read(&files[1])?);
    let start = Instant::now();
    let kept = app.map(&reference, &member)?;
    let alignment = Alignment {
        files,
        reference,
        member,
        map: kept.map,
        found: kept.found,
        time: start.elapsed(),
    };
    let classes = Classes::of(&alignment.map);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", classes.document(&alignment, args.examples))?;
    } else {
        classes.write(&mut out, &alignment, args.examples)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A file, or a model of the store.
fn resolve(app: &App, file: &Path) -> Result<PathBuf> {
    if let Some(source) = Source::named(&file.to_string_lossy())? {
        let fetched = app.fetch(&[source], false)?.pop();
        return fetched.map(|model| model.path).context("no model");
    }
    let in_store = match file.to_str() {
        Some(name) if !file.exists() => app.store.find(name)?,
        _ => None,
    };
    Ok(in_store.unwrap_or_else(|| file.to_path_buf()))
}

/// The vocabulary of a file, which may be without weights.
fn read(path: &Path) -> Result<Vocab> {
    let vocabulary = Header::read(path).and_then(|header| header.vocabulary());
    vocabulary
        .map_err(|error| anyhow::Error::from(Unusable::from(error)))
        .with_context(|| path.display().to_string())
}

/// The reference's tokens by how they were mapped, in the order of their ids.
#[derive(Default)]
struct Classes {
    equal: usize,
    /// By edit distance.
    near: BTreeMap<u32, Vec<Token>>,
    unreachable: Vec<Token>,
}

impl Classes {
    fn of(map: &Map) -> Self {
        let mut classes = Self::default();
        for token in 0..map.len() as Token {
            match map.link(token) {
                Link::Equal(_) => classes.equal += 1,
                Link::Near(_, distance) => classes.near.entry(distance).or_default().push(token),
                Link::Unreachable => classes.unreachable.push(token),
            }
        }
        classes
    }

    fn near(&self) -> usize {
        self.near.values().map(Vec::len).sum()
    }

    /// The tokens mapped by edit distance; the larger distances are counted together.
    fn ranges(&self) -> Vec<(String, Vec<Token>)> {
        let one = |distance: u32| (format!("  {distance}"), distance..=distance);
        let rest = [("  9 to 16", 9..=16), ("  over 16", 17..=u32::MAX)];
        let rest = rest.map(|(title, range)| (title.to_owned(), range));
        let tokens = |range| self.near.range(range).flat_map(|(_, t)| t.iter().copied());
        (1..=8)
            .map(one)
            .chain(rest)
            .map(|(title, range)| (title, tokens(range).collect::<Vec<Token>>()))
            .filter(|(_, tokens)| !tokens.is_empty())
            .collect()
    }

    fn write(&self, out: &mut impl Write, of: &Alignment, examples: usize) -> Result<()> {
        let all = of.map.len();
        let [reference, member] = [&of.files[0], &of.files[1]].map(|file| file.display());
        writeln!(out, "{reference}: {all} tokens")?;
        writeln!(out, "{member}: {} tokens", of.member.len())?;
        writeln!(out)?;
        let share = |n: usize| format!("{:.2}%", 100.0 * n as f64 / all.max(1) as f64);
        let mut table = Table::new(&["IN THE SECOND", "TOKENS", "SHARE", "EXAMPLES"], &[1, 2]);
        let mut row = |title: String, n: usize, examples: Vec<String>| {
            table.row([title, n.to_string(), share(n), examples.join("  ")]);
        };
        row("equal".into(), self.equal, Vec::new());
        row("by distance".into(), self.near(), Vec::new());
        for (title, tokens) in self.ranges() {
            let pair = |&token: &Token| {
                let own = of.map.token(token).map(|own| shown(of.member.piece(own)));
                let own = own.unwrap_or_default();
                format!("{} → {own}", shown(of.reference.piece(token)))
            };
            let examples = spread(&tokens, examples).map(pair).collect();
            row(title, tokens.len(), examples);
        }
        let names = spread(&self.unreachable, examples)
            .map(|&token| shown(of.reference.piece(token)))
            .collect();
        row("unreachable".into(), self.unreachable.len(), names);
        table.write(out)?;
        let how = if of.found {
            "from the store"
        } else {
            "aligned"
        };
        writeln!(out, "\n{how} in {:.2} s", of.time.as_secs_f64())?;
        Ok(())
    }

    fn document(&self, of: &Alignment, examples: usize) -> Value {
        let example = |&token: &Token| {
            let own = of.map.token(token);
            json!({
                "id": token,
                "piece": lossy(of.reference.piece(token)),
                "member_id": own,
                "member_piece": own.map(|own| lossy(of.member.piece(own))),
            })
        };
        let distances = self.near.iter().map(|(distance, tokens)| {
            json!({
                "distance": distance,
                "tokens": tokens.len(),
                "examples": spread(tokens, examples).map(example).collect::<Vec<Value>>(),
            })
        });
        json!({
            "reference": { "file": of.files[0], "tokens": of.reference.len() },
            "member": { "file": of.files[1], "tokens": of.member.len() },
            "equal": self.equal,
            "near": self.near(),
            "unreachable": self.unreachable.len(),
            "distances": distances.collect::<Vec<Value>>(),
            "unreachable_examples": spread(&self.unreachable, examples)
                .map(example)
                .collect::<Vec<Value>>(),
            "cached": of.found,
            "seconds": of.time.as_secs_f64(),
        })
    }
}

/// `n` of the tokens, spread evenly over all.
fn spread(tokens: &[Token], n: usize) -> impl Iterator<Item = &Token> {
    let n = n.min(tokens.len());
    (0..n).map(move |i| &tokens[(2 * i + 1) * tokens.len() / (2 * n)])
}

/// A piece as it is printed: quoted, on one line, not too long.
fn shown(piece: &[u8]) -> String {
    let text = lossy(piece);
    let start: String = text.chars().take(SHOWN).collect();
    let rest = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{rest}")
}

fn lossy(piece: &[u8]) -> String {
    String::from_utf8_lossy(piece).into_owned()
}
