//! Many patterns at once: which of them mean this path? One structure for rights, read scopes and subscriptions.

use std::collections::HashMap;

use crate::path::SignalPath;
use crate::pattern::Pattern;

/// A set of patterns with something attached to each. A look-up visits at most two branches a level.
#[derive(Clone, Debug)]
pub struct PatternTrie<T> {
    root: Node<T>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Node<T> {
    names: HashMap<Box<str>, Node<T>>,
    one: Option<Box<Node<T>>>,
    here: Vec<T>,
    rest: Vec<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Node { names: HashMap::new(), one: None, here: Vec::new(), rest: Vec::new() }
    }
}

impl<T> Default for PatternTrie<T> {
    fn default() -> Self {
        PatternTrie { root: Node::default(), len: 0 }
    }
}

impl<T> PatternTrie<T> {
    /// Adds an item under a pattern; the same pattern may hold many.
    pub fn insert(&mut self, pattern: &Pattern, item: T) {
        self.len += 1;
        let mut node = &mut self.root;
        for level in pattern.levels() {
            node = match level {
                "#" => {
                    node.rest.push(item);
                    return;
                }
                "+" => node.one.get_or_insert_default(),
                name => node.names.entry(name.into()).or_default(),
            };
        }
        node.here.push(item);
    }

    /// Removes the items under a pattern for which `remove` says so, and the branches that are empty then.
    pub fn remove(&mut self, pattern: &Pattern, mut remove: impl FnMut(&T) -> bool) {
        let levels: Vec<&str> = pattern.levels().collect();
        let mut gone = 0;
        Self::remove_below(&mut self.root, &levels, &mut |item| {
            let hit = remove(item);
            gone += usize::from(hit);
            hit
        });
        self.len -= gone;
    }

    fn remove_below(node: &mut Node<T>, levels: &[&str], remove: &mut dyn FnMut(&T) -> bool) {
        match levels {
            [] => node.here.retain(|item| !remove(item)),
            ["#", ..] => node.rest.retain(|item| !remove(item)),
            ["+", below @ ..] => {
                if let Some(child) = &mut node.one {
                    Self::remove_below(child, below, remove);
                    node.one.take_if(|child| child.is_empty());
                }
            }
            [name, below @ ..] => {
                if let Some(child) = node.names.get_mut(*name) {
                    Self::remove_below(child, below, remove);
                    if child.is_empty() {
                        node.names.remove(*name);
                    }
                }
            }
        }
    }

    /// Calls `visit` for every item whose pattern means the path, in no order that anyone may rely on. Stops when
    /// `visit` gives false.
    pub fn visit(&self, path: &SignalPath, mut visit: impl FnMut(&T) -> bool) {
        Self::visit_below(&self.root, path.as_str(), &mut visit);
    }

    fn visit_below(node: &Node<T>, path: &str, visit: &mut dyn FnMut(&T) -> bool) -> bool {
        if !node.rest.iter().all(&mut *visit) {
            return false;
        }
        let (name, below) = match path.split_once('/') {
            Some((name, below)) => (name, Some(below)),
            None => (path, None),
        };
        let children = [node.names.get(name), node.one.as_deref()];
        children.into_iter().flatten().all(|child| match below {
            Some(below) => Self::visit_below(child, below, visit),
            // `a/#` means `a` too: the rest below the last level counts.
            None => child.here.iter().all(&mut *visit) && child.rest.iter().all(&mut *visit),
        })
    }

    /// Whether any pattern means the path.
    pub fn any(&self, path: &SignalPath) -> bool {
        let mut found = false;
        self.visit(path, |_| {
            found = true;
            false
        });
        found
    }

    /// How many items it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.one.is_none() && self.here.is_empty() && self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::tests::{paths, patterns};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_one_by_one(set in proptest::collection::vec(patterns(), 0..20), drop in proptest::collection::vec(any::<bool>(), 20), name in paths()) {
            let mut trie = PatternTrie::default();
            for (index, pattern) in set.iter().enumerate() {
                trie.insert(pattern, index);
            }
            for (index, pattern) in set.iter().enumerate() {
                if drop[index] {
                    trie.remove(pattern, |item| *item == index);
                }
            }
            let mut found = Vec::new();
            trie.visit(&name, |item| { found.push(*item); true });
            found.sort_unstable();
            let expected: Vec<usize> = (0..set.len()).filter(|&index| !drop[index] && set[index].matches(&name)).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(trie.any(&name), !expected.is_empty());
            prop_assert_eq!(trie.len(), (0..set.len()).filter(|&index| !drop[index]).count());
        }
    }

    #[test]
    fn emptied_branches_go() {
        let mut trie = PatternTrie::default();
        let patterns: Vec<Pattern> =
            ["a/+/c", "a/b/#", "#"].iter().map(|text| Pattern::new(text).unwrap()).collect();
        patterns.iter().for_each(|pattern| trie.insert(pattern, ()));
        patterns.iter().for_each(|pattern| trie.remove(pattern, |()| true));
        assert!(trie.root.is_empty() && trie.is_empty());
    }
}
