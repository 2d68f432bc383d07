//! The shares add up, and what is available is what the machine and its container say.

use super::*;
use proptest::prelude::*;

const GIB: u64 = 1 << 30;

/// What it is, the files of the machine, and what is available.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u64);

proptest! {
    #[test]
    fn shares_add_up_to_the_last_byte_and_never_shrink(total in MemoryPlan::LEAST_BYTES..u64::MAX / 2, more in 0..u64::MAX / 2) {
        let plan = MemoryPlan::divide(total).unwrap();
        prop_assert_eq!(plan.total(), total);
        let larger = MemoryPlan::divide(total + more).unwrap();
        for ((name, less), (_, larger)) in plan.shares().into_iter().zip(larger.shares()) {
            // The few bytes left over by rounding go to the queries and differ with the total.
            prop_assert!(less <= larger + SHARES.len() as u64, "{} shrank from {} to {}", name, less, larger);
        }
    }
}

/// The table in the documentation is the division.
#[test]
fn the_table_is_true() {
    let documentation = include_str!("../memory.rs");
    let least = MemoryPlan::divide(MemoryPlan::LEAST_BYTES).unwrap();
    let gib = MemoryPlan::divide(GIB).unwrap();
    for ((name, least), (_, at_gib)) in least.shares().into_iter().zip(gib.shares()) {
        let row = documentation.lines().find(|line| line.contains(&format!("| `{name}`"))).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2], format!("{} MiB", least / MIB), "least of {name}");
        assert_eq!(cells[4], format!("{} MiB", at_gib / MIB), "{name} at 1 GiB");
        let part: u64 = cells[3].trim_end_matches("/224").parse().unwrap();
        assert_eq!(part * 4, at_gib / MIB - least / MIB, "part of {name}");
    }
    assert_eq!(SHARES.iter().map(|(least, _)| least * MIB).sum::<u64>(), MemoryPlan::LEAST_BYTES);
}

#[test]
fn too_little_says_how_much_is_needed() {
    let error = MemoryPlan::divide(MemoryPlan::LEAST_BYTES - 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "limits.memory is 127 MiB, and the plant needs at least 128 MiB to work; set limits.memory to 128 MiB or more"
    );
}

#[test]
fn available_is_a_quarter_of_the_smaller_and_at_most_a_gib() {
    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        4194304 kB\nMemFree:  1 kB\n");
    let v1 = "sys/fs/cgroup/memory/a/memory.limit_in_bytes";
    let cases: &[Case] = &[
        ("no proc at all", &[], UNKNOWN_MACHINE_BYTES / 4),
        ("a machine of 4 GiB", &[MEMINFO], GIB),
        ("a machine of 64 GiB", &[("proc/meminfo", "MemTotal: 67108864 kB\n")], GIB),
        (
            "version 2, own group",
            &[MEMINFO, ("proc/self/cgroup", "0::/a/b\n"), ("sys/fs/cgroup/a/b/memory.max", "1073741824\n")],
            GIB / 4,
        ),
        (
            "version 2, the group above is tighter",
            &[
                MEMINFO,
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/b/memory.max", "1073741824\n"),
                ("sys/fs/cgroup/a/memory.max", "536870912\n"),
            ],
            GIB / 8,
        ),
        (
            "version 2, no limit",
            &[MEMINFO, ("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.max", "max\n")],
            GIB,
        ),
        (
            "in a container, whose path is one of the host",
            &[MEMINFO, ("proc/self/cgroup", "0::/../x\n"), ("sys/fs/cgroup/memory.max", "1073741824\n")],
            GIB / 4,
        ),
        (
            "version 1",
            &[
                MEMINFO,
                ("proc/self/cgroup", "12:pids:/p\n4:cpu,memory:/a\n1:name=systemd:/\n"),
                (v1, "1073741824\n"),
            ],
            GIB / 4,
        ),
        (
            "version 1, no limit",
            &[MEMINFO, ("proc/self/cgroup", "4:memory:/a\n"), (v1, "9223372036854771712\n")],
            GIB,
        ),
        (
            "larger than the machine",
            &[
                ("proc/meminfo", "MemTotal: 1048576 kB\n"),
                ("proc/self/cgroup", "0::/\n"),
                ("sys/fs/cgroup/memory.max", "99999999999\n"),
            ],
            GIB / 4,
        ),
        (
            "smaller than a plant runs in",
            &[MEMINFO, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "268435456\n")],
            MemoryPlan::LEAST_BYTES,
        ),
        (
            "nonsense",
            &[("proc/meminfo", "MemTotal: much\n"), ("proc/self/cgroup", "?\n::\n0:\n")],
            UNKNOWN_MACHINE_BYTES / 4,
        ),
    ];
    for (what, files, expected) in cases {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in *files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
        }
        assert_eq!(available_under(root.path()), *expected, "{what}");
    }
}

#[test]
fn this_machine_has_some() {
    assert!((MemoryPlan::LEAST_BYTES..=AUTO_BYTES_MAX).contains(&available()));
}
