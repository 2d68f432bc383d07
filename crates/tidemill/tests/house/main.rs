//! The house as a user meets it: every test starts the real binary in a plant of its own, talks to it by command line,
//! HTTP and files, and looks at what comes back. What a single room does is tested in that room.

#![allow(
    clippy::disallowed_methods,
    reason = "the tests are outside the house: its disk and its clock are not theirs"
)]

mod agents;
mod backup;
mod checking;
mod client;
mod command_line;
mod crowded;
mod damage;
mod documents;
mod encryption;
mod farewells;
mod flight;
mod formats;
mod full_disk;
mod grafana;
mod health;
mod importing;
mod influx;
mod living;
mod lost;
mod numbers;
mod partners;
mod pausing;
mod plant;
mod postgres;
mod printing;
mod revoking;
mod rights;
mod signals;
mod spellings;
mod start;
mod tables;
mod upgrade;
mod writing;
mod zones;
