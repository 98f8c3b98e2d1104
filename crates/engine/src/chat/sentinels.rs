//! Strings that take the place of messages, to find out what a template does with them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::Turn;

/// Strings that stand for messages: letters and digits, so that no template has a reason to change
/// them.
pub(super) struct Sentinels {
    prefix: String,
}

impl Sentinels {
    /// Sentinels that occur neither in the turns nor in their rendering. Always the same for the
    /// same turns. `None` if there are none: only a text made on purpose can do that.
    pub(super) fn new(turns: &[Turn], text: &str) -> Option<Sentinels> {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        for turn in turns {
            turn.message.content.hash(&mut hasher);
        }
        let prefix = format!("xq{:016x}m", hasher.finish());
        let is_free = !text.contains(&prefix)
            && turns
                .iter()
                .all(|turn| !turn.message.content.contains(&prefix));
        is_free.then_some(Sentinels { prefix })
    }

    /// The sentinel of a turn.
    pub(super) fn text(&self, turn: usize) -> String {
        format!("{}{turn}z", self.prefix)
    }

    /// The turns, with sentinels in place of the parts of their contents that `span` gives.
    pub(super) fn mark(
        &self,
        turns: &[Turn],
        span: impl Fn(&Turn) -> Option<Range<usize>>,
    ) -> Vec<Turn> {
        let mut marked = turns.to_vec();
        for (index, turn) in marked.iter_mut().enumerate() {
            if let Some(span) = span(turn) {
                turn.message.content.replace_range(span, &self.text(index));
            }
        }
        marked
    }

    /// Splits a rendering at its sentinels: the markup before the first, then each sentinel's turn
    /// and the markup after it. `None` if a sentinel was changed.
    pub(super) fn split<'t>(&self, rendering: &'t str) -> Option<(&'t str, Vec<(usize, &'t str)>)> {
        let mut fields = rendering.split(&self.prefix);
        let first = fields.next()?;
        let rest = fields.map(|field| {
            let (turn, markup) = field.split_once('z')?;
            Some((turn.parse().ok()?, markup))
        });
        Some((first, rest.collect::<Option<_>>()?))
    }
}
