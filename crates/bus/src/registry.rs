//! Ids, paths, metadata, aliases and sources, in memory. What is durable of them, who may change them and how many
//! there may be is decided elsewhere; here names are unique and numbers are never used twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashTable;
use tidemill_core::{Meta, OWN, Pattern, Signal, SignalId, SignalPath, SourceId, is_own};

use crate::record::{Input, put_text};

/// How many short texts (units, owners, creators) are kept once for all signals that share them.
const TEXTS_MAX: usize = 65_536;
/// Longer texts are seldom shared.
const TEXT_BYTES_MAX: usize = 64;

/// About what a signal takes in memory beside its texts, all indexes included; measured by examples/bench.rs.
pub(crate) const SIGNAL_BYTES: u64 = 400;

/// A signal as it is kept. There may be a hundred thousand: what is the same of many stands once for all of them.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) id: SignalId,
    /// How often it changed.
    pub(crate) revision: u32,
    pub(crate) path: SignalPath,
    pub(crate) created: i64,
    pub(crate) retired: bool,
    pub(crate) about: Arc<About>,
    /// Its tags in order, packed: length and bytes of each name and each value.
    tags: Option<Arc<[u8]>>,
}

/// What is known of a signal beside its name and its tags.
#[derive(PartialEq)]
pub(crate) struct About {
    pub(crate) aliases: Vec<SignalPath>,
    /// Without tags.
    pub(crate) meta: Meta,
    pub(crate) creator: Arc<str>,
}

impl Entry {
    /// The whole signal.
    pub(crate) fn signal(&self) -> Signal {
        let About { aliases, meta, creator } = &*self.about;
        let tags = self.tags().map(|(name, value)| (name.into(), value.into())).collect();
        Signal {
            id: self.id,
            path: self.path.clone(),
            aliases: aliases.clone(),
            meta: Meta { tags, ..meta.clone() },
            creator: creator.clone(),
            created: self.created,
            retired: self.retired,
        }
    }

    /// Its tags by name.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut input = Input(self.tags.as_deref().unwrap_or_default());
        std::iter::from_fn(move || Some((input.text()?, input.text()?)))
    }

    fn bytes(&self) -> u64 {
        let About { aliases, meta, .. } = &*self.about;
        let aliases: usize = aliases.iter().map(|alias| alias.as_str().len()).sum();
        SIGNAL_BYTES + (self.path.as_str().len() + meta.description.len() + 2 * aliases) as u64
    }
}

impl Hash for About {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The rest hardly differs where these are the same.
        let About { aliases, meta, creator } = self;
        (aliases, &meta.unit, &meta.description, &meta.owner, meta.stale_after_ns, creator).hash(state);
    }
}

impl Eq for About {}

/// Tags, packed; none where there are none.
fn packed(tags: &BTreeMap<Arc<str>, Arc<str>>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (name, value) in tags {
        put_text(&mut out, name);
        put_text(&mut out, value);
    }
    (!out.is_empty()).then_some(out)
}

/// About what a set of tags takes, with its place among the others.
fn tags_bytes(tags: &[u8]) -> u64 {
    48 + tags.len() as u64
}

/// All signals and sources.
#[derive(Default)]
pub(crate) struct Registry {
    /// By id; holes are ids that were reserved and lost.
    signals: Vec<Option<Entry>>,
    /// Living signals by the hash of their path.
    names: HashTable<SignalId>,
    /// Living signals by the hash of their path in lower case.
    folded: HashTable<SignalId>,
    ordered: BTreeMap<SignalPath, SignalId>,
    aliases: HashMap<SignalPath, SignalId>,
    sources: Vec<Option<Arc<str>>>,
    source_ids: HashMap<Arc<str>, SourceId>,
    texts: HashSet<Arc<str>>,
    tag_sets: HashSet<Arc<[u8]>>,
    abouts: HashSet<Arc<About>>,
    /// About how much memory all this takes.
    bytes: u64,
    hasher: RandomState,
}

impl Registry {
    /// The living signal of a path or alias.
    pub(crate) fn find(&self, path: &str) -> Option<&Entry> {
        let by_name = self.names.find(self.hasher.hash_one(path), |id| self.path(*id) == path);
        self.get(*by_name.or_else(|| self.aliases.get(path))?)
    }

    /// A signal by its id, retired or not.
    pub(crate) fn get(&self, id: SignalId) -> Option<&Entry> {
        self.signals.get(id.index())?.as_ref()
    }

    fn path(&self, id: SignalId) -> &str {
        self.get(id).map_or("", |entry| entry.path.as_str())
    }

    /// How many signals are not retired.
    pub(crate) fn living(&self) -> usize {
        self.ordered.len()
    }

