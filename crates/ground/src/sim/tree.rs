//! Names and folders of a simulated disk: how they stand in memory, how they stand on the media, and the changes
//! between the two. Nothing of the bytes in files is known here but that they go with their file.

use super::content::{Content, Kept};
use crate::entropy::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

/// A file or folder, whatever its name.
pub(crate) type NodeId = u64;
/// A name in a folder.
pub(crate) type Place = (NodeId, String);

pub(crate) const ROOT: NodeId = 0;

#[derive(Clone)]
pub(crate) enum Node {
    File {
        content: Content,
        /// How often it is open now.
        open: usize,
        /// Whether it has a name in memory. Without one it goes when the last who has it open closes it.
        named: bool,
        locked: bool,
    },
    Dir {
        cache: BTreeMap<String, NodeId>,
        media: BTreeMap<String, NodeId>,
    },
}

/// One change of names that no sync has made durable yet.
#[derive(Clone)]
struct Change {
    node: NodeId,
    is_dir: bool,
    /// `None`: it was made.
    from: Option<Place>,
    /// `None`: it was removed.
    to: Option<Place>,
}

impl Change {
    fn touches(&self, dir: NodeId) -> bool {
        [&self.from, &self.to].into_iter().flatten().any(|(at, _)| *at == dir)
    }

    /// Whether the media can only have this change if it has that earlier one.
    fn needs(&self, earlier: &Change) -> bool {
        // What happens to one file happens in order, and so does what happens to one name: a name taken before what had
        // it was moved away would lose that.
        if self.node == earlier.node
            || (self.to.is_some() && (self.to == earlier.from || self.to == earlier.to))
        {
            return true;
        }
        let Some((from, _)) = &self.from else { return false };
        // A folder is moved or removed after everything before, or files in it would vanish that were never touched.
        if self.is_dir {
            return true;
        }
        // A file is moved into another folder after that folder and those above it were made.
        earlier.is_dir && self.to.as_ref().is_some_and(|(to, _)| to != from)
    }
}

#[derive(Clone, Copy)]
enum Side {
    Cache,
    Media,
}

#[derive(Clone)]
pub(crate) struct Tree {
    nodes: BTreeMap<NodeId, Node>,
    pending: Vec<Change>,
    next: NodeId,
}

impl Tree {
    pub(crate) fn new() -> Tree {
        let root = Node::Dir { cache: BTreeMap::new(), media: BTreeMap::new() };
        Tree { nodes: BTreeMap::from([(ROOT, root)]), pending: Vec::new(), next: ROOT + 1 }
    }

