//! A list whose clone shares everything and whose change copies one path: readers keep an unchanging picture while
//! the writer goes on.

use std::sync::Arc;

/// Rows in a leaf; leaves in a node. 64 nodes hold the 65,536 rows a day may have, twice over.
const LEAF: usize = 32;
const NODE: usize = 64;

/// A persistent list: cheap to clone, indexed, append-only.
#[derive(Clone, Debug)]
pub(super) struct Tree<T> {
    nodes: Vec<Arc<Node<T>>>,
    len: usize,
}

type Node<T> = Vec<Arc<Vec<T>>>;

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Tree { nodes: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Tree<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flat_map(|node| node.iter().flat_map(|leaf| leaf.iter()))
    }

    /// Every element, each leaf let go as soon as it is passed.
    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        self.nodes.into_iter().flat_map(Arc::unwrap_or_clone).flat_map(Arc::unwrap_or_clone)
    }

    pub(super) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(LEAF * NODE) {
            self.nodes.push(Arc::new(Vec::new()));
        }
        let node = Arc::make_mut(self.nodes.last_mut().expect("a node was pushed when the last one was full"));
        if self.len.is_multiple_of(LEAF) {
            node.push(Arc::new(Vec::with_capacity(LEAF)));
        }
        Arc::make_mut(node.last_mut().expect("a leaf was pushed when the last one was full")).push(value);
        self.len += 1;
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.nodes.get(index / (LEAF * NODE))?.get(index / LEAF % NODE)?.get(index % LEAF)
    }

    /// The element for change; copies its leaf and node if a reader holds them.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let node = Arc::make_mut(self.nodes.get_mut(index / (LEAF * NODE))?);
        let leaf = Arc::make_mut(node.get_mut(index / LEAF % NODE)?);
        leaf.get_mut(index % LEAF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let mut tree = Tree::default();
        for value in 0..5000 {
            tree.push(value);
        }
        let before = tree.clone();
        *tree.get_mut(4321).expect("it is there") = -1;
        tree.push(7);
        assert!(before.iter().copied().eq(0..5000));
        assert_eq!((tree.len(), tree.iter().filter(|value| **value == -1).count()), (5001, 1));
        assert!(tree.get_mut(5001).is_none());
    }
}
