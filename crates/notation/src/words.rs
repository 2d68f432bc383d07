//! The words that files use for time, names, values, quality and absence, in several languages, as tables. How they
//! are weighed against what stands in a column is decided elsewhere.

use std::collections::HashMap;
use std::sync::LazyLock;

use tidemill_core::Quality;

/// Headers of a column with times, as [`plain`] leaves them.
const TIME: &str = "time timestamp datetime date ts t epoch unixtime eventtime sourcetimestamp sourcetime recordtime \
    messdatum lastseen timems timestampms timeutc timestamputc utctime utc datetimeutc localtime timelocal \
    dateandtime timestring isotime timens tstamp tst timeofday zeit zeitstempel datum datumzeit datumuhrzeit \
    datumundzeit uhrzeit zeitpunkt messzeit messzeitpunkt horodatage horodate dateheure dateetheure \
    heure fecha fechahora fechayhora hora tiempo data dataora dataeora ora datahora tijd tijdstip \
    datumtijd dato tid tidspunkt datumtid czas dataczas dataiczas datagodzina čas datumčas aika \
    päivämäärä zaman tarih время дата датавремя датаивремя 时间 日期 日期时间 時間 時刻 日時 日付 시간 일시";

/// Headers of a column with the signal's name.
const SIGNAL: &str = "signal tag tagname tagid signalname path point pointname pointid variable varname variablename \
    metric sensor sensorid sensorname channel item itemid nodeid name id topic series measurement \
    entityid messstelle messpunkt kanal variablenname bezeichnung datenpunkt nom nombre nome naam \
    etiqueta balise parameter measure measurand quantity attribute property field messgröße messgroesse kenngröße \
    parametre paramètre parametro";

/// Headers of a column with the value.
const VALUE: &str = "value val v values varvalue reading state numericvalue payload wert messwert valeur valor valore waarde \
    værdi värde verdi wartość hodnota arvo değer значение 数值 值 値";

/// Headers of a column with the quality or status of a value.
const QUALITY: &str = "quality dataquality q status statuscode opcquality validity valid qualität qualitaet güte gültigkeit gueltigkeit \
    qualité qualite calidad estado qualità qualidade kwaliteit kwalität kvalitet jakość качество";

/// Headers of a column with the unit.
const UNIT: &str = "unit units uom engunits engineeringunits einheit unité unidad unità eenheid";

/// Headers of a column that says what kind a value is, as our own exports have it.
const KIND: &str = "kind";

/// Headers of columns that tell about a sample and are no values: our own exports and InfluxDB's have them.
const ASIDE: &str = "received source";

/// What a column is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// When.
    Time,
    /// The name of a signal.
    Signal,
    /// What was measured.
    Value,
    /// How good it is.
    Quality,
    /// In which unit.
    Unit,
    /// Which kind of value it is.
    Kind,
    /// Something about a sample that is no part of it.
    Aside,
}

/// Whether a member holds what a message carried.
pub fn is_payload(name: &str) -> bool {
    name == "payload"
}

