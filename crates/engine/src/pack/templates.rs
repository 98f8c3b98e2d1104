//! The templates of a pack's members: the same for all conversations.

use super::{Host, Note, PackOptions};
use crate::backend::MemberInfo;
use crate::chat::speaker::end_markers;
use crate::chat::{SpeakerError, Speakers};
use crate::weight::Method;

/// See the module.
#[derive(Clone)]
pub(super) struct Templates {
    /// Empty if only plain text is read.
    pub speakers: Speakers,
    raw: bool,
    /// Which members can end a turn by their template, or a text by a token.
    can_end: Vec<bool>,
}

impl Templates {
    pub fn new(members: &[MemberInfo], options: &PackOptions) -> Result<Self, SpeakerError> {
        let raw = options.raw;
        let speakers = match raw {
            true => Speakers::default(),
            false => Speakers::new(members, &options.templates)?,
        };
        let can_end = match raw {
            true => members.iter().map(MemberInfo::has_end).collect(),
            false => speakers.can_end(members),
        };
        Ok(Self {
            speakers,
            raw,
            can_end,
        })
    }

    /// Tells the host what it should know of the templates before anything is read.
    pub fn introduce(&self, method: &Method, host: &mut dyn Host) {
        let plain = self.speakers.plain();
        let left_out = *method == Method::Auto && plain.len() < self.can_end.len();
        for member in plain {
            let member = member.to_owned();
            host.note(match left_out {
                true => Note::LeftOut { member },
                false => Note::NoTemplate { member },
            });
        }
        if !self.can_end.contains(&true) {
            host.note(Note::NobodyEnds { raw: self.raw });
        }
    }

    /// Members that can hold a chat: those with a template of their own, all if none has one.
    pub fn rivals(&self) -> Vec<usize> {
        let plain = self.speakers.are_plain();
        let none_has_one = !plain.contains(&false);
        let can = |k: &usize| none_has_one || !plain[*k];
        (0..plain.len()).filter(can).collect()
    }

    pub fn can_end(&self) -> &[bool] {
        &self.can_end
    }

    pub fn stops(&self, members: &[MemberInfo], speaking: &[bool]) -> Vec<String> {
        match self.raw {
            true => end_markers(members),
            false => self.speakers.stops(members, speaking),
        }
    }
}
