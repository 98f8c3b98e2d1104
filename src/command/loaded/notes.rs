//! The notes of a pack, as lines.

use crate::plural::counted;
use indicatif::HumanBytes;
use packllm_engine::backend::tokenizer_json::TokenizerJson;
use packllm_engine::pack::{CacheNote, Note};

/// That the others go on after a member was lost.
pub fn going_on(what: &str) -> String {
    format!("{what}; the others go on")
}

/// The line of a note.
pub fn line(note: &Note) -> String {
    match note {
        Note::NoTemplate { member } => format!(
            "{member} has no chat template: it reads the conversation as plain paragraphs (User:, Assistant:)"
        ),
        Note::LeftOut { member } => format!(
            "{member} has no chat template: it is left out of chats (--weights exact lets it speak)"
        ),
        Note::NobodyEnds { raw: true } => {
            "no member has an end token: the text ends by -n, --stop or a full context".into()
        }
        Note::NobodyEnds { raw: false } => {
            "no member has a token that ends a turn: it ends where the next `User:` or `Assistant:` would begin, or by -n or --stop".into()
        }
        Note::SystemFolded { member } => format!(
            "{member}: its template takes no system prompt; it stands before the user's first message"
        ),
        Note::Hidden { member } => format!(
            "{member}: its template changes or hides a message; its perplexity is measured under the plain template"
        ),
        Note::LostBytes {
            member,
            bytes,
            first,
        } => format!(
            "{member} has no token for {} of the text (first: 0x{first:02x}) and reads it without",
            counted(*bytes, "byte")
        ),
        Note::Lost(error) => going_on(&crate::hints::words(error)),
        Note::NoEvidence => {
            "there is no text to measure the members on: all weights are equal".into()
        }
        Note::ReferenceChosen { member } => {
            format!("the vocabulary of {member} is the reference")
        }
        Note::ReferenceFile { path } => {
            format!("the vocabulary of {} is the reference", path.display())
        }
        Note::ReferenceEndless { path } => format!(
            "{}: none of its special tokens is known to end an answer (known are {})",
            path.display(),
            TokenizerJson::end_names().join(" ")
        ),
        Note::ReferenceMeasured { member, losses } => format!(
            "the vocabulary of {member} is the reference (nats per own token: {})",
            measured(losses)
        ),
        Note::PromptCache {
            path,
            what: CacheNote::Written { tokens, bytes },
        } => format!(
            "a prompt of {tokens} tok is kept in {} ({})",
            path.display(),
            HumanBytes(*bytes)
        ),
        Note::PromptCache { path, what } => {
            format!("--prompt-cache {}: {}", path.display(), trouble(what))
        }
        note => format!("{note:?}"),
    }
}

/// `smollm2 2.013, gemma3 not measured`
fn measured(losses: &[(String, f64)]) -> String {
    let measured = losses.iter().map(|(member, loss)| match loss.is_nan() {
        true => format!("{member} not measured"),
        false => format!("{member} {loss:.3}"),
    });
    measured.collect::<Vec<String>>().join(", ")
}

fn trouble(what: &CacheNote) -> String {
    match what {
        CacheNote::ReadApart => {
            "a member is measured on a prompt of its own: it is not used".into()
        }
        CacheNote::ModelFile(error) => format!("not used: a model file: {error}"),
        CacheNote::LeftAlone(bad) => format!("{bad}: it is left alone, and no prompt is kept"),
        CacheNote::Outdated(bad) => format!("{bad}: it is written anew"),
        CacheNote::NotRestored(error) => format!("{error}: it is written anew"),
        CacheNote::NothingToKeep => {
            "nothing is kept: it keeps the messages before the last (a system prompt, say)".into()
        }
        CacheNote::NotSaved(error) => format!("not written: {error}"),
        CacheNote::NotWritten(error) => format!("not written: {error}"),
        CacheNote::Written { .. } => "it is written".into(),
        note => format!("{note:?}"),
    }
}