/// What a header's word says, if it is a known one.
pub fn meaning(header: &str) -> Option<Meaning> {
    // Every field of a file's first rows is asked.
    static MEANINGS: LazyLock<HashMap<&str, Meaning>> = LazyLock::new(|| {
        let table = [
            (Meaning::Time, TIME),
            (Meaning::Signal, SIGNAL),
            (Meaning::Value, VALUE),
            (Meaning::Quality, QUALITY),
            (Meaning::Unit, UNIT),
            (Meaning::Kind, KIND),
            (Meaning::Aside, ASIDE),
        ];
        let words =
            |(meaning, words): (Meaning, &'static str)| words.split(' ').map(move |word| (word, meaning));
        // The first list that has a word says what it means.
        table.into_iter().rev().flat_map(words).collect()
    });
    MEANINGS.get(plain(header).as_str()).copied()
}

/// The base of a header that ends in a word for quality: `Temp_status`, `Temp.Quality`, `Temp Status`.
pub fn quality_of(header: &str) -> Option<&str> {
    let at = header.rfind(['_', '.', ' ', '-', ':', '/'])?;
    let (base, word) = (header.get(..at)?, header.get(at + 1..)?);
    let known = word.chars().count() > 1 && meaning(word) == Some(Meaning::Quality);
    (known && !base.trim().is_empty()).then(|| base.trim())
}

/// What a header says of the zone of its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderZone<'a> {
    /// Seconds east of UTC.
    Offset(i32),
    /// A word that means several.
    Several(&'a str),
}

/// Words behind a header of times that mean several offsets, or one that is not known here. In capitals: `est` is a word.
const SEVERAL_ZONES: &str =
    "EST EDT CST CDT MST MDT PST PDT IST BST AST ADT AEST AEDT ACST AWST NZST NZDT MSK";

/// The zone that a header says: `Time (UTC)`, `Date Time, GMT+01:00`, `Zeit [MEZ]`. Two, as in `CET/CEST`, are the local
/// time of somewhere, and none is said.
pub fn zone_of_header(header: &str) -> Option<HeaderZone<'_>> {
    if matches!(plain(header).as_str(), "timeutc" | "timestamputc" | "datetimeutc" | "utctime") {
        return Some(HeaderZone::Offset(0));
    }
    let mut found = None;
    let mut rest = header;
    while let Some(begin) = rest.find(char::is_alphanumeric) {
        let from = rest.get(begin..)?;
        let (word, behind) = from.split_at(from.find(|c: char| !c.is_alphanumeric()).unwrap_or(from.len()));
        rest = behind;
        let zone = match word.to_lowercase().as_str() {
            "utc" | "gmt" => HeaderZone::Offset(offset_behind(behind)),
            "cet" | "mez" => HeaderZone::Offset(3_600),
            "cest" | "mesz" => HeaderZone::Offset(7_200),
            _ if SEVERAL_ZONES.split(' ').any(|zone| zone == word) => HeaderZone::Several(word),
            _ => continue,
        };
        if found.is_some_and(|other| other != zone) {
            return None;
        }
        found = Some(zone);
    }
    found
}

/// `+1`, `-05:00`, `+0530` behind UTC, in seconds; 0 where there is none.
fn offset_behind(text: &str) -> i32 {
    let text = text.trim_start();
    let sign = match text.chars().next() {
        Some('+') => 1,
        Some('-' | '\u{2212}') => -1,
        _ => return 0,
    };
    let number = text.get(text.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    let digits = number.split(|c: char| !c.is_ascii_digit() && c != ':').next().unwrap_or_default();
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() > 2 => digits.split_at(digits.len() - 2),
        None => (digits, ""),
    };
    let part = |text: &str| text.parse::<i32>().unwrap_or(0).min(59);
    sign * (part(hours).min(23) * 3_600 + part(minutes) * 60)
}

/// Headers of a column with the zone or the offset of the times beside it.
const ZONES: &str =
    "timezone tz utcoffset gmtoffset tzoffset timezoneoffset zeitzone fuseauhoraire zonahoraria";

/// Whether a column is called the zone of times.
pub fn is_zone_header(header: &str) -> bool {
    let plain = plain(header);
    ZONES.split(' ').any(|word| word == plain)
}

/// Whether a text is the half of a day and nothing else.
pub fn is_half_of_day(text: &str) -> bool {
    ["am", "pm", "a.m.", "p.m."].iter().any(|half| half.eq_ignore_ascii_case(text))
}

/// Whether a header with a unit of time tells of elapsed time.
pub fn is_elapsed(header: &str) -> bool {
    const WORDS: &[&str] =
        &["elapsed", "elapsedtime", "xvalue", "x", "runtime", "laufzeit", "seconds", "sekunden"];
    meaning(header) == Some(Meaning::Time) || WORDS.contains(&plain(header).as_str())
}

