//! A part is filled with the right bytes, whatever an earlier download left in it.

use super::error::StoreError;
use super::job::Job;
use super::part::Part;
use super::wire::Linked;

/// What fetches the bytes that a part does not have yet.
pub(super) type Download<'a> =
    dyn FnMut(&mut Part, &mut Job<'_>) -> Result<Linked, StoreError> + 'a;

/// Fills the part by `download`. Its hash has to be the one that is expected, else the one that the
/// hub says. Bytes that are wrong are thrown away; if some of them came from an earlier download,
/// which may be to blame, all are fetched once more.
pub(super) fn fill(
    part: &mut Part,
    job: &mut Job<'_>,
    download: &mut Download<'_>,
) -> Result<Linked, StoreError> {
    loop {
        // A download that was killed between the last byte and the rename.
        if job.sha256.as_ref() == Some(&part.digest()) {
            return Ok(Linked::default());
        }
        // A part at or over the whole size that is not the file can never become it.
        if job.size.is_some_and(|size| part.len() >= size) {
            part.restart()?;
        }
        let resumed = part.resumed();
        let error = match download(part, job) {
            Ok(linked) => match check(part, job, &linked) {
                Ok(()) => return Ok(linked),
                Err(error) => error,
            },
            Err(error @ (StoreError::WrongSize { .. } | StoreError::Wheel { .. })) => error,
            // A wrong hash that a server announces says nothing of the bytes that are here.
            Err(error) => return Err(error),
        };
        let to_blame = resumed && part.resumed();
        part.restart()?;
        if !to_blame {
            return Err(error);
        }
        job.progress
            .note("what an earlier download left does not fit; starting afresh");
    }
}

/// Compares the hash with the expected one, else with the one that the hub says.
fn check(part: &Part, job: &Job<'_>, linked: &Linked) -> Result<(), StoreError> {
    let said = linked.etag.as_ref().filter(|etag| etag.len() == 64);
    let actual = part.digest();
    match job.sha256.as_ref().or(said) {
        Some(expected) if *expected != actual => Err(StoreError::WrongHash {
            expected: expected.clone(),
            actual,
        }),
        _ => Ok(()),
    }
}
