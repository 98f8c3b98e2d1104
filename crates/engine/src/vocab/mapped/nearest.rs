//! The nearest target of many patterns.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::lanes::{Found, Search};
use super::symbols::Numbering;
use super::trie::Trie;

/// Longest piece that takes part in the search: symbols. Longer ones can only be equal.
pub(super) const LONGEST: usize = 1024;

/// Targets before and after a pattern in sorted order that are tried first.
const NEIGHBOURS: usize = 3;

/// Pieces to be found, by rank: of targets at the same distance the first wins.
#[derive(Debug)]
pub(super) struct Targets {
    numbering: Numbering,
    /// Symbols with rank, ascending, each sequence once with its lowest rank.
    sorted: Vec<(Vec<u32>, u32)>,
    /// By length in symbols: index in `sorted` of the lowest rank that is no longer.
    short: Vec<Option<usize>>,
    trie: Trie,
}

impl Targets {
    /// Pieces by rank. Empty ones, and those over [`LONGEST`] symbols, are never found.
    pub fn new<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut numbering = Numbering::default();
        let mut sorted: Vec<(Vec<u32>, u32)> = pieces
            .enumerate()
            .map(|(rank, piece)| (numbering.admit(piece), rank as u32))
            .filter(|(symbols, _)| (1..=LONGEST).contains(&symbols.len()))
            .collect();
        sorted.sort();
        sorted.dedup_by(|later, first| later.0 == first.0);
        let trie = Trie::new(sorted.iter().map(|(s, rank)| (s.as_slice(), *rank)));
        let mut short: Vec<Option<usize>> = vec![None; LONGEST + 1];
        let lower = |a: Option<usize>, b: usize| match a {
            Some(a) if sorted[a].1 < sorted[b].1 => Some(a),
            _ => Some(b),
        };
        for (i, (symbols, _)) in sorted.iter().enumerate() {
            short[symbols.len()] = lower(short[symbols.len()], i);
        }
        for length in 1..short.len() {
            if let Some(shorter) = short[length - 1] {
                short[length] = lower(short[length], shorter);
            }
        }
        Self {
            numbering,
            sorted,
            short,
            trie,
        }
    }

    /// A piece as a pattern to look for.
    pub fn pattern(&self, piece: &[u8]) -> Vec<u32> {
        self.numbering.translate(piece)
    }

    /// The best target of every pattern (none if there are no targets, or the pattern is empty or
    /// over [`LONGEST`]), on `threads` threads. `progress` is told how many patterns are done and
    /// says whether to go on. None if it said no.
    pub fn nearest(
        &self,
        patterns: &[Vec<u32>],
        threads: usize,
        progress: &(dyn Fn(usize) -> bool + Sync),
    ) -> Option<Vec<Option<Found>>> {
        let mut result = vec![None; patterns.len()];
        if self.sorted.is_empty() {
            return Some(result);
        }
        let mut order: Vec<usize> = (0..patterns.len())
            .filter(|&i| (1..=LONGEST).contains(&patterns[i].len()))
            .collect();
        let nothing = Found {
            distance: u32::MAX,
            rank: u32::MAX,
        };
        let mut starts = vec![nothing; patterns.len()];
        order
            .iter()
            .for_each(|&i| starts[i] = self.start(&patterns[i]));
        // Patterns that are alike share a register: they leave the same subtrees out.
        order.sort_by_key(|&i| {
            let class = lanes_for(patterns[i].len());
            (class, starts[i].distance, &patterns[i])
        });
        let groups: Vec<&[usize]> = order
            .chunk_by(|&a, &b| lanes_for(patterns[a].len()) == lanes_for(patterns[b].len()))
            .flat_map(|class| class.chunks(lanes_for(patterns[class[0]].len()).count()))
            .collect();
        let (next, done) = (
            AtomicUsize::new(0),
            AtomicUsize::new(patterns.len() - order.len()),
        );
        let stopped = AtomicBool::new(false);
        let found = Mutex::new(&mut result);
        let work = || {
            let mut searcher = Searcher::new(self);
            let mut own: Vec<(usize, Found)> = Vec::new();
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                searcher.run(patterns, &starts, group, &mut own);
                let so_far = done.fetch_add(group.len(), Ordering::Relaxed) + group.len();
                if !progress(so_far) {
                    stopped.store(true, Ordering::Relaxed);
                }
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
            }
            let mut all = found
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            own.into_iter().for_each(|(i, best)| all[i] = Some(best));
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        (!stopped.into_inner()).then_some(result)
    }

    /// A good target to begin with: one that shares a long prefix with the pattern, or a short one.
    fn start(&self, pattern: &[u32]) -> Found {
        let at = self.sorted.partition_point(|(s, _)| s.as_slice() < pattern);
        let near = at.saturating_sub(NEIGHBOURS)..(at + NEIGHBOURS).min(self.sorted.len());
        let short = self.short[pattern.len()];
        near.chain(short)
            .map(|i| self.distance(pattern, i))
            .min()
            // There is always a neighbour.
            .unwrap_or(Found {
                distance: u32::MAX,
                rank: u32::MAX,
            })
    }

    fn distance(&self, pattern: &[u32], i: usize) -> Found {
        let (symbols, rank) = &self.sorted[i];
        Found {
            distance: strsim::generic_levenshtein(&Seq(pattern), &Seq(symbols)) as u32,
            rank: *rank,
        }
    }

    /// For patterns too long for the lanes: all targets whose length alone does not rule them out.
    fn scan(&self, pattern: &[u32], start: Found) -> Found {
        (0..self.sorted.len()).fold(start, |best, i| {
            let least = self.sorted[i].0.len().abs_diff(pattern.len());
            if least > best.distance as usize {
                return best;
            }
            best.min(self.distance(pattern, i))
        })
    }
}

