//! A vocabulary in byte order, and a trie over it.
//!
//! Sorted by their bytes, the tokens that start with some bytes `q` are one contiguous range of
//! *ranks*. The trie names these ranges: a `Node` stands for a prefix `q`, its first
//! `exact` ranks are the tokens that spell exactly `q`, the others are strictly longer and
//! fall into one child per next byte. Nodes with a single token are not expanded: the rest of
//! that token's bytes is the only way on.

use crate::backend::{Token, TokenKind, Vocab};

/// A prefix that at least one token starts with.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// First rank of the range.
    lo: u32,
    /// One past the last rank.
    hi: u32,
    /// How many ranks, from `lo`, spell exactly the prefix.
    exact: u32,
    /// Index of the first child; children are contiguous, by ascending byte.
    first_child: u32,
    /// Number of children, 0 for an unexpanded node.
    children: u16,
    /// Last byte of the prefix.
    byte: u8,
}

/// A place in the trie: a prefix of one or more tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    node: u32,
    /// Length of the prefix: bytes.
    depth: u32,
}

impl Cursor {
    /// The empty prefix.
    pub const ROOT: Cursor = Cursor { node: 0, depth: 0 };

    /// Length of the prefix: bytes.
    pub fn depth(self) -> usize {
        self.depth as usize
    }
}

/// One way to go on from a cursor: a byte and the ranks whose next byte it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    /// The next byte.
    pub byte: u8,
    /// The ranks that have it.
    pub ranks: std::ops::Range<usize>,
}

/// The text tokens of a vocabulary by ascending bytes, ties by id.
#[derive(Debug)]
pub struct SortedVocab {
    tokens: Vec<Token>,
    bytes: Vec<u8>,
    offsets: Vec<u32>,
    nodes: Vec<Node>,
    /// By token id: the first byte of a text token, else [`NO_BYTE`].
    first_bytes: Vec<u16>,
    /// By token id: the rank of a text token, else [`NO_RANK`].
    ranks: Vec<u32>,
    ends: Vec<Token>,
    /// Bytes of the longest text token.
    longest: usize,
}

/// Stands for "spells nothing" in [`SortedVocab::first_bytes`].
pub(crate) const NO_BYTE: u16 = 256;

const NO_RANK: u32 = u32::MAX;

impl SortedVocab {
    /// Sorts the text tokens of `vocab` and builds the trie, in O(total bytes × log tokens).
    #[must_use]
    pub fn new(vocab: &Vocab) -> Self {
        // The first eight bytes, as a key, decide nearly every comparison without reading the text.
        let mut keyed: Vec<(u64, Token)> = (0..vocab.len() as Token)
            .filter(|&t| vocab.kind(t) == TokenKind::Text)
            .map(|t| (key_of(vocab.piece(t)), t))
            .collect();
        keyed.sort_unstable_by(|&(x, a), &(y, b)| {
            let pieces = || vocab.piece(a).cmp(vocab.piece(b));
            x.cmp(&y).then_with(pieces).then(a.cmp(&b))
        });
        let tokens: Vec<Token> = keyed.into_iter().map(|(_, t)| t).collect();
        let mut bytes = Vec::new();
        let mut offsets = vec![0];
        for &t in &tokens {
            bytes.extend_from_slice(vocab.piece(t));
            offsets.push(bytes.len() as u32);
        }
        let mut first_bytes = vec![NO_BYTE; vocab.len()];
        let mut ranks = vec![NO_RANK; vocab.len()];
        for (rank, &t) in tokens.iter().enumerate() {
            ranks[t as usize] = rank as u32;
            first_bytes[t as usize] = u16::from(vocab.piece(t)[0]);
        }
        let lengths = offsets.windows(2).map(|w| (w[1] - w[0]) as usize);
        let mut sorted = Self {
            longest: lengths.max().unwrap_or(0),
            tokens,
            bytes,
            offsets,
            nodes: Vec::new(),
            first_bytes,
            ranks,
            ends: vocab.ends().collect(),
        };
        sorted.build_trie();
        sorted
    }

