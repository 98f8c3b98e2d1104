//! A conversation's thread: it reads, answers, and tells what happens over a bounded channel.

use super::event::{Begun, Ended, Event};
use super::reason::{outlook, reason};
use super::shelf::Kept;
use super::stop::Stop;
use super::telling::Telling;
use super::watched::Watched;
use super::{Desk, Job, Message, Order, Source};
use crate::error::Refusal;
use crate::facts::Facts;
use crate::own::{FusionTold, MemberTold};
use crate::request::{Prompt, Request};
use packllm_engine::backend::MemberInfo;
use packllm_engine::chat::speaker::{end_markers, plain_text};
use packllm_engine::competence::words;
use packllm_engine::engine::{
    self, Answer, AnswerOptions, Ending, EngineError, Finish, Lookup, Place, Segment, Start,
};
use packllm_engine::pack::{Host, PackError, Read};
use packllm_engine::vocab::Alphabet;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// See the module.
pub struct Talk<'a> {
    pub desk: &'a Desk,
    pub facts: &'a Facts,
    pub runtime: Handle,
    pub order: Order,
    pub kept: Kept,
}

/// What a job ends with: it is sent once the conversation rests.
pub struct Last {
    to: mpsc::Sender<Message>,
    message: Message,
    runtime: Handle,
    patience: Duration,
}

impl Last {
    pub fn send(self) {
        // A client that has gone needs none.
        let _ = send(&self.to, &self.runtime, self.patience, self.message);
    }
}

