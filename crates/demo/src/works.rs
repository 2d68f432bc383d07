//! Tidemill Works: a small plant with a press line, an oven, packing, compressed air, a cold store and a greenhouse.
//! Plausible rather than exact: machines warm up when they work, wear, stop for a while, and sensors sometimes fail.

use tidemill_core::Quality;

use crate::kit::{Lag, Noise, Step, rounded};

/// What a signal of the plant is.
#[derive(Clone, Copy, Debug)]
pub struct SignalSpec {
    /// Below `works/leeds/`.
    pub path: &'static str,
    /// UCUM, or empty.
    pub unit: &'static str,
    /// For people.
    pub description: &'static str,
}

/// A value of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// Measured.
    Number(f64),
    /// Counted.
    Count(i64),
    /// On or off.
    Flag(bool),
    /// A word, such as those of PackML.
    State(&'static str),
}

macro_rules! signals {
    ($($path:literal $unit:literal $description:literal;)*) => {
        /// Every signal, in the order in which a step of the works gives values.
        pub static SIGNALS: &[SignalSpec] = &[$(SignalSpec { path: $path, unit: $unit, description: $description }),*];
    };
}

signals! {
    "press/st1/state" "" "PackML state of press station 1";
    "press/st1/parts" "" "Parts made by station 1 since it was built";
    "press/st1/force" "kN" "Press force of station 1";
    "press/st1/oil/temperature" "°C" "Hydraulic oil of station 1";
    "press/st1/vibration" "mm/s" "Bearing vibration (RMS) of station 1";
    "press/st2/state" "" "PackML state of press station 2";
    "press/st2/parts" "" "Parts made by station 2 since it was built";
    "press/st2/force" "kN" "Press force of station 2";
    "press/st2/oil/temperature" "°C" "Hydraulic oil of station 2";
    "press/st2/vibration" "mm/s" "Bearing vibration (RMS) of station 2";
    "press/st3/state" "" "PackML state of press station 3";
    "press/st3/parts" "" "Parts made by station 3 since it was built";
    "press/st3/force" "kN" "Press force of station 3";
    "press/st3/oil/temperature" "°C" "Hydraulic oil of station 3";
    "press/st3/vibration" "mm/s" "Bearing vibration (RMS) of station 3";
    "press/st4/state" "" "PackML state of press station 4";
    "press/st4/parts" "" "Parts made by station 4 since it was built";
    "press/st4/force" "kN" "Press force of station 4";
    "press/st4/oil/temperature" "°C" "Hydraulic oil of station 4";
    "press/st4/vibration" "mm/s" "Bearing vibration (RMS) of station 4";
    "oven/zone1/temperature" "°C" "Oven, preheating zone";
    "oven/zone1/setpoint" "°C" "Oven, preheating zone, wanted";
    "oven/zone2/temperature" "°C" "Oven, holding zone";
    "oven/zone2/setpoint" "°C" "Oven, holding zone, wanted";
    "oven/zone3/temperature" "°C" "Oven, cooling zone";
    "oven/zone3/setpoint" "°C" "Oven, cooling zone, wanted";
    "oven/power" "kW" "Electric power of the oven";
    "oven/belt/speed" "m/min" "Speed of the oven's belt";
    "packing/state" "" "PackML state of the packing machine";
    "packing/speed" "1/min" "Parts packed in a minute";
    "packing/good" "" "Good parts packed";
    "packing/rejected" "" "Parts rejected by the scale";
    "air/pressure" "bar" "Compressed air in the ring main";
    "air/flow" "m³/h" "Compressed air used";
    "air/compressor1/running" "" "Compressor 1 runs";
    "air/compressor1/power" "kW" "Electric power of compressor 1";
    "air/compressor1/oil/temperature" "°C" "Oil of compressor 1";
    "air/compressor1/hours" "h" "Running hours of compressor 1";
    "air/compressor2/running" "" "Compressor 2 runs";
    "air/compressor2/power" "kW" "Electric power of compressor 2";
    "air/compressor2/oil/temperature" "°C" "Oil of compressor 2";
    "air/compressor2/hours" "h" "Running hours of compressor 2";
    "coldstore/temperature" "°C" "Air in the cold store";
    "coldstore/humidity" "%" "Relative humidity in the cold store";
    "coldstore/door" "" "The cold store's door is open";
    "coldstore/power" "kW" "Electric power of the cold store";
    "greenhouse/temperature" "°C" "Air in the greenhouse";
    "greenhouse/humidity" "%" "Relative humidity in the greenhouse";
    "greenhouse/co2" "ppm" "Carbon dioxide in the greenhouse";
    "greenhouse/light" "W/m²" "Light in the greenhouse";
    "greenhouse/bed1/moisture" "%" "Soil moisture of bed 1";
    "greenhouse/bed2/moisture" "%" "Soil moisture of bed 2";
    "greenhouse/valve" "" "The irrigation valve is open";
    "weather/temperature" "°C" "Air outside";
    "weather/humidity" "%" "Relative humidity outside";
    "weather/light" "W/m²" "Light outside";
    "energy/power" "kW" "Electric power of the whole site";
    "energy/imported" "kWh" "Energy imported since the meter was installed";
}

