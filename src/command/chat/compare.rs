//! Commands about the members: their own answers, who speaks, how much each counts.

use super::talk::Talk;
use crate::command::outlook;
use anyhow::Result;
use packllm_engine::chat::Message;
use packllm_engine::engine::{AnswerOptions, EngineError, Finish, ScoreRequest};
use packllm_engine::weight::Method;
use std::time::Instant;

impl Talk<'_> {
    /// Every member alone answers the last message, below the fused answer. None of these answers
    /// is saved.
    pub fn compare(&mut self) -> Result<()> {
        let mut asked = self.conversation.clone();
        let fused = asked.open_answer().map(|(text, _)| text);
        if !asked.waits() {
            tell!("error: there is nothing to answer yet");
            return Ok(());
        }
        if let Some(fused) = fused {
            let shown = self.shown(&fused);
            say!("── fused: {}\n{shown}", self.loaded.weights_line())?;
        }
        let _guarded = self.guard.hold();
        let aside = self.loaded.turn_aside()?;
        let answered = self.answer_in_turn(&asked.context());
        self.loaded.turn_back(aside);
        answered
    }

    fn answer_in_turn(&mut self, context: &[Message]) -> Result<()> {
        let names = self.loaded.conversation.lockstep.names();
        for (k, name) in names.iter().enumerate() {
            if self.guard.told_to_end().is_some() {
                break;
            }
            say!("── {name} alone")?;
            let alone = (0..names.len()).map(|j| j != k).collect();
            match self.answer_alone(alone, context) {
                Ok(Finish::Cancelled) => break,
                Ok(finish) => self.tell_repetition(finish),
                Err(error) => return self.tell(error, "interrupted"),
            }
        }
        Ok(())
    }

    fn answer_alone(&mut self, silent: Vec<bool>, context: &[Message]) -> Result<Finish> {
        self.loaded.conversation.lockstep.silence(silent)?;
        let read = self
            .loaded
            .read_chat(context, context.len(), ScoreRequest::NOTHING)?;
        let generation = AnswerOptions {
            // A lone member argued for all of it.
            attribution: false,
            ..self.generation()
        };
        let streamed = self.loaded.stream(
            &generation,
            self.settings.look,
            Instant::now(),
            "",
            &read.opening,
        )?;
        streamed.written?;
        say!("")?;
        Ok(streamed.answer.finish)
    }

    /// `/members`: who speaks. `on NAME`, `off NAME`, `only NAME`; `on` alone means all.
    pub fn members(&mut self, typed: &str) -> Result<()> {
        let names = self.loaded.conversation.lockstep.names();
        let mut silent = self.loaded.conversation.lockstep.silent().to_vec();
        let (verb, name) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
        let name = name.trim();
        let k = names.iter().position(|n| n == name);
        match (verb, k) {
            ("", _) => {}
            ("on", None) if name.is_empty() => silent.fill(false),
            ("on", Some(k)) => silent[k] = false,
            ("off", Some(k)) => silent[k] = true,
            ("only", Some(k)) => silent = (0..names.len()).map(|j| j != k).collect(),
            ("on" | "off" | "only", None) if !name.is_empty() => {
                tell!("error: /members {verb}: {}", no_member(name, &names));
                return Ok(());
            }
            _ => {
                let names = names.join(", ");
                tell!(
                    "error: /members {verb}: it is on, off or only, and a member's name: {names}"
                );
                return Ok(());
            }
        }
        match self.loaded.conversation.lockstep.silence(silent) {
            Err(error @ EngineError::AllSilent) => {
                tell!("error: /members: {error}");
                return Ok(());
            }
            done => done?,
        }
        self.loaded.conversation.lockstep.weigh()?;
        self.show_members()
    }

    fn show_members(&self) -> Result<()> {
        let engine = &self.loaded.conversation.lockstep;
        for (k, member) in engine.members().iter().enumerate() {
            let state = match (engine.silent()[k], engine.lambda()[k]) {
                (true, _) => "off: reads along".to_owned(),
                (false, 0.0) => "dropped: too little weight".to_owned(),
                (false, weight) => format!("weight {weight:.3}"),
            };
            let facts = &member.description;
            say!("  {:30} {state:28} {}", member.name, facts.architecture)?;
        }
        Ok(())
    }

    /// `/weights METHOD`: another method from now on.
    pub fn weigh_by(&mut self, typed: &str) -> Result<()> {
        let names = self.loaded.conversation.lockstep.names();
        let method = match Method::parse(typed, &names) {
            Ok(method) => method,
            Err(error) => {
                tell!("error: /weights: {error}");
                return Ok(());
            }
        };
        let engine = &self.loaded.conversation.lockstep;
        let (had, needs) = (
            engine.score_request_for(&self.fusion.method),
            engine.score_request_for(&method),
        );
        // With `auto` members may have rested.
        let before = std::mem::replace(&mut self.fusion.method, method);
        if before != self.fusion.method && [&before, &self.fusion.method].contains(&&Method::Auto) {
            if self.fusion.method == Method::Auto {
                self.loaded.learn(&self.plan)?;
            }
            return self.refit(true);
        }
        if needs.rows && !had.rows || needs.scores && !had.scores {
            return self.refit(true);
        }
        self.refit(false)
    }

    /// Fuses by the current settings; with `anew`, measures the members again on the whole
    /// conversation.
    pub fn refit(&mut self, anew: bool) -> Result<()> {
        self.loaded.fuse_by(self.fusion.clone())?;
        if anew {
            self.loaded.conversation.lockstep.forget_evidence();
            self.conversation.mark_unread();
        }
        if !self.conversation.context().is_empty() && anew {
            if let Err(error) = self.read("") {
                return self.tell(error, "interrupted");
            }
        } else {
            self.loaded.conversation.lockstep.weigh()?;
        }
        self.show_weights()
    }

    /// `/weights`: the weight of each member, and where it comes from.
    pub fn show_weights(&self) -> Result<()> {
        let engine = &self.loaded.conversation.lockstep;
        let evidence = engine.evidence()?;
        say!(
            "weights by {} on {} bytes of what you wrote:",
            self.fusion.method.brief(),
            evidence.bytes
        )?;
        for (k, member) in engine.members().iter().enumerate() {
            let weight = engine.lambda()[k];
            if evidence.is_empty() || evidence.members[k].nats.is_empty() {
                say!("  {:30} {weight:.3}", member.name)?;
            } else {
                let bits = evidence.bits_per_byte(k);
                say!("  {:30} {weight:.3}   {bits:.3} bits per byte", member.name)?;
            }
        }
        let outlook = engine
            .outlook()
            .filter(|_| self.fusion.method == Method::Auto);
        if let Some(outlook) = outlook {
            say!("{}", outlook::line(&engine.names(), outlook))?;
        }
        self.show_course()
    }

    /// The weights turn by turn, if there was more than one turn.
    fn show_course(&self) -> Result<()> {
        let turns = self.turns();
        let course = self.course.iter().filter(|(turn, _)| *turn <= turns);
        let course: Vec<&(usize, Vec<f64>)> = course.collect();
        if course.len() < 2 {
            return Ok(());
        }
        say!("their course, turn by turn:")?;
        for (turn, lambda) in course {
            let names = self.loaded.conversation.lockstep.names();
            let weights = names.iter().zip(lambda);
            let weights: Vec<String> = weights.map(|(n, w)| format!("{n} {w:.3}")).collect();
            say!("  {turn:4}  {}", weights.join("  "))?;
        }
        Ok(())
    }
}

/// `there is no member smollm, did you mean smollm2? (there are smollm2, gemma3)`
pub fn no_member(name: &str, names: &[String]) -> String {
    let hint = packllm_engine::did_you_mean(packllm_engine::nearest(name, names));
    format!(
        "there is no member {name}{hint} (there are {})",
        names.join(", ")
    )
}
