//! What a simulated file holds: in the page cache, and on the media. Nothing of names and folders is known here.

use crate::entropy::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The unit of the page cache, and of room on the disk.
pub(crate) const PAGE_BYTES: u64 = 4096;
/// The unit that a power cut never tears.
pub(crate) const SECTOR_BYTES: u64 = 512;
const PAGE: usize = PAGE_BYTES as usize;
const SECTOR: usize = SECTOR_BYTES as usize;
const SECTORS: usize = PAGE / SECTOR;

type Bytes = [u8; PAGE];

/// A page; `None` is a hole, which reads as zeros and takes no room.
#[derive(Clone, Default)]
struct Page {
    cache: Option<Arc<Bytes>>,
    media: Option<Arc<Bytes>>,
    /// One bit a sector: written since the last sync.
    dirty: u8,
    /// One bit a sector: the cache differs from the media and no sync will mend it, for one failed.
    lost: u8,
}

impl Page {
    /// Puts some sectors of the cache onto the media.
    fn write_back(&mut self, sectors: u8) {
        if sectors == 0 {
            return;
        }
        if (self.dirty | self.lost) & !sectors == 0 {
            self.media = self.cache.clone();
            return;
        }
        let cache = self.cache.as_deref().unwrap_or(&[0; PAGE]);
        let media = Arc::make_mut(self.media.get_or_insert_with(|| Arc::new([0; PAGE])));
        let sectors = sectors_of(sectors);
        for (to, from) in media.chunks_mut(SECTOR).zip(cache.chunks(SECTOR)).zip(sectors).filter_map(pick) {
            to.copy_from_slice(from);
        }
    }

    /// Before sectors are overwritten that were written already since the last sync: the disk may have taken the
    /// older version meanwhile.
    fn age(&mut self, sectors: u8, random: &mut Random) {
        let overwritten = self.dirty & sectors;
        if overwritten != 0 {
            self.write_back(overwritten & random.next() as u8);
        }
    }
}

fn pick<T>((pair, chosen): (T, bool)) -> Option<T> {
    chosen.then_some(pair)
}

fn sectors_of(mask: u8) -> impl Iterator<Item = bool> {
    (0..SECTORS).map(move |sector| mask & (1 << sector) != 0)
}

/// The sectors that bytes `from..to` of a page lie in.
fn mask(from: usize, to: usize) -> u8 {
    sectors(from / SECTOR, to.div_ceil(SECTOR))
}

fn sectors(from: usize, to: usize) -> u8 {
    (from..to).fold(0, |mask, sector| mask | 1 << sector)
}

/// A file's bytes, its length, and the room reserved for it.
#[derive(Clone, Default)]
pub(crate) struct Content {
    pages: BTreeMap<u64, Page>,
    dirty: BTreeSet<u64>,
    len: u64,
    media_len: u64,
    /// The shortest and the longest that the file was since the last sync.
    len_min: u64,
    len_max: u64,
    reserved: u64,
    media_reserved: u64,
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of room it takes.
    pub(crate) fn room(&self) -> u64 {
        let reserved = self.reserved.div_ceil(PAGE_BYTES);
        let beyond = self.pages.range(reserved..).filter(|(_, page)| page.cache.is_some()).count() as u64;
        (reserved + beyond) * PAGE_BYTES
    }

    /// Bytes of room that writing `from..to` would take beyond what the file has.
    pub(crate) fn room_for(&self, from: u64, to: u64) -> u64 {
        let first = (from / PAGE_BYTES).max(self.reserved.div_ceil(PAGE_BYTES));
        self.holes(first, to.div_ceil(PAGE_BYTES))
    }

    /// Bytes of room that reserving `len` would take beyond what the file has.
    pub(crate) fn room_to_reserve(&self, len: u64) -> u64 {
        self.holes(self.reserved.div_ceil(PAGE_BYTES), len.div_ceil(PAGE_BYTES))
    }

    fn holes(&self, first: u64, end: u64) -> u64 {
        if first >= end {
            return 0;
        }
        let there = self.pages.range(first..end).filter(|(_, page)| page.cache.is_some()).count() as u64;
        (end - first - there) * PAGE_BYTES
    }

    pub(crate) fn reserve(&mut self, len: u64) {
        self.reserved = self.reserved.max(len);
    }

