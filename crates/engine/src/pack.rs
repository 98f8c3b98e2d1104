//! A loaded pack and conversations with it: from messages, or plain text, to weights and an answer.
//!
//! An [`Engine`] knows members and prompts, [`chat`](crate::chat) knows messages and templates, and
//! neither knows the other; a [`Pack`] is both. It is loaded once and shared: each
//! [`Conversation`] [reads](Conversation::read_chat) messages (template, tokens, evaluation,
//! weights), goes on with an answer that was begun, and [streams](Conversation::stream) one with
//! its attribution. It gives facts to the [`Host`]; it prints nothing and knows no flags.

mod cast;
mod competence;
mod error;
mod host;
mod prefetch;
mod prompt_cache;
mod reference;
mod stream;
mod templates;

pub use error::PackError;
pub use host::{CacheNote, Host, Note, Progress};
pub use prefetch::{First, FirstPrompt};
pub use prompt_cache::PromptCache;
pub use reference::{Reference, maps_to, refer_to};
pub use stream::{More, Streamed};

use crate::chat::Message;
use crate::chat::speaker::{MemberPrompts, plain_text};
use crate::competence::Standings;
use crate::engine::{
    Ending, Engine, EngineError, Fusion, Lockstep, Prepared, Prompt, ScoreRequest,
};
use crate::vocab::Alphabet;
use chrono::NaiveDateTime;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use templates::Templates;

/// How a loaded engine becomes a pack.
#[derive(Debug, Clone, Default)]
pub struct PackOptions {
    /// How members are fused.
    pub fusion: Fusion,
    /// No templates: only plain text is read.
    pub raw: bool,
    /// Chat templates in place of those of the members' files, in member order; missing entries
    /// replace nothing.
    pub templates: Vec<Option<String>>,
    /// Whose vocabulary is the reference of a mapped alphabet; None: the first prompt decides.
    pub reference: Option<Reference>,
}

/// A loaded pack, shared by its conversations.
///
/// ```
/// # fn is_shared<T: Send + Sync>() {}
/// is_shared::<packllm_engine::pack::Pack>();
/// ```
pub struct Pack {
    engine: Arc<Engine>,
    templates: Templates,
    fusion: Fusion,
    reference: Option<Reference>,
    standings: Option<Arc<Standings>>,
    /// At plain text.
    at_text: Option<Arc<Standings>>,
}

/// A conversation with a pack: it reads, weighs and answers. What it has read and said stays in the
/// members' KV caches until it is dropped, or must leave for others; then it is read again.
pub struct Conversation {
    /// The members, as this conversation has them.
    pub lockstep: Lockstep,
    templates: Templates,
    reference: Option<Reference>,
    standings: Option<Arc<Standings>>,
    prompt_cache: Option<PromptCache>,
}

/// A prompt that was read.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Read {
    /// Time to evaluate it and to derive the weights.
    pub time: Duration,
    /// Tokens that were evaluated, member by member.
    pub new_tokens: Vec<usize>,
    /// The first bytes of the answer, where a template opens it with a thought.
    pub opening: String,
    /// Tokens that came from the prompt cache instead, member by member.
    pub cached_tokens: Vec<usize>,
}

impl Pack {
    /// A pack of these members. What the user should know of their templates is told to the host.
    ///
    /// # Errors
    /// A template that does not parse; as [`Engine::alphabet_of`].
    pub fn new(
        engine: Arc<Engine>,
        options: PackOptions,
        host: &mut dyn Host,
    ) -> Result<Self, PackError> {
        let templates = Templates::new(engine.members(), &options)?;
        engine.alphabet_of(&options.fusion)?;
        templates.introduce(&options.fusion.method, host);
        Ok(Self {
            engine,
            templates,
            fusion: options.fusion,
            reference: options.reference,
            standings: None,
            at_text: None,
        })
    }

    /// The members.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Opens a conversation. It is stopped once `cancel` is raised, and no other is.
    ///
    /// # Errors
    /// As [`Lockstep::configure`]; a member whose thread has ended.
    pub fn conversation(&self, cancel: Arc<AtomicBool>) -> Result<Conversation, EngineError> {
        let mut lockstep = self.engine.lockstep(cancel)?;
        let can_end = self.templates.can_end().to_vec();
        lockstep.configure(self.fusion.clone(), can_end)?;
        lockstep.know_text(self.at_text.clone());
        Ok(Conversation {
            lockstep,
            templates: self.templates.clone(),
            reference: self.reference.clone(),
            standings: self.standings.clone(),
            prompt_cache: None,
        })
    }
}

impl Conversation {
    /// A conversation that goes on from here by itself: see [`Lockstep::fork`].
    ///
    /// # Errors
    /// From a member.
    pub fn fork(&self, cancel: Arc<AtomicBool>) -> Result<Self, EngineError> {
        Ok(Self {
            lockstep: self.lockstep.fork(cancel)?,
            templates: self.templates.clone(),
            reference: self.reference.clone(),
            standings: self.standings.clone(),
            prompt_cache: None,
        })
    }

