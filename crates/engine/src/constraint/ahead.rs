//! Looking ahead: what of a draft may be said, and what has to be said.
//!
//! Both walk on from the text and take back what they said, so that they leave no trace.

use super::{Constraint, ConstraintError, Mask};

/// How many symbols [`Constraint::forced`] looks ahead, where a constraint has no way of its own:
/// a constraint may force a text that never ends.
pub const FORCED_AT_MOST: usize = 256;

/// How many of the drafted `symbols` may come, one after the other, from here. A draft is cut
/// there. The constraint is then as before.
///
/// # Errors
/// What the constraint fails with, except that a symbol is not allowed. The constraint is as before
/// then too, unless it fails to take back.
pub fn permitted(
    constraint: &mut (impl Constraint + ?Sized),
    symbols: impl IntoIterator<Item = usize>,
) -> Result<usize, ConstraintError> {
    let mut said = 0;
    let walked = symbols.into_iter().try_for_each(|symbol| {
        constraint.advance(symbol)?;
        said += 1;
        Ok(())
    });
    constraint.rollback(said)?;
    match walked {
        Ok(()) | Err(ConstraintError::NotAllowed { .. }) => Ok(said),
        Err(failed) => Err(failed),
    }
}

/// Appends to `symbols` what the constraint forces, `limit` symbols at most: as long as a single
/// symbol is allowed and the text may not end, that symbol comes next. The constraint is then as
/// before. `mask`, of its alphabet, is written over.
///
/// # Errors
/// What the constraint fails with; `symbols` is then as before, and so is the constraint, unless it
/// fails to take back.
pub fn forced_by_mask(
    constraint: &mut (impl Constraint + ?Sized),
    mask: &mut Mask,
    limit: usize,
    symbols: &mut Vec<usize>,
) -> Result<(), ConstraintError> {
    let start = symbols.len();
    let walked = walk_forced(constraint, mask, limit, symbols);
    let taken_back = constraint.rollback(symbols.len() - start);
    let outcome = walked.and(taken_back);
    if outcome.is_err() {
        symbols.truncate(start);
    }
    outcome
}

/// Says the forced symbols, and appends them to `symbols` as it goes.
fn walk_forced(
    constraint: &mut (impl Constraint + ?Sized),
    mask: &mut Mask,
    limit: usize,
    symbols: &mut Vec<usize>,
) -> Result<(), ConstraintError> {
    for _ in 0..limit {
        if constraint.may_end()? {
            break;
        }
        mask.fill();
        constraint.allows(mask)?;
        let Some(symbol) = mask.only() else { break };
        constraint.advance(symbol)?;
        symbols.push(symbol);
    }
    Ok(())
}
