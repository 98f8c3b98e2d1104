//! The pack that is loaded here.

use super::{Fused, Gauge, Partner, Question, Standing, Weighing};
use crate::command::chat::parameters::{Elsewhere, WHEN_LOADED};
use crate::command::chat::talk::Turn;
use crate::command::loaded::{LoadedPack, Shown};
use crate::command::outlook;
use crate::command::screen::Look;
use crate::settings::PackPlan;
use anyhow::{Context, Result, bail};
use packllm_engine::chat::RemovedMessages;
use packllm_engine::competence::Frame;
use packllm_engine::engine::{Answer, AnswerOptions, Fusion, ScoreRequest};
use packllm_engine::mix::Mix;
use packllm_engine::pack::{Conversation, Read};
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Method;
use packllm_parameter::Vocab;
use std::time::Instant;

/// See the module.
pub struct Here<'a> {
    loaded: LoadedPack<'a>,
    plan: PackPlan,
    /// How members are fused at present.
    fusion: Fusion,
    /// What was turned aside from; what is asked meanwhile is no evidence.
    main: Option<Conversation>,
    /// How the question that was read is answered.
    next: Option<Next>,
}

/// How a question is answered.
struct Next {
    begun: String,
    generation: AnswerOptions,
    look: Look,
}

impl<'a> Here<'a> {
    pub fn new(loaded: LoadedPack<'a>, plan: PackPlan) -> Self {
        Self {
            loaded,
            fusion: plan.fusion.clone(),
            plan,
            main: None,
            next: None,
        }
    }

    /// Templates are asked to think, or not, and the answer has its form.
    fn prepare(&mut self, question: &Question<'_>) {
        let thinks = question.settings.look.lets_think();
        self.loaded.conversation.ask_to_think(thinks);
        self.loaded.form = question.form.cloned();
    }

    /// Tokens of each member, and the size of its context.
    fn of_contexts(&self, used: Vec<usize>) -> Vec<Gauge> {
        let members = self.loaded.conversation.lockstep.members().iter();
        let contexts = members.map(|m| m.limits.context as usize);
        used.into_iter().zip(contexts).collect()
    }
}

