//! Decimation for pixels: of each pixel's samples the first, the smallest, the largest and the last, in order of time, so
//! that a line drawn through them looks like one drawn through all (M4: Jugel et al., VLDB 2014). A sample without a
//! usable number is kept where a gap begins and where it ends. One pass over sorted samples, with the state of one pixel.

use tidemill_core::{Column, Kind, Quality, SampleBatch, SignalId, ValueRef};

use super::modes::Kept;

/// Which part of time a pixel is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels {
    from: i64,
    /// How long all of them are, in ns; at least 1.
    span: i128,
    count: i128,
}

impl Pixels {
    /// `count` pixels from `from` to `to`, which lies after it.
    pub(crate) fn new(from: i64, to: i64, count: u32) -> Pixels {
        let span = (i128::from(to) - i128::from(from)).max(1);
        Pixels { from, span, count: i128::from(count.max(1)) }
    }

    /// The first time after the pixel in which `time` lies.
    fn end(self, time: i64) -> i64 {
        let pixel = (i128::from(time) - i128::from(self.from)) * self.count / self.span;
        // Rounded up: the first nanosecond that belongs to the next pixel.
        let after = ((pixel + 1) * self.span + self.count - 1) / self.count;
        i64::try_from(i128::from(self.from) + after).unwrap_or(i64::MAX)
    }
}

/// A sample that is kept, with its number among the signal's, by which order is kept and none stands twice.
#[derive(Clone, Debug)]
struct Place {
    number: u64,
    sample: Kept,
}

/// The samples of one pixel that are kept.
#[derive(Default)]
struct Pixel {
    first: Option<Place>,
    smallest: Option<(f64, Place)>,
    largest: Option<(f64, Place)>,
    last: Option<Place>,
    gap_begin: Option<Place>,
    gap_end: Option<Place>,
}

/// Decimates. Samples come by signal and time; what is kept comes out in the same order.
pub(crate) struct Plot {
    pixels: Pixels,
    signal: Option<SignalId>,
    /// Where the pixel in hand ends.
    end: i64,
    pixel: Pixel,
    /// The number of the next sample of the signal.
    number: u64,
    /// The number after that of the last sample given out.
    given: u64,
    /// The newest sample, while it has no usable number: the end of a gap, if the next one has.
    gap: Option<Place>,
    /// A pixel that ended within a gap: only the next sample says whether the gap ended with it.
    undecided: Option<Pixel>,
    out: Vec<Kept>,
}

impl Plot {
    pub(crate) fn new(pixels: Pixels) -> Plot {
        Plot {
            pixels,
            signal: None,
            end: i64::MIN,
            pixel: Pixel::default(),
            number: 0,
            given: 0,
            gap: None,
            undecided: None,
            out: Vec::new(),
        }
    }

    /// Takes a batch and gives what is known to be kept.
    pub(crate) fn take(&mut self, batch: &SampleBatch) -> Vec<Kept> {
        let mut row = 0;
        while let (Some(signal), Some(time)) = (batch.signal.get(row), batch.time.get(row)) {
            if self.signal != Some(*signal) {
                self.end_signal();
                self.signal = Some(*signal);
                self.end = self.pixels.end(*time);
            } else if *time >= self.end {
                self.close();
                self.end = self.pixels.end(*time);
            }
            let until = self.run(batch, row, *signal);
            self.rows(batch, row, until);
            row = until;
        }
        std::mem::take(&mut self.out)
    }

    /// What was still in hand.
    pub(crate) fn finish(&mut self) -> Vec<Kept> {
        self.end_signal();
        std::mem::take(&mut self.out)
    }

    fn end_signal(&mut self) {
        self.close();
        self.decide(true);
        self.gap = None;
        (self.number, self.given) = (0, 0);
    }

    /// Ends the pixel in hand.
    fn close(&mut self) {
        let pixel = std::mem::take(&mut self.pixel);
        match self.gap {
            Some(_) => self.undecided = Some(pixel),
            None => self.keep(pixel),
        }
    }

    /// Gives out the pixel that ended within a gap, now that it is known whether the gap ended there.
    fn decide(&mut self, gap_ended: bool) {
        let Some(mut pixel) = self.undecided.take() else { return };
        if gap_ended {
            pixel.gap_end = self.gap.take();
        }
        self.keep(pixel);
    }

