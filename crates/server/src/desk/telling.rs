//! What an answer tells of itself: thoughts and text apart, with scores and words where they are
//! asked for.

use super::event::{Kind, More, Scored, Word};
use super::scored::Scores;
use super::thought::Thoughts;
use crate::request::{Prompt, Request};
use packllm_engine::chat::attribution::Attribution;
use packllm_engine::engine;

/// What was said and not told yet.
pub struct Telling {
    choice: u32,
    names: Vec<String>,
    thoughts: Thoughts,
    parts: Vec<(Kind, String)>,
    scores: Scores,
    scored: Vec<Scored>,
    attribution: Option<Attribution>,
    /// Words that were told.
    words: usize,
}

impl Telling {
    pub fn new(request: &Request, choice: u32, names: Vec<String>, opening: &str) -> Self {
        let (splits, begun) = match &request.prompt {
            Prompt::Chat { begun, .. } => (true, &**begun),
            Prompt::Text(_) => (false, ""),
        };
        let attribution = request.attribution;
        Self {
            choice,
            thoughts: Thoughts::new(splits, &format!("{begun}{opening}")),
            parts: Vec::new(),
            scores: Scores::default(),
            scored: Vec::new(),
            attribution: attribution.then(|| Attribution::new(names.len())),
            words: 0,
            names,
        }
    }

    pub fn hear(&mut self, text: &str, contributions: &[f64]) {
        if let Some(attribution) = &mut self.attribution {
            attribution.push(text, contributions);
        }
        let parts = &mut self.parts;
        self.thoughts
            .push(text, &mut |kind, text| join(parts, kind, text));
    }

    pub fn scored(&mut self, predicted: Vec<engine::Predicted>) {
        let scored = self.scores.push(predicted);
        self.scored.extend(scored);
    }

    /// Tells what is there. Words wait for a text to go with.
    pub fn tell<E>(&mut self, send: &mut dyn FnMut(More) -> Result<(), E>) -> Result<(), E> {
        for (kind, text) in std::mem::take(&mut self.parts) {
            let (scores, words) = (self.scores_of(kind, &text), self.words());
            send(More {
                choice: self.choice,
                kind,
                text,
                scores,
                words,
            })?;
        }
        Ok(())
    }

    /// The text ends here; returns the words that no text is left for.
    pub fn finish<E>(
        &mut self,
        send: &mut dyn FnMut(More) -> Result<(), E>,
    ) -> Result<Vec<Word>, E> {
        let parts = &mut self.parts;
        self.thoughts
            .finish(&mut |kind, text| join(parts, kind, text));
        if let Some(attribution) = &mut self.attribution {
            attribution.finish();
        }
        self.tell(send)?;
        Ok(self.words())
    }

    /// The scores of a text of an answer. What scores say of thoughts and tags is not told.
    fn scores_of(&mut self, kind: Kind, text: &str) -> Vec<Scored> {
        if kind == Kind::Thought || self.scored.is_empty() {
            return Vec::new();
        }
        let mut bytes = 0;
        let mut from = self.scored.len();
        while from > 0 && bytes < text.len() {
            from -= 1;
            bytes += self.scored[from].text.len();
        }
        let scored = self.scored.split_off(from);
        self.scored.clear();
        scored
    }

    /// Words that were not told yet.
    fn words(&mut self) -> Vec<Word> {
        let Some(attribution) = &self.attribution else {
            return Vec::new();
        };
        let new = &attribution.pieces()[self.words..];
        self.words += new.len();
        let words = new.iter().map(|piece| Word {
            text: piece.text.clone(),
            member: piece.attributed_to().map(|k| self.names[k].clone()),
            contributions: piece
                .contributions
                .iter()
                .map(|c| Some(*c).filter(|c| c.is_finite()))
                .collect(),
        });
        words.collect()
    }
}

fn join(parts: &mut Vec<(Kind, String)>, kind: Kind, text: &str) {
    match parts.last_mut() {
        Some((last, said)) if *last == kind => said.push_str(text),
        _ => parts.push((kind, text.to_owned())),
    }
}
