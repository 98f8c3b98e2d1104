//! The lines of figures before and after an answer.

use super::Talk;
use crate::command::chat::partner::Gauge;
use crate::command::loaded::tokens_line;

impl Talk<'_> {
    /// `weights smollm2 0.60 · gemma3 0.40 (sim; your message cost them 1.01 · 1.15 bits per byte)`
    pub(super) fn show_weights_before(&self) {
        let fused = self.partner.fusion();
        let Some(fused) = fused.filter(|_| self.verbose && self.names().len() > 1) else {
            return;
        };
        let message = self.conversation.context().len() - 1;
        let bits = self.partner.bits_of(message).map(|bits| {
            let bits: Vec<String> = bits.iter().map(|b| format!("{b:.2}")).collect();
            format!(
                "; your message cost them {} bits per byte",
                bits.join(" · ")
            )
        });
        let (line, method) = (self.weights_line(), fused.weights);
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
        let context = match self.fullest() {
            Some((used, of)) => format!("context {used}/{of} · "),
            None => String::new(),
        };
        format!(
            "prompt {} {prompt_rate:.0} tok/s · answer {} tok {:.1} tok/s · {first}{context}{}",
            tokens_line(read),
            answer.tokens,
            answer.tokens_per_second(),
            answer.finish.name(),
        )
    }

    /// Tokens in each member's context after the last answer, and the size of that context.
    pub fn gauges(&self) -> Vec<Gauge> {
        if self.conversation.context().is_empty() {
            let gauges = self.partner.gauges(None).into_iter();
            return gauges.map(|(_, of)| (0, of)).collect();
        }
        self.partner.gauges(self.last.as_ref())
    }

    /// How full the fullest context is; None if that is not known.
    fn fullest(&self) -> Option<Gauge> {
        let share = |&(used, of): &Gauge| used as f64 / of.max(1) as f64;
        let gauges = self.gauges().into_iter();
        gauges.max_by(|a, b| share(a).total_cmp(&share(b)))
    }
}