struct Press {
    down_s: f64,
    parts: f64,
    oil: Lag,
    wear: f64,
}

struct Compressor {
    running: bool,
    oil: Lag,
    hours: f64,
}

/// The plant's state.
pub(crate) struct Works {
    noise: Noise,
    presses: [Press; 4],
    zones: [Lag; 3],
    packed: f64,
    rejected: f64,
    pressure: f64,
    compressors: [Compressor; 2],
    cold: Lag,
    door_s: f64,
    house: Lag,
    co2: Lag,
    moisture: [f64; 2],
    valve: bool,
    cloud: Lag,
    sensor_fault_s: f64,
    energy_kwh: f64,
}

/// By day, and for the smaller parts that the night shift makes.
const OVEN_SETPOINTS: [[f64; 3]; 2] = [[140.0, 182.0, 60.0], [118.0, 154.0, 52.0]];
/// Parts a second of a press that works.
const RATE_PER_S: f64 = 0.22;

impl Works {
    /// A plant that has run for a while.
    pub(crate) fn new(seed: u64) -> Works {
        let press = |wear| Press { down_s: 0.0, parts: 412_000.0, oil: Lag::new(38.0, 2_400.0), wear };
        let compressor = |running, hours| Compressor { running, oil: Lag::new(62.0, 900.0), hours };
        Works {
            noise: Noise(seed),
            presses: [press(0.1), press(0.35), press(0.6), press(0.2)],
            zones: [Lag::new(25.0, 1_500.0), Lag::new(25.0, 1_800.0), Lag::new(25.0, 1_200.0)],
            packed: 1_604_000.0,
            rejected: 12_730.0,
            pressure: 7.2,
            compressors: [compressor(true, 18_204.0), compressor(false, 9_377.5)],
            cold: Lag::new(4.0, 1_800.0),
            door_s: 0.0,
            house: Lag::new(19.0, 3_600.0),
            co2: Lag::new(600.0, 2_700.0),
            moisture: [31.0, 34.0],
            valve: false,
            cloud: Lag::new(0.4, 5_400.0),
            sensor_fault_s: 0.0,
            energy_kwh: 884_310.0,
        }
    }

    /// Goes on by one step and gives a value and its quality for every signal, in the order of [`SIGNALS`].
    pub(crate) fn step(&mut self, step: Step, out: &mut Vec<(Reading, Quality)>) {
        out.clear();
        let day_work = step.is_day_work();
        let cloud_target = self.noise.uniform();
        let cloud = self.cloud.follow(cloud_target, step);
        let light_out = (step.day_wave() + 0.25).max(0.0) * 640.0 * (1.0 - 0.7 * cloud);
        let outside = 9.0 + 6.0 * step.day_wave() - 2.0 * cloud;
        let (press_power, made) = self.presses(step, out);
        let oven_power = self.oven(step, out);
        self.packing(step, made, out);
        let air_power = self.air(step, made, out);
        let cold_power = self.cold_store(step, day_work, outside, out);
        self.greenhouse(step, outside, light_out, out);
        good(out, Reading::Number(rounded(outside + self.noise.normal(0.05), 1)));
        good(
            out,
            Reading::Number(rounded((78.0 - 14.0 * step.day_wave() + 8.0 * cloud).clamp(20.0, 100.0), 0)),
        );
        good(out, Reading::Number(rounded(light_out, 0)));
        let base = if day_work { 21.0 } else { 9.5 };
        let total = press_power + oven_power + air_power + cold_power + base + self.noise.normal(0.3);
        self.energy_kwh += total * step.seconds / 3_600.0;
        good(out, Reading::Number(rounded(total, 1)));
        good(out, Reading::Number(rounded(self.energy_kwh, 1)));
    }

