//! A loaded pack and its terminal: shared by the commands that answer or measure.

use crate::app::App;
use crate::settings::PackPlan;
use anyhow::Result;
use competence::Unknown;
use packllm_engine::chat::Message;
use packllm_engine::competence::Frame;
use packllm_engine::engine::prompt_cache::Loaded;
use packllm_engine::engine::{Ending, Fusion, Prompt, PromptPrefetch, ScoreRequest};
use packllm_engine::pack::{
    Conversation, FirstPrompt, Pack, PackError, PackOptions, PromptCache, Read,
};
use packllm_engine::weight::Method;
use packllm_grammar::{Form, Grammars};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub mod competence;
mod notes;
mod stream;
mod terminal;

pub use notes::line as note_line;
pub use stream::Shown;
pub use terminal::{Terminal, now, read_showing};

/// A pack, and the terminal that shows its notes and progress.
pub struct LoadedPack<'a> {
    pub pack: Pack,
    /// The one that the command is about.
    pub conversation: Conversation,
    /// Time to load.
    pub load_time: Duration,
    /// What answers have to look like; None: any text.
    pub form: Option<Form>,
    grammars: Grammars,
    terminal: Terminal<'a>,
}

impl<'a> LoadedPack<'a> {
    /// Loads the pack and shows its notes. `raw`: no templates.
    pub fn open(app: &'a App, plan: &PackPlan, raw: bool) -> Result<Self> {
        Self::open_with(app, plan, raw, &|_| None)
    }

    /// As [`LoadedPack::open`]; members that have loaded prefetch their prompts while others load.
    pub fn open_with(
        app: &'a App,
        plan: &PackPlan,
        raw: bool,
        prefetch: &dyn Fn(usize) -> Option<PromptPrefetch>,
    ) -> Result<Self> {
        let start = Instant::now();
        let mut terminal = Terminal::new(app);
        let known = known(plan, raw);
        let pack = load_knowing(app, plan, raw, known, prefetch, &mut terminal)?;
        let conversation = pack.conversation(Arc::clone(&app.cancel))?;
        Ok(Self {
            pack,
            conversation,
            load_time: start.elapsed(),
            form: None,
            grammars: Grammars::default(),
            terminal,
        })
    }

    /// Reads the first prompt from the prompt cache as far as it is there, or writes it there.
    pub fn use_prompt_cache(&mut self, path: PathBuf, plan: &PackPlan) {
        let members = self
            .conversation
            .lockstep
            .members()
            .iter()
            .zip(&plan.members);
        let loaded = members.map(|(member, plan)| Loaded {
            path: plan.load.path.clone(),
            settings: plan.load.signature(&member.description.placement),
        });
        let cache = PromptCache::new(path, packllm_llama::VERSION, loaded.collect());
        self.conversation.use_prompt_cache(cache);
    }

