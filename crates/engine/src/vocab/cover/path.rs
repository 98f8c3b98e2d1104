//! Token paths as a tree, so that a fork costs one node.

use crate::backend::Token;

/// A path: a node of [`Paths`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PathId(u32);

impl PathId {
    /// The path without tokens.
    pub const START: PathId = PathId(0);
}

#[derive(Debug, Clone, Copy)]
struct Step {
    token: Token,
    parent: PathId,
    len: u32,
}

/// All paths since the cover began. Every path is made once, so equal ids mean equal paths.
#[derive(Debug, Default)]
pub struct Paths {
    steps: Vec<Step>,
}

impl Paths {
    /// Forgets every path but [`PathId::START`].
    pub(super) fn clear(&mut self) {
        self.steps.clear();
    }

    /// The path `parent` and then `token`.
    pub(super) fn push(&mut self, parent: PathId, token: Token) -> PathId {
        self.steps.push(Step {
            token,
            parent,
            len: self.len(parent) + 1,
        });
        PathId(self.steps.len() as u32)
    }

    fn step(&self, path: PathId) -> Option<&Step> {
        self.steps.get((path.0 as usize).checked_sub(1)?)
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self, path: PathId) -> u32 {
        self.step(path).map_or(0, |s| s.len)
    }

    /// Last token.
    pub(crate) fn token(&self, path: PathId) -> Option<Token> {
        self.step(path).map(|s| s.token)
    }

    /// The path without its last token; START for START.
    pub(crate) fn parent(&self, path: PathId) -> PathId {
        self.step(path).map_or(PathId::START, |s| s.parent)
    }

    /// Number of leading tokens two paths share.
    pub(super) fn common(&self, mut a: PathId, mut b: PathId) -> u32 {
        while a != b {
            if self.len(a) >= self.len(b) {
                a = self.parent(a);
            } else {
                b = self.parent(b);
            }
        }
        self.len(a)
    }

    /// The tokens after the first `from`.
    #[must_use]
    pub fn tokens(&self, path: PathId, from: u32) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut at = path;
        while self.len(at) > from {
            tokens.extend(self.token(at));
            at = self.parent(at);
        }
        tokens.reverse();
        tokens
    }
}
