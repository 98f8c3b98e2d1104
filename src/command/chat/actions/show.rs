//! The commands that only print something.

use crate::command::chat::compare::no_member;
use crate::command::chat::parameters;
use crate::command::chat::partner::{Fused, Question};
use crate::command::chat::table::{self, SUBJECTS};
use crate::command::chat::talk::Talk;
use crate::command::screen;
use crate::plural::counted;
use anyhow::Result;

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
        let fused = self.partner.fusion().map(|fused| {
            let Fused {
                weights,
                mix,
                alphabet,
            } = fused;
            format!(" · vocab {alphabet} · mix {mix} · weights {weights}")
        });
        let (name, fused) = (self.partner.name(), fused.unwrap_or_default());
        say!("pack {name}{fused}")?;
        for line in self.partner.described() {
            say!("{line}")?;
        }
        Ok(())
    }

    /// The conversation as the members read it before they answer: of all members, or of the one
    /// named.
    fn show_prompt(&mut self, only: Option<&str>) -> Result<()> {
        let names = self.names();
        if let Some(name) = only.filter(|name| !names.iter().any(|n| n == name)) {
            tell!("error: /show prompt: {}", no_member(name, &names));
            return Ok(());
        }
        // This is what the last answer followed from.
        let mut asked = self.conversation.clone();
        asked.open_answer();
        let context = asked.context();
        let question = Question {
            context: &context,
            new: context.len(),
            begun: "",
            limit: None,
            form: self.form.as_ref(),
            settings: &self.settings,
        };
        for (k, name) in names.iter().enumerate() {
            if only.is_some_and(|only| only != name) {
                continue;
            }
            match self.partner.rendered(k, &question) {
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
        let lines = self.partner.stats(turn).join("\n");
        let seed = self.settings.generation.sampling.seed;
        Ok(say!("{lines} · seed {seed}")?)
    }

    pub(super) fn show_context(&mut self) -> Result<()> {
        const WIDTH: usize = 30;
        let mut asked = self.conversation.clone();
        let said = asked
            .open_answer()
            .map(|(text, _)| text)
            .unwrap_or_default();
        let context = asked.context();
        let sized = self.partner.size(&Question {
            context: &context,
            new: context.len(),
            begun: &said,
            limit: None,
            form: self.form.as_ref(),
            settings: &self.settings,
        });
        let gauges = match sized {
            Ok(gauges) => gauges.unwrap_or_else(|| self.gauges()),
            Err(error) => return self.tell(error, "interrupted"),
        };
        for (name, (used, of)) in self.names().iter().zip(gauges) {
            let filled = (used * WIDTH / of.max(1)).min(WIDTH);
            let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH - filled));
            say!("  {name:30} [{bar}] {used}/{of}")?;
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
