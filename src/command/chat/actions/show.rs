//! The commands that only print something.

use crate::command::chat::compare::no_member;
use crate::command::chat::parameters;
use crate::command::chat::table::{self, SUBJECTS};
use crate::command::chat::talk::Talk;
use crate::command::screen;
use crate::plural::counted;
use anyhow::Result;
use packllm_engine::vocab::Alphabet;

impl Talk<'_> {
    pub(super) fn show(&mut self, typed: &str) -> Result<()> {
        if let Some(member) = typed.strip_prefix("prompt ") {
            return self.show_prompt(Some(member.trim()));
        }
        match typed {
            "weights" => self.show_weights()?,
            "system" => self.show_system()?,
            "parameters" => say!("{}", parameters::show(&self.settings).trim_end())?,
            "prompt" | "template" => self.show_prompt(None)?,
            "pack" | "info" | "" => self.show_pack()?,
            other => tell!("error: /show {other}: it shows {}", SUBJECTS.join(", ")),
        }
        Ok(())
    }

    fn show_pack(&self) -> Result<()> {
        let engine = &self.loaded.conversation.lockstep;
        let fusion = engine.fusion();
        say!(
            "pack {} · vocab {} · mix {} · weights {}",
            self.plan.manifest.name,
            engine.alphabet().name(),
            engine.mix(),
            fusion.method.brief()
        )?;
        for (member, plan) in engine.members().iter().zip(&self.plan.members) {
            let context = member.limits.context;
            say!(
                "  {:30} {:10} context {context:6} {}",
                member.name,
                member.description.architecture,
                plan.path.display()
            )?;
        }
        Ok(())
    }

    /// The conversation as the members read it before they answer: of all members, or of the one
    /// named.
    fn show_prompt(&self, only: Option<&str>) -> Result<()> {
        let names = self.loaded.conversation.lockstep.names();
        if let Some(name) = only.filter(|name| !names.iter().any(|n| n == name)) {
            tell!("error: /show prompt: {}", no_member(name, &names));
            return Ok(());
        }
        // This is what the last answer followed from.
        let mut asked = self.conversation.clone();
        asked.open_answer();
        let context = asked.context();
        for (k, name) in names.iter().enumerate() {
            if only.is_some_and(|only| only != name) {
                continue;
            }
            match self.loaded.rendered(k, &context) {
                Ok(text) if only.is_some() => say!("{}", screen::harmless(self.app, &text))?,
                Ok(text) => say!("── {name}\n{}", screen::harmless(self.app, &text))?,
                Err(error) => crate::report::tell(&error),
            }
        }
        Ok(())
    }

    pub(super) fn show_system(&self) -> Result<()> {
        let system = self.conversation.system().unwrap_or("(none)");
        Ok(say!("{}", screen::harmless(self.app, system))?)
    }

    pub(super) fn stats(&self) -> Result<()> {
        let Some(turn) = &self.last else {
            tell!("error: /stats: there is no answer yet");
            return Ok(());
        };
        let members = self.loaded.conversation.lockstep.members().iter();
        for (k, member) in members.enumerate() {
            let spent = &turn.said.answer.spent[k];
            say!(
                "  {:30} read {} tok · answer {} tok · {} evaluations · {:.0} ms",
                member.name,
                turn.read.new_tokens[k],
                turn.said.answer.member_tokens[k],
                spent.tokens,
                spent.time.as_secs_f64() * 1e3
            )?;
        }
        say!(
            "  mixing {:.1} ms · {} steps · skipped mass {:.4} · seed {}",
            turn.said.answer.mix_time.as_secs_f64() * 1e3,
            turn.said.answer.steps,
            turn.said.answer.skipped_mass,
            self.settings.generation.sampling.seed
        )?;
        Ok(())
    }

    pub(super) fn show_context(&mut self) -> Result<()> {
        const WIDTH: usize = 30;
        let mut asked = self.conversation.clone();
        let said = asked
            .open_answer()
            .map(|(text, _)| text)
            .unwrap_or_default();
        let context = asked.context();
        let mined = self.loaded.conversation.lockstep.alphabet() == Alphabet::Mapped;
        let gauges = match context.is_empty() || mined {
            true => self.gauges(),
            false => match self.loaded.size(&context, &said) {
                Ok(tokens) => self.of_contexts(tokens),
                Err(error) => return self.tell(error, "interrupted"),
            },
        };
        for (member, (used, of)) in self
            .loaded
            .conversation
            .lockstep
            .members()
            .iter()
            .zip(gauges)
        {
            let filled = (used * WIDTH / of.max(1)).min(WIDTH);
            let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH - filled));
            say!("  {:30} [{bar}] {used}/{of}", member.name)?;
        }
        let left = self.conversation.left();
        let turns = self.turns();
        let (turns, left) = (counted(turns, "turn"), counted(left, "message"));
        say!("  {turns}, {left} out of the context")?;
        Ok(())
    }
}

/// `/help`: all commands, or one.
pub fn help(typed: &str) -> Result<()> {
    match typed {
        "" => {
            let size = terminal_size::terminal_size_of(std::io::stdout());
            let columns = size.map_or(usize::MAX, |(width, _)| width.0.into());
            say!("{}", table::help(columns).trim_end())?;
        }
        word => match table::help_on(word) {
            Ok(text) => say!("{}", text.trim_end())?,
            Err(error) => tell!("error: {error}"),
        },
    }
    Ok(())
}
