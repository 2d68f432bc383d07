//! Templates for series that many have: connections/line-protocol.toml names them (`presets = ["telegraf-modbus"]`). Here is
//! what each makes of the tags that its agent sends; docs/reference/line-protocol.md shows each before and after.

use super::template::{Shape, Template};

/// Conditions, and the path.
type Row = (&'static [(&'static str, &'static str)], &'static str);

/// Name, and templates of which the first that fits counts.
const PRESETS: &[(&str, &[Row])] = &[
    // Inputs for MQTT: the topic says what it is.
    (
        "telegraf-mqtt_consumer",
        &[
            (&[("topic", "*"), ("field", "value")], "{topic:path}"),
            (&[("topic", "*")], "{topic:path}/{field}"),
        ],
    ),
    // The measurement is what the plugin's `name` says, or the group's. Every node also writes what is not its value.
    (
        "telegraf-opcua",
        &[
            (&[("id", "ns=*"), ("field", "Quality")], "{measurement}/{id}/{field}"),
            (&[("id", "ns=*"), ("field", "DataType")], "{measurement}/{id}/{field}"),
            (&[("id", "ns=*")], "{measurement}/{field}"),
        ],
    ),
    // `name` is the device's.
    ("telegraf-modbus", &[(&[("slave_id", "*"), ("type", "*"), ("name", "*")], "{name}/{field}")]),
    // What an agent writes about its own machine.
    (
        "telegraf-system",
        &[
            (&[("measurement", "cpu"), ("cpu", "*")], "{host}/cpu/{cpu}/{field}"),
            (&[("measurement", "disk"), ("device", "*")], "{host}/disk/{device}/{field}"),
            (&[("measurement", "diskio"), ("name", "*")], "{host}/diskio/{name}/{field}"),
            (&[("measurement", "net"), ("interface", "*")], "{host}/net/{interface}/{field}"),
            (&[("measurement", "sensors"), ("feature", "*")], "{host}/sensors/{chip}/{feature}/{field}"),
            (&[("measurement", "temp"), ("sensor", "*")], "{host}/temp/{sensor}/{field}"),
            (&[("measurement", "kernel")], "{host}/kernel/{field}"),
            (&[("measurement", "mem")], "{host}/mem/{field}"),
            (&[("measurement", "processes")], "{host}/processes/{field}"),
            (&[("measurement", "swap")], "{host}/swap/{field}"),
            (&[("measurement", "system")], "{host}/system/{field}"),
        ],
    ),
    // Its measurement is the unit, or the entity where there is none: neither is a good name.
    (
        "home-assistant",
        &[
            (
                &[("domain", "*"), ("entity_id", "*"), ("field", "value")],
                "homeassistant/{domain}/{entity_id}",
            ),
            (&[("domain", "*"), ("entity_id", "*")], "homeassistant/{domain}/{entity_id}/{field}"),
        ],
    ),
    // What a server of many databases keeps apart: behind the others, for series that they do not know.
    (
        "influxdb-databases",
        &[
            (&[("db", "*"), ("rp", "autogen")], "{db}/{default}"),
            (&[("db", "*"), ("rp", "*")], "{db}/{rp}/{default}"),
        ],
    ),
];

/// The templates of a name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Preset {
    pub(super) templates: Vec<Template>,
}

impl TryFrom<String> for Preset {
    type Error = String;

    fn try_from(name: String) -> Result<Preset, String> {
        let Some((_, rows)) = PRESETS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = PRESETS.iter().map(|(known, _)| *known).collect();
            return Err(format!("there is no preset '{name}'; there are: {}", known.join(", ")));
        };
        let template = |(conditions, path): &Row| {
            let path = Shape::try_from((*path).to_owned())?;
            let pairs = conditions.iter().map(|(tag, wanted)| ((*tag).to_owned(), (*wanted).to_owned()));
            Ok(Template { conditions: pairs.collect(), path })
        };
        Ok(Preset { templates: rows.iter().map(template).collect::<Result<_, String>>()? })
    }
}

#[cfg(test)]
#[path = "preset_tests.rs"]
mod tests;