impl Talk<'_> {
    /// Does the job; returns the conversation if it can go on, and what is still to be sent.
    pub fn work(self, source: &dyn Source) -> (Option<Kept>, Last) {
        let to = self.order.to.clone();
        let (runtime, patience) = (self.runtime.clone(), self.desk.options.limits.write_time);
        let (kept, message) = self.do_job(source);
        let last = Last {
            to,
            message,
            runtime,
            patience,
        };
        (kept, last)
    }

    fn do_job(mut self, source: &dyn Source) -> (Option<Kept>, Message) {
        let mut host = Watched {
            host: source.host(),
            desk: self.desk,
        };
        let job = self.order.job.clone();
        let done = match &job {
            Job::Answer(request) => self.answer(request, &mut host),
            Job::Count(prompt) => self.count(prompt, &mut host),
        };
        let refusal = match done {
            Ok(event) => return (Some(self.kept), Ok(event)),
            Err(Stop::Gone) => Refusal::unavailable("the answer was stopped"),
            Err(Stop::Left) => {
                let refusal = Refusal::unavailable("the answer was stopped");
                return (Some(self.kept), Err(refusal));
            }
            Err(Stop::Refused(refusal)) => refusal,
            Err(Stop::Broken(refusal)) => {
                self.desk.state().broken = true;
                refusal
            }
        };
        let refusal = match refusal.status.as_u16() {
            500 => {
                source.trouble(&refusal.message);
                Refusal::broken()
            }
            _ => refusal,
        };
        // Members may still evaluate what was cancelled.
        self.kept.conversation.lockstep.settle();
        (None, Err(refusal))
    }

    fn count(&mut self, prompt: &Prompt, host: &mut dyn Host) -> Result<Event, Stop> {
        let conversation = &mut self.kept.conversation;
        let counted = match prompt {
            Prompt::Chat { messages, begun } => conversation.measure(messages, begun, host),
            Prompt::Text(text) => {
                let prompts = plain_text(text, self.facts.members.len(), Ending::Continue);
                let prepared = conversation.lockstep.prepare(prompts);
                prepared.map(|p| p.tokens).map_err(PackError::from)
            }
        };
        let tokens = match counted {
            Ok(tokens) => tokens[self.facts.counting],
            Err(PackError::Engine(EngineError::TooLong { tokens, .. })) => tokens,
            Err(error) => return Err(error.into()),
        };
        Ok(Event::Counted(tokens))
    }

    /// Answers; returns the last event.
    fn answer(&mut self, request: &Request, host: &mut dyn Host) -> Result<Event, Stop> {
        let desk = self.desk;
        desk.totals.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(asked) = &request.form {
            // Before anything is read for an answer that will not be.
            let checked = desk.grammars.check(&asked.form);
            checked.map_err(|error| asked.refusal(&error))?;
        }
        let same = self.configure(request)?;
        let mut new = match &self.kept.read {
            Some(Prompt::Chat { messages, .. }) if same => messages.len(),
            _ => 0,
        };
        if new == 0 {
            self.kept.conversation.lockstep.forget_evidence();
        }
        let mut sampling = request.sampling(&desk.options.answers.sampling);
        if request.values.seed.is_none() && !desk.options.seeded {
            sampling.seed = random_seed();
        }
        if let Prompt::Text(_) = request.prompt {
            sampling.repeat_stop = desk.options.text_repeat_stop;
        }
        let mut choice = 0;
        loop {
            // The same question and seed get the same answer, whatever was said before.
            self.kept.conversation.lockstep.unlearn()?;
            let read = self.read(request, new, host)?;
            if choice == 0 {
                self.kept.read = Some(request.prompt.clone());
                let begun = self.begun(request, &read);
                self.send(Event::Begun(Box::new(begun)))?;
            }
            if let Prompt::Chat { messages, .. } = &request.prompt {
                new = messages.len();
            }
            let ended = self.generate(request, choice, &read, &sampling)?;
            choice += 1;
            if choice >= request.choices {
                return Ok(ended);
            }
            self.send(ended)?;
            sampling.seed = sampling.seed.wrapping_add(1);
        }
    }

    /// Fuses as the request says; returns whether that is as before.
    fn configure(&mut self, request: &Request) -> Result<bool, Stop> {
        let options = &self.desk.options;
        let names = self.facts.names();
        let fusion = request.fusion(&options.fusion, &names)?;
        let silent = request.silent(&names)?;
        let is_new = self.kept.read.is_none();
        let conversation = &mut self.kept.conversation;
        let same_fusion = fusion == *conversation.lockstep.fusion();
        match &request.prompt {
            Prompt::Chat { .. } if !same_fusion => conversation.fuse_by(fusion)?,
            // A text has no turns: a token ends it, whatever the templates say.
            Prompt::Text(_) if is_new || !same_fusion => {
                let members = conversation.lockstep.members();
                let can_end = members.iter().map(MemberInfo::has_end).collect();
                conversation.lockstep.configure(fusion, can_end)?;
            }
            _ => {}
        }
        let same_members = silent == conversation.lockstep.silent();
        if !same_members {
            conversation.lockstep.silence(silent)?;
        }
        conversation.ask_to_think(request.think.unwrap_or(options.think));
        if is_new && options.draft {
            let drafter = Box::new(Lookup::of(conversation.lockstep.members()));
            conversation.lockstep.draft_with(Some(drafter));
        }
        Ok(same_fusion && same_members)
    }

    fn read(&mut self, request: &Request, new: usize, host: &mut dyn Host) -> Result<Read, Stop> {
        let conversation = &mut self.kept.conversation;
        let scores = conversation.score_request();
        let read = match &request.prompt {
            Prompt::Chat { messages, begun } => {
                conversation.read_chat(messages, new, begun, scores, host)
            }
            Prompt::Text(text) => conversation.read_text(text, Ending::Continue, scores, host),
        };
        match read {
            Err(PackError::Engine(EngineError::Cancelled)) => Err(Stop::Gone),
            Err(error) => Err(error.into()),
            Ok(read) => {
                self.constrain(request, &read)?;
                Ok(read)
            }
        }
    }

    /// The next answer has the form that is asked for.
    fn constrain(&mut self, request: &Request, read: &Read) -> Result<(), Stop> {
        let begun = match &request.prompt {
            Prompt::Chat { begun, .. } => begun,
            Prompt::Text(_) => "",
        };
        let form = request.form.as_ref();
        let conversation = &mut self.kept.conversation;
        let constrained = self.desk.grammars.constrain(
            conversation,
            form.map(|asked| &asked.form),
            begun,
            &read.opening,
        );
        constrained.map_err(|error| match form {
            Some(asked) => Stop::Refused(asked.refusal(&error)),
            None => Stop::Refused(Refusal::internal(error.to_string())),
        })
    }

    fn begun(&self, request: &Request, read: &Read) -> Begun {
        let lockstep = &self.kept.conversation.lockstep;
        let (prompt, counting) = (lockstep.prompt_tokens(), self.facts.counting);
        let rests = |k: usize| !lockstep.speaks(k) && !lockstep.silent()[k];
        let cached = |k: usize| match rests(k) {
            true => 0,
            false => prompt[k].saturating_sub(read.new_tokens[k]),
        };
        // One that rests has read nothing: the others' say how much was known.
        let most = (0..prompt.len()).map(cached).max().unwrap_or(0);
        let cached_tokens = match rests(counting) {
            true => most.min(prompt[counting]),
            false => cached(counting),
        };
        let evidence = match &request.prompt {
            Prompt::Chat { messages, .. } => lockstep.bits_per_byte_of(messages.len() - 1),
            Prompt::Text(_) => lockstep.bits_per_byte_of(0),
        };
        let expected = outlook(lockstep).map(words::expected);
        let members = self.facts.members.iter().enumerate();
        let members = members.map(|(k, member)| MemberTold {
            name: member.name.clone(),
            weight: lockstep.lambda()[k],
            prompt_tokens: prompt[k],
            cached_tokens: cached(k),
            bits_per_byte: evidence.as_ref().map(|e| e[k]).filter(|b| b.is_finite()),
            expected_loss: expected.as_ref().map(|e| e[k]).filter(|e| e.is_finite()),
            takes_part: lockstep.speaks(k) && lockstep.lambda()[k] > 0.0,
        });
        let totals = &self.desk.totals;
        let add = |sum: &std::sync::atomic::AtomicU64, n: usize| {
            sum.fetch_add(n as u64, Ordering::Relaxed);
        };
        add(&totals.prompt_tokens, prompt[counting]);
        add(&totals.cached_tokens, cached_tokens);
        add(&totals.prompt_micros, micros(read.time));
        Begun {
            prompt_tokens: prompt[counting],
            cached_tokens,
            time: read.time,
            members: members.collect(),
            fusion: FusionTold {
                weights: lockstep.fusion().method.to_string(),
                mix: lockstep.mix().to_string(),
                alphabet: lockstep.alphabet().name(),
                reason: reason(lockstep),
            },
        }
    }

    fn generate(
        &mut self,
        request: &Request,
        choice: u32,
        read: &Read,
        sampling: &packllm_engine::sample::Params,
    ) -> Result<Event, Stop> {
        let options = self.answer_options(request, sampling);
        let names = self.facts.names();
        let mut telling = Telling::new(request, choice, names, &read.opening);
        let (runtime, patience) = (&self.runtime, self.desk.options.limits.write_time);
        let lockstep = &mut self.kept.conversation.lockstep;
        let mut generation = lockstep.generate(&options)?;
        generation.count_by(self.facts.counting);
        if let Some(alternatives) = request.logprobs {
            generation.keep_predictions(alternatives);
        }
        let to = &self.order.to;
        let mut send = |more| send(to, runtime, patience, Ok(Event::More(more)));
        while let Some(engine::Event::Text(text, contributions)) = generation.next()? {
            telling.hear(text, contributions);
            telling.scored(generation.predictions());
            telling.tell(&mut send)?;
            self.desk.step();
        }
        let words = telling.finish(&mut send)?;
        let stopped_by = generation.stopped_by();
        let answer = generation.finish()?;
        if answer.finish == Finish::Cancelled {
            return Err(Stop::Left);
        }
        let stopped_by = stopped_by.and_then(|i| request.stops.get(i)).cloned();
        // A token that was begun when the limit was reached is not counted.
        let tokens = self
            .tokens(&answer)
            .min(options.limit.unwrap_or(usize::MAX));
        let totals = &self.desk.totals;
        totals.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
        totals
            .micros
            .fetch_add(micros(answer.time) as u64, Ordering::Relaxed);
        Ok(Event::Ended(Box::new(Ended {
            choice,
            finish: answer.finish,
            stopped_by,
            tokens,
            time: answer.time,
            seed: sampling.seed,
            mean_weights: answer.mean_weights,
            words,
        })))
    }

    fn answer_options(
        &self,
        request: &Request,
        sampling: &packllm_engine::sample::Params,
    ) -> AnswerOptions {
        let desk = &self.desk.options;
        let conversation = &self.kept.conversation;
        let asked = match request.values.predict {
            Some(tokens) => usize::try_from(tokens).ok(),
            None => desk.answers.limit,
        };
        let limit = asked.into_iter().chain(desk.limits.answer).min();
        let own = match &request.prompt {
            Prompt::Chat { .. } => conversation.stops(),
            Prompt::Text(_) => end_markers(conversation.lockstep.members()),
        };
        let stops = request.stops.iter().chain(&desk.answers.stops).cloned();
        AnswerOptions {
            limit,
            sampling: sampling.clone(),
            stops: stops.chain(own).collect(),
            attribution: request.attribution,
        }
    }

    /// Tokens of an answer, of the member that counts, also where it took no part.
    fn tokens(&mut self, answer: &Answer) -> usize {
        let (counting, lockstep) = (self.facts.counting, &mut self.kept.conversation.lockstep);
        let tokens = answer.member_tokens[counting];
        if tokens > 0 || answer.text.is_empty() || lockstep.alphabet() == Alphabet::Mapped {
            return tokens.max(usize::from(!answer.text.is_empty()));
        }
        let prompt = engine::Prompt {
            start: Start::Nothing,
            segments: vec![Segment::content(answer.text.as_str(), Place::default())],
            ending: Ending::Closed,
        };
        let prompts = vec![prompt; self.facts.members.len()];
        let prepared = lockstep.prepare(prompts);
        prepared.map_or(answer.tokens, |prepared| prepared.tokens[counting])
    }

    fn send(&self, event: Event) -> Result<(), Stop> {
        let patience = self.desk.options.limits.write_time;
        send(&self.order.to, &self.runtime, patience, Ok(event))
    }
}

/// Hands an event on. A client that reads slowly is waited for, but not for ever.
fn send(
    to: &mpsc::Sender<Message>,
    runtime: &Handle,
    patience: Duration,
    message: Message,
) -> Result<(), Stop> {
    match to.try_send(message) {
        Ok(()) => Ok(()),
        Err(TrySendError::Closed(_)) => Err(Stop::Gone),
        Err(TrySendError::Full(message)) => {
            let wait = async { tokio::time::timeout(patience, to.send(message)).await };
            match runtime.block_on(wait) {
                Ok(Ok(())) => Ok(()),
                _ => Err(Stop::Gone),
            }
        }
    }
}

fn micros(time: Duration) -> usize {
    usize::try_from(time.as_micros()).unwrap_or(usize::MAX)
}

/// A random seed, short enough to be typed again.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::Instant::now()) % 1_000_000_000
}
