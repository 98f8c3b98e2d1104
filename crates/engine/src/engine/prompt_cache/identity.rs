//! What a cached prompt belongs to: the models, and all settings that shape the KV cache or the
//! scores.

use crate::digest::hex;
use crate::engine::{Lockstep, ScoreRequest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes from the beginning of a model file that are hashed: its header, but for the largest
/// vocabularies.
const HEAD: u64 = 8 << 20;
/// Samples of the rest.
const SAMPLES: u64 = 64;
/// Bytes of each.
const SAMPLE: u64 = 64 << 10;

/// What a cached prompt belongs to. Equal identities mean equal KV caches and scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Versions of packllm and of llama.cpp.
    pub program: String,
    /// The members, in order.
    pub members: Vec<Kin>,
    /// How the prompt was scored.
    pub scoring: String,
}

/// One member of an [`Identity`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kin {
    /// Its name.
    pub name: String,
    /// By [`fingerprint`].
    pub model: String,
    /// How it was loaded.
    pub settings: String,
}

/// Where a member's model lies, and how it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The model file.
    pub path: PathBuf,
    /// Everything that shapes what it evaluates, but for the context: batches, devices and, in long
    /// prompts, threads decide how sums round.
    pub settings: String,
}

impl Identity {
    /// The identity of a loaded pack; `backend` is the version of what evaluates, and `loaded` says
    /// where each member comes from.
    ///
    /// # Errors
    /// From reading the model files.
    pub fn of(
        engine: &Lockstep,
        backend: &str,
        loaded: &[Loaded],
        request: ScoreRequest,
    ) -> std::io::Result<Self> {
        let members = engine.members().iter().zip(loaded).map(|(member, load)| {
            Ok(Kin {
                name: member.name.clone(),
                model: fingerprint(&load.path)?,
                // The context decides how some models scale positions.
                settings: format!("context {}, {}", member.limits.context, load.settings),
            })
        });
        let budget = engine.fusion().budget;
        Ok(Self {
            program: format!("packllm {}, {backend}", env!("CARGO_PKG_VERSION")),
            members: members.collect::<std::io::Result<_>>()?,
            scoring: format!(
                "vocab {}, epsilon {}, heads {}, scores {}, rows {}",
                engine.alphabet().name(),
                budget.epsilon,
                budget.hypotheses,
                request.scores,
                request.rows
            ),
        })
    }

    /// How `other` differs, for people: the first difference.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.program != other.program {
            return Some(format!("of another version ({})", other.program));
        }
        let models =
            |of: &Self| -> Vec<String> { of.members.iter().map(|m| m.model.clone()).collect() };
        if models(self) != models(other) {
            let names: Vec<&str> = other.members.iter().map(|m| m.name.as_str()).collect();
            return Some(format!("of other models ({})", names.join(" + ")));
        }
        let mut pairs = self.members.iter().zip(&other.members);
        if let Some((mine, theirs)) = pairs.find(|(a, b)| a.settings != b.settings) {
            let (name, settings) = (&mine.name, &theirs.settings);
            return Some(format!("of other settings ({name}: {settings})"));
        }
        (self.scoring != other.scoring).then(|| format!("of other settings ({})", other.scoring))
    }
}

/// SHA-256 of a model file's size, its first 8 MiB and samples spread over the rest: hexadecimal.
/// To hash all of it would take longer than to read a prompt.
///
/// # Errors
/// From reading the file.
pub fn fingerprint(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hasher = Sha256::new_with_prefix(size.to_le_bytes());
    let mut buffer = Vec::new();
    let mut hash = |from: u64, bytes: u64| -> std::io::Result<()> {
        file.seek(SeekFrom::Start(from))?;
        buffer.clear();
        (&mut file).take(bytes).read_to_end(&mut buffer)?;
        hasher.update(&buffer);
        Ok(())
    };
    hash(0, HEAD)?;
    let rest = size.saturating_sub(HEAD);
    for i in 1..=SAMPLES {
        // The last one ends where the file does.
        let end = HEAD
            + u64::try_from(u128::from(rest) * u128::from(i) / u128::from(SAMPLES)).unwrap_or(rest);
        hash(end.saturating_sub(SAMPLE).max(HEAD), SAMPLE.min(rest))?;
    }
    Ok(hex(hasher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_byte_or_another_size_is_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        let mut bytes: Vec<u8> = (0..9_000_000u32).map(|i| (i % 251) as u8).collect();
        let print = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            fingerprint(&path).unwrap()
        };
        let plain = print(&bytes);
        assert_eq!(plain, print(&bytes));
        assert_ne!(plain, print(&bytes[..bytes.len() - 1]));
        assert_eq!(print(b"").len(), 64);
        for at in [0, 5_000_000, 8_999_999] {
            bytes[at] ^= 1;
            assert_ne!(plain, print(&bytes), "byte {at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        let kin = |name: &str| Kin {
            name: name.into(),
            model: name.into(),
            settings: "cache F16 F16".into(),
        };
        let mine = Identity {
            program: "packllm 1".into(),
            members: vec![kin("a"), kin("b")],
            scoring: "rows true".into(),
        };
        let with = |change: &dyn Fn(&mut Identity)| {
            let mut theirs = mine.clone();
            change(&mut theirs);
            mine.difference(&theirs)
        };
        assert_eq!(with(&|_| {}), None);
        let says = |change: &dyn Fn(&mut Identity), part: &str| {
            let said = with(change).unwrap();
            assert!(said.contains(part), "{said}");
        };
        says(&|i| i.program = "packllm 2".into(), "version (packllm 2)");
        says(&|i| i.members.swap(0, 1), "other models (b + a)");
        says(&|i| i.members.truncate(1), "other models (a)");
        says(
            &|i| i.members[1].settings = "cache Q4_0 F16".into(),
            "b: cache Q4_0",
        );
        says(&|i| i.scoring = "rows false".into(), "rows false");
    }
}
