//! The gate `floors`: which room may know which, from one table. The table is the architecture; ARCHITECTURE.md says
//! what each room is for. A cycle needs no check of its own: every permitted edge leads to a lower floor, or from a
//! room to its part.

use super::metadata::{self, Package};
use super::{Verdict, verdict};
use trials::shell;

/// Every crate of the house by floor, from the ground up.
const FLOORS: &[&[&str]] = &[
    &["tidemill-core", "tidemill-ground"],
    &[
        "tidemill-journal",
        "tidemill-bus",
        "tidemill-lake",
        "tidemill-dialect",
        "tidemill-formats",
        "tidemill-historian",
        "tidemill-flow",
        "tidemill-twin",
        "tidemill-insight",
        "tidemill-guard",
        "tidemill-backup",
        "tidemill-vitals",
    ],
    &[
        "tidemill-mqtt",
        "tidemill-opcua",
        "tidemill-amqp",
        "tidemill-connect",
        "tidemill-notation",
        "tidemill-web",
        "tidemill-sqldoors",
        "tidemill-demo",
    ],
    &["tidemill", "tidemill-config"],
];
/// Beside the house: they know each other and no room, and no room knows them.
const BESIDE: &[&str] = &["trials", "xtask"];
/// Crates that are parts of a room: it alone may name them, and they count with it (docs/adr/0007-rooms-and-parts.md).
const PARTS: &[(&str, &str)] = &[
    ("tidemill-historian", "tidemill-lake"),
    ("tidemill-historian", "tidemill-dialect"),
    ("tidemill-historian", "tidemill-formats"),
    ("tidemill-connect", "tidemill-notation"),
    ("tidemill", "tidemill-config"),
];
/// What only one family may touch, because it is heavy or its own: the beginning of its name, and the family.
const HEAVY: &[(&str, &[&str])] = &[
    ("arrow", &["tidemill-lake", "tidemill-dialect", "tidemill-formats", "tidemill-historian"]),
    ("parquet", &["tidemill-lake", "tidemill-dialect", "tidemill-formats", "tidemill-historian"]),
    ("datafusion", &["tidemill-dialect", "tidemill-historian"]),
    ("async-opcua", &["tidemill-opcua"]),
];
/// What core may use; its tests may use more.
const CORE_NEEDS: &[&str] = &["bytes", "thiserror", "unicode-normalization"];
/// As many as a newcomer can keep apart: those that stand, and those that are planned above.
const ROOMS_MAX: usize = 20;

pub(super) fn check() -> Result<Verdict, String> {
    let rooms: Vec<Package> = metadata::packages()?.into_iter().filter(|package| package.ours).collect();
    let page = shell::text("ARCHITECTURE.md")?.ok_or("ARCHITECTURE.md is not UTF-8")?;
    let mut found = violations(&rooms);
    found.extend(rooms.iter().filter_map(|room| untold(&page, &room.name)));
    Ok(verdict(found, format!("{} crates, of which {} are rooms", rooms.len(), count(&rooms))))
}

/// What the table of ARCHITECTURE.md does not say of a room, or says otherwise.
fn untold(page: &str, room: &str) -> Option<String> {
    let place = floor(room)?;
    let row = format!("| {place} | `{}` |", room.strip_prefix("tidemill-").unwrap_or(room));
    let told = page.lines().any(|line| line.starts_with(&row));
    (!told).then(|| format!("ARCHITECTURE.md has no row that begins `{row}`"))
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

/// The room that a crate is a part of.
fn whole(name: &str) -> Option<&'static str> {
    PARTS.iter().find(|(_, part)| *part == name).map(|(room, _)| *room)
}

fn count(crates: &[Package]) -> usize {
    let is_room = |name: &str| !BESIDE.contains(&name) && whole(name).is_none();
    crates.iter().filter(|one| is_room(&one.name)).count()
}

fn violations(rooms: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    let house = count(rooms);
    if house > ROOMS_MAX {
        found.push(format!("the house has {house} rooms, {ROOMS_MAX} at most"));
    }
    for room in rooms {
        let place = floor(&room.name);
        if place.is_none() && !BESIDE.contains(&room.name.as_str()) {
            found.push(format!("{} has no floor: give it one in xtask/src/gates/floors.rs", room.name));
            continue;
        }
        for need in &room.needs {
            let is_room = rooms.iter().any(|other| other.name == need.name);
            if let Some(why) = forbidden(&room.name, place, &need.name, need.dev, is_room) {
                let kind = if need.dev { "dev-depends" } else { "depends" };
                found.push(format!("{} {kind} on {}: {why}", room.name, need.name));
            }
        }
    }
    found
}