impl Partner for Here<'_> {
    fn name(&self) -> &str {
        &self.plan.manifest.name
    }

    fn members(&self) -> Vec<Standing> {
        let engine = &self.loaded.conversation.lockstep;
        let members = engine.members().iter().enumerate();
        let members = members.map(|(k, member)| Standing {
            name: member.name.clone(),
            weight: Some(engine.lambda()[k]),
            silent: engine.silent()[k],
            facts: member.description.architecture.clone(),
        });
        members.collect()
    }

    fn described(&self) -> Vec<String> {
        let engine = &self.loaded.conversation.lockstep;
        let members = engine.members().iter().zip(&self.plan.members);
        let members = members.map(|(member, plan)| {
            format!(
                "  {:30} {:10} context {:6} {}",
                member.name,
                member.description.architecture,
                member.limits.context,
                plan.path.display()
            )
        });
        members.collect()
    }

    fn rendered(&mut self, k: usize, question: &Question<'_>) -> Result<String> {
        self.prepare(question);
        self.loaded.rendered(k, question.context)
    }

    fn elsewhere(&self) -> &'static Elsewhere {
        WHEN_LOADED
    }

    fn fusion(&self) -> Option<Fused> {
        let engine = &self.loaded.conversation.lockstep;
        Some(Fused {
            weights: self.fusion.method.brief(),
            mix: engine.mix().to_string(),
            alphabet: engine.alphabet().name().to_owned(),
        })
    }

    fn weighing(&self) -> Result<Weighing> {
        let engine = &self.loaded.conversation.lockstep;
        let evidence = engine.evidence()?;
        let measured = |k: usize| !evidence.is_empty() && !evidence.members[k].nats.is_empty();
        let bits =
            (0..engine.members().len()).map(|k| measured(k).then(|| evidence.bits_per_byte(k)));
        let outlook = engine
            .outlook()
            .filter(|_| self.fusion.method == Method::Auto);
        Ok(Weighing {
            method: self.fusion.method.brief(),
            text: format!("{} bytes of what you wrote", evidence.bytes),
            bits: bits.collect(),
            outlook: outlook.map(|outlook| outlook::line(&engine.names(), outlook, "the answer")),
        })
    }

    fn bits_of(&self, message: usize) -> Option<Vec<f64>> {
        self.loaded.conversation.lockstep.bits_per_byte_of(message)
    }

    fn weigh_by(&mut self, method: Method) -> Result<bool> {
        let engine = &self.loaded.conversation.lockstep;
        let (had, needs) = (
            engine.score_request_for(&self.fusion.method),
            engine.score_request_for(&method),
        );
        let before = std::mem::replace(&mut self.fusion.method, method);
        // With `auto` members may have rested.
        if before != self.fusion.method && [&before, &self.fusion.method].contains(&&Method::Auto) {
            if self.fusion.method == Method::Auto {
                self.loaded.learn(&self.plan, Frame::Chat)?;
            }
            return Ok(true);
        }
        Ok(needs.rows && !had.rows || needs.scores && !had.scores)
    }

    fn mix_by(&mut self, mix: Mix) -> Result<()> {
        self.fusion.mix = Some(mix);
        Ok(())
    }

    fn spell_by(&mut self, vocab: Vocab) -> Result<()> {
        let alphabet = vocab.alphabet();
        let planned = self.plan.fusion.alphabet;
        let tokens_alone = matches!(planned, Some(Alphabet::Tokens | Alphabet::Mapped));
        if tokens_alone && alphabet != planned {
            let name = vocab.name();
            bail!("the pack was loaded for tokens; start with --vocab {name}");
        }
        let wanted = Fusion {
            alphabet,
            ..self.fusion.clone()
        };
        self.loaded.fuse_by(wanted.clone())?;
        self.fusion = wanted;
        self.clear()
    }

    fn silence(&mut self, silent: Vec<bool>) -> Result<()> {
        Ok(self.loaded.conversation.lockstep.silence(silent)?)
    }

    fn fuse(&mut self) -> Result<()> {
        self.loaded.fuse_by(self.fusion.clone())
    }

    fn forget_evidence(&mut self) {
        self.loaded.conversation.lockstep.forget_evidence();
    }

    fn weigh(&mut self) -> Result<()> {
        self.loaded.conversation.lockstep.weigh()?;
        Ok(())
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    fn measure(&mut self, question: &Question<'_>) -> Result<Vec<Gauge>> {
        self.prepare(question);
        let used = self.loaded.measure(question.context, question.begun)?;
        Ok(self.of_contexts(used))
    }

    fn size(&mut self, question: &Question<'_>) -> Result<Option<Vec<Gauge>>> {
        self.prepare(question);
        let mined = self.loaded.conversation.lockstep.alphabet() == Alphabet::Mapped;
        if mined || question.context.is_empty() {
            return Ok(None);
        }
        let used = self.loaded.size(question.context, question.begun)?;
        Ok(Some(self.of_contexts(used)))
    }

    fn gauges(&self, last: Option<&Turn>) -> Vec<Gauge> {
        let prompts = self.loaded.conversation.lockstep.prompt_tokens();
        let prompts = prompts.iter().enumerate();
        let used = prompts.map(|(k, tokens)| tokens + last.map_or(0, |turn| turn.said.tail[k]));
        self.of_contexts(used.collect())
    }

    fn clear(&mut self) -> Result<()> {
        Ok(self.loaded.conversation.lockstep.clear()?)
    }

    fn forget(&mut self, gone: &RemovedMessages) {
        self.loaded.conversation.lockstep.forget_messages(gone);
    }

    fn settle(&self) {
        self.loaded.conversation.lockstep.settle();
    }

    fn read(&mut self, question: &Question<'_>) -> Result<Read> {
        self.prepare(question);
        let engine = &self.loaded.conversation.lockstep;
        let request = match self.main {
            Some(_) => ScoreRequest::NOTHING,
            None => engine.score_request_for(&self.fusion.method),
        };
        let Question {
            context,
            new,
            begun,
            ..
        } = *question;
        let read = self.loaded.read_going_on(context, new, request, begun);
        // Some member may have been scored before the failure; it will be scored again.
        let read =
            read.inspect_err(|_| self.loaded.conversation.lockstep.forget_messages_from(new))?;
        let settings = question.settings;
        let mut generation = settings.generation.clone();
        generation.limit = question.limit;
        generation.stops.extend(self.loaded.conversation.stops());
        generation.attribution = settings.look.attribution;
        self.next = Some(Next {
            begun: begun.to_owned(),
            generation,
            look: settings.look,
        });
        Ok(read)
    }

    fn stream(&mut self, read: &Read, start: Instant) -> Result<Shown> {
        let next = self.next.take().context("nothing was read")?;
        let (begun, opening) = (&next.begun, &read.opening);
        self.loaded
            .stream(&next.generation, next.look, start, begun, opening)
    }

    fn is_full(&self, answer: &Answer, limit: Option<usize>) -> bool {
        limit.is_none_or(|limit| answer.tokens < limit)
    }

    fn end_turn(&mut self, _: &mut Read) {
        self.loaded.write_prompt_cache();
    }

    fn stats(&self, turn: &Turn) -> Vec<String> {
        let answer = &turn.said.answer;
        let members = self.loaded.conversation.lockstep.members().iter();
        let members = members.enumerate().map(|(k, member)| {
            let spent = &answer.spent[k];
            format!(
                "  {:30} read {} tok · answer {} tok · {} evaluations · {:.0} ms",
                member.name,
                turn.read.new_tokens[k],
                answer.member_tokens[k],
                spent.tokens,
                spent.time.as_secs_f64() * 1e3
            )
        });
        let mixing = format!(
            "  mixing {:.1} ms · {} steps · skipped mass {:.4}",
            answer.mix_time.as_secs_f64() * 1e3,
            answer.steps,
            answer.skipped_mass,
        );
        members.chain([mixing]).collect()
    }

    fn turn_aside(&mut self) -> Result<()> {
        self.main = Some(self.loaded.turn_aside()?);
        Ok(())
    }

    fn turn_back(&mut self) {
        if let Some(main) = self.main.take() {
            self.loaded.turn_back(main);
        }
    }
}
