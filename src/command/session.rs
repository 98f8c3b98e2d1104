//! A loaded pack and its conversation: what the commands that answer or measure share.

use super::prompt_cache::{PromptCache, Recalled};
use crate::app::App;
use crate::plural::counted;
use crate::settings::{PackPlan, Reference};
use anyhow::Result;
use chrono::NaiveDateTime;
use packllm_engine::chat::Message;
use packllm_engine::chat::speaker::{self, MemberPrompts, Speakers};
use packllm_engine::engine::{
    Ending, Engine, EngineError, Fusion, MemberInfo, Prepared, Prompt, PromptPrefetch, ScoreRequest,
};
use packllm_engine::vocab::Alphabet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

mod reference;
mod stream;

pub use reference::{maps_to, refer_to};
pub use stream::Streamed;

/// Evaluates what was prepared, under a bar that names it.
pub fn read_showing(
    app: &App,
    engine: &mut Engine,
    name: &str,
    new_tokens: &[usize],
    request: ScoreRequest,
) -> Result<(), EngineError> {
    let length: usize = new_tokens.iter().sum();
    let bar = app.bar(length as u64, "reading {msg} {bar:30} {percent}% {eta}");
    let result = engine.read_watched(request, &mut |read| {
        bar.set_message(name.to_owned());
        bar.set_position(read.iter().sum::<usize>() as u64);
    });
    bar.finish_and_clear();
    result
}

/// What templates are told of the time.
pub fn now() -> NaiveDateTime {
    chrono::Local::now().naive_local()
}

/// A pack at work.
pub struct Session<'a> {
    app: &'a App,
    /// The engine.
    pub engine: Engine,
    speakers: Speakers,
    /// Time to load.
    pub load_time: Duration,
    raw: bool,
    reference: Option<Reference>,
    said: Vec<String>,
    /// Which members can end a turn by their template.
    can_end: Vec<bool>,
    prompt_cache: Option<PromptCache>,
}

/// A prompt that was read.
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

impl Read {
    /// Tokens of the member that read most: `36 tok`, `36 tok (+ 2031 cached)`.
    pub fn tokens_line(&self) -> String {
        let most = |tokens: &[usize]| tokens.iter().copied().max().unwrap_or(0);
        let new = most(&self.new_tokens);
        match most(&self.cached_tokens) {
            0 => format!("{new} tok"),
            cached => format!("{new} tok (+ {cached} cached)"),
        }
    }
}

impl<'a> Session<'a> {
    /// Loads the pack and says what a user should know of it. `raw`: no templates.
    pub fn open(app: &'a App, plan: &PackPlan, raw: bool) -> Result<Self> {
        Self::open_with(app, plan, raw, &|_| None)
    }

    /// As [`Session::open`]; members that have loaded read what they will be asked for first, while others load.
    pub fn open_with(
        app: &'a App,
        plan: &PackPlan,
        raw: bool,
        foresee: &dyn Fn(usize) -> Option<PromptPrefetch>,
    ) -> Result<Self> {
        let start = Instant::now();
        let mut engine = app.load(plan, foresee)?;
        let given: Vec<Option<String>> = plan
            .members
            .iter()
            .map(|m| m.chat_template.clone())
            .collect();
        let speakers = if raw {
            Speakers::default()
        } else {
            Speakers::new(engine.members(), &given)?
        };
        let can_end = if raw {
            engine.members().iter().map(MemberInfo::has_end).collect()
        } else {
            speakers.can_end(engine.members())
        };
        let nobody_ends = !can_end.contains(&true);
        engine.configure(plan.fusion.clone(), can_end.clone())?;
        let load_time = start.elapsed();
        let mut session = Self {
            app,
            engine,
            speakers,
            load_time,
            raw,
            reference: plan.reference.clone(),
            said: Vec::new(),
            can_end,
            prompt_cache: None,
        };
        session.introduce(nobody_ends);
        Ok(session)
    }

    /// Whether models may think before they answer, where their templates leave that open.
    pub fn ask_to_think(&mut self, asked: bool) {
        self.speakers.ask_to_think(asked);
    }

    /// Takes the first prompt from a file as far as that goes, or keeps it there.
    pub fn use_prompt_cache(&mut self, path: PathBuf, plan: &PackPlan) {
        self.prompt_cache = Some(PromptCache::new(path, plan));
    }