    /// Reads what the cache holds; the number of bytes read.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let count = (buf.len() as u64).min(self.len.saturating_sub(offset)) as usize;
        let mut done = 0;
        while done < count {
            let (index, at) = place(offset + done as u64);
            let piece = (PAGE - at).min(count - done);
            let to = &mut buf[done..done + piece];
            match self.pages.get(&index).and_then(|page| page.cache.as_deref()) {
                Some(bytes) => to.copy_from_slice(&bytes[at..at + piece]),
                None => to.fill(0),
            }
            done += piece;
        }
        count
    }

    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64, random: &mut Random) {
        let mut done = 0;
        while done < bytes.len() {
            let (index, at) = place(offset + done as u64);
            let piece = (PAGE - at).min(bytes.len() - done);
            self.change(index, mask(at, at + piece), random, |page| {
                page[at..at + piece].copy_from_slice(&bytes[done..done + piece]);
            });
            done += piece;
        }
        if !bytes.is_empty() {
            self.set_cached_len(self.len.max(offset + bytes.len() as u64));
        }
    }

    pub(crate) fn set_len(&mut self, len: u64, random: &mut Random) {
        if len < self.len {
            let (index, at) = place(len);
            if let Some(page) = self.pages.get_mut(&index).filter(|_| at > 0) {
                // Not through `change`: a hole stays a hole, for cutting must not take room.
                let cut = mask(at, PAGE);
                page.age(cut, random);
                if let Some(bytes) = page.cache.as_mut() {
                    Arc::make_mut(bytes)[at..].fill(0);
                }
                page.dirty |= cut;
                page.lost &= !cut;
                self.dirty.insert(index);
            }
            let first = len.div_ceil(PAGE_BYTES);
            for (index, page) in self.pages.range_mut(first..) {
                page.age(u8::MAX, random);
                page.cache = None;
                page.lost = 0;
                // A page that the media never had cannot come back.
                page.dirty = if page.media.is_some() { u8::MAX } else { 0 };
                if page.dirty != 0 {
                    self.dirty.insert(*index);
                }
            }
        }
        if len <= self.len {
            self.reserved = self.reserved.min(len.div_ceil(PAGE_BYTES) * PAGE_BYTES);
        }
        self.set_cached_len(len);
    }

    fn set_cached_len(&mut self, len: u64) {
        self.len = len;
        self.len_min = self.len_min.min(len);
        self.len_max = self.len_max.max(len);
    }

    fn change(&mut self, index: u64, sectors: u8, random: &mut Random, with: impl FnOnce(&mut Bytes)) {
        let page = self.pages.entry(index).or_default();
        page.age(sectors, random);
        with(Arc::make_mut(page.cache.get_or_insert_with(|| Arc::new([0; PAGE]))));
        page.dirty |= sectors;
        page.lost &= !sectors;
        self.dirty.insert(index);
    }

    /// Makes everything written durable.
    pub(crate) fn sync(&mut self) {
        for index in std::mem::take(&mut self.dirty) {
            if let Some(page) = self.pages.get_mut(&index) {
                page.write_back(page.dirty);
                page.dirty = 0;
                if page.cache.is_none() && page.media.is_none() {
                    self.pages.remove(&index);
                }
            }
        }
        self.settle_len(self.len);
        self.media_reserved = self.reserved;
    }

    /// A sync that failed: some sectors reached the media, the others never will unless they are written again, and
    /// the cache shows them all as if nothing had happened.
    pub(crate) fn fail_sync(&mut self, random: &mut Random) {
        for index in std::mem::take(&mut self.dirty) {
            if let Some(page) = self.pages.get_mut(&index) {
                let reached = page.dirty & random.next() as u8;
                page.write_back(reached);
                page.lost |= page.dirty & !reached;
                page.dirty = 0;
            }
        }
        // The length stays open between what it was and what it is: the metadata may still be written one day.
    }

    /// What the file holds after a power cut: of each sector written since the last sync the old bytes or the new.
    pub(crate) fn cut(&mut self, kept: Kept, random: &mut Random) {
        for index in std::mem::take(&mut self.dirty) {
            if let Some(page) = self.pages.get_mut(&index) {
                page.write_back(page.dirty & kept.sectors(random));
            }
        }
        let len = match random.below(4) {
            _ if kept.chance == 0.0 => self.media_len,
            _ if kept.chance == 1.0 => self.len,
            0 => self.media_len,
            1 => self.len_min + random.below(self.len_max - self.len_min + 1),
            _ => self.len,
        };
        self.pages.retain(|_, page| {
            *page = Page { cache: page.media.take(), ..Page::default() };
            page.media.clone_from(&page.cache);
            page.media.is_some()
        });
        self.reserved = self.media_reserved;
        self.end_at(len);
    }

    /// Cuts cache and media alike, as a disk does that wakes up with this length.
    fn end_at(&mut self, len: u64) {
        let (index, at) = place(len);
        if let Some(bytes) = self.pages.get_mut(&index).and_then(|page| page.cache.as_mut()) {
            Arc::make_mut(bytes)[at..].fill(0);
        }
        if let Some(page) = self.pages.get_mut(&index) {
            page.media.clone_from(&page.cache);
        }
        self.pages.split_off(&len.div_ceil(PAGE_BYTES));
        self.len = len;
        self.settle_len(len);
    }

    fn settle_len(&mut self, len: u64) {
        (self.media_len, self.len_min, self.len_max) = (len, len, len);
    }

    /// Flips one bit in the cache and on the media; whether there is such a byte.
    pub(crate) fn flip(&mut self, offset: u64, bit: u8) -> bool {
        let (index, at) = place(offset);
        if offset >= self.len {
            return false;
        }
        let page = self.pages.entry(index).or_default();
        for side in [&mut page.cache, &mut page.media] {
            Arc::make_mut(side.get_or_insert_with(|| Arc::new([0; PAGE])))[at] ^= 1 << (bit % 8);
        }
        true
    }
}

/// How much of what was not synced one power cut keeps.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    /// The chance of each unit to be kept.
    pub(crate) chance: f64,
    /// Whether the unit is the page and not the sector.
    pub(crate) whole_pages: bool,
}

impl Kept {
    /// The sectors of one page that are kept.
    fn sectors(self, random: &mut Random) -> u8 {
        if self.whole_pages {
            return if random.chance(self.chance) { u8::MAX } else { 0 };
        }
        (0..SECTORS).fold(0, |mask, sector| mask | u8::from(random.chance(self.chance)) << sector)
    }
}

fn place(offset: u64) -> (u64, usize) {
    (offset / PAGE_BYTES, (offset % PAGE_BYTES) as usize)
}
