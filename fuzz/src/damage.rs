//! What can happen to a file.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use std::ops::Range;

/// Numbers at the edges of what a size, a count or an id may be.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    255,
    256,
    512,
    65_535,
    i32::MAX as u64,
    u32::MAX as u64,
    1 << 32,
    i64::MAX as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// Draws by chance, the same for the same seed everywhere.
pub struct Chance(Pcg64);

impl Chance {
    /// From this seed on.
    #[must_use]
    pub fn new(seed: u64) -> Chance {
        Chance(Pcg64::seed_from_u64(seed))
    }

    /// A number below `limit`, or 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        match limit {
            0 => 0,
            limit => (self.0.next_u64() % limit as u64) as usize,
        }
    }

    /// One of them.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u64() as u8
    }
}

/// Damages a file in one to three places, each in one of these parts of it.
pub fn damage(bytes: &mut Vec<u8>, parts: &[Range<usize>], chance: &mut Chance) {
    for _ in 0..=chance.below(3) {
        let part = parts[chance.below(parts.len())].clone();
        let reach = part.end.min(bytes.len());
        let start = part.start.min(reach);
        let at = start + chance.below(reach - start);
        // Most leave everything in its place, or little would come past the first checks.
        match chance.below(16) {
            0..3 => flip(bytes, at, chance),
            3..5 => replace(bytes, at, &[chance.byte()]),
            5..8 => replace(bytes, at, &(chance.of(&EDGES) as u32).to_le_bytes()),
            8 => replace(bytes, at, &chance.of(&EDGES).to_le_bytes()),
            9..13 => add_to(bytes, at, chance),
            13 => move_within(bytes, at, reach, chance),
            14 => drop(bytes.drain(at..(at + 1 + chance.below(16)).min(reach.max(at)))),
            _ => repeat(bytes, at, reach, chance),
        }
    }
    if chance.below(20) == 0 {
        let length = chance.below(bytes.len());
        bytes.truncate(length);
    }
}

fn flip(bytes: &mut [u8], at: usize, chance: &mut Chance) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << chance.below(8);
    }
}

fn replace(bytes: &mut [u8], at: usize, by: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(by) {
        *byte = *new;
    }
}

/// Writes one stretch over another: values take the place of others of their kind.
fn move_within(bytes: &mut [u8], at: usize, reach: usize, chance: &mut Chance) {
    let length = (1 + chance.below(64)).min(reach.saturating_sub(at));
    let to = chance.below(reach.saturating_sub(length) + 1);
    if to + length <= bytes.len() {
        bytes.copy_within(at..at + length, to);
    }
}

fn repeat(bytes: &mut Vec<u8>, at: usize, reach: usize, chance: &mut Chance) {
    let end = (at + 1 + chance.below(32)).min(reach.max(at));
    let stretch = bytes[at..end].to_vec();
    bytes.splice(end..end, stretch);
}

/// Adds a little to a number, or takes it away.
fn add_to(bytes: &mut [u8], at: usize, chance: &mut Chance) {
    if let Some(chunk) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        let little = chance.below(9) as u32;
        *chunk = u32::from_le_bytes(*chunk)
            .wrapping_add(little)
            .wrapping_sub(4)
            .to_le_bytes();
    }
}
