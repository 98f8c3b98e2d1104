//! Mapped alphabet: which vocabulary is the reference, and the maps of the members to it.

use super::{Conversation, Host, Note, PackError, Progress};
use crate::backend::tokenizer_json::TokenizerJson;
use crate::backend::{MemberInfo, Vocab};
use crate::engine::{Lockstep, Prompt, lowest};
use crate::vocab::mapped::Map;
use crate::vocab::{Alphabet, identical};
use std::path::PathBuf;
use std::sync::Arc;

/// A reference by choice.
#[derive(Debug, Clone)]
pub enum Reference {
    /// This member.
    Member(usize),
    /// A tokenizer.json, read from this file.
    File(PathBuf, Arc<TokenizerJson>),
}

/// Makes what was chosen the reference of these conversations with one pack, and tells the host.
///
/// # Errors
/// From the host's maps, or a member.
pub fn refer_to(
    conversations: &mut [Lockstep],
    reference: &Reference,
    host: &mut dyn Host,
) -> Result<(), PackError> {
    let Some(first) = conversations.first() else {
        return Ok(());
    };
    let members = first.members().to_vec();
    match reference {
        Reference::Member(k) => {
            let maps = maps_to(&members, *k, host)?;
            for conversation in conversations {
                conversation.refer_to(*k, &maps)?;
            }
            let member = members[*k].name.clone();
            host.note(Note::ReferenceChosen { member });
        }
        Reference::File(path, tokenizer) => {
            let maps = members.iter();
            let maps = maps.map(|member| map_to(tokenizer.vocab(), member, host));
            let maps: Vec<_> = maps.collect::<Result<_, _>>()?;
            for conversation in conversations {
                conversation.refer_to_file(Arc::clone(tokenizer), &maps)?;
            }
            host.note(Note::ReferenceFile { path: path.clone() });
            if tokenizer.vocab().ends().next().is_none() {
                host.note(Note::ReferenceEndless { path: path.clone() });
            }
        }
    }
    Ok(())
}

/// The maps of all members to the vocabulary of member `reference`, which needs none itself.
///
/// # Errors
/// [`PackError::Map`].
pub fn maps_to(
    members: &[MemberInfo],
    reference: usize,
    host: &mut dyn Host,
) -> Result<Vec<Option<Arc<Map>>>, PackError> {
    let vocab = &members[reference].vocab;
    let map = |(k, member): (usize, &MemberInfo)| match k == reference {
        true => Ok(None),
        false => map_to(vocab, member, host),
    };
    members.iter().enumerate().map(map).collect()
}

/// None for a member of this very vocabulary. A map would join its byte fallbacks to the normal
/// tokens of the same bytes.
fn map_to(
    reference: &Vocab,
    member: &MemberInfo,
    host: &mut dyn Host,
) -> Result<Option<Arc<Map>>, PackError> {
    if identical(reference, &member.vocab) {
        return Ok(None);
    }
    match host.map(reference, &member.vocab) {
        Ok(map) => Ok(Some(Arc::new(map))),
        Err(source) => Err(PackError::Map {
            member: member.name.clone(),
            source,
        }),
    }
}

impl Conversation {
    /// Whether the first prompt is to decide which vocabulary is the reference.
    pub(super) fn needs_reference(&self) -> bool {
        self.lockstep.alphabet() == Alphabet::Mapped && !self.lockstep.has_reference()
    }

    /// Mapped alphabet: makes the chosen vocabulary the reference, if there is none yet. Where none
    /// was chosen these prompts decide, as published: it is the vocabulary of the member with the
    /// lowest loss per token of its own.
    ///
    /// # Errors
    /// From a member, or the host's maps.
    pub fn refer(&mut self, prompts: &[Prompt], host: &mut dyn Host) -> Result<(), PackError> {
        if !self.needs_reference() {
            return Ok(());
        }
        if let Some(reference) = &self.reference {
            return refer_to(std::slice::from_mut(&mut self.lockstep), reference, host);
        }
        host.progress(Progress::Measuring);
        let losses = self.lockstep.losses_per_token(prompts.to_vec());
        host.progress(Progress::Done);
        let losses = losses?;
        let best = lowest(&losses);
        let maps = maps_to(self.lockstep.members(), best, host)?;
        self.lockstep.refer_to(best, &maps)?;
        host.note(Note::ReferenceMeasured {
            member: self.name(best),
            losses: self.lockstep.names().into_iter().zip(losses).collect(),
        });
        Ok(())
    }
}
