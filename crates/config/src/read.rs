//! Reads tidemill.toml and the environment against the table of keys: all problems at once, each with its place. Zones have
//! names of their own and stand in `zones.rs`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tidemill_core::nearest;
use tidemill_guard::tls::Name;
use tidemill_guard::{Cidr, Right, Zone};
use toml_edit::{Document, Item, TableLike, Value};

use super::keys::{KEYS, Key, KeyKind, SECTIONS, variable};
use super::{Config, Finding, Listener, Share, quantity, template, variables};

/// The longest configuration file.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads the plant's file and the environment. `Err` has every problem that keeps it from being used.
pub fn load(file: &Path, environment: &HashMap<String, String>) -> Result<Config, Vec<Finding>> {
    let whole = |what: String, mend: &str| {
        vec![Finding { file: file.to_owned(), line: 0, what, mend: mend.to_owned(), warning: false }]
    };
    let len = std::fs::metadata(file).map(|meta| meta.len()).unwrap_or_default();
    if len > FILE_BYTES_MAX {
        return Err(whole(format!("the file has {len} bytes"), "A configuration has at most 1 MiB"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| {
        whole(format!("it cannot be read: {error}"), "Check the file's owner and that it is UTF-8")
    })?;
    check_text(file, &text, environment)
}

/// The same for a text, as the fuzz target and the tests call it.
pub fn check_text(
    file: &Path,
    text: &str,
    environment: &HashMap<String, String>,
) -> Result<Config, Vec<Finding>> {
    let mut reader = Reader::new(file, text);
    let mut zones = Vec::new();
    match Document::parse(text) {
        Ok(document) => zones = reader.document(document.as_table()),
        Err(error) => {
            let line = error.span().map_or(0, |span| reader.line(span.start));
            let message = error.message().replace('\n', ", ");
            reader.finding(
                line,
                format!("it is no TOML: {message}"),
                "See https://toml.io for how TOML is written".to_owned(),
            );
        }
    }
    reader.environment(environment);
    let config = reader.config(zones);
    if reader.findings.is_empty() { Ok(config) } else { Err(reader.findings) }
}

pub(super) struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    findings: Vec<Finding>,
    values: BTreeMap<(&'static str, &'static str), Setting>,
    /// Where each key was said, by its full name such as `http.listen`: a file or variable, and the line.
    places: BTreeMap<String, (PathBuf, usize)>,
}

/// A value that was checked against its key's kind.
#[derive(Clone, Debug)]
pub(super) enum Setting {
    Text(String),
    Integer(i64),
    Listeners(Vec<Listener>),
    Networks(Vec<Cidr>),
    Names(Vec<Name>),
    Rights(Vec<Right>),
}

impl<'a> Reader<'a> {
    fn new(file: &'a Path, text: &'a str) -> Reader<'a> {
        Reader { file, text, findings: Vec::new(), values: BTreeMap::new(), places: BTreeMap::new() }
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }

    /// Keeps in mind where a key stands in the file.
    pub(super) fn stands(&mut self, key: String, line: usize) {
        self.places.insert(key, (self.file.to_owned(), line));
    }

    /// A problem with a key that was read, at its place.
    pub(super) fn finding_at(&mut self, key: &str, what: String, mend: String) {
        // A key that is missing is told where its section begins.
        let section = key.rsplit_once('.').map_or(key, |(section, _)| section);
        let place = self.places.get(key).or_else(|| self.places.get(section)).cloned();
        let (file, line) = place.unwrap_or_else(|| (self.file.to_owned(), 0));
        self.findings.push(Finding { file, line, what, mend, warning: false });
    }

    fn line(&self, offset: usize) -> usize {
        self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn finding(&mut self, line: usize, what: String, mend: String) {
        self.findings.push(Finding { file: self.file.to_owned(), line, what, mend, warning: false });
    }

    pub(super) fn line_of(&self, item: &Item) -> usize {
        item.span().map_or(0, |span| self.line(span.start))
    }

    fn document(&mut self, root: &dyn TableLike) -> Vec<Zone> {
        let mut zones = Vec::new();
        for (section, item) in root.iter() {
            let line = self.line_of(item);
            let Some(table) = item.as_table_like() else {
                let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
                self.finding(
                    line,
                    format!("'{section}' stands outside a section"),
                    format!("Put it under one of [{}]", known.join("], [")),
                );
                continue;
            };
            if section == "zone" {
                zones = self.zones(table);
            } else if SECTIONS.iter().any(|(name, _)| *name == section) {
                self.section(section, table);
            } else {
                let names = SECTIONS.iter().map(|(name, _)| *name).chain(["zone"]);
                let mend = nearest(section, names)
                    .map_or_else(String::new, |name| format!("Did you mean [{name}]?"));
                self.finding(line, format!("there is no section [{section}]"), or_reference(mend));
            }
        }
        zones
    }

    fn section(&mut self, section: &str, table: &dyn TableLike) {
        let keys: Vec<&'static Key> = KEYS.iter().filter(|key| key.section == section).collect();
        for (name, item) in table.iter() {
            let line = self.line_of(item);
            match keys.iter().find(|key| key.name == name) {
                Some(key) => {
                    self.stands(format!("{section}.{name}"), line);
                    if let Some(setting) = self.setting(key, item, line) {
                        self.values.insert((key.section, key.name), setting);
                    }
                }
                None => self.unknown_key(section, name, line, keys.iter().map(|key| key.name)),
            }
        }
    }

    pub(super) fn unknown_key(
        &mut self,
        section: &str,
        name: &str,
        line: usize,
        known: impl Iterator<Item = &'static str>,
    ) {
        let here = nearest(name, known).map(|near| format!("Did you mean '{near}'?"));
        let elsewhere = || {
            KEYS.iter()
                .find(|key| key.name == name)
                .map(|key| format!("'{name}' belongs under [{}]", key.section))
        };
        let mend = here.or_else(elsewhere).unwrap_or_default();
        self.finding(line, format!("[{section}] has no key '{name}'"), or_reference(mend));
    }

    pub(super) fn setting(&mut self, key: &Key, item: &Item, line: usize) -> Option<Setting> {
        let setting = self.try_setting(key, item, line);
        if setting.is_none() && !self.findings.iter().any(|finding| finding.line == line) {
            let given = item.to_string().trim().chars().take(60).collect::<String>();
            self.finding(
                line,
                format!("{} = {given} cannot be used{}", key.name, reason(key.kind, item)),
                format!(
                    "It takes {}; the default is {}",
                    template::takes(key.kind).replace('`', ""),
                    key.default
                ),
            );
        }
        setting
    }

    fn try_setting(&mut self, key: &Key, item: &Item, line: usize) -> Option<Setting> {
        let value = item.as_value()?;
        match key.kind {
            KeyKind::Listeners => self.listeners(value, line).map(Setting::Listeners),
            KeyKind::Networks => parsed(value).ok().map(Setting::Networks),
            KeyKind::Rights => parsed(value).ok().map(Setting::Rights),
            KeyKind::Names => parsed(value).ok().map(Setting::Names),
            KeyKind::Integer(from, to) => {
                value.as_integer().filter(|number| (from..=to).contains(number)).map(Setting::Integer)
            }
            _ => {
                let text = match value {
                    Value::String(text) => text.value().clone(),
                    Value::Integer(number) => number.value().to_string(),
                    Value::Boolean(word) => word.value().to_string(),
                    _ => return None,
                };
                plain_setting(key.kind, &text)
            }
        }
    }

    fn listeners(&mut self, value: &Value, line: usize) -> Option<Vec<Listener>> {
        let mut listeners = Vec::new();
        for entry in entries(value) {
            let (address, zone, tls) = match &entry {
                Value::String(text) => (text.value().as_str(), None, None),
                Value::InlineTable(table) => {
                    for (name, _) in table.iter() {
                        if !["address", "zone", "tls"].contains(&name) {
                            self.unknown_key("listener", name, line, ["address", "zone", "tls"].into_iter());
                        }
                    }
                    let tls = match table.get("tls") {
                        None => None,
                        Some(word) => Some(word.as_bool()?),
                    };
                    let zone = table.get("zone").and_then(Value::as_str).map(str::to_owned);
                    (table.get("address")?.as_str()?, zone, tls)
                }
                _ => return None,
            };
            let address: SocketAddr = address.parse().ok()?;
            listeners.push(Listener { address, zone, tls });
        }
        Some(listeners)
    }

    fn environment(&mut self, environment: &HashMap<String, String>) {
        for key in KEYS {
            let variable = variable(key);
            let Some(text) = environment.get(&variable) else { continue };
            // Lists and numbers are written as in the file; texts may stand bare.
            let parsed = text
                .parse::<Value>()
                .ok()
                .filter(|value| !matches!(value, Value::Float(_) | Value::Datetime(_)));
            let value = parsed.unwrap_or_else(|| Value::from(text.as_str()));
            let name = format!("{}.{}", key.section, key.name);
            self.places.insert(name.clone(), (said_by(&variable), 0));
            let item = Item::Value(value);
            match self.try_setting(key, &item, 0) {
                Some(setting) => {
                    self.values.insert((key.section, key.name), setting);
                }
                None => self.finding_at(
                    &name,
                    format!("'{text}' cannot be used{}", reason(key.kind, &item)),
                    format!("It takes {}", template::takes(key.kind).replace('`', "")),
                ),
            }
        }
        self.findings.extend(variables::unknown(environment));
    }

    fn config(&mut self, zones: Vec<Zone>) -> Config {
        let values = Values { given: &self.values };
        let config = Config {
            plant_name: values.text("plant", "name"),
            timezone: values.text("plant", "timezone"),
            http_listen: values.listeners("http", "listen"),
            postgres_listen: values.listeners("postgres", "listen"),
            flight_listen: values.listeners("flight", "listen"),
            tls_own: values.file("tls", "certificate").zip(values.file("tls", "key")),
            tls_names: values.names("tls", "names"),
            trusted_proxies: values.networks("http", "trusted_proxies"),
            commit_window: values.duration("storage", "commit_window").unwrap_or_default(),
            relaxed: values.text("storage", "durability") == "relaxed",
            keep: values.duration("storage", "keep"),
            free_min: values.share("storage", "free_min"),
            flush_after: values.duration("storage", "flush_after").unwrap_or_default(),
            flush_young_after: values.duration("storage", "flush_young_after").unwrap_or_default(),
            values_open: values.text("storage", "values") == "open",
            merge_every: values.duration("storage", "merge_every").unwrap_or_default(),
            memory_bytes: quantity::bytes(&values.text("limits", "memory")),
            signals: values.integer("limits", "signals"),
            signals_new_per_hour: values.integer("limits", "signals_new_per_hour"),
            text_sample_bytes: values.integer("limits", "text_sample_bytes"),
            query_time: values.duration("limits", "query_time").unwrap_or_default(),
            slow_query: values.duration("limits", "slow_query"),
            query_rows: values.integer("limits", "query_rows"),
            future: values.duration("limits", "future"),
            past: values.duration("limits", "past"),
            figures_every: values.duration("health", "figures"),
            backup_age: values.duration("health", "backup_age"),
            zones,
        };
        self.rules(&config);
        config
    }

    /// What no single key can say.
    fn rules(&mut self, config: &Config) {
        if config.timezone != "system" && jiff::tz::TimeZone::get(&config.timezone).is_err() {
            self.finding_at(
                "plant.timezone",
                format!("there is no time zone '{}'", config.timezone),
                "Use an IANA name such as \"Europe/Berlin\", or \"system\"".to_owned(),
            );
        }
        let values = Values { given: &self.values };
        let alone = match (values.file("tls", "certificate"), values.file("tls", "key")) {
            (Some(_), None) => Some(("tls.certificate", "tls.key")),
            (None, Some(_)) => Some(("tls.key", "tls.certificate")),
            _ => None,
        };
        if let Some((key, missing)) = alone {
            self.finding_at(
                key,
                format!("{key} is named, and {missing} is not"),
                "A certificate is of use only with its key: name both, or neither".to_owned(),
            );
        }
        for (key, listeners) in config.listeners() {
            listeners.iter().for_each(|listener| self.listener_rules(key, listener, config));
        }
        self.zone_rules(config);
    }

    fn listener_rules(&mut self, key: &str, listener: &Listener, config: &Config) {
        let named = |name: &String| config.zones.iter().find(|zone| zone.name == *name);
        let zone = listener.zone.as_ref().and_then(named);
        if let Some(name) = &listener.zone
            && zone.is_none()
        {
            self.finding_at(
                key,
                format!("there is no zone '{name}'"),
                format!("Add [zone.{name}] with its cidr"),
            );
        } else if !listener.address.ip().is_loopback()
            && !config.encrypts(listener)
            && !config.is_plain(listener)
        {
            self.finding_at(
                key,
                format!("{} is beyond loopback, and nothing plain listens there", listener.address),
                "Take tls = false away, or name a zone that says plain = true: { address = \"…\", zone = \"…\" }".to_owned(),
            );
        }
    }
}

/// Where a variable's findings are.
pub(super) fn said_by(variable: &str) -> PathBuf {
    format!("environment variable {variable}").into()
}

/// The entries of a list; a text stands for a list, with commas between its entries.
fn entries(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list.iter().cloned().collect(),
        Value::String(text) => text.value().split(',').map(|entry| Value::from(entry.trim())).collect(),
        other => vec![other.clone()],
    }
}