    /// How many of them count against the limit of signals: the house's own do not.
    pub(crate) fn counted(&self) -> usize {
        let own = self.ordered.range::<str, _>((Bound::Included(OWN), Bound::Unbounded));
        self.living()
            - own
                .take_while(|(path, _)| path.as_str().starts_with(OWN))
                .filter(|(path, _)| is_own(path.as_str()))
                .count()
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One more than the highest signal id known.
    pub(crate) fn signals_end(&self) -> u32 {
        u32::try_from(self.signals.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// One more than the highest source id known.
    pub(crate) fn sources_end(&self) -> u32 {
        u32::try_from(self.sources.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// A living signal whose path differs from this one in upper and lower case only.
    pub(crate) fn twin(&self, path: &SignalPath) -> Option<&Entry> {
        let folded = path.as_str().to_lowercase();
        let is_twin = |id: &SignalId| {
            let other = self.path(*id);
            other != path.as_str() && other.to_lowercase() == folded
        };
        self.folded.find(self.hasher.hash_one(folded.as_str()), is_twin).and_then(|id| self.get(*id))
    }

    /// The living signals that a pattern means, sorted by path; for a pattern without wildcard also by alias.
    pub(crate) fn matching<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = &'a Entry> + 'a {
        let prefix = pattern.prefix();
        let alias = pattern
            .as_path()
            .filter(|path| !self.ordered.contains_key(path))
            .and_then(|path| self.find(path.as_str()));
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.ordered
            .range::<str, _>(from)
            .take_while(move |(path, _)| path.as_str().starts_with(prefix))
            .filter(move |(path, _)| pattern.matches(path))
            .filter_map(|(_, id)| self.get(*id))
            .chain(alias)
    }

    /// Every signal with its revision, in the order of ids, from an id on.
    pub(crate) fn entries(&self, from: usize) -> impl Iterator<Item = &Entry> {
        self.signals.get(from..).unwrap_or_default().iter().flatten()
    }

    /// Every source, in the order of ids.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (SourceId, &Arc<str>)> {
        (1..).map(SourceId).zip(&self.sources).filter_map(|(id, name)| Some((id, name.as_ref()?)))
    }

    /// Puts a state of a signal in force, unless a later one is known. Says whether it did.
    ///
    /// Where the name belongs to another living signal, that one is retired: it can only be that its own retirement
    /// was lost with a commit that never became durable.
    pub(crate) fn put(&mut self, revision: u32, signal: Signal) -> bool {
        let id = signal.id;
        if self.get(id).is_some_and(|known| known.revision >= revision) {
            return false;
        }
        self.unlink(id);
        if !signal.retired {
            let holder = self.find(signal.path.as_str()).map(|entry| (entry.revision, entry.signal()));
            if let Some((holder_revision, holder)) = holder {
                self.put(holder_revision.saturating_add(1), retired(&holder));
            }
        }
        if self.signals.len() <= id.index() {
            self.signals.resize_with(id.index() + 1, || None);
        }
        let entry = self.shared_entry(revision, signal);
        self.bytes += entry.bytes();
        let before = self.signals.get_mut(id.index()).and_then(|slot| slot.replace(entry));
        if let Some(before) = before {
            self.release(before);
        }
        self.link(id);
        true
    }

    /// Takes out a signal that no parcel and nobody else knows, as if it had never been put.
    pub(crate) fn forget(&mut self, id: SignalId) {
        self.unlink(id);
        let Some(entry) = self.signals.get_mut(id.index()).and_then(Option::take) else { return };
        self.release(entry);
        while self.signals.pop_if(|last| last.is_none()).is_some() {}
    }

    /// Lets go of a state that is in force no more, and of what it alone had.
    fn release(&mut self, entry: Entry) {
        self.bytes = self.bytes.saturating_sub(entry.bytes());
        if let Some(tags) = &entry.tags
            && Arc::strong_count(tags) == 2
        {
            self.bytes = self.bytes.saturating_sub(tags_bytes(tags));
            self.tag_sets.remove(tags);
        }
        if Arc::strong_count(&entry.about) == 2 {
            self.abouts.remove(&entry.about);
        }
    }

    fn link(&mut self, id: SignalId) {
        let Some(Entry { path, about, .. }) = self.get(id).filter(|entry| !entry.retired).cloned() else {
            return;
        };
        let Registry { signals, names, folded, hasher, .. } = self;
        let path_of = |id: &SignalId| {
            signals.get(id.index()).and_then(Option::as_ref).map_or("", |entry| entry.path.as_str())
        };
        names.insert_unique(hasher.hash_one(path.as_str()), id, |id| hasher.hash_one(path_of(id)));
        let fold = |path: &str| hasher.hash_one(path.to_lowercase().as_str());
        folded.insert_unique(fold(path.as_str()), id, |id| fold(path_of(id)));
        self.ordered.insert(path, id);
        self.aliases.extend(about.aliases.iter().map(|alias| (alias.clone(), id)));
    }

    fn unlink(&mut self, id: SignalId) {
        let Some(Entry { path, about, .. }) = self.get(id).filter(|entry| !entry.retired).cloned() else {
            return;
        };
        let path = path.as_str();
        if let Ok(entry) = self.names.find_entry(self.hasher.hash_one(path), |other| *other == id) {
            entry.remove();
        }
        if let Ok(entry) =
            self.folded.find_entry(self.hasher.hash_one(path.to_lowercase().as_str()), |other| *other == id)
        {
            entry.remove();
        }
        self.ordered.remove(path);
        for alias in &about.aliases {
            if self.aliases.get(alias) == Some(&id) {
                self.aliases.remove(alias);
            }
        }
    }

    /// A signal as it is kept: what others have too is theirs.
    fn shared_entry(&mut self, revision: u32, signal: Signal) -> Entry {
        let Signal { id, path, aliases, mut meta, creator, created, retired } = signal;
        let tags = packed(&std::mem::take(&mut meta.tags)).map(|tags| self.shared_tags(&tags));
        for text in [&mut meta.unit, &mut meta.unit_ucum, &mut meta.owner] {
            *text = self.shared(text);
        }
        let about = About { aliases, meta, creator: self.shared(&creator) };
        let about = self.abouts.get(&about).cloned().unwrap_or_else(|| {
            let about = Arc::new(about);
            self.abouts.insert(about.clone());
            about
        });
        Entry { id, revision, path, created, retired, about, tags }
    }

    fn shared_tags(&mut self, tags: &[u8]) -> Arc<[u8]> {
        if let Some(known) = self.tag_sets.get(tags) {
            return known.clone();
        }
        self.bytes += tags_bytes(tags);
        let tags: Arc<[u8]> = tags.into();
        self.tag_sets.insert(tags.clone());
        tags
    }

    fn shared(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        if text.len() <= TEXT_BYTES_MAX && self.texts.len() < TEXTS_MAX {
            self.texts.insert(text.clone());
        }
        text.clone()
    }

    /// The number of a source.
    pub(crate) fn source_id(&self, name: &str) -> Option<SourceId> {
        self.source_ids.get(name).copied()
    }

    /// The name of a source.
    pub(crate) fn source(&self, id: SourceId) -> Option<&Arc<str>> {
        self.sources.get((id.0 as usize).checked_sub(1)?)?.as_ref()
    }

    /// Gives a source its number; a number keeps its first name.
    pub(crate) fn put_source(&mut self, id: SourceId, name: Arc<str>) {
        let Some(index) = (id.0 as usize).checked_sub(1) else { return };
        if self.sources.len() <= index {
            self.sources.resize(index + 1, None);
        }
        if let Some(slot @ None) = self.sources.get_mut(index) {
            *slot = Some(name.clone());
            self.source_ids.entry(name).or_insert(id);
        }
    }
}

/// What is left of a signal that was deleted: its number stays taken, and one can still see what it was.
pub(crate) fn retired(signal: &Signal) -> Signal {
    Signal { aliases: Vec::new(), meta: Meta::default(), retired: true, ..signal.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> SignalPath {
        SignalPath::new(text).unwrap()
    }

    fn signal(id: u32, name: &str) -> Signal {
        Signal {
            id: SignalId::new(id).unwrap(),
            path: path(name),
            aliases: Vec::new(),
            meta: Meta::default(),
            creator: "token:a".into(),
            created: 0,
            retired: false,
        }
    }

    fn shown(registry: &Registry, pattern: &str) -> Vec<String> {
        let pattern = Pattern::new(pattern).unwrap();
        registry.matching(&pattern).map(|entry| format!("{}={}", entry.id.get(), entry.path)).collect()
    }

    #[test]
    fn names_aliases_and_revisions() {
        let mut registry = Registry::default();
        assert!(registry.put(1, signal(1, "a/b")));
        assert!(registry.put(1, signal(2, "a/B")));
        assert_eq!(registry.twin(&path("a/b")).unwrap().id.get(), 2);
        assert!(registry.twin(&path("a/c")).is_none());
        let mut renamed = signal(1, "c");
        renamed.aliases.push(path("a/b"));
        assert!(registry.put(2, renamed));
        assert!(!registry.put(1, signal(1, "a/b")), "an older state does not come back");
        assert_eq!(registry.find("a/b").unwrap().path, path("c"));
        assert_eq!(shown(&registry, "#"), ["2=a/B", "1=c"]);
        assert_eq!(shown(&registry, "a/b"), ["1=c"]);
        assert!(registry.put(1, signal(4, "c")), "a name that goes to another retires its holder");
        assert_eq!(shown(&registry, "#"), ["2=a/B", "4=c"]);
        assert!(registry.find("a/b").is_none());
        assert!(registry.get(SignalId::new(1).unwrap()).unwrap().retired);
        assert_eq!((registry.living(), registry.signals_end()), (2, 5));
    }

    #[test]
    fn what_signals_have_in_common_stands_once_and_goes_with_the_last() {
        assert!(size_of::<Option<Entry>>() <= 72, "there is one for each of a hundred thousand signals");
        let mut registry = Registry::default();
        let tagged = |id: u32, unit: &str, line: &str| {
            let mut signal = signal(id, &format!("a/{id}"));
            signal.meta.unit = unit.into();
            signal.meta.tags =
                [("host", "ä"), ("line", line)].map(|(name, value)| (name.into(), value.into())).into();
            signal
        };
        let signals = [tagged(1, "bar", "7"), tagged(2, "bar", "7"), tagged(3, "°C", "")];
        signals.iter().for_each(|signal| assert!(registry.put(1, signal.clone())));
        for signal in &signals {
            assert_eq!(registry.get(signal.id).unwrap().signal(), *signal);
        }
        assert_eq!((registry.abouts.len(), registry.tag_sets.len()), (2, 2));
        let before = registry.bytes();
        assert!(registry.put(2, tagged(3, "bar", "7")));
        assert_eq!((registry.abouts.len(), registry.tag_sets.len()), (1, 1));
        assert!(registry.bytes() < before);
        (1..=3).rev().for_each(|id| registry.forget(SignalId::new(id).unwrap()));
        assert_eq!((registry.abouts.len(), registry.tag_sets.len(), registry.bytes()), (0, 0, 0));
    }

    #[test]
    fn sources_keep_their_first_name() {
        let mut registry = Registry::default();
        registry.put_source(SourceId(2), "token:b".into());
        registry.put_source(SourceId(2), "token:c".into());
        registry.put_source(SourceId(0), "nobody".into());
        assert_eq!(registry.source_id("token:b"), Some(SourceId(2)));
        assert_eq!(registry.source_id("token:c"), None);
        assert_eq!((registry.source(SourceId(0)), registry.source(SourceId(1))), (None, None));
        assert_eq!(registry.sources_end(), 3);
    }

    /// The naive registry: every living signal in a list.
    #[derive(Default)]
    struct Naive(BTreeMap<u32, (u32, Signal)>);

    impl Naive {
        fn put(&mut self, revision: u32, signal: Signal) {
            let id = signal.id.get();
            if self.0.get(&id).is_some_and(|(known, _)| *known >= revision) {
                return;
            }
            self.0.remove(&id);
            if !signal.retired {
                let holds = |other: &Signal| {
                    !other.retired && (other.path == signal.path || other.aliases.contains(&signal.path))
                };
                for (known, other) in self.0.values_mut() {
                    if holds(other) {
                        (*known, *other) = (*known + 1, retired(other));
                    }
                }
            }
            self.0.insert(id, (revision, signal));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(steps in proptest::collection::vec((1u32..6, 1u32..5, "[abAB]/[xX]", proptest::option::of("[cd]"), 0u8..8), 1..30)) {
            let (mut registry, mut naive) = (Registry::default(), Naive::default());
            for (id, revision, name, alias, dice) in steps {
                let mut state = signal(id, &name);
                // Aliases are checked before they are given, so here each signal has names of its own.
                state.aliases.extend(alias.map(|alias| path(&format!("{alias}{id}"))));
                state.retired = dice == 0;
                state.meta.tags.extend((1..dice % 4).map(|tag| (format!("t{tag}").into(), "v".into())));
                registry.put(revision, state.clone());
                naive.put(revision, state);
                let living: Vec<&Signal> = naive.0.values().map(|(_, signal)| signal).filter(|signal| !signal.retired).collect();
                prop_assert_eq!(registry.living(), living.len());
                for signal in &living {
                    prop_assert_eq!(registry.find(signal.path.as_str()).unwrap().signal(), Signal::clone(signal));
                    for alias in &signal.aliases {
                        prop_assert_eq!(registry.find(alias.as_str()).unwrap().id, signal.id);
                    }
                    let twin = living.iter().any(|other| other.path != signal.path && other.path.as_str().to_lowercase() == signal.path.as_str().to_lowercase());
                    prop_assert_eq!(registry.twin(&signal.path).is_some(), twin);
                }
                let mut paths: Vec<&str> = living.iter().map(|signal| signal.path.as_str()).collect();
                paths.sort_unstable();
                let everything = Pattern::everything();
                let found: Vec<&str> = registry.matching(&everything).map(|entry| entry.path.as_str()).collect();
                prop_assert_eq!(found, paths);
            }
        }
    }
}