    /// Whether models may think before they answer, where their templates leave that open.
    pub fn ask_to_think(&mut self, asked: bool) {
        self.templates.speakers.ask_to_think(asked);
    }

    /// Whether the next answer may begin with a thought of a member that has a say in it.
    #[must_use]
    pub fn may_think(&self) -> bool {
        let speakers = &self.templates.speakers;
        let mut members = 0..self.lockstep.members().len();
        members.any(|k| self.lockstep.speaks(k) && speakers.may_think(k))
    }

    /// Takes the first prompt from the cache's file as far as the two agree, or writes it there.
    pub fn use_prompt_cache(&mut self, cache: PromptCache) {
        self.prompt_cache = Some(cache);
    }

    /// Writes the prompt that was read first to the prompt cache, if there is one and it is worth
    /// it. A failure is told to the host, and harms nothing else.
    pub fn write_prompt_cache(&mut self, host: &mut dyn Host) {
        if let Some(cache) = &mut self.prompt_cache {
            cache.write(&mut self.lockstep, host);
        }
    }

    /// Fuses in another way from now on.
    ///
    /// # Errors
    /// As [`Lockstep::configure`].
    pub fn fuse_by(&mut self, fusion: Fusion) -> Result<(), EngineError> {
        let can_end = self.templates.can_end().to_vec();
        self.lockstep.configure(fusion, can_end)
    }

    /// What the weighting method in use needs of a prompt.
    #[must_use]
    pub fn score_request(&self) -> ScoreRequest {
        let method = &self.lockstep.fusion().method;
        self.lockstep.score_request_for(method)
    }

    /// The stop strings of the speaking members.
    #[must_use]
    pub fn stops(&self) -> Vec<String> {
        let members = self.lockstep.members();
        self.templates.stops(members, &self.speaking())
    }

    fn speaking(&self) -> Vec<bool> {
        let members = 0..self.lockstep.members().len();
        members.map(|k| self.lockstep.speaks(k)).collect()
    }

    /// Reads a conversation, of which the messages from number `new` on are new evidence, and
    /// derives the weights. The answer that follows continues `begun`.
    ///
    /// # Errors
    /// A template that fails; [`EngineError::TooLong`]; from a member or the [`Host`].
    pub fn read_chat(
        &mut self,
        messages: &[Message],
        new: usize,
        begun: &str,
        request: ScoreRequest,
        host: &mut dyn Host,
    ) -> Result<Read, PackError> {
        loop {
            match self.read_with_all(messages, new, begun, request, host) {
                Err(PackError::Engine(error)) if self.lockstep.goes_on_without(&error) => {
                    host.note(Note::Lost(error));
                }
                read => return read,
            }
        }
    }

    /// With all members that are there.
    fn read_with_all(
        &mut self,
        messages: &[Message],
        new: usize,
        begun: &str,
        request: ScoreRequest,
        host: &mut dyn Host,
    ) -> Result<Read, PackError> {
        let start = Instant::now();
        let request = self.cast(messages, request)?;
        let (reading, opening) = self.reading(messages, new, begun, host.now())?;
        for &k in &reading.folded {
            let member = self.name(k);
            host.note(Note::SystemFolded { member });
        }
        self.refer(&reading.prompts, host)?;
        let all_read_along = self.read_apart(reading.apart, request, host)?;
        let recalled = match &mut self.prompt_cache {
            Some(cache) => cache.recall(&mut self.lockstep, request, all_read_along, host)?,
            None => false,
        };
        let prepared = self.lockstep.prepare(reading.prompts)?;
        if let Some(cache) = &mut self.prompt_cache {
            cache.keep(&mut self.lockstep, &prepared, host)?;
        }
        let mut read = self.read_prepared(prepared, request, start, host)?;
        if recalled {
            let prompt = self.lockstep.prompt_tokens().iter();
            let cached = prompt.zip(&read.new_tokens).map(|(all, new)| all - new);
            read.cached_tokens = cached.collect();
        }
        Ok(Read { opening, ..read })
    }

    /// Reads plain text and derives the weights.
    ///
    /// # Errors
    /// As [`Conversation::read_chat`], but for templates.
    pub fn read_text(
        &mut self,
        text: &str,
        ending: Ending,
        request: ScoreRequest,
        host: &mut dyn Host,
    ) -> Result<Read, PackError> {
        let start = Instant::now();
        self.gather()?;
        self.lockstep.expect(None);
        let prompts = plain_text(text, self.lockstep.members().len(), ending);
        self.refer(&prompts, host)?;
        let prepared = self.lockstep.prepare(prompts)?;
        self.read_prepared(prepared, request, start, host)
    }