/// How patterns of one length are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Words16,
    Words32,
    Words64,
    Words128,
    Scan,
}

fn lanes_for(length: usize) -> Class {
    match length {
        0..=16 => Class::Words16,
        17..=32 => Class::Words32,
        33..=64 => Class::Words64,
        65..=128 => Class::Words128,
        _ => Class::Scan,
    }
}

impl Class {
    /// How many patterns are searched at a time: as many as fill 256 bits.
    fn count(self) -> usize {
        match self {
            Class::Words16 => 16,
            Class::Words32 => 8,
            Class::Words64 => 4,
            Class::Words128 => 2,
            Class::Scan => 1,
        }
    }
}

/// The searches of one thread.
struct Searcher<'t> {
    targets: &'t Targets,
    words16: Search<'t, u16, 16>,
    words32: Search<'t, u32, 8>,
    words64: Search<'t, u64, 4>,
    words128: Search<'t, u128, 2>,
}

impl<'t> Searcher<'t> {
    fn new(targets: &'t Targets) -> Self {
        let symbols = targets.numbering.len();
        Self {
            targets,
            words16: Search::new(&targets.trie, symbols),
            words32: Search::new(&targets.trie, symbols),
            words64: Search::new(&targets.trie, symbols),
            words128: Search::new(&targets.trie, symbols),
        }
    }

    /// Finds the best targets of a group of patterns of one class.
    fn run(
        &mut self,
        patterns: &[Vec<u32>],
        starts: &[Found],
        group: &[usize],
        out: &mut Vec<(usize, Found)>,
    ) {
        let own: Vec<&[u32]> = group.iter().map(|&i| patterns[i].as_slice()).collect();
        let mut found: Vec<Found> = group.iter().map(|&i| starts[i]).collect();
        match lanes_for(own[0].len()) {
            Class::Words16 => self.words16.run(&own, &mut found),
            Class::Words32 => self.words32.run(&own, &mut found),
            Class::Words64 => self.words64.run(&own, &mut found),
            Class::Words128 => self.words128.run(&own, &mut found),
            Class::Scan => {
                for (pattern, found) in own.iter().zip(&mut found) {
                    *found = self.targets.scan(pattern, *found);
                }
            }
        }
        out.extend(group.iter().copied().zip(found));
    }
}

/// A slice as `strsim` wants it.
struct Seq<'a>(&'a [u32]);

impl<'b> IntoIterator for &Seq<'b> {
    type Item = &'b u32;
    type IntoIter = std::slice::Iter<'b, u32>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
