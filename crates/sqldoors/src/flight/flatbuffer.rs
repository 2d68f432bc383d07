//! Flatbuffers, written from front to back: a table is its vtable, its numbers, and then what it refers to. Enough for
//! the heads of Arrow's messages (Schema.fbs, Message.fbs); what they say stands in `table`.

/// A field of a table.
pub(super) enum Slot {
    /// A number with its bytes, lowest first: 1, 2, 4 or 8.
    Number(Vec<u8>),
    Table(Slots),
    Text(String),
    Tables(Vec<Slots>),
    /// Numbers of four bytes.
    Numbers(Vec<i32>),
    /// Structs of two numbers of eight bytes.
    Pairs(Vec<(i64, i64)>),
}

/// The fields of a table by their number in its definition. What is left out has its default.
pub(super) type Slots = Vec<(usize, Slot)>;

/// The widest number that a table holds, and so what tables are aligned to.
const ALIGNMENT: usize = 8;

/// A flatbuffer whose root is this table, padded to eight bytes.
pub(super) fn write(root: Slots) -> Vec<u8> {
    let mut out = Out(vec![0; 4]);
    let place = out.table(root);
    out.refer(0, place);
    out.pad(ALIGNMENT);
    out.0
}

struct Out(Vec<u8>);

impl Out {
    fn pad(&mut self, alignment: usize) {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
    }

    fn number(&mut self, number: usize) {
        self.0.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }

    /// Lets what stands at `from` point at `to`, which stands behind it.
    fn refer(&mut self, from: usize, to: usize) {
        let distance = u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX);
        if let Some(bytes) = self.0.get_mut(from..from.saturating_add(4)) {
            bytes.copy_from_slice(&distance.to_le_bytes());
        }
    }

    /// Writes a table; returns where it begins.
    fn table(&mut self, mut slots: Slots) -> usize {
        let count = slots.iter().map(|(number, _)| number + 1).max().unwrap_or_default();
        let width = |slot: &Slot| if let Slot::Number(bytes) = slot { bytes.len() } else { 4 };
        slots.sort_by_key(|(_, slot)| std::cmp::Reverse(width(slot)));
        let vtable_bytes = 4 + 2 * count;
        let table = (self.0.len() + vtable_bytes).next_multiple_of(ALIGNMENT);
        self.0.resize(table - vtable_bytes, 0);
        let mut places = vec![0u16; count];
        let mut bytes = 4usize;
        for (number, slot) in &slots {
            bytes = bytes.next_multiple_of(width(slot));
            if let Some(place) = places.get_mut(*number) {
                *place = u16::try_from(bytes).unwrap_or(u16::MAX);
            }
            bytes += width(slot);
        }
        for number in [vtable_bytes, bytes] {
            self.0.extend_from_slice(&u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes());
        }
        places.iter().for_each(|place| self.0.extend_from_slice(&place.to_le_bytes()));
        self.number(vtable_bytes);
        self.0.resize(table + bytes, 0);
        for (number, slot) in slots {
            let place = table + places.get(number).copied().map(usize::from).unwrap_or_default();
            self.slot(place, slot);
        }
        table
    }

    fn slot(&mut self, place: usize, slot: Slot) {
        let target = match slot {
            Slot::Number(bytes) => {
                if let Some(into) = self.0.get_mut(place..place + bytes.len()) {
                    into.copy_from_slice(&bytes);
                }
                return;
            }
            Slot::Table(slots) => self.table(slots),
            Slot::Text(text) => {
                let target = self.vector(text.len(), 4);
                self.0.extend_from_slice(text.as_bytes());
                self.0.push(0);
                target
            }
            Slot::Tables(tables) => {
                let target = self.vector(tables.len(), 4);
                let first = self.0.len();
                self.0.resize(first + 4 * tables.len(), 0);
                for (index, table) in tables.into_iter().enumerate() {
                    let written = self.table(table);
                    self.refer(first + 4 * index, written);
                }
                target
            }
            Slot::Numbers(numbers) => {
                let target = self.vector(numbers.len(), 4);
                numbers.iter().for_each(|number| self.0.extend_from_slice(&number.to_le_bytes()));
                target
            }
            Slot::Pairs(pairs) => {
                let target = self.vector(pairs.len(), 8);
                for (first, second) in pairs {
                    self.0.extend_from_slice(&first.to_le_bytes());
                    self.0.extend_from_slice(&second.to_le_bytes());
                }
                target
            }
        };
        self.refer(place, target);
    }

    /// Writes the length of a vector so that its items are aligned; returns where it stands.
    fn vector(&mut self, count: usize, alignment: usize) -> usize {
        let target = (self.0.len() + 4).next_multiple_of(alignment) - 4;
        self.0.resize(target, 0);
        self.number(count);
        target
    }
}