/// Every entry as what it names, or why the first bad one is none.
fn parsed<T: FromStr<Err: Display>>(value: &Value) -> Result<Vec<T>, String> {
    let one = |entry: &Value| {
        let text = entry.as_str().ok_or_else(|| "its entries are texts".to_owned())?;
        text.parse().map_err(|error: T::Err| error.to_string())
    };
    entries(value).iter().map(one).collect()
}

/// Why entries of a list cannot be used, where that can be said closely.
fn reason(kind: KeyKind, item: &Item) -> String {
    let why = match (kind, item.as_value()) {
        (KeyKind::Networks, Some(value)) => parsed::<Cidr>(value).err(),
        (KeyKind::Rights, Some(value)) => parsed::<Right>(value).err(),
        (KeyKind::Names, Some(value)) => parsed::<Name>(value).err(),
        _ => None,
    };
    why.map(|why| format!(": {why}")).unwrap_or_default()
}

fn plain_setting(kind: KeyKind, text: &str) -> Option<Setting> {
    let good = match kind {
        KeyKind::Text => !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control),
        KeyKind::File => text.len() <= 4096 && !text.chars().any(char::is_control),
        KeyKind::Duration(from, to) => within(tidemill_core::parse_duration, text, from, to),
        KeyKind::Share(to) => within(quantity::percent, text, "0%", to) || quantity::bytes(text).is_some(),
        KeyKind::Word(words) => words.contains(&text),
        KeyKind::WordOrDuration(word, from, to) => {
            text == word || within(tidemill_core::parse_duration, text, from, to)
        }
        KeyKind::WordOrBytes(word, from, to) => text == word || within(quantity::bytes, text, from, to),
        KeyKind::Integer(..) | KeyKind::Listeners | KeyKind::Networks | KeyKind::Names | KeyKind::Rights => {
            false
        }
    };
    good.then(|| Setting::Text(text.to_owned()))
}

