//! The wiring, top to bottom: which rooms there are, in which order they open, what each is given, and how they stop.
//! Nothing else in the house knows everyone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidemill_bus::Namespace;
use tidemill_core::{Authority, Bus, History, Identity, IdentityKind, Peer, Problem, codes};
use tidemill_ground::{Ground, MemoryPlan, Phase, Stop};
use tidemill_guard::Guard;
use tidemill_historian::Historian;
use tidemill_journal::Log;
use tidemill_sqldoors::SqlDoors;
use tidemill_web::{Admin, Doors, PlantFacts, Serves, Web};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::admin::Keeper;
use crate::backup::{self, Backups};
use crate::config::{self, Config, Listener, PLANT_FILE};
use crate::doors;
use crate::plant::{self, Plant};
use crate::saved::{self, Saved};
use crate::service::Manager;
use crate::settings;
use crate::vitals::{self, Vitals};

/// How long a stop may take before what hangs is left behind. Unsynced data is not lost by it: it was not acknowledged.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Told once everything listens: the plant and its addresses.
pub(crate) type Announce = Box<dyn Fn(&Plant, &[String]) + Send>;
/// Runs beside the plant until it stops: the demo's machines. Where it fails, the plant ends with it.
pub(crate) type Companion = Box<dyn FnOnce(Running, &Stop) -> Result<(), Problem> + Send>;

/// What a companion needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) plant: Plant,
    /// `http://…` of every listener, then those of other doors.
    pub(crate) addresses: Vec<String>,
    /// Host and port of the first.
    pub(crate) host: String,
}

impl Running {
    /// As people open it in a browser.
    pub(crate) fn first_address(&self) -> String {
        self.addresses.first().cloned().unwrap_or_default()
    }
}

/// How the plant is run.
pub(crate) struct Options {
    pub(crate) announce: Announce,
    /// Listen on any free port where the usual one is taken.
    pub(crate) any_port: bool,
    pub(crate) companion: Option<Companion>,
}

/// Runs the plant until it is told to stop.
pub(crate) fn run(plant: &Plant, options: Options) -> Result<(), Problem> {
    let saved = Saved::new(plant);
    let config = load(plant)?;
    for idle in config::variables::idle(&config::environment()) {
        tracing::warn!(event = "variable.unknown", "{idle}");
    }
    let _lock = plant.lock()?;
    allow_descriptors();
    take_small_pages();
    let ground = Ground::real();
    ground.tasks.on_panic(
        |panic| tracing::error!(event = "task.panicked", task = %panic.task, message = %panic.message),
    );
    let outcome = open(&ground, plant, &config, saved)
        .and_then(|rooms| serve(&ground, plant, &config, &rooms, options));
    let report = ground.tasks.shutdown(STOP_WITHIN);
    for (phase, task) in &report.late {
        tracing::warn!(event = "task.late", ?phase, task, "did not end in time");
    }
    tracing::info!(event = "plant.stopped");
    outcome
}

/// Takes as many descriptors as the system gives this process: connections and history files need them. Fewer are no error:
/// the doors have limits of their own.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::info!(event = "plant.descriptors", %error, "the limit of open files stays as it is");
    }
}

/// Of a huge page the allocator uses a part, and the system gives all of it: a plant would take twice the memory. A system
/// without that choice is no error.
fn take_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// The plant's configuration, or all that is wrong with it as one problem.
pub(crate) fn load(plant: &Plant) -> Result<Config, Problem> {
    config::load(&plant.file(), &config::environment()).map_err(|findings| {
        let list: Vec<String> = findings.iter().map(|finding| format!("\n  {finding}")).collect();
        Problem::new(
            &codes::BAD_CONFIGURATION,
            format!("{PLANT_FILE} has {} problem(s):{}", findings.len(), list.concat()),
        )
        .hint(format!(
            "Mend them; `{} check --plant {}` looks again",
            crate::program(),
            crate::quoted(&plant.folder.to_string_lossy())
        ))
    })
}

/// The rooms, wired.
pub(crate) struct Rooms {
    web: Web,
    pub(crate) sql: SqlDoors,
    keeper: Arc<Keeper>,
    pub(crate) guard: Arc<Guard>,
}

