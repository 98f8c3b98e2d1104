//! From a conversation to one engine prompt a member.

use super::{Message, PieceKind, PromptPieces, Role, Template, TemplateError};
use crate::backend::{MemberInfo, TokenKind, Vocab};
use crate::prompt::{Ending, Place, Prompt, Segment, Start};
use crate::thought;
use chrono::NaiveDateTime;
use std::collections::HashSet;

/// How every member of a pack reads conversations.
#[derive(Debug, Clone, Default)]
pub struct Speakers {
    speakers: Vec<Speaker>,
}

/// How one member reads conversations.
#[derive(Debug, Clone)]
struct Speaker {
    name: String,
    template: Template,
}

/// A template that failed, and its member.
#[derive(Debug, thiserror::Error)]
#[error("{member}: its chat template fails: {source}")]
pub struct SpeakerError {
    /// The member.
    pub member: String,
    /// What happened.
    pub source: TemplateError,
}

/// A conversation as the members read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberPrompts {
    /// One prompt a member.
    pub prompts: Vec<Prompt>,
    /// Members whose template hides a scored message, with a plain prompt to score them on.
    pub apart: Vec<(usize, Prompt)>,
    /// Members whose template takes no system message: its text stands in the user's message.
    pub folded: Vec<usize>,
}

impl MemberPrompts {
    /// Puts the beginning of the answer, `begun`, at the end of every member's prompt as message
    /// number `message`, so that the answer goes on from there. If the template of a `speaking`
    /// member opens a thought, a new answer begins with it: all members then read that opening, and
    /// it is returned as the first bytes of the answer.
    pub fn go_on(&mut self, begun: &str, message: usize, speaking: &[bool]) -> String {
        let openings = self.prompts.iter().zip(speaking).filter(|(_, s)| **s);
        let mut openings = openings.map(|(prompt, _)| prompt.opening());
        let opening = openings.find(|o| begun.is_empty() && !o.is_empty());
        let opening = opening.unwrap_or_default().to_owned();
        let begun = if begun.is_empty() { &opening } else { begun };
        let place = Place {
            message: message as u32,
            offset: 0,
        };
        for prompt in &mut self.prompts {
            let rest = prompt.open(begun);
            if rest.is_empty() {
                continue;
            }
            if opening.is_empty() {
                prompt.segments.push(Segment::content(rest, place));
                prompt.ending = Ending::Continue;
            } else {
                // As it stands in the template that opens it.
                prompt.segments.push(Segment::markup(rest));
            }
        }
        opening
    }
}

impl Prompt {
    /// The thought that its markup opens at its end; empty if it opens none.
    fn opening(&self) -> &str {
        let last = self.segments.last().filter(|s| s.markup);
        last.map_or("", |s| thought::opening(&s.text))
    }

    /// The part of `begun` that the markup does not hold yet. If the answer does not begin with the
    /// thought that the markup opens, takes that thought back.
    fn open<'b>(&mut self, begun: &'b str) -> &'b str {
        let own = self.opening();
        if own.is_empty() {
            return begun;
        }
        if thought::begins(begun) {
            let rest = begun.trim_start();
            let pairs = own.chars().zip(rest.chars());
            let common = pairs.take_while(|(a, b)| a == b);
            return &rest[common.map(|(a, _)| a.len_utf8()).sum()..];
        }
        let bytes = own.len();
        if let Some(last) = self.segments.last_mut() {
            last.text.truncate(last.text.len() - bytes);
        }
        self.segments.pop_if(|last| last.text.is_empty());
        begun
    }
}