/// Whether a quantity lies in the range of its key, whose ends are written as the quantity is.
fn within<T: PartialOrd>(read: fn(&str) -> Option<T>, text: &str, from: &str, to: &str) -> bool {
    let value = read(text);
    value.is_some() && read(from) <= value && value <= read(to)
}

/// What was given, over the defaults of the table.
struct Values<'a> {
    given: &'a BTreeMap<(&'static str, &'static str), Setting>,
}

impl Values<'_> {
    fn setting(&self, section: &'static str, name: &'static str) -> Setting {
        self.given
            .get(&(section, name))
            .cloned()
            .or_else(|| default_of(section, name))
            .unwrap_or(Setting::Text(String::new()))
    }

    fn text(&self, section: &'static str, name: &'static str) -> String {
        match self.setting(section, name) {
            Setting::Text(text) => text,
            _ => String::new(),
        }
    }

    fn networks(&self, section: &'static str, name: &'static str) -> Vec<Cidr> {
        match self.setting(section, name) {
            Setting::Networks(list) => list,
            _ => Vec::new(),
        }
    }

    fn names(&self, section: &'static str, name: &'static str) -> Vec<Name> {
        match self.setting(section, name) {
            Setting::Names(list) => list,
            _ => Vec::new(),
        }
    }

    fn file(&self, section: &'static str, name: &'static str) -> Option<PathBuf> {
        Some(self.text(section, name)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    fn listeners(&self, section: &'static str, name: &'static str) -> Vec<Listener> {
        match self.setting(section, name) {
            Setting::Listeners(list) => list,
            _ => Vec::new(),
        }
    }

    fn integer(&self, section: &'static str, name: &'static str) -> u64 {
        match self.setting(section, name) {
            Setting::Integer(number) => number.unsigned_abs(),
            _ => 0,
        }
    }

    fn duration(&self, section: &'static str, name: &'static str) -> Option<std::time::Duration> {
        tidemill_core::parse_duration(&self.text(section, name))
    }

    fn share(&self, section: &'static str, name: &'static str) -> Share {
        let text = self.text(section, name);
        quantity::percent(&text)
            .map_or_else(|| Share::Bytes(quantity::bytes(&text).unwrap_or(0)), Share::Fraction)
    }
}

/// The default of a key, read as it stands in the table.
fn default_of(section: &str, name: &str) -> Option<Setting> {
    let key = KEYS.iter().find(|key| key.section == section && key.name == name)?;
    let value: Value = key.default.parse().ok()?;
    let file = Path::new("default");
    Reader::new(file, "").try_setting(key, &Item::Value(value), 0)
}

pub(super) fn or_reference(mend: String) -> String {
    if mend.is_empty() { "docs/reference/configuration.md lists every key".to_owned() } else { mend }
}