    /// Bytes of the longest text token.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Breadth first, so that the children of a node are contiguous.
    fn build_trie(&mut self) {
        let root = Node {
            lo: 0,
            hi: self.tokens.len() as u32,
            exact: 0,
            first_child: 0,
            children: 0,
            byte: 0,
        };
        self.nodes.push(root);
        let mut level = 0..1usize;
        let mut depth = 0;
        while !level.is_empty() {
            let next = self.nodes.len();
            for i in level {
                let Node { lo, hi, .. } = self.nodes[i];
                let exact = (lo..hi)
                    .take_while(|&r| self.piece(r as usize).len() == depth)
                    .count() as u32;
                self.nodes[i].exact = exact;
                if hi - lo >= 2 || i == 0 {
                    self.expand(i, lo + exact, hi, depth);
                }
            }
            level = next..self.nodes.len();
            depth += 1;
        }
    }

    fn expand(&mut self, parent: usize, mut lo: u32, hi: u32, depth: usize) {
        self.nodes[parent].first_child = self.nodes.len() as u32;
        while lo < hi {
            let byte = self.piece(lo as usize)[depth];
            let end = lo
                + (lo..hi)
                    .take_while(|&r| self.piece(r as usize)[depth] == byte)
                    .count() as u32;
            self.nodes.push(Node {
                lo,
                hi: end,
                exact: 0,
                first_child: 0,
                children: 0,
                byte,
            });
            self.nodes[parent].children += 1;
            lo = end;
        }
    }

    /// The bytes of the token at `rank`.
    pub(crate) fn piece(&self, rank: usize) -> &[u8] {
        &self.bytes[self.offsets[rank] as usize..self.offsets[rank + 1] as usize]
    }

    /// Number of bytes of a text token, 0 for any other.
    pub(crate) fn piece_len(&self, token: Token) -> usize {
        self.piece_of(token).len()
    }

    /// The bytes of a text token, none for any other.
    pub(crate) fn piece_of(&self, token: Token) -> &[u8] {
        match self.ranks.get(token as usize) {
            Some(&rank) if rank != NO_RANK => self.piece(rank as usize),
            _ => &[],
        }
    }

    /// Token ids by rank.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// By token id: the first byte of a text token, else [`NO_BYTE`].
    pub(crate) fn first_bytes(&self) -> &[u16] {
        &self.first_bytes
    }

    /// Ids that end a generation.
    pub(crate) fn ends(&self) -> &[Token] {
        &self.ends
    }

    /// The cursor after one more byte, if any token goes on with it.
    pub(crate) fn child(&self, at: Cursor, byte: u8) -> Option<Cursor> {
        let node = &self.nodes[at.node as usize];
        let depth = at.depth + 1;
        if self.is_tail(at) {
            let tail = self.piece(node.lo as usize);
            return (tail.get(at.depth()) == Some(&byte)).then_some(Cursor {
                node: at.node,
                depth,
            });
        }
        let first = node.first_child as usize;
        let children = &self.nodes[first..first + node.children as usize];
        let i = children.binary_search_by_key(&byte, |c| c.byte).ok()?;
        Some(Cursor {
            node: (first + i) as u32,
            depth,
        })
    }

    /// Tokens that spell exactly the cursor's prefix.
    pub(crate) fn exact(&self, at: Cursor) -> &[Token] {
        let node = &self.nodes[at.node as usize];
        let n = if self.is_tail(at) {
            u32::from(self.piece(node.lo as usize).len() == at.depth())
        } else {
            node.exact
        };
        &self.tokens[node.lo as usize..(node.lo + n) as usize]
    }

    /// The ways to go on from the cursor, by ascending byte.
    pub(crate) fn branches(&self, at: Cursor) -> impl Iterator<Item = Branch> + '_ {
        let node = &self.nodes[at.node as usize];
        let tail = self.is_tail(at);
        let only = if tail {
            self.piece(node.lo as usize).get(at.depth()).copied()
        } else {
            None
        };
        let first = node.first_child as usize;
        let children = if tail {
            &[][..]
        } else {
            &self.nodes[first..first + node.children as usize]
        };
        let single = only.map(|byte| Branch {
            byte,
            ranks: node.lo as usize..node.hi as usize,
        });
        single.into_iter().chain(children.iter().map(|c| Branch {
            byte: c.byte,
            ranks: c.lo as usize..c.hi as usize,
        }))
    }

    /// Whether the node holds one token and is not expanded.
    fn is_tail(&self, at: Cursor) -> bool {
        let node = &self.nodes[at.node as usize];
        node.hi - node.lo == 1 && node.children == 0
    }
}

/// The first eight bytes as a number that sorts like them.
fn key_of(piece: &[u8]) -> u64 {
    let mut key = [0; 8];
    let n = piece.len().min(8);
    key[..n].copy_from_slice(&piece[..n]);
    u64::from_be_bytes(key)
}
