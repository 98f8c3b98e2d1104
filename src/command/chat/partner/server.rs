//! A server, here or elsewhere. Nothing is read before it is to be answered: a question is one
//! request, and what is known of the members comes with its answer.

use super::{Fused, Gauge, Partner, Question, Standing, Weighing, busy};
use crate::app::App;
use crate::command::chat::parameters::Elsewhere;
use crate::command::chat::talk::Turn;
use crate::command::loaded::Shown;
use crate::say::printable;
use anyhow::{Context, Result, bail};
use packllm_client::{About, Client, ClientError, Own, Timings, Usage};
use packllm_engine::chat::RemovedMessages;
use packllm_engine::engine::Answer;
use packllm_engine::mix::Mix;
use packllm_engine::pack::Read;
use packllm_engine::weight::Method;
use packllm_parameter::{Values, Vocab};
use std::time::Instant;

mod answer;
mod asked;

use answer::Next;
use asked::Wishes;

/// What is set where the pack is served.
const WHERE_SERVED: &Elsewhere = &[
    ("num-ctx", "contexts are the server's: `packllm serve -c N`"),
    (
        "num-gpu",
        "devices are the server's: `packllm serve -ngl N`",
    ),
    (
        "num-thread",
        "threads are the server's: `packllm serve -t N`",
    ),
    (
        "repeat-stop",
        "the server decides: `packllm serve --repeat-stop WHEN`",
    ),
];

/// See the module.
pub struct Server<'a> {
    app: &'a App,
    client: Client,
    about: About,
    /// What was told of the members last; of names alone before.
    state: State,
    wishes: Wishes,
    /// The state that was turned aside from, and who was silent.
    main: Option<(State, Vec<bool>)>,
    next: Option<Next>,
}

/// What is known of the members.
#[derive(Debug, Clone, Default)]
struct State {
    members: Vec<packllm_client::Member>,
    /// Whether more than their names is known, of those that speak now.
    answered: bool,
    fused: Option<Fused>,
    usage: Option<Usage>,
    timings: Option<Timings>,
    /// Tokens of a prompt a byte of its messages.
    density: Option<f64>,
}

impl<'a> Server<'a> {
    /// Looks at the server, and says what is to be known of it.
    pub fn connect(
        app: &'a App,
        client: Client,
        model: Option<&str>,
        given: &Values,
    ) -> Result<Self> {
        let mut about = busy::ask(app, || client.about())?;
        let known = about.models.join(", ");
        if let Some(model) = model {
            if !about.models.iter().any(|name| name == model) {
                let (address, known) = (client.address(), printable(&known));
                bail!("{address}: there is no model {model} (there are {known})");
            }
            about.model = model.to_owned();
        }
        about.model = printable(&about.model);
        let names = about.members.iter();
        let members = names.map(|name| packllm_client::Member {
            name: printable(name),
            ..Default::default()
        });
        let state = State {
            members: members.collect(),
            ..State::default()
        };
        Self::introduce(app, &client, &about);
        Ok(Self {
            app,
            client,
            wishes: Wishes::new(given, &about.members)?,
            about,
            state,
            main: None,
            next: None,
        })
    }

    fn introduce(app: &App, client: &Client, about: &About) {
        let (address, ours) = (client.address(), env!("CARGO_PKG_VERSION"));
        match about.version.as_deref() {
            None => app.dim(&format!(
                "note: {address} is no packllm: it answers as {}, and tells of no members and weights",
                about.model
            )),
            Some(theirs) if theirs != ours => app.dim(&format!(
                "note: {address} is packllm {}, and this is {ours}: what one of them does not know is left out",
                printable(theirs)
            )),
            Some(_) => {}
        }
        if client.has_key() && address.is_open() {
            app.dim(&format!(
                "note: {address} is not encrypted: the key and what is said can be read on the way"
            ));
        }
    }

    /// An error, unless the server tells of its members.
    fn is_a_pack(&self) -> Result<()> {
        match self.about.is_packllm() {
            true => Ok(()),
            false => bail!("{} is no packllm", self.client.address()),
        }
    }