    /// Gives the presses' power (kW) and how many parts left the line.
    fn presses(&mut self, step: Step, out: &mut Vec<(Reading, Quality)>) -> (f64, f64) {
        let noise = &mut self.noise;
        let fault = {
            if self.sensor_fault_s > 0.0 {
                self.sensor_fault_s -= step.seconds;
            } else if noise.happens(0.01, step) {
                self.sensor_fault_s = 1_800.0;
            }
            self.sensor_fault_s > 0.0
        };
        let mut power = 0.0;
        let mut made = 0.0;
        let mut starved = false;
        for (index, press) in self.presses.iter_mut().enumerate() {
            let manned = step.is_manned(index);
            if press.down_s > 0.0 {
                press.down_s -= step.seconds;
            } else if manned && noise.happens(0.12 + 0.2 * press.wear, step) {
                press.down_s = 180.0 + 1_500.0 * noise.uniform();
            }
            let state = match (press.down_s > 0.0, manned, starved) {
                (true, ..) => "Aborted",
                (_, false, _) => "Stopped",
                (_, _, true) => "Suspended",
                _ => "Execute",
            };
            // A station that fails starves the next ones; for one that stands by plan they have a store.
            starved |= state == "Aborted";
            let working = state == "Execute";
            let rate_per_s = if working { RATE_PER_S } else { 0.0 };
            press.parts += rate_per_s * step.seconds;
            press.wear =
                if press.wear > 1.0 { 0.05 } else { press.wear + rate_per_s * step.seconds / 900_000.0 };
            made += rate_per_s * step.seconds / 4.0;
            power += if working { 11.0 } else { 1.2 };
            let oil = press.oil.follow(if working { 54.0 } else { 27.0 }, step);
            good(out, Reading::State(state));
            good(out, Reading::Count(press.parts as i64));
            let force = if working { 840.0 + noise.normal(9.0) } else { 0.0 };
            good(out, Reading::Number(rounded(force, 0)));
            if index == 2 && fault {
                out.push((Reading::Number(rounded(oil, 1)), Quality::BAD_SENSOR_FAILURE));
            } else {
                good(out, Reading::Number(rounded(oil + noise.normal(0.1), 1)));
            }
            let vibration =
                if working { 1.4 + 3.2 * press.wear * press.wear + noise.normal(0.08) } else { 0.12 };
            good(out, Reading::Number(rounded(vibration.max(0.0), 2)));
        }
        (power, made)
    }

    fn oven(&mut self, step: Step, out: &mut Vec<(Reading, Quality)>) -> f64 {
        let programme = OVEN_SETPOINTS[usize::from(step.is_night())];
        let mut power = 2.0;
        for (zone, wanted) in self.zones.iter_mut().zip(programme) {
            let before = zone.value;
            let value = zone.follow(wanted, step);
            power += ((value - 25.0) * 0.09 + ((value - before) / step.seconds * 120.0).max(0.0)).max(0.0);
            good(out, Reading::Number(rounded(value + self.noise.normal(0.15), 1)));
            good(out, Reading::Number(wanted));
        }
        good(out, Reading::Number(rounded(power, 1)));
        good(out, Reading::Number(if step.is_night() { 1.4 } else { 1.8 }));
        power
    }