/// Opens the rooms, each with what it stands on. Threads they start end in their phase: doors, engines, log.
pub(crate) fn open(ground: &Ground, plant: &Plant, config: &Config, saved: Saved) -> Result<Rooms, Problem> {
    let memory_bytes = config.memory_bytes.unwrap_or_else(tidemill_ground::available);
    let memory = MemoryPlan::divide(memory_bytes).map_err(|error| {
        Problem::new(&codes::BAD_CONFIGURATION, error.to_string()).hint("Raise limits.memory")
    })?;
    settings::tell_cramped();
    let data = plant.data();

    // The log first: everything else is made durable by it.
    let log = Log::open(ground, &data.join("journal"), settings::journal(ground, plant, config, &memory))?;
    for damage in tidemill_core::Journal::damage(log.as_ref()) {
        tracing::error!(
            event = "journal.damaged",
            segment = damage.segment,
            from = damage.from,
            to = damage.to,
            "{damage}"
        );
    }

    if log.cut_bytes() > 0 {
        tracing::warn!(
            event = "journal.torn",
            bytes = log.cut_bytes(),
            "a write that a crash tore was cut off; it was not acknowledged"
        );
    }

    // Who may do what, and the record of who did.
    let guard = Guard::open(ground, &data.join("guard"), log.clone(), settings::guard(plant, config))?;

    backup::record_restore(ground, plant, guard.as_ref())?;

    // Names, order, last values, subscribers.
    let bus = Namespace::open(
        ground,
        &data.join("bus"),
        log.clone(),
        guard.clone(),
        settings::bus(config, &memory),
    )?;

    backup::record_made(ground, plant, guard.as_ref(), &(bus.clone() as Arc<dyn Bus>));

    // History, and answers from it.
    let historian = Historian::open(
        ground,
        &data.join("lake"),
        log.clone(),
        bus.clone(),
        settings::historian(config, &memory),
    )?;

    if let Some((first, last)) = log.lost().filter(|_| log.is_relaxed()) {
        tracing::error!(
            event = "journal.lost",
            first = first.0,
            last = last.0,
            "the journal lost its end at a power cut: what was acknowledged within the last second before it may be gone, as \
             durability = \"relaxed\" allows. Nothing that the history files hold is lost"
        );
    }
    historian.table(&tidemill_guard::AUDIT_TABLE, None);
    for (table, facts) in bus.facts().into_iter().chain(guard.facts()).chain(crate::facts::tables(ground)) {
        historian.table(table, Some(facts));
    }

    // The faces. They see traits only.
    let kept = (guard.clone(), log.clone(), bus.clone(), historian.clone());
    let backups = Backups::new(
        ground,
        plant,
        &config.plant_name,
        (guard.clone(), log.clone(), historian.clone()),
        bus.clone(),
    );
    let keeper = Arc::new(Keeper::new(plant.clone(), (config.clone(), saved), kept, backups));
    let web = Web::new(Doors {
        bus: bus.clone() as Arc<dyn Bus>,
        history: historian.clone() as Arc<dyn History>,
        authority: guard.clone() as Arc<dyn Authority>,
        admin: keeper.clone(),
        metrics: ground.metrics.clone(),
        clock: ground.clock.clone(),
        plant: PlantFacts {
            name: config.plant_name.as_str().into(),
            version: env!("CARGO_PKG_VERSION").into(),
            timezone: crate::time::zone(&config.timezone)?.iana_name().map(Into::into),
        },
        settings: settings::web(plant, config, &memory)?,
        ready: crate::health::ready(ground, log.clone(), historian.clone()),
    });
    let sql = SqlDoors::new(tidemill_sqldoors::Doors {
        history: historian.clone() as Arc<dyn History>,
        authority: guard.clone() as Arc<dyn Authority>,
        metrics: ground.metrics.clone(),
        clock: ground.clock.clone(),
        entropy: ground.entropy.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        settings: settings::sql(config, &memory),
    });
    keeper.attach(web.clone(), sql.clone(), memory);

    // Who looks after all of them.
    ground.metrics.show(
        "tidemill_log_lines_lost",
        "Lines of the log that went to standard error because their file could not be written.",
        crate::log::lost(),
    );
    let vitals = Vitals::new(ground);
    historian.table(&vitals::HEALTH, Some(vitals.clone()));
    keeper.listen_to(vitals.clone());
    let watched = vitals::Rooms {
        ground: ground.clone(),
        plant: plant.clone(),
        config: config.clone(),
        guard: guard.clone(),
        journal: log.clone(),
        bus: bus.clone(),
        historian: historian.clone(),
        keeper: keeper.clone(),
        memory_bytes_max: memory_bytes,
        journal_bytes_max: settings::historian(config, &memory).store.journal_bytes_max(),
    };
    vitals.start(ground, vitals::Looker::new(watched), bus.clone())?;
    Ok(Rooms { web, sql, keeper, guard })
}

