//! Which models on disk would make a pack: of like strength, of different families, together within
//! the memory. A pack gains from members that know different things, and nothing from one that is
//! far weaker than another.

use crate::app::App;
use crate::command::facts;
use packllm_engine::gguf::{Footprint, Plan, Summary};
use packllm_store::import::Found;
use packllm_store::{Source, Store};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Most by which the parameters of members may differ, as a ratio.
const LIKE: f64 = 2.2;

/// Share of the free memory that may be taken.
const SHARE: f64 = 0.9;

/// A model on disk that can be a member.
#[derive(Debug)]
pub struct Candidate {
    /// As `-m` takes it.
    pub model: String,
    pub size: u64,
    /// What it takes with its context: bytes.
    pub memory: u64,
    pub summary: Summary,
}

/// Every usable model of the store and of the caches, the largest first.
pub fn candidates(app: &App, context: u32) -> Vec<Candidate> {
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut found = Vec::new();
    let own = app.store.list().unwrap_or_default().into_iter();
    let own = own.filter(|one| one.present);
    let own = own.map(|one| (one.model.file, one.path));
    let others = app.store.caches().scan().into_iter();
    let others = others.map(|one| (named(&app.store, &one), one.path));
    for (model, path) in own.chain(others) {
        let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if seen.insert(real) {
            found.extend(candidate(model, &path, context));
        }
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.summary.parameters));
    found
}

fn candidate(model: String, path: &Path, context: u32) -> Option<Candidate> {
    let (header, summary) = facts::read(path).ok()?;
    let context = facts::context(None, &summary)
        .unwrap_or(context)
        .min(context);
    let plan = Plan {
        context,
        ..Plan::default()
    };
    Some(Candidate {
        model,
        size: header.file_bytes,
        memory: Footprint::of(&header, &plan).total(),
        summary,
    })
}

/// How a manifest names a file of another program, so that it is found on other machines, too.
fn named(store: &Store, found: &Found) -> String {
    let path = found.path.to_string_lossy().into_owned();
    let name = match found.origin.split_once(':') {
        Some(("hf", repo)) => found.path.ancestors().find_map(|snapshot| {
            let commit = snapshot.file_name()?.to_str()?;
            let folder = snapshot.parent()?.file_name()?;
            let file = found.path.strip_prefix(snapshot).ok()?.to_str()?;
            (folder == "snapshots").then(|| format!("hf:{repo}@{commit}/{file}"))
        }),
        Some(("lmstudio", repo)) => Some(format!("lmstudio:{repo}/{}", found.file)),
        Some(("ollama", _)) => Some(found.origin.clone()),
        _ => None,
    };
    let there = |name: &String| {
        let source = Source::named(name).ok().flatten();
        source.is_some_and(|source| matches!(store.on_disk(&source), Ok(Some(_))))
    };
    name.filter(there).unwrap_or(path)
}

/// The members to propose, by their numbers: of all pairs that fit, the one whose weaker model is
/// strongest; else the strongest model alone that fits. None if nothing does.
pub fn propose(found: &[Candidate], room: Option<u64>) -> Vec<usize> {
    let room = room.map_or(u64::MAX, |room| (room as f64 * SHARE) as u64);
    let fits = |members: &[usize]| {
        let members = members.iter().filter_map(|&index| found.get(index));
        members.map(|one| one.memory).fold(0, u64::saturating_add) <= room
    };
    let talks = |one: &Candidate| one.summary.has_chat_template;
    let pairs = found.iter().enumerate().flat_map(|(index, one)| {
        let others = found.iter().enumerate().skip(index + 1);
        others.map(move |(other_index, other)| (index, one, other_index, other))
    });
    let good = pairs.filter(|&(i, one, j, other)| {
        let (a, b) = (
            one.summary.parameters as f64,
            other.summary.parameters as f64,
        );
        a.max(b) <= a.min(b) * LIKE && family(one) != family(other) && fits(&[i, j])
    });
    let best = good.max_by_key(|(_, one, _, other)| {
        let (a, b) = (one.summary.parameters, other.summary.parameters);
        // A base model can be a member; two that talk are better.
        (talks(one) && talks(other), a.min(b), a.max(b))
    });
    match best {
        Some((i, _, j, _)) => vec![i, j],
        None => (0..found.len())
            .find(|&index| fits(&[index]))
            .into_iter()
            .collect(),
    }
}

/// Models of one family have learnt much the same: the same network, the same vocabulary.
fn family(one: &Candidate) -> (&str, Option<&str>, u64) {
    let summary = &one.summary;
    let pre = summary.pre_tokenizer.as_deref();
    (&summary.architecture, pre, summary.vocab_size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use packllm_engine::gguf::Family;

    fn model(name: &str, architecture: &str, parameters: u64, template: bool) -> Candidate {
        Candidate {
            model: name.to_owned(),
            size: parameters,
            memory: parameters,
            summary: Summary {
                architecture: architecture.to_owned(),
                family: Family::of(architecture),
                name: None,
                quantisation: String::new(),
                parameters,
                weight_bytes: 0,
                layers: 1,
                train_context: 1,
                embedding: 1,
                heads: Vec::new(),
                kv_heads: Vec::new(),
                key_length: 1,
                value_length: 1,
                feed_forward: 1,
                sliding_window: None,
                vocab_size: 1,
                tokenizer: None,
                pre_tokenizer: None,
                has_chat_template: template,
            },
        }
    }

    #[test]
    fn members_are_alike_in_strength_different_in_family_and_fit() {
        let all = [
            model("a", "llama", 8000, true),
            model("b", "qwen2", 7000, true),
            model("c", "llama", 7000, true),
            model("d", "gemma3", 1000, true),
            model("e", "qwen2", 900, true),
            model("f", "llama", 950, false),
        ];
        assert_eq!(propose(&all, None), [0, 1]);
        assert_eq!(propose(&all, Some(5_000)), [3, 4]);
        assert_eq!(propose(&all[..1], Some(10_000)), [0]);
        assert_eq!(propose(&[], None), [0; 0]);
        assert_eq!(propose(&all, Some(1_000)), [4], "one alone");
        assert_eq!(
            propose(&all[4..], None),
            [0, 1],
            "a base model is a member, too"
        );
        assert_eq!(propose(&all, Some(10)), [0; 0]);
    }
}