    fn packing(&mut self, step: Step, made: f64, out: &mut Vec<(Reading, Quality)>) {
        let rejected = made * if self.noise.happens(0.5, step) { 0.08 } else { 0.006 };
        self.packed += made - rejected;
        self.rejected += rejected;
        let state = if made > 0.0 { "Execute" } else { "Suspended" };
        good(out, Reading::State(state));
        good(out, Reading::Number(rounded(made / step.seconds * 60.0, 1)));
        good(out, Reading::Count(self.packed as i64));
        good(out, Reading::Count(self.rejected as i64));
    }

    fn air(&mut self, step: Step, made: f64, out: &mut Vec<(Reading, Quality)>) -> f64 {
        // Leaks, and what the presses that work use.
        let used = 11.0 + 81.0 * made / (RATE_PER_S * step.seconds) + self.noise.normal(3.0);
        // Compressor 1 carries the base load between 6.8 and 7.4 bar; compressor 2 helps below 6.7.
        self.compressors[0].running =
            if self.pressure < 6.8 { true } else { self.pressure < 7.4 && self.compressors[0].running };
        self.compressors[1].running =
            if self.pressure < 6.7 { true } else { self.pressure < 7.1 && self.compressors[1].running };
        let delivered: f64 =
            self.compressors.iter().map(|compressor| if compressor.running { 78.0 } else { 0.0 }).sum();
        // 12 m³ of vessel: an hour's surplus of 1 m³/h lifts the pressure by 1/12 bar.
        self.pressure = (self.pressure + (delivered - used) * step.seconds.min(20.0) / 3_600.0 / 12.0 * 10.0)
            .clamp(5.5, 8.0);
        good(out, Reading::Number(rounded(self.pressure, 2)));
        good(out, Reading::Number(rounded(used.max(0.0), 1)));
        let mut power = 0.0;
        for compressor in &mut self.compressors {
            let own = if compressor.running { 18.5 + self.noise.normal(0.2) } else { 0.4 };
            power += own;
            compressor.hours += if compressor.running { step.seconds / 3_600.0 } else { 0.0 };
            let oil = compressor.oil.follow(if compressor.running { 78.0 } else { 30.0 }, step);
            good(out, Reading::Flag(compressor.running));
            good(out, Reading::Number(rounded(own, 1)));
            good(out, Reading::Number(rounded(oil, 1)));
            good(out, Reading::Number(rounded(compressor.hours, 2)));
        }
        power
    }

    fn cold_store(
        &mut self,
        step: Step,
        day_work: bool,
        outside: f64,
        out: &mut Vec<(Reading, Quality)>,
    ) -> f64 {
        if self.door_s > 0.0 {
            self.door_s -= step.seconds;
        } else if self.noise.happens(if day_work { 2.5 } else { 0.8 }, step) {
            self.door_s = 40.0 + 200.0 * self.noise.uniform();
        }
        let open = self.door_s > 0.0;
        let value = self.cold.follow(if open { 4.0 + (outside - 4.0).max(4.0) * 0.6 } else { 3.6 }, step);
        let power = 4.2 + (value - 3.5).max(0.0) * 2.4;
        good(out, Reading::Number(rounded(value + self.noise.normal(0.04), 2)));
        good(out, Reading::Number(rounded(if open { 88.0 } else { 82.0 } + self.noise.normal(0.6), 1)));
        good(out, Reading::Flag(open));
        good(out, Reading::Number(rounded(power, 2)));
        power
    }

    fn greenhouse(&mut self, step: Step, outside: f64, light: f64, out: &mut Vec<(Reading, Quality)>) {
        let inside = self.house.follow((outside + light * 0.02).max(16.0), step);
        let co2 = self.co2.follow(720.0 - light * 0.45, step);
        self.valve = if self.moisture[0] < 26.0 { true } else { self.valve && self.moisture[0] < 36.0 };
        for (bed, moisture) in self.moisture.iter_mut().enumerate() {
            let dry_per_h = 0.18 + light * 0.000_9 + bed as f64 * 0.02;
            let wet_per_h = if self.valve { 9.0 } else { 0.0 };
            *moisture = (*moisture + (wet_per_h - dry_per_h) * step.seconds / 3_600.0).clamp(8.0, 45.0);
        }
        good(out, Reading::Number(rounded(inside + self.noise.normal(0.05), 1)));
        good(out, Reading::Number(rounded((88.0 - (inside - 16.0) * 2.2).clamp(35.0, 98.0), 1)));
        good(out, Reading::Number(rounded(co2 + self.noise.normal(3.0), 0)));
        good(out, Reading::Number(rounded(light * 0.72, 0)));
        good(out, Reading::Number(rounded(self.moisture[0], 1)));
        good(out, Reading::Number(rounded(self.moisture[1], 1)));
        good(out, Reading::Flag(self.valve));
    }
}

