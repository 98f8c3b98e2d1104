//! The targets of a search as a trie, laid out in the order in which it is walked.

/// No target ends at a node.
pub(super) const NO_RANK: u32 = u32::MAX;

/// A prefix of at least one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    /// Its last symbol.
    pub symbol: u32,
    /// Its length: symbols.
    pub depth: u32,
    /// Length of the longest target that begins with it: symbols.
    pub longest: u32,
    /// Rank of the target that ends here, or [`NO_RANK`].
    pub rank: u32,
    /// Lowest rank of the targets that begin with it.
    pub lowest: u32,
    /// Index of the first node that does not begin with it.
    pub skip: u32,
}

/// Nodes in preorder, without the empty prefix. A walk is an index: plus one goes on to the next
/// prefix, and [`Node::skip`] leaves out all that begin with this one.
#[derive(Debug, Default)]
pub(super) struct Trie {
    pub nodes: Vec<Node>,
    /// Length of the longest target: symbols.
    pub height: usize,
}

impl Trie {
    /// From targets in ascending order, each once, with their ranks.
    pub fn new<'a>(sorted: impl Iterator<Item = (&'a [u32], u32)>) -> Self {
        let mut trie = Self::default();
        // Indices of the nodes on the path to the last target.
        let mut path: Vec<usize> = Vec::new();
        let mut last: &[u32] = &[];
        for (target, rank) in sorted {
            let common = target.iter().zip(last).take_while(|(a, b)| a == b).count();
            trie.close(&mut path, common);
            for (i, &symbol) in target.iter().enumerate().skip(common) {
                path.push(trie.nodes.len());
                let depth = i as u32 + 1;
                trie.nodes.push(Node {
                    symbol,
                    depth,
                    longest: depth,
                    rank: NO_RANK,
                    lowest: NO_RANK,
                    skip: 0,
                });
            }
            if let Some(&end) = path.last() {
                let node = &mut trie.nodes[end];
                (node.rank, node.lowest) = (rank, node.lowest.min(rank));
            }
            trie.height = trie.height.max(target.len());
            last = target;
        }
        trie.close(&mut path, 0);
        trie
    }

    /// Finishes the nodes of the path below the first `keep`.
    fn close(&mut self, path: &mut Vec<usize>, keep: usize) {
        while path.len() > keep {
            let Some(index) = path.pop() else { return };
            self.nodes[index].skip = self.nodes.len() as u32;
            let Node {
                longest, lowest, ..
            } = self.nodes[index];
            if let Some(&parent) = path.last() {
                let parent = &mut self.nodes[parent];
                parent.longest = parent.longest.max(longest);
                parent.lowest = parent.lowest.min(lowest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_visits_every_prefix_once() {
        let targets: [&[u32]; 5] = [&[1], &[1, 2, 3], &[1, 2, 4], &[2, 1], &[3]];
        let trie = Trie::new(targets.into_iter().zip([4, 3, 2, 1, 0]));
        let facts = |n: &Node| (n.symbol, n.depth, n.longest, n.rank, n.lowest, n.skip);
        let nodes: Vec<_> = trie.nodes.iter().map(facts).collect();
        assert_eq!(
            nodes,
            [
                (1, 1, 3, 4, 2, 4),
                (2, 2, 3, NO_RANK, 2, 4),
                (3, 3, 3, 3, 3, 3),
                (4, 3, 3, 2, 2, 4),
                (2, 1, 2, NO_RANK, 1, 6),
                (1, 2, 2, 1, 1, 6),
                (3, 1, 1, 0, 0, 7),
            ]
        );
        assert_eq!(trie.height, 3);
    }
}
