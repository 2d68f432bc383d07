//! Random changes of good queries and good bodies. A few hundred in every test run; `cargo xtask fuzz sql` and `decode` give
//! more by the environment. No coverage guides them, for that would build DataFusion once more: what goes through and is new
//! is changed further.

use std::io::Write as _;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array};
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use tidemill_ground::{Entropy, SeededEntropy};

use super::fuzz;

/// Inputs of a test run in which nobody asks for more.
const RUNS_DEFAULT: u64 = 300;
const INPUT_BYTES_MAX: usize = 4096;
/// Inputs that went through and are changed further.
const POOL_MAX: usize = 2_000;
const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// One input may take so long; a query that runs has a limit of its own below it.
const INPUT_TIME_MAX: Duration = Duration::from_secs(30);

const QUERIES: &[&str] = &[
    "SELECT 1",
    "SELECT * FROM samples, signals WHERE $1 = 1",
    "SELECT * FROM read('#')",
    "SELECT signal, time_bucket, avg(value) FROM (SELECT signal, value, date_bin(INTERVAL '1 hour', time) AS time_bucket FROM samples WHERE matches(signal, 'a/#')) GROUP BY signal, time_bucket ORDER BY 1",
    "SELECT signal, value, lag(value) OVER (PARTITION BY signal ORDER BY time) FROM samples WHERE time >= now() - INTERVAL '1 day'",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n",
    "SELECT s.signal, g.unit FROM samples s LEFT JOIN signals g USING (signal) WHERE s.quality <> 0 LIMIT 5",
    "SELECT * FROM read('#', '2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z', 'points', 60)",
    "SELECT CAST(value AS TEXT) || '\u{fc}', regexp_replace(text, '(a+)+', '') FROM samples",
    "EXPLAIN SELECT count(DISTINCT signal) FROM samples",
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'",
    "(SELECT 1) EXCEPT (SELECT 2) UNION SELECT x FROM generate_series(1, 10) AS t(x)",
];

const WORDS: &[&str] = &[
    "SELECT ",
    " FROM ",
    " WHERE ",
    "samples",
    "signals",
    "(",
    ")",
    ",",
    "'",
    "\"",
    "*",
    "$1",
    "$2",
    "$3",
    "NULL",
    "-1",
    "9223372036854775808",
    "1e400",
    " JOIN ",
    " GROUP BY ",
    " ORDER BY ",
    " OVER ",
    "INTERVAL '1 year'",
    "INTERVAL ''",
    "TIMESTAMP '0000-00-00'",
    " UNION ALL ",
    "matches(",
    "read(",
    "repeat('a', 1000000000)",
    "generate_series(1, 1000000000)",
    "array_repeat(1, 100000000)",
    "CAST(",
    " AS ",
    "--",
    "/*",
    ";",
    "'\\'",
    "unnest(",
    "[1]",
    "{}",
    "\u{0}",
    "\u{1F600}",
    " IN (",
    "COPY ",
    "CREATE EXTERNAL TABLE ",
    "SET ",
    "lower(",
    "date_bin(",
    " LIKE ",
    "%",
    "0x",
    "::",
    " IS NOT DISTINCT FROM ",
];

/// Numbers that lengths and offsets do not like.
const NUMBERS: &[&[u8]] = &[
    &[0; 8],
    &[0xFF; 8],
    &[0xFF; 4],
    &[0, 0, 0, 0x80],
    &[0xFF, 0xFF, 0xFF, 0x7F],
    &[0, 0, 0, 0x40, 0, 0, 0, 0],
    &[1],
    &[0x80],
    b"PAR1",
];

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, end: usize) -> usize {
        (self.0.number() % end.max(1) as u64) as usize
    }

    fn of<'a, T: ?Sized>(&self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// A few changes of an input.
