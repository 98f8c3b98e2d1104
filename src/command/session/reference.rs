//! Mined alphabet: which vocabulary is the reference, and the maps of the members to it.

use super::Session;
use crate::app::App;
use crate::settings::Reference;
use anyhow::Result;
use packllm_engine::backend::Vocab;
use packllm_engine::backend::tokenizer_json::TokenizerJson;
use packllm_engine::engine::{Engine, MemberInfo, Prompt, lowest};
use packllm_engine::vocab::mapped::Map;
use packllm_engine::vocab::{Alphabet, identical};
use std::sync::Arc;

/// Makes what `--reference` names the reference; returns what a user should know of it.
pub fn refer_to(app: &App, engine: &mut Engine, reference: &Reference) -> Result<Vec<String>> {
    let members = engine.members().to_vec();
    match reference {
        Reference::Member(k) => {
            engine.refer_to(*k, &maps_to(app, &members, *k)?)?;
            let name = &members[*k].name;
            Ok(vec![format!("the vocabulary of {name} is the reference")])
        }
        Reference::File(path, tokenizer) => {
            let map = |member: &MemberInfo| map_to(app, tokenizer.vocab(), member);
            let maps: Vec<_> = members.iter().map(map).collect::<Result<_>>()?;
            engine.refer_to_file(Arc::clone(tokenizer), &maps)?;
            let path = path.display();
            let mut notes = vec![format!("the vocabulary of {path} is the reference")];
            if tokenizer.vocab().ends().next().is_none() {
                let names = TokenizerJson::end_names().join(" ");
                notes.push(format!(
                    "{path}: none of its special tokens is known to end an answer (known are {names})"
                ));
            }
            Ok(notes)
        }
    }
}

/// The maps of all members to the vocabulary of member `reference`, which needs none itself.
pub fn maps_to(
    app: &App,
    members: &[MemberInfo],
    reference: usize,
) -> Result<Vec<Option<Arc<Map>>>> {
    let vocab = &members[reference].vocab;
    let map = |(k, member): (usize, &MemberInfo)| match k == reference {
        true => Ok(None),
        false => map_to(app, vocab, member),
    };
    members.iter().enumerate().map(map).collect()
}

/// None for a member of this very vocabulary. A map would join its byte fallbacks to the normal tokens of
/// the same bytes.
fn map_to(app: &App, reference: &Vocab, member: &MemberInfo) -> Result<Option<Arc<Map>>> {
    if identical(reference, &member.vocab) {
        return Ok(None);
    }
    Ok(Some(Arc::new(app.map(reference, &member.vocab)?.map)))
}

impl Session<'_> {
    /// Whether the first prompt is to decide which vocabulary is the reference.
    pub(super) fn needs_reference(&self) -> bool {
        self.engine.alphabet() == Alphabet::Mapped && !self.engine.has_reference()
    }

    /// Mined alphabet: the first prompt decides which member's vocabulary it is, as published the one with
    /// the lowest loss per token of its own.
    pub fn refer(&mut self, prompts: &[Prompt]) -> Result<()> {
        if !self.needs_reference() {
            return Ok(());
        }
        if let Some(reference) = &self.reference {
            for note in refer_to(self.app, &mut self.engine, reference)? {
                self.note(note);
            }
            return Ok(());
        }
        let spinner = self.app.spinner("measuring the members");
        let losses = self.engine.losses_per_token(prompts.to_vec());
        spinner.finish_and_clear();
        let losses = losses?;
        let best = lowest(&losses);
        let members = self.engine.members().to_vec();
        let maps = maps_to(self.app, &members, best)?;
        self.engine.refer_to(best, &maps)?;
        let measured = members.iter().zip(&losses);
        let measured: Vec<String> = measured
            .map(|(member, loss)| match loss.is_nan() {
                true => format!("{} not measured", member.name),
                false => format!("{} {loss:.3}", member.name),
            })
            .collect();
        self.note(format!(
            "the vocabulary of {} is the reference (nats per own token: {})",
            members[best].name,
            measured.join(", ")
        ));
        Ok(())
    }
}