    /// What the server tells at the beginning of an answer.
    fn learn(&mut self, own: &Own) {
        if let Some(members) = &own.members {
            self.state.members = members.clone();
            for member in &mut self.state.members {
                member.name = printable(&member.name);
            }
            self.state.answered = true;
            self.wishes.silent.resize(members.len(), false);
        }
        if let Some(fusion) = &own.fusion {
            self.state.fused = Some(Fused {
                weights: printable(&fusion.weights),
                mix: printable(&fusion.mix),
                alphabet: printable(&fusion.alphabet),
            });
        }
    }

    /// What the question says of tokens, once the server has counted them.
    fn weigh_bytes(&mut self, question: &Question<'_>, tokens: usize) {
        let bytes = bytes(question);
        self.state.density = (bytes > 0).then(|| tokens as f64 / bytes as f64);
    }

    fn prompt_tokens(&self) -> usize {
        let members = self.state.members.iter().map(|m| m.prompt_tokens);
        members.max().unwrap_or(0)
    }

    fn names(&self) -> Vec<String> {
        self.state.members.iter().map(|m| m.name.clone()).collect()
    }
}

fn bytes(question: &Question<'_>) -> usize {
    let context = question.context.iter().map(|m| m.content.len());
    context.sum::<usize>() + question.begun.len()
}