fn changed(pool: &[Vec<u8>], words: &[&[u8]], dice: &Dice) -> Vec<u8> {
    let mut input = pool[dice.below(pool.len())].clone();
    // Few changes mostly, and half of them between words: what is refused at its first byte says little of the rest.
    for _ in 0..=dice.below(1 + dice.below(4)) {
        let (mut at, count) = (dice.below(input.len() + 1), 1 + dice.below(16));
        if dice.below(2) == 0 {
            let rest = input.iter().skip(at);
            at += rest.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        }
        let end = (at + count).min(input.len());
        match dice.below(7) {
            0 => drop(input.splice(at..at, dice.of(words).iter().copied())),
            1 => {
                let word = dice.of(words);
                let end = (at + word.len()).min(input.len());
                drop(input.splice(at..end, word.iter().copied()));
            }
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                drop(input.splice(at..at, again));
            }
            4 if !input.is_empty() => {
                let at = at.min(input.len() - 1);
                input[at] ^= 1 << dice.below(8);
            }
            5 => input.truncate(at),
            _ => {
                let other = &pool[dice.below(pool.len())];
                input.truncate(at);
                input.extend_from_slice(&other[dice.below(other.len() + 1)..]);
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "how long a test may take is real time")]
fn now() -> Instant {
    Instant::now()
}

/// Feeds as many inputs, or for as many seconds, as the environment says. The same seed gives the same inputs.
#[allow(clippy::print_stdout, reason = "what a long run found is what it is for")]
fn feed(name: &str, good: Vec<Vec<u8>>, words: &[&[u8]], run: fn(&[u8]) -> bool) {
    let refused: Vec<_> =
        good.iter().filter(|input| !run(input)).map(|input| input.escape_ascii().to_string()).collect();
    assert!(refused.is_empty(), "{name}: good inputs are refused: {refused:#?}");
    let seed = asked("TIDEMILL_FUZZ_SEED").unwrap_or(1);
    let seconds = asked("TIDEMILL_FUZZ_SECONDS").map(Duration::from_secs);
    let runs_max =
        asked("TIDEMILL_FUZZ_RUNS").unwrap_or(if seconds.is_some() { u64::MAX } else { RUNS_DEFAULT });
    let dice = Dice(SeededEntropy::new(seed));
    if std::env::var_os("TIDEMILL_FUZZ_SEED").is_some() {
        // Alone in its process. A library's panic that is caught and told as a refusal is no finding, and there are many.
        std::panic::set_hook(Box::new(|panic| {
            *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
        }));
    }
    let (begun, mut shown, mut pool) = (now(), now(), good);
    let (mut runs, mut through) = (0, 0);
    while runs < runs_max && seconds.is_none_or(|seconds| begun.elapsed() < seconds) {
        let input = changed(&pool, words, &dice);
        let began = now();
        let outcome = catch_unwind(|| run(&input));
        let place = || format!("{name}: input {runs} of seed {seed}: {}", input.escape_ascii());
        let fault = match outcome {
            Err(_) => LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Ok(_) if began.elapsed() > INPUT_TIME_MAX => "it hangs".to_owned(),
            Ok(_) => String::new(),
        };
        if outcome.is_err() || !fault.is_empty() {
            drop(std::panic::take_hook());
            panic!("{}: {fault}", place());
        }
        let good = matches!(outcome, Ok(true));
        through += u64::from(good);
        if good && pool.len() < POOL_MAX && !pool.contains(&input) {
            pool.push(input);
        }
        runs += 1;
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = now();
            // Not the captured output of a test: whoever waits wants to see it.
            let _ = writeln!(std::io::stderr(), "  {name}: {runs} runs, {through} went through");
        }
    }
    let rate = runs as f64 / begun.elapsed().as_secs_f64().max(1e-9);
    println!("{name}: no fault in {runs} runs, {rate:.0} a second, {through} went through, seed {seed}");
}

#[test]
fn sql() {
    let words: Vec<&[u8]> = WORDS.iter().map(|word| word.as_bytes()).collect();
    for odd in ["SELECT", "((((", "\u{0}"] {
        fuzz::sql(odd.as_bytes());
    }
    fuzz::sql(&[0xFF]);
    feed("sql", QUERIES.iter().map(|query| query.as_bytes().to_vec()).collect(), &words, fuzz::sql);
}

#[test]
fn decode() {
    let columns: [(&str, ArrayRef); 4] = [
        ("signal", Arc::new(StringArray::from(vec!["a/b", "a/c", "a/b"]))),
        ("time", Arc::new(TimestampNanosecondArray::from(vec![1, 2, 3]).with_timezone("UTC"))),
        ("value", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-0.0)]))),
        ("quality", Arc::new(UInt32Array::from(vec![0, 0x8000_0000, 0]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut stream =
        StreamWriter::try_new(Vec::new(), batch.schema_ref()).expect("a schema that Arrow knows");
    stream.write(&batch).expect("memory takes it");
    let mut file =
        ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a schema that Parquet knows");
    file.write(&batch).expect("memory takes it");
    let good =
        vec![stream.into_inner().expect("memory takes it"), file.into_inner().expect("memory takes it")];
    fuzz::decode(b"PAR1PAR1");
    fuzz::decode(&[0xFF, 0xFF, 0xFF, 0xFF, 0x10, 0, 0, 0]);
    feed("decode", good, NUMBERS, fuzz::decode);
}