/// A header without what varies between writers: case, blanks, punctuation, and a remark in brackets.
pub fn plain(header: &str) -> String {
    let header = header.split(['(', '[']).next().unwrap_or_default();
    header.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How sure a word is that there is no value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sure {
    /// Nobody means it as text.
    Always,
    /// Only where numbers or booleans are expected: it may be a state's name.
    AmongNumbers,
}

/// Words that stand where a value is missing, lower case, and the quality they mean.
const ABSENT: &[(&str, Quality, Sure)] = &[
    ("nan", Quality::BAD_NO_DATA, Sure::Always),
    // As the libraries of C write it.
    ("-nan", Quality::BAD_NO_DATA, Sure::Always),
    ("nan(ind)", Quality::BAD_NO_DATA, Sure::Always),
    ("-nan(ind)", Quality::BAD_NO_DATA, Sure::Always),
    ("1.#ind", Quality::BAD_NO_DATA, Sure::Always),
    ("-1.#ind", Quality::BAD_NO_DATA, Sure::Always),
    ("1.#qnan", Quality::BAD_NO_DATA, Sure::Always),
    ("-1.#qnan", Quality::BAD_NO_DATA, Sure::Always),
    ("na", Quality::BAD_NO_DATA, Sure::Always),
    ("n/a", Quality::BAD_NO_DATA, Sure::Always),
    ("#n/a", Quality::BAD_NO_DATA, Sure::Always),
    ("#nv", Quality::BAD_NO_DATA, Sure::Always),
    ("<na>", Quality::BAD_NO_DATA, Sure::Always),
    ("null", Quality::BAD_NO_DATA, Sure::Always),
    ("(null)", Quality::BAD_NO_DATA, Sure::Always),
    ("\\n", Quality::BAD_NO_DATA, Sure::Always),
    ("no data", Quality::BAD_NO_DATA, Sure::Always),
    ("nodata", Quality::BAD_NO_DATA, Sure::Always),
    ("no value", Quality::BAD_NO_DATA, Sure::Always),
    ("keine daten", Quality::BAD_NO_DATA, Sure::Always),
    ("no result", Quality::BAD_NO_DATA, Sure::Always),
    ("no sample", Quality::BAD_NO_DATA, Sure::Always),
    ("pt created", Quality::BAD_WAITING_FOR_INITIAL_DATA, Sure::Always),
    ("bad", Quality::BAD, Sure::Always),
    ("bad input", Quality::BAD, Sure::Always),
    ("bad data", Quality::BAD, Sure::Always),
    ("bad quality", Quality::BAD, Sure::Always),
    ("bad_quality", Quality::BAD, Sure::Always),
    ("i/o timeout", Quality::BAD_TIMEOUT, Sure::Always),
    ("io timeout", Quality::BAD_TIMEOUT, Sure::Always),
    ("scan timeout", Quality::BAD_TIMEOUT, Sure::Always),
    ("comm fail", Quality::BAD_COMMUNICATION_ERROR, Sure::Always),
    ("comm error", Quality::BAD_COMMUNICATION_ERROR, Sure::Always),
    ("not connect", Quality::BAD_NOT_CONNECTED, Sure::Always),
    ("not connected", Quality::BAD_NOT_CONNECTED, Sure::Always),
    ("intf shut", Quality::BAD_SHUTDOWN, Sure::Always),
    ("access denied", Quality::BAD_USER_ACCESS_DENIED, Sure::Always),
    ("calc failed", Quality::BAD, Sure::Always),
    ("configure", Quality::BAD_CONFIGURATION_ERROR, Sure::Always),
    ("failed", Quality::BAD, Sure::AmongNumbers),
    ("shutdown", Quality::BAD_SHUTDOWN, Sure::AmongNumbers),
    ("scan off", Quality::BAD_OUT_OF_SERVICE, Sure::AmongNumbers),
    ("out of serv", Quality::BAD_OUT_OF_SERVICE, Sure::AmongNumbers),
    ("over range", Quality::BAD_OUT_OF_RANGE, Sure::Always),
    ("under range", Quality::BAD_OUT_OF_RANGE, Sure::Always),
    ("#value!", Quality::BAD, Sure::Always),
    ("#wert!", Quality::BAD, Sure::Always),
    ("#div/0!", Quality::BAD, Sure::Always),
    ("#num!", Quality::BAD, Sure::Always),
    ("#zahl!", Quality::BAD, Sure::Always),
    ("#ref!", Quality::BAD, Sure::Always),
    ("#bezug!", Quality::BAD, Sure::Always),
    ("#name?", Quality::BAD, Sure::Always),
    ("unavailable", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("unknown", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("none", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("nil", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("invalid", Quality::BAD, Sure::AmongNumbers),
    ("error", Quality::BAD, Sure::AmongNumbers),
    ("err", Quality::BAD, Sure::AmongNumbers),
    ("fehler", Quality::BAD, Sure::AmongNumbers),
    ("ungültig", Quality::BAD, Sure::AmongNumbers),
    ("overflow", Quality::BAD_OUT_OF_RANGE, Sure::AmongNumbers),
    ("-", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("--", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("---", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("?", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("???", Quality::BAD_NO_DATA, Sure::AmongNumbers),
    ("***", Quality::BAD_NO_DATA, Sure::AmongNumbers),
];

/// The longest of these words, in bytes: longer cells need not be looked up.
const ABSENT_BYTES_MAX: usize = 16;

/// The quality that a word of absence means. `among_numbers`: numbers or booleans are expected here.
pub fn absent(text: &str, among_numbers: bool) -> Option<Quality> {
    if text.len() > ABSENT_BYTES_MAX {
        return None;
    }
    let lower = Lower::of(text);
    let found = ABSENT
        .iter()
        .find(|(word, _, sure)| *word == lower.as_str() && (among_numbers || *sure == Sure::Always));
    found.map(|(_, quality, _)| *quality)
}

/// A short text in lower case: most are ASCII, and need no room of their own.
enum Lower {
    Short([u8; ABSENT_BYTES_MAX], usize),
    Other(String),
}

impl Lower {
    fn of(text: &str) -> Lower {
        let mut short = [0; ABSENT_BYTES_MAX];
        match short.get_mut(..text.len()) {
            Some(room) if text.is_ascii() => {
                room.copy_from_slice(text.as_bytes());
                room.make_ascii_lowercase();
                Lower::Short(short, text.len())
            }
            _ => Lower::Other(text.to_lowercase()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Lower::Short(short, length) => {
                short.get(..*length).and_then(|short| std::str::from_utf8(short).ok()).unwrap_or_default()
            }
            Lower::Other(text) => text,
        }
    }
}

/// What status columns say besides the spellings of [`Quality::parse`], lower case.
const STATUS: &[(&str, Quality)] = &[
    ("ok", Quality::GOOD),
    ("valid", Quality::GOOD),
    ("gut", Quality::GOOD),
    ("gültig", Quality::GOOD),
    // PI: somebody wrote a remark to it; of the value it says nothing.
    ("annotated", Quality::GOOD),
    ("none", Quality::GOOD),
    ("questionable", Quality::UNCERTAIN),
    ("unsicher", Quality::UNCERTAIN),
    ("suspect", Quality::UNCERTAIN),
    ("substituted", Quality::UNCERTAIN_SUBSTITUTE_VALUE),
    ("ersatzwert", Quality::UNCERTAIN_SUBSTITUTE_VALUE),
    ("invalid", Quality::BAD),
    ("schlecht", Quality::BAD),
    ("ungültig", Quality::BAD),
];

/// A status as words.
pub fn status(text: &str) -> Option<Quality> {
    if let Ok(quality) = Quality::parse(text) {
        return Some(quality);
    }
    // Our own exports spell a code without a name of its own `Bad (0x80120000)`.
    let code = text.strip_suffix(')').and_then(|text| text.rsplit_once("(0x"));
    if let Some((_, hex)) = code {
        return u32::from_str_radix(hex, 16).ok().map(Quality);
    }
    // PI's flags stand beside each other: the worst counts.
    if text.contains([',', ';']) {
        let all: Option<Vec<Quality>> = text.split([',', ';']).map(|part| status(part.trim())).collect();
        return all?.into_iter().max_by_key(|quality| quality.0 >> 30);
    }
    let lower = text.to_lowercase();
    let known = STATUS.iter().find(|(word, _)| *word == lower).map(|(_, quality)| *quality);
    known.or_else(|| absent(text, true))
}

/// Whether a text says how good a value is, and hardly anything else: no word that may be the name of a state, as
/// `error` and `none` may. Of a JSON document one of its texts is enough.
pub fn says_quality(text: &str) -> bool {
    if text.starts_with(['[', '{']) {
        return text.split('"').any(|piece| !piece.starts_with(['[', '{']) && says_quality(piece));
    }
    let begins = |word: &&str| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    // Most texts need not be looked up.
    let likely = ["good", "bad", "uncertain", "true", "false", "0x"].iter().any(begins);
    let named = |word: &str| word != "none" && word.len() == text.len() && word == text.to_lowercase();
    // That there is no value says nothing of one that is there.
    let failed = || absent(text, false).is_some_and(|quality| quality != Quality::BAD_NO_DATA);
    (likely && status(text).is_some()) || STATUS.iter().any(|(word, _)| named(word)) || failed()
}

/// Units as people write them behind a header. In square brackets others are taken too.
const UNITS: &[&str] = &[
    "%", "‰", "ppm", "ppb", "°C", "°F", "K", "C", "F", "degC", "degF", "deg C", "deg F", "°", "deg", "rad",
    "bar", "mbar", "µbar", "Pa", "hPa", "kPa", "MPa", "psi", "psig", "psia", "atm", "mmHg", "mmH2O", "inH2O",
    "Torr", "V", "mV", "µV", "kV", "A", "mA", "µA", "kA", "W", "mW", "kW", "MW", "GW", "Wh", "kWh", "MWh",
    "GWh", "VA", "kVA", "MVA", "var", "kvar", "Mvar", "kvarh", "J", "kJ", "MJ", "GJ", "kcal", "Hz", "kHz",
    "MHz", "GHz", "rpm", "1/min", "1/s", "U/min", "min-1", "min⁻¹", "s-1", "m", "mm", "cm", "dm", "km", "µm",
    "um", "nm", "in", "inch", "ft", "mil", "m2", "m²", "m3", "m³", "Nm3", "Nm³", "l", "L", "ml", "mL", "hl",
    "gal", "m/s", "mm/s", "km/h", "m/min", "mph", "m/s2", "m/s²", "mm/s2", "mm/s²", "g", "mg", "µg", "kg",
    "t", "lb", "lbs", "oz", "N", "kN", "MN", "Nm", "kNm", "Ncm", "m3/h", "m³/h", "m3/s", "m³/s", "Nm3/h",
    "Nm³/h", "l/min", "L/min", "l/h", "L/h", "l/s", "L/s", "gpm", "cfm", "kg/h", "kg/s", "t/h", "g/l", "g/L",
    "mg/l", "mg/L", "mg/m3", "mg/m³", "µg/m3", "µg/m³", "kg/m3", "kg/m³", "g/m3", "g/m³", "S/m", "mS/cm",
    "µS/cm", "uS/cm", "mS/m", "pH", "NTU", "FNU", "Ω", "Ohm", "ohm", "kΩ", "kOhm", "MΩ", "mΩ", "mOhm", "F",
    "µF", "nF", "pF", "H", "mH", "T", "mT", "Wb", "C", "Ah", "mAh", "lx", "lm", "cd", "W/m2", "W/m²",
    "kW/m2", "kW/m²", "W/(m2K)", "dB", "dBA", "dB(A)", "dBm", "s", "sec", "ms", "µs", "us", "ns", "min", "h",
    "d", "hr", "hrs", "St", "cSt", "mm2/s", "mm²/s", "cP", "mPas", "mPa·s", "Pa·s", "Pas", "kJ/kg", "g/kg",
    "%rH", "% rH", "%RH", "% RH", "%r.F.", "Vol%", "Vol.-%", "kWh/m3", "kWh/m³", "Bq", "Sv", "mSv", "µSv/h",
    "Gy", "pcs", "Stk", "Stück", "€", "EUR", "$", "USD", "€/MWh", "EUR/MWh", "ct/kWh", "l/100km", "bit/s",
    "kbit/s", "Mbit/s", "B", "kB", "MB", "GB",
];

/// Whether a text is a unit that people write.
pub fn is_unit(text: &str) -> bool {
    // Two signs for micro: U+00B5 and the Greek U+03BC.
    let text = text.replace('\u{3bc}', "µ");
    UNITS.contains(&text.as_str())
}

/// English, German, French, Spanish, Italian, Dutch and Portuguese months, by their first letters, lower case.
const MONTHS: [&str; 12] = [
    "january januar janvier enero ene gennaio gen januari janeiro",
    "february februar février févr fév febrero febbraio februari fevereiro fev",
    "march märz mär mrz mars marzo maart mrt março",
    "april avril avr abril abr aprile",
    "may mai mayo maggio mag mei maio",
    "june juni juin junio giugno giu junho",
    "july juli juillet juil julio luglio lug julho",
    "august août agosto ago augustus",
    "september sept septembre septiembre settembre set setembro",
    "october oktober okt octobre octubre ottobre ott outubro out",
    "november novembre noviembre novembro",
    "december dezember dez décembre déc diciembre dic dicembre dezembro",
];

/// Days of the week in the languages of the months, by their first letters, lower case.
const WEEKDAYS: &str = "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun \
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo di mi do fr sa so \
    lundi mardi mercredi jeudi vendredi samedi dimanche lun mer jeu ven sam dim";

/// Whether a text may be a time by its first letters: a digit, or what a month or a day of the week begins with.
pub(crate) fn may_begin_time(text: &str) -> bool {
    const LETTERS: usize = 26;
    static PAIRS: LazyLock<[bool; LETTERS * LETTERS]> = LazyLock::new(|| {
        let mut pairs = [false; LETTERS * LETTERS];
        let all = MONTHS.iter().flat_map(|names| names.split(' ')).chain(WEEKDAYS.split(' '));
        for pair in all.filter_map(|name| pair(name.as_bytes())) {
            if let Some(known) = pairs.get_mut(pair) {
                *known = true;
            }
        }
        pairs
    });
    fn pair(text: &[u8]) -> Option<usize> {
        let at = |index: usize| {
            let letter = text.get(index)?.to_ascii_lowercase();
            letter.is_ascii_lowercase().then(|| usize::from(letter - b'a'))
        };
        Some(at(0)? * LETTERS + at(1)?)
    }
    match text.as_bytes() {
        [first, ..] if first.is_ascii_digit() => true,
        [first, second, ..] if first.is_ascii() && second.is_ascii() => {
            pair(text.as_bytes()).is_some_and(|pair| PAIRS.get(pair) == Some(&true))
        }
        // An accent may stand in the name of a month.
        bytes => !bytes.is_ascii(),
    }
}

/// Whether a word is a day of the week.
pub fn is_weekday(word: &str) -> bool {
    word.len() <= 12 && WEEKDAYS.split(' ').any(|day| day.eq_ignore_ascii_case(word))
}

/// Columns that say what a row is about, besides those that name signals.
const KEYS: &str = "device deviceid devicename host hostname machine machineid machinename maschine anlage asset assetid \
    assetname equipment equipmentid station stationid site plant line store shop room location meter meterid node probe probeid unitid \
    serial serialnumber gerät geraet standort raum zähler";

/// Whether a header says that its column tells what a row is about.
pub fn is_key(header: &str) -> bool {
    let plain = plain(header);
    meaning(header) == Some(Meaning::Signal) || KEYS.split(' ').any(|word| word == plain)
}

/// A number and a known unit behind it: `23.5 °C`.
pub fn united(text: &str) -> Option<(&str, &'static str)> {
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let unit = text.get(end..)?.trim();
    let unit = UNITS.iter().find(|known| **known == unit)?;
    Some((text.get(..end)?.trim_end(), unit))
}

/// The month of a name or of its usual short form.
pub fn month(name: &str) -> Option<u8> {
    let lower = name.to_lowercase();
    // Three letters of the English or German name, as `%b` and Excel write them.
    let three = lower.chars().count() == 3;
    let month = |is: &dyn Fn(&str) -> bool| MONTHS.iter().position(|names| names.split(' ').any(is));
    let whole = month(&|name| name == lower);
    let number = whole.or_else(|| month(&|name| three && name.len() > 3 && name.starts_with(&lower)))?;
    u8::try_from(number + 1).ok()
}
