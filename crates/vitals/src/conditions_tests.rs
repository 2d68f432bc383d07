//! Each condition with what is seen at each second, and the codes that stand for it. Simulated time, disk and machine.

use tidemill_ground::{Machine, Space};

use super::*;
use crate::board::{Board, Standing};
use crate::seen::{Certificate, Numbers, Token};

/// What stands after what is seen by the minute (or another step).
fn told(step_s: u64, steps: u64, see: impl Fn(u64, &mut Seen)) -> Vec<Standing> {
    let (mut earlier, mut board) = (Earlier::default(), Board::default());
    for step in 0..steps {
        let monotonic = Duration::from_secs(step * step_s);
        let wall_ns = 1_767_225_600 * SECOND_NS + i64::try_from(monotonic.as_nanos()).unwrap();
        let mut seen = Seen { wall_ns, monotonic, journal_bytes_max: 1 << 30, ..Seen::default() };
        see(step, &mut seen);
        board.look(&conditions(&seen, &mut earlier), wall_ns, monotonic);
    }
    board.standing()
}

/// The codes of that, with their subjects.
fn stands(step_s: u64, steps: u64, see: impl Fn(u64, &mut Seen)) -> String {
    let standing = told(step_s, steps, see);
    let codes = standing.iter().map(|one| format!("{} {}", one.warning.code, one.subject).trim().to_owned());
    codes.collect::<Vec<_>>().join(", ")
}

const GIB: u64 = 1 << 30;

#[test]
fn a_disk_that_fills_is_told_a_day_before() {
    let fills = |gib_per_hour: f64, free_gib: u64, hours: u64| {
        stands(60, hours * 60, move |minute, seen| {
            let gone = (gib_per_hour * minute as f64 / 60.0 * GIB as f64) as u64;
            seen.space =
                Some(Space { free_bytes: (free_gib * GIB).saturating_sub(gone), total_bytes: 1000 * GIB });
            seen.free_min_bytes = 50 * GIB;
        })
    };
    assert_eq!(fills(1.0, 100, 2), "", "48 hours are left");
    assert_eq!(fills(2.0, 100, 2), "disk-filling", "23 hours are left");
    assert_eq!(fills(0.0, 51, 2), "", "it does not fill");
    let mended = stands(60, 240, |minute, seen| {
        let free = if minute < 120 { 60 * GIB - minute * GIB / 30 } else { 500 * GIB };
        seen.space = Some(Space { free_bytes: free, total_bytes: 1000 * GIB });
    });
    assert_eq!(mended, "", "there is room again");
}

#[test]
fn how_long_a_disk_lasts_is_said_as_one_says_it() {
    let said = |gib_free: f64| {
        let told = told(60, 120, move |minute, seen| {
            let free_bytes = ((gib_free + 10.0 - 5.0 * minute as f64 / 60.0) * GIB as f64) as u64;
            seen.space = Some(Space { free_bytes, total_bytes: 1000 * GIB });
        });
        told.into_iter()
            .map(|one| one.what.rsplit(": ").next().unwrap_or_default().to_owned())
            .collect::<String>()
    };
    assert_eq!(said(0.2), "in about 3 minutes new values are refused");
    assert_eq!(said(5.0), "in about an hour new values are refused");
    assert_eq!(said(15.0), "in about 3 hours new values are refused");
}

#[test]
fn a_backup_that_grew_old_is_told_where_one_was_ever_made() {
    let made = |made_ns: Option<i64>, days: u64| {
        let age_max = Some(Duration::from_secs(30 * 86_400));
        let told = told(3_600, days * 24, move |_, seen| {
            (seen.backup_made_ns, seen.backup_age_max) = (made_ns, age_max);
        });
        told.into_iter().map(|one| format!("{}: {}", one.warning.code, one.what)).collect::<String>()
    };
    let first_ns = 1_767_225_600 * SECOND_NS;
    assert_eq!(made(None, 60), "");
    assert_eq!(made(Some(first_ns), 30), "");
    assert_eq!(
        made(Some(first_ns), 32),
        "backup-old: the last backup was made about 32 days ago, at 2026-01-01T00:00:00Z"
    );
    assert_eq!(made(Some(first_ns + 60 * DAY_NS), 32), "", "a clock that went back makes none old");
}