fn good(out: &mut Vec<(Reading, Quality)>, reading: Reading) {
    out.push((reading, Quality::GOOD));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(count: i64) -> Vec<Vec<(Reading, Quality)>> {
        let mut works = Works::new(1);
        let mut out = Vec::new();
        (0..count * 1_440)
            .map(|minute| {
                works.step(Step { local_s: minute * 60, seconds: 60.0 }, &mut out);
                out.clone()
            })
            .collect()
    }

    #[test]
    fn thirty_days_stay_within_reason() {
        let steps = days(30);
        let number = |row: &Vec<(Reading, Quality)>, path: &str| {
            let index = SIGNALS.iter().position(|signal| signal.path == path).unwrap();
            match row[index].0 {
                Reading::Number(number) => number,
                Reading::Count(count) => count as f64,
                other => panic!("{path} is {other:?}"),
            }
        };
        let ranges = [
            ("press/st3/oil/temperature", 15.0, 60.0),
            ("press/st3/vibration", 0.0, 6.0),
            ("oven/zone2/temperature", 20.0, 190.0),
            ("oven/power", 0.0, 80.0),
            ("air/pressure", 5.5, 8.0),
            ("coldstore/temperature", 2.0, 9.0),
            ("greenhouse/co2", 300.0, 800.0),
            ("greenhouse/bed1/moisture", 8.0, 45.0),
            ("weather/temperature", -5.0, 20.0),
            ("energy/power", 5.0, 250.0),
        ];
        for (path, low, high) in ranges {
            let values: Vec<f64> = steps.iter().map(|row| number(row, path)).collect();
            assert!(values.iter().all(|value| (low..=high).contains(value)), "{path} leaves {low}..{high}");
            let (least, most) =
                values.iter().fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(*value), b.max(*value)));
            assert!(most - least > (high - low) * 0.1, "{path} hardly moves: {least}..{most}");
        }
        for counter in ["press/st1/parts", "packing/good", "energy/imported", "air/compressor1/hours"] {
            assert!(
                steps.windows(2).all(|pair| number(&pair[1], counter) >= number(&pair[0], counter)),
                "{counter} goes back"
            );
        }
        assert!(steps.iter().flatten().any(|(_, quality)| quality.is_bad()), "no sensor ever fails");
    }

    /// Whoever looks, at night or on a Sunday, sees parts being made: a line that a failure starves stands for less than an hour.
    #[test]
    fn the_line_lives_at_every_hour_of_the_week() {
        let packed = SIGNALS.iter().position(|signal| signal.path == "packing/good").unwrap();
        let hours: Vec<i64> = days(28)
            .chunks(60)
            .filter_map(|hour| match (hour[0][packed].0, hour[59][packed].0) {
                (Reading::Count(first), Reading::Count(last)) => Some(last - first),
                _ => None,
            })
            .collect();
        assert_eq!(hours.len(), 28 * 24);
        assert!(hours.iter().all(|made| *made > 0), "{hours:?}");
        // The noise of a step moves what is shown, also where the counters stand.
        let power = SIGNALS.iter().position(|signal| signal.path == "energy/power").unwrap();
        let still =
            days(7).chunks(15).filter(|rows| rows.iter().all(|row| row[power] == rows[0][power])).count();
        assert_eq!(still, 0);
    }

    #[test]
    fn every_step_has_every_signal_and_the_same_seed_the_same_plant() {
        let (one, other) = (days(2), days(2));
        assert_eq!(one, other);
        assert!(one.iter().all(|row| row.len() == SIGNALS.len()));
        assert!((55..=65).contains(&SIGNALS.len()));
    }
}