/// Why `room` may not name `need`, if it may not. Dependencies of tests count too: a test that knows a neighbour
/// fails with it.
fn forbidden(room: &str, place: Option<usize>, need: &str, dev: bool, is_room: bool) -> Option<String> {
    if let Some((_, family)) =
        HEAVY.iter().find(|(heavy, family)| need.starts_with(heavy) && !family.contains(&room))
    {
        return Some(format!("only {} may", family.join(" and ")));
    }
    if is_room {
        if BESIDE.contains(&room) && BESIDE.contains(&need) {
            return None;
        }
        let (Some(place), Some(below)) = (place, floor(need)) else {
            return Some("what stands beside the house knows no room and is known by none".into());
        };
        if let Some(whole) = whole(need) {
            return (room != whole).then(|| format!("only {whole} may: it is a part of it"));
        }
        return (below >= place).then(|| format!("floor {place} may not know floor {below}"));
    }
    if room == "tidemill-core" && !dev && !CORE_NEEDS.contains(&need) {
        return Some(format!("core keeps to {}", CORE_NEEDS.join(", ")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Need;
    use super::*;

    /// A room of more is two.
    const PARTS_MAX: usize = 3;

    /// A made-up workspace: `room: need need dev:need`, one room a line.
    fn house(text: &str) -> Vec<Package> {
        text.lines()
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(name, needs)| Package {
                name: name.to_owned(),
                needs: needs
                    .split_whitespace()
                    .map(|need| match need.strip_prefix("dev:") {
                        Some(name) => Need { name: name.to_owned(), dev: true },
                        None => Need { name: need.to_owned(), dev: false },
                    })
                    .collect(),
                ours: true,
                ..Package::default()
            })
            .collect()
    }

    #[test]
    fn a_house_in_order_has_no_finding() {
        let good = house(
            "tidemill-core: bytes thiserror dev:proptest
             tidemill-ground: rustix
             tidemill-bus: tidemill-core tidemill-ground dev:tidemill-ground
             tidemill-lake: tidemill-core arrow parquet
             tidemill-historian: tidemill-core tidemill-lake datafusion arrow parquet
             tidemill-web: tidemill-core axum tidemill-guard
             tidemill-guard: tidemill-core
             tidemill: tidemill-core tidemill-bus tidemill-historian tidemill-web
             trials: serde_json
             xtask: serde_json trials",
        );
        assert_eq!(violations(&good), Vec::<String>::new());
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let table = [
            ("tidemill-bus: tidemill-journal\ntidemill-journal:", "floor 1 may not know floor 1"),
            ("tidemill-bus: dev:tidemill-journal\ntidemill-journal:", "dev-depends on tidemill-journal"),
            ("tidemill-guard: tidemill-web\ntidemill-web:", "floor 1 may not know floor 2"),
            ("tidemill-web: tidemill-mqtt\ntidemill-mqtt:", "floor 2 may not know floor 2"),
            ("tidemill-ground: tidemill-core\ntidemill-core:", "floor 0 may not know floor 0"),
            ("tidemill-journal: tidemill\ntidemill: tidemill-journal", "floor 1 may not know floor 3"),
            ("xtask: tidemill-core\ntidemill-core:", "beside the house"),
            ("tidemill: xtask\nxtask:", "beside the house"),
            ("trials: tidemill-core\ntidemill-core:", "beside the house"),
            ("tidemill-web: arrow-ipc", "tidemill-formats and tidemill-historian may"),
            ("tidemill: dev:datafusion", "only tidemill-dialect and tidemill-historian may"),
            ("tidemill-lake: datafusion", "only tidemill-dialect and tidemill-historian may"),
            ("tidemill: tidemill-lake\ntidemill-lake:", "only tidemill-historian may"),
            ("tidemill: tidemill-dialect\ntidemill-dialect:", "only tidemill-historian may"),
            ("tidemill: tidemill-notation\ntidemill-notation:", "only tidemill-connect may"),
            ("tidemill-demo: tidemill-config\ntidemill-config:", "only tidemill may"),
            ("tidemill-lake: tidemill-historian\ntidemill-historian:", "floor 1 may not know floor 1"),
            ("tidemill-core: serde", "core keeps to"),
            ("tidemill-attic: bytes", "tidemill-attic has no floor"),
        ];
        for (text, expected) in table {
            let found = violations(&house(text));
            assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_room_that_the_page_puts_on_another_floor_is_found() {
        let page = "| floor | crate |\n| 1 | `bus` | names |\n| 3 | `tidemill` | all |\n";
        assert_eq!(untold(page, "tidemill-bus"), None);
        assert_eq!(untold(page, "tidemill"), None);
        assert_eq!(untold(page, "xtask"), None);
        assert!(untold(page, "tidemill-web").expect("it has no row").contains("| 2 | `web` |"));
        assert!(untold(&page.replace('1', "2"), "tidemill-bus").is_some());
    }

    #[test]
    fn one_room_too_many_is_found_and_its_parts_count_with_it() {
        let most = "tidemill-core:\n".repeat(ROOMS_MAX) + "tidemill-lake:\nxtask:\n";
        assert_eq!(violations(&house(&most)), Vec::<String>::new());
        assert!(violations(&house(&(most + "tidemill-core:\n")))[0].contains("21 rooms, 20 at most"));
    }

    #[test]
    fn a_part_stands_on_the_floor_of_its_room_and_a_room_has_few() {
        for (room, part) in PARTS {
            assert!(floor(room).is_some() && floor(room) == floor(part), "{part}");
            assert!(PARTS.iter().filter(|(other, _)| other == room).count() <= PARTS_MAX, "{room}");
        }
    }
}
