//! Attribution on a terminal: a colour for each member, or marks if there are no colours.

use super::Look;
use super::ink::{Ink, Style, colour};
use crate::app::App;
use packllm_engine::chat::attribution::{Attribution, Piece};
use packllm_engine::thought;
use packllm_parameter::Think;
use std::fmt::Write;

/// What follows an attributed answer. If it was shown without colours, the answer again with marks;
/// then the share that each member argued for. `weights` are the members' mean weights.
pub fn legend(
    app: &App,
    look: Look,
    said: &Attribution,
    names: &[String],
    weights: &[f64],
) -> String {
    let coloured = app.styled && !look.plain;
    let mut text = String::new();
    if said.pieces().is_empty() {
        return "argued for by nobody: nothing was said".into();
    }
    if !coloured {
        let pieces = match look.think {
            Think::Show => said.pieces(),
            Think::Fold | Think::Off => after_thought(said.pieces()),
        };
        let mut ink = Ink::default();
        ink.put(marked(pieces).trim(), Style::PLAIN);
        text.push_str(&ink.take());
        text.push('\n');
    }
    let shares = said.shares();
    let nobody = 1.0 - shares.iter().sum::<f64>();
    text.push_str("argued for by");
    for (k, name) in names.iter().enumerate() {
        let (share, weight) = (100.0 * shares[k], weights[k]);
        let name = match coloured {
            true if app.colour => format!("\x1b[0;{}m{name}\x1b[0;2m", colour(k)),
            true => name.clone(),
            false => format!("[{} {name}]", k + 1),
        };
        let dot = if k > 0 { " ·" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{dot} {name} {share:.0}% (weight {weight:.2})");
    }
    let _ = write!(
        text,
        " · nobody more than the others {:.0}%",
        100.0 * nobody
    );
    text
}

/// The pieces after the thought.
fn after_thought(pieces: &[Piece]) -> &[Piece] {
    let whole: String = pieces.iter().map(|p| p.text.as_str()).collect();
    let mut thought = whole.len() - thought::answer(&whole).len();
    let ends_before = |piece: &&Piece| {
        let before = piece.text.len() <= thought;
        thought = thought.saturating_sub(piece.text.len());
        before
    };
    let n = pieces.iter().take_while(ends_before).count();
    &pieces[n..]
}

/// The text with each member's words in brackets, after the member's number: `[1 The sea] is [2
/// blue.]`
fn marked(pieces: &[Piece]) -> String {
    let mut text = String::new();
    let mut open = None;
    for piece in pieces {
        let attributed_to = piece.attributed_to();
        let word = piece.text.trim_start();
        let (space, word) = piece.text.split_at(piece.text.len() - word.len());
        if attributed_to != open && open.is_some() {
            text.push(']');
        }
        text.push_str(space);
        if let Some(k) = attributed_to.filter(|_| attributed_to != open) {
            let _ = write!(text, "[{} ", k + 1);
        }
        text.push_str(word);
        open = attributed_to;
    }
    if open.is_some() {
        text.push(']');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, contributions: &[f64]) -> Piece {
        Piece {
            text: text.into(),
            contributions: contributions.to_vec(),
        }
    }

    #[test]
    fn stretches_stand_in_brackets_without_the_space_before_them() {
        let (one, two, none) = ([2.0, 0.0], [0.0, 2.0], [0.0, 0.0]);
        let pieces = [
            piece("The", &one),
            piece(" sea", &one),
            piece(" is", &none),
            piece("\n\nblue,", &two),
            piece(" so", &one),
            piece(" blue.", &one),
        ];
        assert_eq!(marked(&pieces), "[1 The sea] is\n\n[2 blue,] [1 so blue.]");
        assert_eq!(marked(&[]), "");
    }

    #[test]
    fn a_thought_is_left_out() {
        let pieces = ["<think>Hm.", " So.</think>", "\n\nYes,", " tea"].map(|t| piece(t, &[]));
        assert_eq!(after_thought(&pieces), &pieces[2..]);
        assert_eq!(after_thought(&pieces[2..]), &pieces[2..]);
        assert!(after_thought(&pieces[..1]).is_empty());
    }
}