/// Listens, says so, and waits for the word to stop.
fn serve(
    ground: &Ground,
    plant: &Plant,
    config: &Config,
    rooms: &Rooms,
    options: Options,
) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = Arc::new(runtime.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?);
    let _inside = runtime.enter();
    let mut addresses = Vec::new();
    let mut host = String::new();
    for listener in &config.http_listen {
        let Some((tcp, address)) = listen(listener, options.any_port)? else { continue };
        let (web, runtime) = (rooms.web.clone(), runtime.clone());
        let serves = listener.zone.clone().map(|zone| served_by(rooms.guard.clone(), zone, "http", address));
        if host.is_empty() {
            host = address.to_string();
        }
        let tls =
            config.encrypts(listener).then(|| rooms.guard.tls().acceptors(&["http/1.1"])).transpose()?;
        addresses.push(format!("{}://{address}", if tls.is_some() { "https" } else { "http" }));
        spawn(ground, &format!("http {address}"), move |stop| {
            runtime.block_on(web.serve_tcp(tcp, tls, serves, stop));
        })?;
    }
    addresses.extend(doors::open(ground, config, rooms, &runtime)?);
    let control = control_socket(plant)?;
    let (web, served_by) = (rooms.web.clone(), runtime.clone());
    spawn(ground, "control", move |stop| served_by.block_on(web.serve_unix(control, stop)))?;

    // From the ready line on a signal is a wish, and does not kill.
    let signals = {
        let _runtime = runtime.enter();
        Signals::listen()?
    };
    tracing::info!(event = "plant.ready", plant = %plant.folder.display(), addresses = addresses.join(" "));
    (options.announce)(plant, &addresses);
    let manager = Manager::from_environment();
    manager.ready(&addresses);
    let (failed, fails) = oneshot::channel();
    if let Some(companion) = options.companion {
        let running = Running { plant: plant.clone(), addresses, host };
        spawn(ground, "companion", move |stop| {
            if let Err(problem) = companion(running, &stop)
                && !stop.requested()
            {
                // Nobody is there to hear it only where the plant ends already.
                let _ = failed.send(problem);
            }
        })?;
    }
    let outcome = runtime.block_on(async {
        tokio::select! {
            () = wait_for_the_end(signals, &rooms.keeper) => Ok(()),
            Ok(problem) = fails => Err(problem),
            never = manager.keep_told() => match never {},
        }
    });
    manager.stopping();
    outcome
}

/// A listener of a zone is for that zone's addresses alone.
pub(crate) fn served_by(guard: Arc<Guard>, zone: String, door: &'static str, listener: SocketAddr) -> Serves {
    Arc::new(move |address| guard.serves(&zone, door, listener, address))
}

pub(crate) fn spawn(
    ground: &Ground,
    name: &str,
    work: impl FnOnce(Stop) + Send + 'static,
) -> Result<(), Problem> {
    ground
        .tasks
        .spawn(name, Phase::Doors, work)
        .map_err(|error| Problem::new(&codes::STOPPING, error.to_string()))
}

/// The signals that mean something to a plant.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Signals, Problem> {
        let of = |kind| {
            signal(kind).map_err(|error| {
                Problem::new(&codes::INTERNAL, format!("signals cannot be received: {error}"))
            })
        };
        let (terminate, interrupt) = (of(SignalKind::terminate())?, of(SignalKind::interrupt())?);
        Ok(Signals { terminate, interrupt, hang_up: of(SignalKind::hangup())? })
    }
}

/// Until SIGTERM or Ctrl-C. The configuration is read again when a file of it was saved, and at SIGHUP.
async fn wait_for_the_end(mut signals: Signals, keeper: &Keeper) {
    let mut look = tokio::time::interval(saved::LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The system says neither who sent a signal, root or who runs this process, nor who saved a file.
    let by = |name: &str| Identity {
        name: name.into(),
        kind: IdentityKind::House,
        peer: Peer { door: "house", address: None },
    };
    loop {
        let who = tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hang_up.recv() => by("house:signal"),
            _ = look.tick() => match keeper.saved_anew() {
                true => by("house:file"),
                false => continue,
            },
        };
        match keeper.reload(&who).await {
            Ok(done) => tracing::info!(
                event = "configuration.read",
                changed = done.changed,
                restart = done.restart.join("; ")
            ),
            Err(problem) => tracing::error!(event = "configuration.refused", "{problem}"),
        }
    }
}

/// A listening socket with its address. A taken HTTP port is an error that names it; a machine without IPv6 has no `::1`.
fn listen(listener: &Listener, any_port: bool) -> Result<Option<(TcpListener, SocketAddr)>, Problem> {
    let bind = |address: SocketAddr| {
        std::net::TcpListener::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((TcpListener::from_std(socket)?, address))
        })
    };
    match bind(listener.address) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && any_port => {
            bind(SocketAddr::new(listener.address.ip(), 0)).map(Some).map_err(|error| taken(listener, &error))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable && listener.address.is_ipv6() => {
            tracing::warn!(event = "http.no_ipv6", address = %listener.address, "this machine has no such address");
            Ok(None)
        }
        Err(error) => Err(taken(listener, &error)),
    }
}

fn taken(listener: &Listener, error: &std::io::Error) -> Problem {
    let holder =
        doors::holder_of(listener.address).map(|holder| format!(", held by {holder}")).unwrap_or_default();
    Problem::new(&codes::ADDRESS_TAKEN, format!("cannot listen on {}{holder}: {error}", listener.address))
        .hint(format!("Stop the other program, or change http.listen in {PLANT_FILE}"))
}

/// The control socket, for the folder's owner alone: the folder around it is theirs. One that a killed process left is
/// replaced: the plant's lock says that nobody serves it.
fn control_socket(plant: &Plant) -> Result<UnixListener, Problem> {
    let socket = plant.socket();
    let bound = plant::within_socket_length(&socket, |path| {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        UnixListener::bind(path)
    });
    bound.map_err(|error| {
        Problem::new(
            &codes::INTERNAL,
            format!("the control socket {} cannot be made: {error}", socket.display()),
        )
    })
}