    /// Tokens that what was said takes up, member by member. Nothing is evaluated.
    ///
    /// # Errors
    /// As [`Conversation::read_chat`].
    pub fn size(
        &mut self,
        messages: &[Message],
        begun: &str,
        now: NaiveDateTime,
    ) -> Result<Vec<usize>, PackError> {
        let (mut reading, _) = self.reading(messages, messages.len(), begun, now)?;
        // An answer may have filled the context.
        let prompts = reading.prompts.iter_mut();
        prompts.for_each(|prompt| prompt.ending = Ending::Closed);
        Ok(self.lockstep.prepare(reading.prompts)?.tokens)
    }

    /// Tokens of the conversation, member by member, if it fits. Nothing is evaluated.
    ///
    /// # Errors
    /// As [`Conversation::read_chat`].
    pub fn measure(
        &mut self,
        messages: &[Message],
        begun: &str,
        host: &mut dyn Host,
    ) -> Result<Vec<usize>, PackError> {
        let (reading, _) = self.reading(messages, messages.len(), begun, host.now())?;
        if self.needs_reference() {
            // All that was said decides which vocabulary is the reference.
            let all = self.templates.speakers.read(messages, 0, host.now())?;
            self.refer(&all.prompts, host)?;
        }
        Ok(self.lockstep.prepare(reading.prompts)?.tokens)
    }

    /// The conversation as member `k` reads it, from the token it begins after to where the answer
    /// begins.
    ///
    /// # Errors
    /// The template of that member fails.
    pub fn rendered(
        &self,
        k: usize,
        messages: &[Message],
        now: NaiveDateTime,
    ) -> Result<String, PackError> {
        // In a mapped alphabet all read what one template writes.
        let mapped = self.lockstep.alphabet() == Alphabet::Mapped && self.lockstep.has_reference();
        let writer = match mapped {
            true => self.lockstep.reference().unwrap_or(0),
            false => k,
        };
        let prompt = match self.reading(messages, messages.len(), "", now) {
            Ok((mut reading, _)) => reading.prompts.swap_remove(writer),
            // A template fails, perhaps another member's: this one's may still be rendered.
            Err(_) => self.templates.speakers.read_alone(writer, messages, now)?,
        };
        let vocab = &self.lockstep.members()[writer].vocab;
        let start = prompt.start.token(vocab).map(|t| vocab.piece(t));
        let start = String::from_utf8_lossy(start.unwrap_or_default());
        let segments = prompt.segments.iter().map(|s| s.text.as_str());
        Ok([&*start].into_iter().chain(segments).collect())
    }

    /// The conversation as the members read it, and how its answer is opened for them.
    fn reading(
        &self,
        messages: &[Message],
        new: usize,
        begun: &str,
        now: NaiveDateTime,
    ) -> Result<(MemberPrompts, String), PackError> {
        let mut reading = self.templates.speakers.read(messages, new, now)?;
        let opening = reading.go_on(begun, messages.len(), &self.speaking());
        Ok((reading, opening))
    }

    /// Scores members that cannot be scored under their own template on the plain one; returns
    /// whether there are none.
    fn read_apart(
        &mut self,
        apart: Vec<(usize, Prompt)>,
        request: ScoreRequest,
        host: &mut dyn Host,
    ) -> Result<bool, PackError> {
        // In a mapped alphabet all read what the reference's template writes.
        if apart.is_empty() || self.lockstep.alphabet() == Alphabet::Mapped {
            return Ok(true);
        }
        for (k, prompt) in apart {
            let member = self.name(k);
            host.note(Note::Hidden { member });
            if request.scores {
                self.lockstep.read_apart(k, prompt, request)?;
            }
        }
        Ok(false)
    }

    fn read_prepared(
        &mut self,
        prepared: Prepared,
        request: ScoreRequest,
        start: Instant,
        host: &mut dyn Host,
    ) -> Result<Read, PackError> {
        for (k, lost) in prepared.lost.iter().enumerate() {
            if let Some(&first) = lost.first() {
                let (member, bytes) = (self.name(k), lost.len());
                host.note(Note::LostBytes {
                    member,
                    bytes,
                    first,
                });
            }
        }
        let new_tokens = prepared.new_tokens;
        let read = self.lockstep.read_watched(request, &mut |read| {
            let of = &new_tokens;
            host.progress(Progress::Reading { read, of });
        });
        host.progress(Progress::Done);
        read?;
        let weights = self.lockstep.weigh()?;
        if weights.no_evidence && self.lockstep.members().len() > 1 {
            host.note(Note::NoEvidence);
        }
        Ok(Read {
            time: start.elapsed(),
            cached_tokens: vec![0; new_tokens.len()],
            new_tokens,
            opening: String::new(),
        })
    }

    fn name(&self, k: usize) -> String {
        self.lockstep.members()[k].name.clone()
    }
}