    /// Gives out what a pixel keeps, in order.
    fn keep(&mut self, pixel: Pixel) {
        let [smallest, largest] =
            [pixel.smallest, pixel.largest].map(|extreme| extreme.map(|(_, place)| place));
        let mut places: Vec<Place> =
            [pixel.first, smallest, largest, pixel.last, pixel.gap_begin, pixel.gap_end]
                .into_iter()
                .flatten()
                .collect();
        places.sort_unstable_by_key(|place| place.number);
        places.into_iter().for_each(|place| self.give(place));
    }

    /// Gives out a sample, unless it was given before.
    fn give(&mut self, place: Place) {
        if place.number >= self.given {
            self.given = place.number + 1;
            self.out.push(place.sample);
        }
    }

    /// The first row from `row` on that is of another signal or pixel.
    fn run(&self, batch: &SampleBatch, row: usize, signal: SignalId) -> usize {
        let times = batch.time.get(row..).unwrap_or_default();
        let signals = batch.signal.get(row..).unwrap_or_default();
        let mut len = 1;
        // Doubling steps, then halving: most pixels hold few rows, some thousands.
        let inside = |place: usize| {
            signals.get(place) == Some(&signal) && times.get(place).is_some_and(|time| *time < self.end)
        };
        let mut step = 1;
        while inside(len + step - 1) {
            len += step;
            step *= 2;
        }
        while step > 0 {
            if inside(len + step - 1) {
                len += step;
            }
            step /= 2;
        }
        row + len
    }

    fn rows(&mut self, batch: &SampleBatch, from: usize, to: usize) {
        let plain = matches!(&batch.kind, Column::Same(Kind::Float))
            && matches!(&batch.quality, Column::Same(quality) if !quality.is_bad());
        let values = batch.bits.get(from..to).unwrap_or_default();
        if plain && !values.iter().any(|bits| f64::from_bits(*bits).is_nan()) {
            return self.floats(batch, from, values);
        }
        for row in from..to {
            let bad = batch.quality.at(row).is_none_or(Quality::is_bad);
            self.row(batch, row, usable(batch.value(row), bad));
        }
    }

    /// The same for a run of floats without a gap: only the rows that are kept are looked at one by one.
    fn floats(&mut self, batch: &SampleBatch, from: usize, values: &[u64]) {
        let (mut smallest, mut largest) = ((f64::INFINITY, 0), (f64::NEG_INFINITY, 0));
        for (place, bits) in values.iter().enumerate() {
            let value = f64::from_bits(*bits);
            if value < smallest.0 {
                smallest = (value, place);
            }
            if value > largest.0 {
                largest = (value, place);
            }
        }
        let start = self.number;
        let mut places = [0, smallest.1, largest.1, values.len() - 1];
        places.sort_unstable();
        let mut before = None;
        for place in places {
            if before == Some(place) {
                continue;
            }
            before = Some(place);
            self.number = start + place as u64;
            let value = values.get(place).copied().map(f64::from_bits).unwrap_or_default();
            self.row(batch, from + place, Usable::Number(value));
        }
        self.number = start + values.len() as u64;
    }

    fn row(&mut self, batch: &SampleBatch, row: usize, usable: Usable) {
        let Some(sample) = Kept::of(batch, row) else { return };
        let place = Place { number: self.number, sample };
        self.number += 1;
        self.decide(usable != Usable::No);
        if usable == Usable::No {
            if self.gap.is_none() && self.pixel.gap_begin.is_none() {
                self.pixel.gap_begin = Some(place.clone());
            }
            self.gap = Some(place);
            return;
        }
        if let Some(end) = self.gap.take() {
            self.pixel.gap_end = Some(end);
        }
        if let Usable::Number(value) = usable {
            if self.pixel.smallest.as_ref().is_none_or(|(smallest, _)| value < *smallest) {
                self.pixel.smallest = Some((value, place.clone()));
            }
            if self.pixel.largest.as_ref().is_none_or(|(largest, _)| value > *largest) {
                self.pixel.largest = Some((value, place.clone()));
            }
        }
        self.pixel.first.get_or_insert_with(|| place.clone());
        self.pixel.last = Some(place);
    }
}

fn usable(value: ValueRef<'_>, bad: bool) -> Usable {
    match value {
        _ if bad => Usable::No,
        ValueRef::Text(_) | ValueRef::Json(_) | ValueRef::Bytes(_) => Usable::Text,
        value => value.as_f64().filter(|number| !number.is_nan()).map_or(Usable::No, Usable::Number),
    }
}

/// What a sample is to a plot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Usable {
    Number(f64),
    Text,
    No,
}