#[test]
fn a_log_that_loses_lines_is_told_for_a_while() {
    let lost = |looks: u64| {
        stands(2, looks, |look, seen| {
            let lost = look.min(3) as f64;
            seen.numbers = std::mem::take(&mut seen.numbers).with("tidemill_log_lines_lost_total", "", lost);
        })
    };
    assert_eq!((lost(1), lost(3), lost(300)), (String::new(), "log-unwritten".to_owned(), String::new()));
    let named = told(2, 3, |look, seen| {
        seen.numbers = Numbers::default().with("tidemill_log_lines_lost_total", "", look as f64);
        seen.log_file = Some("/var/log/tidemill.log".into());
    });
    let what = "2 line(s) of the log could not be written to /var/log/tidemill.log since the start";
    assert_eq!(named[0].what, what);
}

#[test]
fn a_clock_that_is_set_is_told_for_an_hour() {
    let stepped = |by_s: i64, seconds: u64| {
        stands(2, seconds / 2, move |look, seen| {
            if look >= 50 {
                seen.wall_ns += by_s * SECOND_NS;
            }
        })
    };
    for by_s in [-3_600, -2, 2, 86_400] {
        assert_eq!(stepped(by_s, 200), "clock-stepped", "{by_s}");
        assert_eq!(stepped(by_s, 100 + 3_700), "", "{by_s}");
    }
    assert_eq!(stepped(1, 200), "", "a second is drift or a busy machine");
    let unset = |seconds: u64| stands(10, seconds / 10, |_, seen| seen.machine.clock_set = Some(false));
    assert_eq!((unset(800), unset(1_000)), (String::new(), "clock-unset".to_owned()));
}

#[test]
fn memory_files_and_flash_are_told_near_their_ends() {
    let with = |change: fn(&mut Seen)| stands(10, 20, |_, seen| change(seen));
    type Change = fn(&mut Seen);
    let table: [(Change, &str); 12] = [
        (|_| (), ""),
        (
            |seen| {
                seen.machine =
                    Machine { resident_bytes: Some(91), group_bytes_max: Some(100), ..Machine::default() }
            },
            "memory-near-limit",
        ),
        (
            |seen| {
                seen.machine =
                    Machine { resident_bytes: Some(85), group_bytes_max: Some(100), ..Machine::default() }
            },
            "",
        ),
        // The program's own pages and those of files that it reads: the system takes them back before it ends anybody.
        (
            |seen| {
                seen.machine = Machine {
                    resident_bytes: Some(95),
                    anonymous_bytes: Some(60),
                    shared_bytes: Some(5),
                    group_bytes_max: Some(100),
                    ..Machine::default()
                }
            },
            "",
        ),
        (
            |seen| {
                seen.machine = Machine {
                    resident_bytes: Some(95),
                    anonymous_bytes: Some(60),
                    shared_bytes: Some(31),
                    group_bytes_max: Some(100),
                    ..Machine::default()
                }
            },
            "memory-near-limit",
        ),
        (
            |seen| {
                seen.machine =
                    Machine { available_bytes: Some(4), memory_bytes: Some(100), ..Machine::default() }
            },
            "memory-short",
        ),
        (
            |seen| {
                seen.machine.anonymous_bytes = Some(91);
                seen.memory_bytes_max = Some(100);
            },
            "memory-near-own-limit",
        ),
        (|seen| seen.machine.swapped_bytes = Some(64 << 20), "swapping"),
        (
            |seen| {
                seen.machine =
                    Machine { open_files: Some(900), open_files_max: Some(1024), ..Machine::default() }
            },
            "open-files-near-limit",
        ),
        (|seen| seen.inodes = Some((10, 1000)), "inodes-low"),
        (|seen| seen.flash_worn = Some(0.9), "flash-worn"),
        (|seen| seen.tight = Some("little".to_owned()), "disk-low"),
    ];
    for (change, codes) in table {
        assert_eq!(with(change), codes);
    }
}

#[test]
fn a_slow_disk_is_one_that_was_quicker_before() {
    // So many syncs a minute, of which a tenth takes long.
    let syncs = |minutes_quick: u64, long: f64| {
        stands(30, 40, move |half_minute, seen| {
            let quick = (half_minute.min(minutes_quick * 2) * 100) as f64;
            let slow = (half_minute.saturating_sub(minutes_quick * 2) * 100) as f64;
            let bounds = [0.005, 0.05, 0.5, f64::INFINITY];
            let buckets = bounds.map(|bound| (bound, quick + if long <= bound { slow } else { slow * 0.9 }));
            seen.numbers = Numbers::default().with_buckets(SYNCS, buckets.to_vec());
        })
    };
    assert_eq!(syncs(10, 0.4), "disk-slow");
    assert_eq!(syncs(10, 0.04), "", "slower than before, and not slow");
    assert_eq!(syncs(0, 0.4), "", "it was never quicker");
}