    pub(crate) fn node(&self, id: NodeId) -> io::Result<&Node> {
        self.nodes.get(&id).ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> io::Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(crate) fn content_mut(&mut self, id: NodeId) -> io::Result<&mut Content> {
        match self.node_mut(id)? {
            Node::File { content, .. } => Ok(content),
            Node::Dir { .. } => Err(ErrorKind::IsADirectory.into()),
        }
    }

    /// The names in a folder.
    pub(crate) fn names(&self, dir: NodeId) -> io::Result<&BTreeMap<String, NodeId>> {
        match self.node(dir)? {
            Node::Dir { cache, .. } => Ok(cache),
            Node::File { .. } => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(crate) fn is_dir(&self, id: NodeId) -> bool {
        matches!(self.nodes.get(&id), Some(Node::Dir { .. }))
    }

    /// What a path names.
    pub(crate) fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for name in parts(path)? {
            at = *self.names(at)?.get(&name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// The folder and the name in it that a path means, whether or not the name is there.
    pub(crate) fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = parts(path)?;
        let name = names.pop().ok_or(ErrorKind::InvalidInput)?;
        let mut at = ROOT;
        for name in names {
            at = *self.names(at)?.get(&name).ok_or(ErrorKind::NotFound)?;
        }
        self.names(at)?;
        Ok((at, name))
    }

    pub(crate) fn at(&self, (dir, name): &Place) -> Option<NodeId> {
        self.names(*dir).ok()?.get(name).copied()
    }

    /// Makes an empty file or folder under a name that is free.
    pub(crate) fn create(&mut self, place: Place, is_dir: bool) -> NodeId {
        let id = self.next;
        self.next += 1;
        let node = if is_dir {
            Node::Dir { cache: BTreeMap::new(), media: BTreeMap::new() }
        } else {
            Node::File { content: Content::default(), open: 0, named: true, locked: false }
        };
        self.nodes.insert(id, node);
        self.record(Change { node: id, is_dir, from: None, to: Some(place) });
        id
    }

    pub(crate) fn remove(&mut self, place: Place, node: NodeId) {
        self.unname(node);
        self.record(Change { node, is_dir: self.is_dir(node), from: Some(place), to: None });
    }

    pub(crate) fn rename(&mut self, from: Place, to: Place, node: NodeId) {
        if let Some(replaced) = self.at(&to) {
            self.unname(replaced);
        }
        self.record(Change { node, is_dir: self.is_dir(node), from: Some(from), to: Some(to) });
    }

    /// Whether `inner` is `outer` or lies somewhere in it.
    pub(crate) fn lies_in(&self, inner: NodeId, outer: NodeId) -> bool {
        inner == outer
            || self.names(outer).is_ok_and(|names| names.values().any(|child| self.lies_in(inner, *child)))
    }

    fn unname(&mut self, id: NodeId) {
        if let Some(Node::File { named, .. }) = self.nodes.get_mut(&id) {
            *named = false;
        }
    }

    fn record(&mut self, change: Change) {
        self.apply(&change, Side::Cache);
        self.pending.push(change);
    }

    fn apply(&mut self, change: &Change, side: Side) {
        if let Some((dir, name)) = &change.from
            && let Some(names) = self.names_mut(*dir, side)
            && names.get(name) == Some(&change.node)
        {
            names.remove(name);
        }
        if let Some((dir, name)) = &change.to
            && let Some(names) = self.names_mut(*dir, side)
        {
            names.insert(name.clone(), change.node);
        }
    }

    fn names_mut(&mut self, dir: NodeId, side: Side) -> Option<&mut BTreeMap<String, NodeId>> {
        match (self.nodes.get_mut(&dir)?, side) {
            (Node::Dir { cache, .. }, Side::Cache) => Some(cache),
            (Node::Dir { media, .. }, Side::Media) => Some(media),
            (Node::File { .. }, _) => None,
        }
    }

    /// Makes the changes in one folder durable, and those without which they could not be.
    pub(crate) fn sync_dir(&mut self, dir: NodeId) {
        let mut chosen: Vec<bool> = self.pending.iter().map(|change| change.touches(dir)).collect();
        for (later, change) in self.pending.iter().enumerate().rev() {
            if chosen.get(later) == Some(&true) {
                let earlier = chosen.iter_mut().zip(&self.pending).take(later);
                earlier.for_each(|(chosen, earlier)| *chosen |= change.needs(earlier));
            }
        }
        self.settle(&chosen, true);
        self.forget_unreachable();
    }

    /// What stands after a power cut: of the changes since the last sync any that could be there without the others.
    pub(crate) fn cut(
        &mut self,
        changes: f64,
        mut kept: impl FnMut(&mut Random) -> Kept,
        random: &mut Random,
    ) {
        let mut chosen: Vec<bool> = Vec::with_capacity(self.pending.len());
        for later in &self.pending {
            let possible =
                self.pending.iter().zip(&chosen).all(|(earlier, kept)| *kept || !later.needs(earlier));
            chosen.push(random.chance(changes) && possible);
        }
        self.settle(&chosen, false);
        for node in self.nodes.values_mut() {
            match node {
                Node::Dir { cache, media } => cache.clone_from(media),
                Node::File { content, .. } => {
                    let kept = kept(random);
                    content.cut(kept, random);
                }
            }
        }
        self.close_all();
        self.forget_unreachable();
        for node in self.nodes.values_mut() {
            if let Node::File { named, .. } = node {
                *named = true;
            }
        }
    }

    /// Puts the chosen changes onto the media, in their order; the others stay pending, or are forgotten.
    fn settle(&mut self, chosen: &[bool], keep_others: bool) {
        let pending = std::mem::take(&mut self.pending);
        for (change, chosen) in pending.into_iter().zip(chosen) {
            if *chosen {
                self.apply(&change, Side::Media);
            } else if keep_others {
                self.pending.push(change);
            }
        }
    }

    /// Nobody has a file open any more.
    pub(crate) fn close_all(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File { open, locked, .. } = node {
                (*open, *locked) = (0, false);
            }
        }
    }

    /// Frees what has no name in memory or on the media, may not get one, and is not open.
    pub(crate) fn forget_unreachable(&mut self) {
        let mut found = BTreeSet::new();
        let open = self.nodes.iter().filter(|(_, node)| matches!(node, Node::File { open: 1.., .. }));
        let mut next: Vec<NodeId> = open.map(|(id, _)| *id).collect();
        next.extend(self.pending.iter().map(|change| change.node));
        next.push(ROOT);
        while let Some(id) = next.pop() {
            if found.insert(id)
                && let Some(Node::Dir { cache, media }) = self.nodes.get(&id)
            {
                next.extend(cache.values().chain(media.values()));
            }
        }
        self.nodes.retain(|id, _| found.contains(id));
    }

    /// Bytes of room that a file takes: nothing once it has no name and nobody has it open.
    pub(crate) fn room_of(&self, id: NodeId) -> u64 {
        match self.nodes.get(&id) {
            Some(Node::File { content, open, named, .. }) if *named || *open > 0 => content.room(),
            _ => 0,
        }
    }

    /// Bytes of room that everything takes.
    pub(crate) fn room(&self) -> u64 {
        self.nodes.keys().map(|id| self.room_of(*id)).sum()
    }
}

/// The names of a path from the root. There is no working folder: a path that begins nowhere begins at the root.
fn parts(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir | Component::Prefix(_) => return Err(ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}