impl Speakers {
    /// Reads the members' templates: the given one, else the file's own, else the plain one.
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn new(members: &[MemberInfo], given: &[Option<String>]) -> Result<Self, SpeakerError> {
        let speakers = members.iter().enumerate().map(|(k, member)| {
            let source = given
                .get(k)
                .cloned()
                .flatten()
                .or_else(|| member.description.chat_template.clone());
            let template = match source {
                Some(source) => {
                    let special = member.vocab.special();
                    let text = |t| token_text(&member.vocab, t);
                    Template::new(&source, &text(special.bos), &text(special.eos))
                }
                None => Ok(Template::plain()),
            };
            match template {
                Ok(template) => Ok(Speaker {
                    name: member.name.clone(),
                    template,
                }),
                Err(source) => Err(SpeakerError {
                    member: member.name.clone(),
                    source,
                }),
            }
        });
        Ok(Self {
            speakers: speakers.collect::<Result<_, _>>()?,
        })
    }

    /// Tells all templates whether models may think before they answer, see
    /// [`Template::ask_to_think`].
    pub fn ask_to_think(&mut self, asked: bool) {
        for speaker in &mut self.speakers {
            speaker.template.ask_to_think(asked);
        }
    }

    /// Whether an answer of member `k` may begin with a thought, see [`Template::may_think`].
    #[must_use]
    pub fn may_think(&self, k: usize) -> bool {
        let speaker = self.speakers.get(k);
        speaker.is_some_and(|speaker| speaker.template.may_think())
    }

    /// Members without a template of their own.
    #[must_use]
    pub fn plain(&self) -> Vec<&str> {
        let plain = self.speakers.iter().filter(|s| s.template.is_plain());
        plain.map(|s| s.name.as_str()).collect()
    }

    /// Which members have no template of their own, in order.
    #[must_use]
    pub fn are_plain(&self) -> Vec<bool> {
        let speakers = self.speakers.iter();
        speakers.map(|s| s.template.is_plain()).collect()
    }

    /// Which members can end a turn: those with a template and an end-of-generation token.
    #[must_use]
    pub fn can_end(&self, members: &[MemberInfo]) -> Vec<bool> {
        self.speakers
            .iter()
            .zip(members)
            .map(|(s, m)| !s.template.is_plain() && m.has_end())
            .collect()
    }

    /// Texts that end an answer besides END: the end markers of all members as text and, if some of
    /// the `speaking` have no template of their own, what begins another turn for them, since they
    /// know no other end.
    #[must_use]
    pub fn stops(&self, members: &[MemberInfo], speaking: &[bool]) -> Vec<String> {
        let mut stops = end_markers(members);
        let mut speakers = self
            .speakers
            .iter()
            .zip(speaking)
            .filter(|(_, speaks)| **speaks);
        let plain = speakers.find(|(s, _)| s.template.is_plain());
        let turns = plain.into_iter().flat_map(|(s, _)| s.template.stops());
        stops.extend(turns.map(|&stop| stop.to_owned()));
        stops
    }

    /// Renders the conversation for every member, up to where the answer begins. User and system
    /// messages from number `new` on are evidence.
    ///
    /// # Errors
    /// A template that fails on this conversation.
    pub fn read(
        &self,
        messages: &[Message],
        new: usize,
        now: NaiveDateTime,
    ) -> Result<MemberPrompts, SpeakerError> {
        let scored = |m: usize| m >= new && messages[m].role != Role::Assistant;
        self.read_where(messages, &scored, Ending::Fresh, now)
    }

    /// As [`Speakers::read`], a conversation that ends with an answer. All of it is evidence.
    ///
    /// # Errors
    /// A template that fails on this conversation.
    pub fn read_answered(
        &self,
        messages: &[Message],
        now: NaiveDateTime,
    ) -> Result<MemberPrompts, SpeakerError> {
        self.read_where(messages, &|_| true, Ending::Closed, now)
    }