#[test]
fn limits_are_told_when_near_and_when_they_refuse() {
    let near = |used: f64| {
        stands(5, 6, move |_, seen| {
            seen.numbers = Numbers::default()
                .with("tidemill_limit_max", "signals", 100.0)
                .with("tidemill_limit_used", "signals", used)
                .with("tidemill_limit_max", "http_bindings", 100.0)
                .with("tidemill_limit_used", "http_bindings", 100.0);
        })
    };
    assert_eq!((near(79.0), near(80.0)), (String::new(), "limit-near signals".to_owned()));
    let refused =
        |until: u64| {
            stands(5, 100, move |look, seen| {
                let count = look.min(until) as f64;
                seen.numbers = Numbers::default()
                    .with("tidemill_limit_refused_total", "signals", count)
                    .with("tidemill_limit_refused_total", "query_time", look as f64);
            })
        };
    assert_eq!((refused(50), refused(20)), ("limit-refused signals".to_owned(), String::new()));
}

#[test]
fn what_engines_and_access_need_is_told() {
    let with = |change: fn(&mut Seen)| stands(10, 7, |_, seen| change(seen));
    let number = |seen: &mut Seen, name: &str, value| seen.numbers = Numbers::default().with(name, "", value);
    assert_eq!(with(|seen| seen.refusing = Some((String::new(), String::new()))), "refusing-values");
    assert_eq!(
        stands(10, 7, |_, seen| number(seen, "tidemill_bus_lag_parcels", 20_000.0)),
        "follower-lagging bus"
    );
    assert_eq!(stands(10, 7, |_, seen| number(seen, "tidemill_journal_segment_bytes", 6e8)), "journal-held");
    assert_eq!(
        stands(10, 7, |_, seen| number(seen, "tidemill_historian_tables_closed", 1.0)),
        "table-closed"
    );
    assert_eq!(stands(10, 7, |_, seen| number(seen, "tidemill_audit_damage", 1.0)), "audit-damaged");
    assert_eq!(
        stands(10, 7, |look, seen| number(
            seen,
            "tidemill_historian_merge_failures_total",
            look.min(3) as f64
        )),
        "merge-failing"
    );
    assert_eq!(with(|seen| seen.flush_failing = Some(String::new())), "flush-failing");
    assert_eq!(with(|seen| seen.damage = vec![String::new()]), "journal-damaged");
    assert_eq!(with(|seen| seen.unreadable = Some(String::new())), "history-unreadable");
    assert_eq!(with(|seen| seen.audit_failure = Some(String::new())), "audit-unwritable");
    assert_eq!(with(|seen| seen.configuration_refused = Some(String::new())), "configuration-refused");
    assert_eq!(with(|seen| seen.restart = vec![String::new()]), "restart-waiting");
    fn certificate(works: bool) -> Vec<Certificate> {
        vec![Certificate { on: "c".into(), what: String::new(), mend: String::new(), works }]
    }
    assert_eq!(with(|seen| seen.certificates = certificate(true)), "certificate c");
    assert_eq!(with(|seen| seen.certificates = certificate(false)), "certificate-unusable c");
}

#[test]
fn tokens_are_told_before_and_after_they_expire() {
    let token = |days_left: i64, life_days: i64, used: bool| {
        stands(10, 2, move |_, seen| {
            let expires_ns = seen.wall_ns + days_left * DAY_NS;
            seen.tokens =
                vec![Token { name: "t".into(), made_ns: expires_ns - life_days * DAY_NS, expires_ns, used }];
        })
    };
    assert_eq!((token(8, 90, true), token(6, 90, false)), (String::new(), "token-expiring t".to_owned()));
    assert_eq!((token(3, 8, true), token(1, 8, true)), (String::new(), "token-expiring t".to_owned()));
    assert_eq!((token(-1, 8, true), token(-1, 8, false)), ("token-expired t".to_owned(), String::new()));
    assert_eq!(token(-40, 8, true), "", "whoever missed it knows by now");
}
