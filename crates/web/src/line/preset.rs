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
];

/// The templates of a name.
#[derive(Clone, Debug, serde::Deserialize)]
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
mod tests {
    use super::super::name::Series;
    use super::super::template::{Named, Templates};
    use super::*;

    /// The page that shows what the presets do is held against them: every row of their table is computed here.
    #[test]
    fn the_page_shows_what_every_preset_does() {
        let page = include_str!("../../../../docs/reference/line-protocol.md");
        let table = page.split_once("| preset | series | name |").unwrap().1;
        let mut shown = Vec::new();
        for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .filter(|cell| !cell.is_empty())
                .collect();
            let [preset, line, expected] = cells[..] else { panic!("{row}") };
            let templates: Templates = toml::from_str(&format!("presets = [\"{preset}\"]")).unwrap();
            let at = line.char_indices().find(|(at, c)| *c == ' ' && !line[..*at].ends_with('\\')).unwrap().0;
            let (series, fields) = line.split_at(at);
            let field = fields.trim_start().split('=').next().unwrap();
            let Named::Path(path) = templates.name(&Series::parse(series.as_bytes()).unwrap(), field) else {
                panic!("{row}: no name")
            };
            assert_eq!(path.as_str(), expected, "{row}");
            shown.push(preset);
        }
        for (name, _) in PRESETS {
            assert!(shown.contains(name), "{name} is not shown");
        }
    }

    #[test]
    fn an_unknown_preset_names_those_there_are() {
        let error = toml::from_str::<Templates>("presets = [\"telegraf\"]").unwrap_err();
        assert!(
            error.to_string().contains("there is no preset 'telegraf'; there are: telegraf-mqtt_consumer,")
        );
    }
}
