//! Common spellings of units to UCUM codes (The Unified Code for Units of Measure, <https://ucum.org/ucum>). A unit
//! that is not known here is shown as written and has no UCUM code: no value is refused for it. No conversion lives here.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::signal::Meta;

/// The longest unit of a signal, in bytes.
pub const UNIT_BYTES_MAX: usize = 128;

/// A unit with the spellings that people and devices use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its UCUM code, case sensitive (c/s).
    pub code: &'static str,
    /// Other spellings, separated by spaces; a `_` stands for a space.
    pub spellings: &'static str,
}

macro_rules! table {
    ($($code:literal $spellings:literal)*) => {
        &[$(Unit { code: $code, spellings: $spellings }),*]
    };
}

/// Every unit known, by quantity.
static UNITS: &[Unit] = table! {
    // temperature
    "Cel" "°C ℃ degC deg_C celsius"
    "[degF]" "°F ℉ degF deg_F fahrenheit"
    "K" "kelvin °K"
    // pressure
    "bar" "bars barg bar(g) bara bar(a)"
    "mbar" "millibar"
    "Pa" "pascal"
    "hPa" "hectopascal"
    "kPa" "kilopascal"
    "MPa" "megapascal"
    "[psi]" "psi psig psia lbf/in² lb/in²"
    "atm" "atmosphere"
    "mm[Hg]" "mmHg mm_Hg torr Torr"
    "cm[H2O]" "cmH2O cmH₂O cm_H2O"
    "[in_i'H2O]" "inH2O inH₂O in_H2O"
    // flow
    "m3/h" "m³/h m^3/h cbm/h cmh Nm³/h"
    "m3/s" "m³/s m^3/s"
    "m3/min" "m³/min m^3/min"
    "L/h" "l/h lph"
    "L/min" "l/min lpm LPM"
    "L/s" "l/s lps"
    "mL/min" "ml/min"
    "mL/h" "ml/h"
    "[gal_us]/min" "gpm GPM gal/min"
    "[cft_i]/min" "cfm CFM ft³/min ft^3/min"
    "kg/h" "kg/hr"
    "kg/s" "kg/sec"
    "t/h" "tph"
    // volume and amount
    "m3" "m³ m^3 cbm"
    "L" "l liter litre ltr"
    "mL" "ml milliliter millilitre"
    "uL" "µl µL μL ul"
    "hL" "hl"
    "[gal_us]" "gal gallon"
    "[cft_i]" "ft³ ft^3 cft"
    // ratio
    "%" "percent pct ％"
    "[ppth]" "‰ permille"
    "[ppm]" "ppm"
    "[ppb]" "ppb"
    "%{RH}" "%RH %rH %r.H. rH"
    "%{vol}" "vol% Vol.-%"
    "1" "ratio unitless"
    "{count}" "count counts pcs pieces Stk stk"
    "{parts}/min" "parts/min ppm_(parts)"
    // energy and power
    "J" "joule"
    "kJ" "kilojoule"
    "MJ" "megajoule"
    "GJ" "gigajoule"
    "W.h" "Wh"
    "kW.h" "kWh kwh KWh"
    "MW.h" "MWh"
    "GW.h" "GWh"
    "W" "watt"
    "kW" "kilowatt KW"
    "MW" "megawatt"
    "V.A" "VA"
    "kV.A" "kVA KVA"
    "V.A{reactive}" "var VAr VAR"
    "kV.A{reactive}" "kvar kVAr kVAR"
    "kV.A{reactive}.h" "kvarh kVArh"
    "[HP]" "hp HP"
    "[Btu]" "btu BTU"
    // electricity
    "V" "volt volts Volt"
    "mV" "millivolt"
    "kV" "kilovolt"
    "A" "amp amps ampere Amp"
    "mA" "milliamp milliampere"
    "uA" "µA μA"
    "A.h" "Ah"
    "mA.h" "mAh"
    "Ohm" "Ω Ω ohm ohms"
    "kOhm" "kΩ kohm"
    "MOhm" "MΩ Mohm"
    "Hz" "hertz"
    "kHz" "kilohertz"
    "MHz" "megahertz"
    "uS/cm" "µS/cm μS/cm"
    "mS/cm" "millisiemens/cm"
    "{cos_phi}" "cosφ cosphi cos_phi PF"
    // motion and length
    "{rpm}" "rpm RPM r/min 1/min U/min rev/min"
    "m" "meter metre meters"
    "mm" "millimeter millimetre"
    "um" "µm μm micron"
    "cm" "centimeter centimetre"
    "km" "kilometer kilometre"
    "[in_i]" "in inch \""
    "[ft_i]" "ft feet foot"
    "[fur_us]" "furlong"
    "m/s" "mps"
    "m/min" "meter/min"
    "mm/s" "mm/sec"
    "mm/min" "millimeter/min"
    "km/h" "kmh kph"
    "[mi_i]/h" "mph"
    "m/s2" "m/s² m/s^2"
    "[g]" "g-force gn"
    "deg" "° degree degrees"
    "rad" "radian"
    "m2" "m² m^2 sqm"
    "har" "ha hectare"
    // mass and force
    "g" "gram gramm"
    "kg" "kilogram KG"
    "mg" "milligram"
    "ug" "µg μg mcg"
    "t" "tonne ton_(metric)"
    "[lb_av]" "lb lbs pound"
    "N" "newton"
    "kN" "kilonewton"
    "N.m" "Nm N·m"
    "N/mm2" "N/mm² N/mm^2"
    // density and concentration
    "kg/m3" "kg/m³ kg/m^3"
    "g/cm3" "g/cm³ g/cm^3"
    "g/m3" "g/m³ g/m^3"
    "mg/m3" "mg/m³ mg/m^3"
    "ug/m3" "µg/m³ μg/m³ ug/m³ µg/m3"
    "g/L" "g/l"
    "mg/L" "mg/l"
    "ug/L" "µg/l µg/L μg/L"
    "mg/dL" "mg/dl"
    "g/dL" "g/dl"
    "mmol/L" "mmol/l"
    "umol/L" "µmol/l µmol/L μmol/L"
    "[pH]" "pH ph"
    "[NTU]" "NTU ntu FNU"
    "mPa.s" "mPas mPa·s cP"
    "mm2/s" "mm²/s cSt"
    // light, sound, radiation, weather
    "lx" "lux Lux"
    "lm" "lumen"
    "W/m2" "W/m² W/m^2"
    "umol/(m2.s)" "µmol/m²/s μmol/m²/s µmol/(m²·s) PPFD"
    "dB" "decibel"
    "dB{A}" "dB(A) dBA"
    "uSv/h" "µSv/h μSv/h"
    "Bq/m3" "Bq/m³"
    "mm/h" "mm/hr"
    // time and rate
    "s" "sec second seconds"
    "ms" "msec millisecond"
    "us" "µs μs microsecond"
    "min" "minute minutes"
    "h" "hr hrs hour hours"
    "d" "day days"
    "wk" "week"
    "a" "year"
    "/min" "per_minute"
    "/h" "per_hour"
    "{beats}/min" "bpm BPM beats/min"
    "{breaths}/min" "breaths/min rrpm"
    // information
    "By" "byte bytes B"
    "KiBy" "KiB"
    "MiBy" "MiB"
    "GiBy" "GiB"
    "kBy" "kB"
    "MBy" "MB"
    "GBy" "GB"
    "bit/s" "bps"
    "Mbit/s" "Mbps"
    "dB[mW]" "dBm"
};