    fn read_where(
        &self,
        messages: &[Message],
        scored: &dyn Fn(usize) -> bool,
        ending: Ending,
        now: NaiveDateTime,
    ) -> Result<MemberPrompts, SpeakerError> {
        let mut reading = MemberPrompts::default();
        let open = ending != Ending::Closed;
        for (k, speaker) in self.speakers.iter().enumerate() {
            let pieces = speaker.render(&speaker.template, messages, open, now)?;
            if pieces.system_folded {
                reading.folded.push(k);
            }
            let hides = pieces.hidden.iter().any(|&m| scored(m));
            if hides {
                let plain = speaker.render(&Template::plain(), messages, false, now)?;
                reading
                    .apart
                    .push((k, prompt_of(&plain, true, scored, Ending::Closed)));
            }
            let counts = |m: usize| scored(m) && !hides;
            let plain = speaker.template.is_plain();
            reading
                .prompts
                .push(prompt_of(&pieces, plain, &counts, ending));
        }
        Ok(reading)
    }

    /// The prompt of member `k` alone, up to where the answer begins. Nothing in it is evidence.
    ///
    /// # Errors
    /// The member's template fails on this conversation.
    pub fn read_alone(
        &self,
        k: usize,
        messages: &[Message],
        now: NaiveDateTime,
    ) -> Result<Prompt, SpeakerError> {
        let speaker = &self.speakers[k];
        let pieces = speaker.render(&speaker.template, messages, true, now)?;
        let plain = speaker.template.is_plain();
        Ok(prompt_of(&pieces, plain, &|_| false, Ending::Fresh))
    }
}

impl Speaker {
    fn render(
        &self,
        template: &Template,
        messages: &[Message],
        open: bool,
        now: NaiveDateTime,
    ) -> Result<PromptPieces, SpeakerError> {
        PromptPieces::new(template, messages, open, now).map_err(|source| SpeakerError {
            member: self.name.clone(),
            source,
        })
    }
}

/// The engine's prompt for a rendered conversation.
fn prompt_of(
    pieces: &PromptPieces,
    plain: bool,
    scored: &dyn Fn(usize) -> bool,
    ending: Ending,
) -> Prompt {
    let start = match (pieces.starts_with_bos, plain) {
        (true, _) => Start::Nothing,
        (false, true) => Start::Text,
        (false, false) => Start::Bos,
    };
    // A template that repeats a message shows it twice; it is evidence once.
    let mut seen = HashSet::new();
    let segments = pieces.pieces.iter().map(|piece| match piece.kind {
        PieceKind::Markup => Segment::markup(piece.text.as_str()),
        PieceKind::Content { message, offset } => {
            let place = Place {
                message: message as u32,
                offset: offset as u32,
            };
            if scored(message) && seen.insert((message, offset)) {
                Segment::evidence(piece.text.as_str(), place)
            } else {
                Segment::content(piece.text.as_str(), place)
            }
        }
    });
    Prompt {
        start,
        segments: segments.collect(),
        ending,
    }
}

/// The prompts of a plain text: the same for every member.
#[must_use]
pub fn plain_text(text: &str, members: usize, ending: Ending) -> Vec<Prompt> {
    let segments = vec![Segment::evidence(text, Place::default())];
    vec![
        Prompt {
            start: Start::Text,
            segments,
            ending
        };
        members
    ]
}

/// The written forms of all members' end-of-generation tokens: spelled out by a member that does
/// not know them as tokens, they end the turn as well.
#[must_use]
pub fn end_markers(members: &[MemberInfo]) -> Vec<String> {
    let mut markers: Vec<String> = members
        .iter()
        .flat_map(|m| m.vocab.ends().map(|t| token_text(&m.vocab, Some(t))))
        // Short ones (a line feed as end token) also occur in text.
        .filter(|text| text.len() >= 4)
        .collect();
    markers.sort();
    markers.dedup();
    markers
}

fn token_text(vocab: &Vocab, token: Option<u32>) -> String {
    token
        .filter(|&t| (t as usize) < vocab.len() && vocab.kind(t) != TokenKind::Text)
        .map(|t| String::from_utf8_lossy(vocab.piece(t)).into_owned())
        .unwrap_or_default()
}
