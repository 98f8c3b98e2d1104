//! Commands about the members: their own answers, who speaks, how much each counts.

use super::parameters::Settings;
use super::partner::Question;
use super::talk::Talk;
use crate::report::message;
use anyhow::Result;
use packllm_engine::chat::Message;
use packllm_engine::engine::Finish;
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
            say!("── fused: {}\n{shown}", self.weights_line())?;
        }
        let _guarded = self.guard.hold();
        self.partner.turn_aside()?;
        let answered = self.answer_in_turn(&asked.context());
        self.partner.turn_back();
        answered
    }

    fn answer_in_turn(&mut self, context: &[Message]) -> Result<()> {
        let names = self.names();
        // A lone member argued for all of it.
        let mut settings = self.settings.clone();
        settings.attribute(false);
        for (k, name) in names.iter().enumerate() {
            if self.guard.told_to_end().is_some() {
                break;
            }
            say!("── {name} alone")?;
            let alone = (0..names.len()).map(|j| j != k).collect();
            match self.answer_alone(alone, context, &settings) {
                Ok(Finish::Cancelled) => break,
                Ok(finish) => self.tell_repetition(finish),
                Err(error) => return self.tell(error, "interrupted"),
            }
        }
        Ok(())
    }

    fn answer_alone(
        &mut self,
        silent: Vec<bool>,
        context: &[Message],
        settings: &Settings,
    ) -> Result<Finish> {
        self.partner.silence(silent)?;
        let read = self.partner.read(&Question {
            context,
            new: context.len(),
            begun: "",
            limit: settings.generation.limit,
            form: self.form.as_ref(),
            settings,
        })?;
        let said = self.partner.stream(&read, Instant::now())?;
        said.written?;
        say!("")?;
        match said.broken {
            Some(error) => Err(error),
            None => Ok(said.answer.finish),
        }
    }

    /// `/members`: who speaks. `on NAME`, `off NAME`, `only NAME`; `on` alone means all.
    pub fn members(&mut self, typed: &str) -> Result<()> {
        let members = self.partner.members();
        let names: Vec<String> = members.iter().map(|m| m.name.clone()).collect();
        let mut silent: Vec<bool> = members.iter().map(|m| m.silent).collect();
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
        if let Err(error) = self.partner.silence(silent) {
            tell!("error: /members: {}", message(&error));
            return Ok(());
        }
        self.partner.weigh()?;
        self.show_members()
    }

    fn show_members(&self) -> Result<()> {
        for member in self.partner.members() {
            let state = match (member.silent, member.weight) {
                (true, _) => "off: reads along".to_owned(),
                (false, None) => "its weight comes with the answer".to_owned(),
                (false, Some(0.0)) => "dropped: too little weight".to_owned(),
                (false, Some(weight)) => format!("weight {weight:.3}"),
            };
            say!("  {:30} {state:28} {}", member.name, member.facts)?;
        }
        Ok(())
    }

    /// `/weights METHOD`: another method from now on.
    pub fn weigh_by(&mut self, typed: &str) -> Result<()> {
        let method = match Method::parse(typed, &self.names()) {
            Ok(method) => method,
            Err(error) => {
                tell!("error: /weights: {error}");
                return Ok(());
            }
        };
        let anew = self.partner.weigh_by(method)?;
        self.refit(anew)
    }

    /// Fuses by the current settings; with `anew`, measures the members again on the whole
    /// conversation.
    pub fn refit(&mut self, anew: bool) -> Result<()> {
        self.partner.fuse()?;
        if anew {
            self.partner.forget_evidence();
            self.conversation.mark_unread();
        }
        if !self.partner.reads_ahead() {
            self.app.dim("it holds from the next message on");
            return Ok(());
        }
        if !self.conversation.context().is_empty() && anew {
            if let Err(error) = self.read("", None) {
                return self.tell(error, "interrupted");
            }
        } else {
            self.partner.weigh()?;
        }
        self.show_weights()
    }

    /// `/weights`: the weight of each member, and where it comes from.
    pub fn show_weights(&self) -> Result<()> {
        let weighing = match self.partner.weighing() {
            Ok(weighing) => weighing,
            Err(error) => {
                tell!("error: /weights: {}", message(&error));
                return Ok(());
            }
        };
        say!("weights by {} on {}:", weighing.method, weighing.text)?;
        for (k, member) in self.partner.members().iter().enumerate() {
            let weight = member.weight.unwrap_or(0.0);
            match weighing.bits.get(k).copied().flatten() {
                None => say!("  {:30} {weight:.3}", member.name)?,
                Some(bits) => say!("  {:30} {weight:.3}   {bits:.3} bits per byte", member.name)?,
            }
        }
        if let Some(outlook) = weighing.outlook {
            say!("{outlook}")?;
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
        let names = self.names();
        for (turn, lambda) in course {
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