/// Spelling to code.
static CODES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let spellings = |unit: &'static Unit| {
        let others = unit.spellings.split(' ').map(|spelling| spelling.replace('_', " "));
        others.chain([unit.code.to_owned()]).map(|spelling| (spelling, unit.code))
    };
    UNITS.iter().flat_map(spellings).collect()
});

/// Every unit known.
pub fn units() -> &'static [Unit] {
    UNITS
}

/// The UCUM code of a spelling, if it is known; a code is its own spelling. Case counts, as it does in UCUM: `mW` and
/// `MW` are a long way apart.
pub fn ucum(spelling: &str) -> Option<&'static str> {
    CODES.get(spelling.trim()).copied()
}

/// Whether two spellings mean one unit. Gauge and absolute pressure have one UCUM code, and are an atmosphere apart.
pub fn same_unit(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    let same_code = || ucum(one).is_some_and(|code| ucum(other) == Some(code));
    let same_zero = || match (is_gauge(one), is_gauge(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    one == other || same_code() && same_zero()
}

/// Whether a spelling says of a pressure that it is gauge, or absolute; most say neither.
fn is_gauge(spelling: &str) -> Option<bool> {
    match spelling {
        "barg" | "bar(g)" | "psig" => Some(true),
        "bara" | "bar(a)" | "psia" => Some(false),
        _ => None,
    }
}

impl Meta {
    /// Whether this is the signal's unit, however it is spelled.
    pub fn has_unit(&self, spelling: &str) -> bool {
        // A unit that is not known here may have got its code by hand.
        let by_hand = ucum(&self.unit).is_none() && !self.unit_ucum.is_empty();
        same_unit(&self.unit, spelling) || by_hand && same_unit(&self.unit_ucum, spelling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_means_two_units() {
        let mut seen = HashMap::new();
        for unit in units() {
            for spelling in
                unit.spellings.split(' ').map(|text| text.replace('_', " ")).chain([unit.code.to_owned()])
            {
                assert!(!spelling.is_empty(), "{}", unit.code);
                if let Some(other) = seen.insert(spelling.clone(), unit.code) {
                    assert_eq!(other, unit.code, "'{spelling}' stands for {other} and {}", unit.code);
                }
                assert_eq!(ucum(&spelling), Some(unit.code));
            }
        }
        assert!(units().len() >= 80, "{}", units().len());
    }

    #[test]
    fn one_unit_has_many_spellings() {
        for (one, other, same) in [
            ("°C", "degC", true),
            ("bar", " bar ", true),
            ("bar", "barg", true),
            ("barg", "bara", false),
            ("psia", "bar(a)", false),
            ("bar", "psi", false),
            ("mW", "MW", false),
            ("furlong", "furlong", true),
            ("furlong", "Furlong", false),
            ("", "bar", false),
        ] {
            assert_eq!(same_unit(one, other), same, "{one} {other}");
            assert_eq!(same_unit(other, one), same, "{other} {one}");
        }
        let degrees = Meta { unit: "Grad".into(), unit_ucum: "Cel".into(), ..Meta::default() };
        assert!(degrees.has_unit("°C") && degrees.has_unit("Grad") && !degrees.has_unit("K"));
        let gauge = Meta { unit: "barg".into(), unit_ucum: "bar".into(), ..Meta::default() };
        assert!(gauge.has_unit("bar") && !gauge.has_unit("bara"));
    }

    #[test]
    fn spellings_of_the_contract() {
        let table = [
            ("°C", Some("Cel")),
            (" °C ", Some("Cel")),
            ("bar", Some("bar")),
            ("m³/h", Some("m3/h")),
            ("psi", Some("[psi]")),
            ("%", Some("%")),
            ("kWh", Some("kW.h")),
            ("rpm", Some("{rpm}")),
            ("mm/s", Some("mm/s")),
            ("µmol/l", Some("umol/L")),
            ("mW", None),
            ("", None),
            ("bananas", None),
        ];
        for (spelling, code) in table {
            assert_eq!(ucum(spelling), code, "{spelling:?}");
        }
    }
}