    /// Writes the prompt that was read first to the prompt cache, if there is one and it is worth it. Whatever
    /// fails is told, and harms nothing.
    pub fn write_prompt_cache(&mut self) {
        if let Some(cache) = &mut self.prompt_cache
            && let Some(said) = cache.write(&mut self.engine)
        {
            self.note(said);
        }
    }

    fn introduce(&mut self, nobody_ends: bool) {
        let plain: Vec<String> = self
            .speakers
            .plain()
            .iter()
            .map(|s| (*s).to_owned())
            .collect();
        for name in plain {
            self.note(format!(
                "{name} has no chat template: it reads the conversation as plain paragraphs (User:, Assistant:)"
            ));
        }
        if nobody_ends && self.raw {
            self.note(
                "no member has an end token: the text ends by -n, --stop or a full context".into(),
            );
        } else if nobody_ends {
            self.note("no member has a token that ends a turn: it ends where the next `User:` or `Assistant:` would begin, or by -n or --stop".into());
        }
    }

    /// Says something once.
    fn note(&mut self, text: String) {
        if !self.said.contains(&text) {
            self.app.dim(&format!("note: {text}"));
            self.said.push(text);
        }
    }

    /// The stop strings that those who speak bring along.
    pub fn stops(&self) -> Vec<String> {
        let members = self.engine.members();
        match self.raw {
            true => speaker::end_markers(members),
            false => self.speakers.stops(members, &self.speaking()),
        }
    }

    fn speaking(&self) -> Vec<bool> {
        let silent = self.engine.silent().iter();
        silent.map(|&silent| !silent).collect()
    }

    /// Reads a conversation of which the messages from number `new` on are new evidence.
    pub fn read_chat(
        &mut self,
        messages: &[Message],
        new: usize,
        request: ScoreRequest,
    ) -> Result<Read> {
        self.read_going_on(messages, new, request, "")
    }

    /// As [`Session::read_chat`], where the answer began with `begun` already.
    pub fn read_going_on(
        &mut self,
        messages: &[Message],
        new: usize,
        request: ScoreRequest,
        begun: &str,
    ) -> Result<Read> {
        let (reading, opening) = self.reading(messages, new, begun)?;
        let start = Instant::now();
        self.say_folded(&reading);
        self.refer(&reading.prompts)?;
        // In the mined alphabet all read what the reference's template writes.
        let apart = reading
            .apart
            .into_iter()
            .filter(|_| self.engine.alphabet() != Alphabet::Mapped);
        let apart: Vec<(usize, Prompt)> = apart.collect();
        let all_read_along = apart.is_empty();
        for (k, prompt) in apart {
            let name = self.engine.members()[k].name.clone();
            self.note(format!(
                "{name}: its template changes or hides a message; its perplexity is measured under the plain template"
            ));
            if request.scores {
                self.engine.read_apart(k, prompt, request)?;
            }
        }
        let recalled = match &mut self.prompt_cache {
            Some(cache) => cache.recall(&mut self.engine, request, all_read_along)?,
            None => Recalled::default(),
        };
        recalled
            .trouble
            .into_iter()
            .for_each(|said| self.note(said));
        let prepared = self.engine.prepare(reading.prompts)?;
        if let Some(cache) = &mut self.prompt_cache {
            cache.keep(&mut self.engine, &prepared)?;
        }
        let mut read = self.read_prepared(prepared, request, start)?;
        if recalled.found {
            let prompt = self.engine.prompt_tokens().iter();
            let cached = prompt.zip(&read.new_tokens).map(|(all, new)| all - new);
            read.cached_tokens = cached.collect();
        }
        Ok(Read { opening, ..read })
    }

    /// The conversation as the members read it, and how its answer is opened for them.
    fn reading(
        &self,
        messages: &[Message],
        new: usize,
        begun: &str,
    ) -> Result<(MemberPrompts, String)> {
        let mut reading = self.speakers.read(messages, new, now())?;
        let opening = reading.go_on(begun, messages.len(), &self.speaking());
        Ok((reading, opening))
    }

