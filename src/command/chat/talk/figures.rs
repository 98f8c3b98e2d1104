//! The lines of figures before and after an answer.

use super::Talk;
use crate::command::loaded::tokens_line;

impl Talk<'_> {
    /// `weights smollm2 0.60 · gemma3 0.40 (sim; your message cost them 1.01 · 1.15 bits per byte)`
    pub(super) fn show_weights_before(&self) {
        let engine = &self.loaded.conversation.lockstep;
        if !self.verbose || engine.members().len() < 2 {
            return;
        }
        let message = self.conversation.context().len() - 1;
        let bits = engine.bits_per_byte_of(message).map(|bits| {
            let bits: Vec<String> = bits.iter().map(|b| format!("{b:.2}")).collect();
            format!(
                "; your message cost them {} bits per byte",
                bits.join(" · ")
            )
        });
        let method = self.fusion.method.brief();
        let line = self.loaded.weights_line();
        let bits = bits.unwrap_or_default();
        self.app.dim(&format!("weights {line} ({method}{bits})"));
    }

    /// The line at the end of a turn.
    pub(super) fn figures(&self) -> String {
        let Some(turn) = &self.last else {
            return String::new();
        };
        let (read, answer) = (&turn.read, &turn.said.answer);
        let prompt = read.new_tokens.iter().max().copied().unwrap_or(0);
        let prompt_rate = prompt as f64 / read.time.as_secs_f64().max(1e-9);
        let first = turn.said.first_byte.map_or_else(String::new, |t| {
            format!("first byte {:.1} s · ", t.as_secs_f64())
        });
        let (used, of) = self.fullest();
        format!(
            "prompt {} {prompt_rate:.0} tok/s · answer {} tok {:.1} tok/s · {first}context {used}/{of} · {}",
            tokens_line(read),
            answer.tokens,
            answer.tokens_per_second(),
            answer.finish.name(),
        )
    }

    /// Tokens in each member's context after the last answer, and the size of that context.
    pub fn gauges(&self) -> Vec<(usize, usize)> {
        if self.conversation.context().is_empty() {
            return self.of_contexts(vec![0; self.loaded.conversation.lockstep.members().len()]);
        }
        let engine = &self.loaded.conversation.lockstep;
        let said = self.last.as_ref().map(|t| &t.said.tail);
        let used = engine.prompt_tokens().iter().enumerate();
        let used = used.map(|(k, &prompt)| prompt + said.map_or(0, |s| s[k]));
        self.of_contexts(used.collect())
    }

    /// Tokens of each member, and the size of its context.
    pub fn of_contexts(&self, used: Vec<usize>) -> Vec<(usize, usize)> {
        let members = self.loaded.conversation.lockstep.members().iter();
        let contexts = members.map(|m| m.limits.context as usize);
        used.into_iter().zip(contexts).collect()
    }

    /// How full the fullest context is.
    fn fullest(&self) -> (usize, usize) {
        let share = |&(used, of): &(usize, usize)| used as f64 / of.max(1) as f64;
        let gauges = self.gauges().into_iter();
        let fullest = gauges.max_by(|a, b| share(a).total_cmp(&share(b)));
        fullest.unwrap_or_default()
    }
}