    /// See [`Conversation::write_prompt_cache`].
    pub fn write_prompt_cache(&mut self) {
        self.conversation.write_prompt_cache(&mut self.terminal);
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

    /// As [`LoadedPack::read_chat`], for an answer that already begins with `begun`.
    pub fn read_going_on(
        &mut self,
        messages: &[Message],
        new: usize,
        request: ScoreRequest,
        begun: &str,
    ) -> Result<Read> {
        let host = &mut self.terminal;
        let read = self
            .conversation
            .read_chat(messages, new, begun, request, host);
        let read = read.map_err(told)?;
        self.constrain(begun, &read.opening)?;
        Ok(read)
    }

    /// The answer that follows has the form that is asked for.
    fn constrain(&mut self, begun: &str, opening: &str) -> Result<()> {
        let (conversation, form) = (&mut self.conversation, self.form.as_ref());
        let constrained = self.grammars.constrain(conversation, form, begun, opening);
        Ok(constrained?)
    }

    /// Reads plain text.
    pub fn read_text(&mut self, text: &str, ending: Ending, request: ScoreRequest) -> Result<Read> {
        let host = &mut self.terminal;
        let read = self.conversation.read_text(text, ending, request, host);
        let read = read.map_err(told)?;
        self.constrain("", "")?;
        Ok(read)
    }

    /// See [`Conversation::size`].
    pub fn size(&mut self, messages: &[Message], begun: &str) -> Result<Vec<usize>> {
        self.conversation.size(messages, begun, now()).map_err(told)
    }

    /// See [`Conversation::measure`].
    pub fn measure(&mut self, messages: &[Message], begun: &str) -> Result<Vec<usize>> {
        let measured = self
            .conversation
            .measure(messages, begun, &mut self.terminal);
        measured.map_err(told)
    }

    /// See [`Conversation::rendered`].
    pub fn rendered(&self, k: usize, messages: &[Message]) -> Result<String> {
        self.conversation.rendered(k, messages, now()).map_err(told)
    }

    /// See [`Conversation::refer`].
    pub fn refer(&mut self, prompts: &[Prompt]) -> Result<()> {
        self.conversation
            .refer(prompts, &mut self.terminal)
            .map_err(told)
    }

    /// Goes on in a fork of the conversation. What was read and said so far stays in the members'
    /// caches meanwhile, and is returned to be [gone back](LoadedPack::turn_back) to.
    pub fn turn_aside(&mut self) -> Result<Conversation> {
        let cancel = Arc::clone(&self.terminal.app.cancel);
        let fork = self.conversation.fork(cancel)?;
        self.conversation.lockstep.stay(true);
        Ok(std::mem::replace(&mut self.conversation, fork))
    }

    /// Goes back to the conversation, and gives up its fork.
    pub fn turn_back(&mut self, conversation: Conversation) {
        self.conversation = conversation;
        self.conversation.lockstep.stay(false);
    }

    /// Gets to know what the members are good at, if that is not known yet.
    pub fn learn(&mut self, plan: &PackPlan, frame: Frame) -> Result<()> {
        let (app, pack) = (self.terminal.app, &mut self.pack);
        competence::learn(app, plan, pack, frame, Unknown::Measure)?;
        self.conversation.learn_from(&self.pack);
        Ok(())
    }

    /// Changes how members are fused.
    pub fn fuse_by(&mut self, fusion: Fusion) -> Result<()> {
        Ok(self.conversation.fuse_by(fusion)?)
    }

    /// Members and weights in a line.
    pub fn weights_line(&self) -> String {
        let engine = &self.conversation.lockstep;
        let members = engine.members().iter().zip(engine.lambda());
        let members = members.zip(engine.silent());
        weights_line(members.map(|((m, &weight), &silent)| (&*m.name, Some(weight), silent)))
    }
}

/// Members, their weights if they are known, and whether they are silent, in a line:
/// `smollm2 0.41 · gemma3 0.59`.
pub fn weights_line<'m>(members: impl Iterator<Item = (&'m str, Option<f64>, bool)>) -> String {
    let parts = members.map(|(name, weight, silent)| match weight {
        _ if silent => format!("{name} off"),
        None => name.to_owned(),
        Some(0.0) => format!("{name} dropped"),
        Some(weight) => format!("{name} {weight:.2}"),
    });
    parts.collect::<Vec<String>>().join(" · ")
}

/// Loads a pack for chats, with a progress bar on a terminal, and shows its notes.
pub fn load(app: &App, plan: &PackPlan) -> Result<Pack> {
    let known = known(plan, false);
    load_knowing(app, plan, false, known, &|_| None, &mut Terminal::new(app))
}

/// In which frames it has to be known what members are good at, before anything is read.
fn known(plan: &PackPlan, raw: bool) -> &'static [Frame] {
    match plan.fusion.method == Method::Auto && !raw {
        true => &[Frame::Chat],
        false => &[],
    }
}

/// As [`load`], with what members are good at in the frames of `known`. `raw`: no templates.
pub fn load_knowing(
    app: &App,
    plan: &PackPlan,
    raw: bool,
    known: &[Frame],
    prefetch: &dyn Fn(usize) -> Option<PromptPrefetch>,
    terminal: &mut Terminal<'_>,
) -> Result<Pack> {
    let engine = app.load(plan, prefetch)?;
    let templates = plan.members.iter().map(|m| m.chat_template.clone());
    let options = PackOptions {
        fusion: plan.fusion.clone(),
        raw,
        templates: templates.collect(),
        reference: plan.reference.clone(),
    };
    let mut pack = Pack::new(engine, options, terminal).map_err(told)?;
    for &frame in known {
        competence::learn(app, plan, &mut pack, frame, Unknown::Measure)?;
    }
    Ok(pack)
}

/// What member `k` may prefetch of a first prompt while others load.
pub fn prefetch(plan: &PackPlan, first: &Arc<FirstPrompt>, k: usize) -> Option<PromptPrefetch> {
    let others = plan.members.iter().enumerate().filter(|(j, _)| *j != k);
    let others = others.map(|(_, member)| member.path.clone()).collect();
    let template = plan.members[k].chat_template.clone();
    first.prefetch(&plan.fusion, template, others)
}

/// Tokens of the member that read most: `36 tok`, `36 tok (+ 2031 cached)`.
pub fn tokens_line(read: &Read) -> String {
    let most = |tokens: &[usize]| tokens.iter().copied().max().unwrap_or(0);
    let new = most(&read.new_tokens);
    match most(&read.cached_tokens) {
        0 => format!("{new} tok"),
        cached => format!("{new} tok (+ {cached} cached)"),
    }
}

/// The error of the part that failed, without [`PackError`] around it.
pub fn told(error: PackError) -> anyhow::Error {
    match error {
        PackError::Template(error) => error.into(),
        PackError::Engine(error) => error.into(),
        PackError::Map { member, source } => match source.downcast::<packllm_store::StoreError>() {
            Ok(error) => (*error).into(),
            Err(source) => PackError::Map { member, source }.into(),
        },
    }
}
