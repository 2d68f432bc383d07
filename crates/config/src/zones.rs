//! Reads `[zone.NAME]`: networks that have names, whether they are plain, and what their addresses may without a token.

use tidemill_guard::{Settings, Zone};
use toml_edit::TableLike;

use super::keys::ZONE_KEYS;
use super::read::{Reader, Setting};
use super::{Config, sentence};

impl Reader<'_> {
    pub(super) fn zones(&mut self, table: &dyn TableLike) -> Vec<Zone> {
        let mut zones = Vec::new();
        for (name, item) in table.iter() {
            let line = self.line_of(item);
            let Some(keys) = item.as_table_like() else {
                self.finding(
                    line,
                    format!("[zone] has no key '{name}'"),
                    "Zones have names: [zone.farm]".to_owned(),
                );
                continue;
            };
            self.stands(format!("zone.{name}"), line);
            zones.push(self.zone(name, keys));
        }
        zones
    }

    fn zone(&mut self, name: &str, keys: &dyn TableLike) -> Zone {
        let mut zone = Zone { name: name.to_owned(), cidr: Vec::new(), plain: false, anonymous: Vec::new() };
        for (key_name, item) in keys.iter() {
            let line = self.line_of(item);
            let Some(key) = ZONE_KEYS.iter().find(|key| key.name == key_name) else {
                let known = ZONE_KEYS.iter().map(|key| key.name);
                self.unknown_key(&format!("zone.{name}"), key_name, line, known);
                continue;
            };
            self.stands(format!("zone.{name}.{key_name}"), line);
            match (key.name, self.setting(key, item, line)) {
                ("cidr", Some(Setting::Networks(list))) => zone.cidr = list,
                ("anonymous", Some(Setting::Rights(list))) => zone.anonymous = list,
                ("plain", Some(Setting::Text(word))) => zone.plain = word == "true",
                _ => {}
            }
        }
        zone
    }

    /// What the guard would refuse, said before it is asked: with the line.
    pub(super) fn zone_rules(&mut self, config: &Config) {
        if self.has_findings() {
            return;
        }
        let settings = Settings { zones: config.zones.clone(), ..Settings::default() };
        for wrong in settings.check().err().unwrap_or_default() {
            let key = wrong.key.split('[').next().unwrap_or_default().to_owned();
            let (what, mend) = wrong.why.rsplit_once(": ").unwrap_or((&wrong.why, "See SECURITY.md"));
            self.finding_at(&key, format!("{}: {what}", wrong.key), sentence(mend));
        }
    }
}