impl Partner for Server<'_> {
    fn name(&self) -> &str {
        &self.about.model
    }

    fn members(&self) -> Vec<Standing> {
        let answered = self.state.answered;
        let members = self.state.members.iter().zip(&self.wishes.silent);
        let members = members.map(|(member, &silent)| Standing {
            name: member.name.clone(),
            weight: answered.then_some(member.weight),
            silent,
            facts: String::new(),
        });
        members.collect()
    }

    fn described(&self) -> Vec<String> {
        let context = self.about.context;
        let context = context.map_or_else(String::new, |n| format!(" · context {n}"));
        let version = self.about.version.as_deref();
        let version = version.map_or_else(
            || "no packllm".to_owned(),
            |version| format!("packllm {}", printable(version)),
        );
        let server = format!("  at {} · {version}{context}", self.client.address());
        let members = self.names().into_iter().map(|name| format!("  {name}"));
        [server].into_iter().chain(members).collect()
    }

    fn rendered(&mut self, _: usize, _: &Question<'_>) -> Result<String> {
        bail!("what members read is known where the pack is, and the server does not tell it")
    }

    fn elsewhere(&self) -> &'static Elsewhere {
        WHERE_SERVED
    }

    fn fusion(&self) -> Option<Fused> {
        self.state.fused.clone()
    }

    fn weighing(&self) -> Result<Weighing> {
        self.is_a_pack()?;
        let fused = self.state.fused.as_ref().filter(|_| self.state.answered);
        let fused = fused.context("they are not known before the next answer")?;
        Ok(Weighing {
            method: fused.weights.clone(),
            text: "your last message".into(),
            bits: self.state.members.iter().map(|m| m.bits_per_byte).collect(),
            outlook: None,
        })
    }

    fn bits_of(&self, _: usize) -> Option<Vec<f64>> {
        self.state.members.iter().map(|m| m.bits_per_byte).collect()
    }

    fn weigh_by(&mut self, method: Method) -> Result<bool> {
        self.is_a_pack()?;
        self.wishes.weights = Some(method);
        Ok(false)
    }

    fn mix_by(&mut self, mix: Mix) -> Result<()> {
        self.is_a_pack()?;
        self.wishes.mix = Some(mix);
        Ok(())
    }

    fn spell_by(&mut self, _: Vocab) -> Result<()> {
        bail!("the alphabet is the server's: `packllm serve --vocab ALPHABET`")
    }

    fn silence(&mut self, silent: Vec<bool>) -> Result<()> {
        self.is_a_pack()?;
        if !silent.is_empty() && silent.iter().all(|silent| *silent) {
            bail!("all members are off: one has to speak");
        }
        self.state.answered &= self.wishes.silent == silent;
        self.wishes.silent = silent;
        Ok(())
    }

    fn fuse(&mut self) -> Result<()> {
        Ok(())
    }

    fn forget_evidence(&mut self) {}

    fn weigh(&mut self) -> Result<()> {
        Ok(())
    }

    fn reads_ahead(&self) -> bool {
        false
    }

    /// By what the last prompt took; the server counts exactly, and refuses what does not fit.
    fn measure(&mut self, question: &Question<'_>) -> Result<Vec<Gauge>> {
        let known = self.state.density.zip(self.about.context);
        let gauge = known.map(|(density, context)| {
            let tokens = density * bytes(question) as f64;
            (tokens.ceil() as usize, context)
        });
        Ok(gauge.into_iter().collect())
    }

    fn gauges(&self, last: Option<&Turn>) -> Vec<Gauge> {
        let Some(context) = self.about.context else {
            return Vec::new();
        };
        let said = last.map_or(0, |turn| turn.said.answer.tokens);
        let members = self.state.members.iter();
        members.map(|m| (m.prompt_tokens + said, context)).collect()
    }

    fn clear(&mut self) -> Result<()> {
        Ok(())
    }

    fn forget(&mut self, _: &RemovedMessages) {}

    /// A request that was given up closed its connection at once.
    fn settle(&self) {}

    fn read(&mut self, question: &Question<'_>) -> Result<Read> {
        let start = Instant::now();
        self.next = None;
        let asked = self.wishes.question(&self.about, &self.names(), question)?;
        let begun = busy::ask(self.app, || {
            let mut stream = self.client.ask(&asked)?;
            let first = stream.next()?;
            Ok((stream, first))
        });
        let (stream, first) = begun.inspect_err(|error| {
            if let Some((tokens, context)) = error.downcast_ref().and_then(ClientError::sizes) {
                self.about.context = Some(context);
                self.weigh_bytes(question, tokens);
            }
        })?;
        if let Some(own) = first.as_ref().and_then(|chunk| chunk.packllm.as_ref()) {
            self.learn(own);
            self.weigh_bytes(question, self.prompt_tokens());
        }
        let (members, look) = (&self.state.members, question.settings.look);
        let mut read = Read::default();
        read.time = start.elapsed();
        read.cached_tokens = members.iter().map(|m| m.cached_tokens).collect();
        let new = |m: &packllm_client::Member| m.prompt_tokens.saturating_sub(m.cached_tokens);
        read.new_tokens = members.iter().map(new).collect();
        self.next = Some(Next {
            stream,
            first,
            begun: question.begun.to_owned(),
            look,
        });
        Ok(read)
    }

    fn stream(&mut self, _: &Read, start: Instant) -> Result<Shown> {
        let next = self.next.take().context("nothing was asked")?;
        Ok(self.answer(next, start))
    }

    /// The server may have a limit of its own, and does not say so.
    fn is_full(&self, _: &Answer, _: Option<usize>) -> bool {
        let known = self.state.usage.zip(self.about.context);
        known.is_some_and(|(usage, context)| {
            usage.prompt_tokens + usage.completion_tokens + 1 >= context
        })
    }

    fn end_turn(&mut self, read: &mut Read) {
        if let Some(usage) = self.state.usage.filter(|_| read.new_tokens.is_empty()) {
            read.new_tokens = vec![usage.prompt_tokens];
        }
    }

    fn stats(&self, turn: &Turn) -> Vec<String> {
        let members = self.state.members.iter().map(|member| {
            format!(
                "  {:30} read {} tok, {} of them before",
                member.name, member.prompt_tokens, member.cached_tokens
            )
        });
        let timings = self.state.timings.unwrap_or_default();
        let answer = &turn.said.answer;
        let server = format!(
            "  prompt {:.0} ms · answer {} tok {:.0} ms",
            timings.prompt_ms,
            answer.tokens,
            answer.time.as_secs_f64() * 1e3
        );
        members.chain([server]).collect()
    }

    fn turn_aside(&mut self) -> Result<()> {
        self.main = Some((self.state.clone(), self.wishes.silent.clone()));
        Ok(())
    }

    fn turn_back(&mut self) {
        if let Some((state, silent)) = self.main.take() {
            (self.state, self.wishes.silent) = (state, silent);
        }
    }
}