    /// Tokens that what was said takes up, member by member. Nothing is evaluated.
    pub fn size(&mut self, messages: &[Message], begun: &str) -> Result<Vec<usize>> {
        let (mut reading, _) = self.reading(messages, messages.len(), begun)?;
        // An answer may have filled the context.
        reading
            .prompts
            .iter_mut()
            .for_each(|p| p.ending = Ending::Closed);
        Ok(self.engine.prepare(reading.prompts)?.tokens)
    }

    /// Tokens of the conversation, member by member, if it fits. Nothing is evaluated.
    pub fn measure(&mut self, messages: &[Message], begun: &str) -> Result<Vec<usize>> {
        let (reading, _) = self.reading(messages, messages.len(), begun)?;
        if self.needs_reference() {
            // All that was said decides which vocabulary is the reference.
            self.refer(&self.speakers.read(messages, 0, now())?.prompts)?;
        }
        Ok(self.engine.prepare(reading.prompts)?.tokens)
    }

    /// The conversation as member `k` reads it, from the token it begins after to where the answer begins.
    pub fn rendered(&self, k: usize, messages: &[Message]) -> Result<String> {
        // In the mined alphabet all read what one template writes.
        let mined = self.engine.alphabet() == Alphabet::Mapped && self.engine.has_reference();
        let writer = if mined {
            self.engine.reference().unwrap_or(0)
        } else {
            k
        };
        let prompt = match self.reading(messages, messages.len(), "") {
            Ok((mut reading, _)) => reading.prompts.swap_remove(writer),
            // A template fails, perhaps another member's, which is no reason to hide this one's.
            Err(_) => self.speakers.read_alone(writer, messages, now())?,
        };
        let vocab = &self.engine.members()[writer].vocab;
        let start = prompt.start.token(vocab).map(|t| vocab.piece(t));
        let start = String::from_utf8_lossy(start.unwrap_or_default());
        let segments = prompt.segments.iter().map(|s| s.text.as_str());
        Ok([&*start].into_iter().chain(segments).collect())
    }

    /// Fuses in another way from now on.
    pub fn fuse_by(&mut self, fusion: Fusion) -> Result<()> {
        Ok(self.engine.configure(fusion, self.can_end.clone())?)
    }

    fn say_folded(&mut self, reading: &MemberPrompts) {
        for &k in &reading.folded {
            let name = self.engine.members()[k].name.clone();
            self.note(format!("{name}: its template takes no system prompt; it stands before the user's first message"));
        }
    }

    /// Reads plain text.
    pub fn read_text(&mut self, text: &str, ending: Ending, request: ScoreRequest) -> Result<Read> {
        let start = Instant::now();
        let prompts = speaker::plain_text(text, self.engine.members().len(), ending);
        self.refer(&prompts)?;
        let prepared = self.engine.prepare(prompts)?;
        self.read_prepared(prepared, request, start)
    }

    fn read_prepared(
        &mut self,
        prepared: Prepared,
        request: ScoreRequest,
        start: Instant,
    ) -> Result<Read> {
        for (k, lost) in prepared
            .lost
            .iter()
            .enumerate()
            .filter(|(_, lost)| !lost.is_empty())
        {
            let name = self.engine.members()[k].name.clone();
            self.note(format!(
                "{name} has no token for {} of the text (first: 0x{:02x}) and reads it without",
                counted(lost.len(), "byte"),
                lost[0]
            ));
        }
        read_showing(
            self.app,
            &mut self.engine,
            "the prompt",
            &prepared.new_tokens,
            request,
        )?;
        let weights = self.engine.weigh()?;
        if weights.no_evidence && self.engine.members().len() > 1 {
            self.note("there is no text to measure the members on: all weights are equal".into());
        }
        Ok(Read {
            time: start.elapsed(),
            cached_tokens: vec![0; prepared.new_tokens.len()],
            new_tokens: prepared.new_tokens,
            opening: String::new(),
        })
    }

    /// Members and weights for people: `smollm2 0.41 · gemma3 0.59`.
    pub fn weights_line(&self) -> String {
        let parts = self.engine.members().iter().zip(self.engine.lambda());
        let parts = parts.zip(self.engine.silent()).map(|((m, &w), &silent)| {
            if silent {
                format!("{} off", m.name)
            } else if w == 0.0 {
                format!("{} dropped", m.name)
            } else {
                format!("{} {w:.2}", m.name)
            }
        });
        parts.collect::<Vec<String>>().join(" · ")
    }
}
