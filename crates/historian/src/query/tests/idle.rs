//! Readers that pause: their time stands, they hold up nobody, and what they hold is bounded.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidemill_core::{
    Budget, Chunks, Format, Pattern, Problem, ReadMode, ReadQuery, ReadScope, SqlQuery, Value,
};

use super::fake::*;
use super::limits::until;
use super::small::{engine_of, plant};
use super::store::Kept;
use crate::query::{Engine, Settings};

/// What the queries here may take, and how long their readers pause. They need a small part of the first.
const TIME: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(4_500);

/// Many times what a reader may be behind.
const LONG: &str = "SELECT value, repeat('x', 150) AS text FROM generate_series(1, 20000)";

fn brief() -> Budget {
    Budget { time: TIME, ..BUDGET }
}

fn begun(engine: &Engine, text: &str, budget: Budget) -> Box<dyn Chunks> {
    let query = SqlQuery { text: text.into(), parameters: Vec::new() };
    let answer = wait(engine.sql(&ReadScope::everything(), query, Format::Csv, budget));
    let mut answer = answer.map_err(|problem| problem.to_string()).unwrap();
    assert!(!wait(answer.next()).unwrap().unwrap().is_empty());
    answer
}

/// How an answer ends.
fn end(mut answer: Box<dyn Chunks>) -> Result<usize, Problem> {
    std::iter::from_fn(|| wait(answer.next()))
        .try_fold(0, |lines, piece| Ok(lines + piece?.iter().filter(|byte| **byte == b'\n').count()))
}

fn with_one_place(plant: &Arc<Plant>) -> Engine {
    engine_with(plant, Settings { concurrent: 1, ..settings() })
}

/// How many answers are idle, as an operator sees it.
fn idle(engine: &Engine) -> usize {
    let told = ask(engine, &ReadScope::everything(), "SELECT state FROM sys.queries");
    told.lines().filter(|line| *line == "idle").count()
}

#[test]
fn a_reader_may_pause_for_longer_than_the_query_may_work() {
    let engine = with_one_place(&plant());
    let everything = ReadScope::everything();
    let whole = wait(async {
        let query = SqlQuery { text: LONG.into(), parameters: Vec::new() };
        collect(engine.sql(&everything, query, Format::Csv, BUDGET).await?).await
    });
    assert_eq!(whole.unwrap().iter().filter(|byte| **byte == b'\n').count(), 20_001);
    let mut answer = begun(&engine, LONG, brief());
    std::thread::sleep(PAUSE);
    // The only place was given to this question, and to all that are asked meanwhile.
    assert_eq!(idle(&engine), 1);
    assert!(wait(answer.next()).unwrap().is_ok());
    std::thread::sleep(PAUSE);
    assert_eq!(ask(&engine, &everything, "SELECT count(*) AS n FROM samples"), "n\n13\n");
    assert!(end(answer).is_ok());
    until(|| engine.memory_used() == 0 && idle(&engine) == 0);
}

#[test]
fn one_of_samples_may_pause_too() {
    let plant = plant();
    plant.endless.store(true, Ordering::Relaxed);
    let engine = with_one_place(&plant);
    let query = ReadQuery {
        patterns: vec![Pattern::everything()],
        from: T0,
        to: i64::MAX,
        mode: ReadMode::Raw,
        limit: Some(30_000),
    };
    let begin =
        || wait(engine.export(&ReadScope::everything(), query.clone(), Format::Csv, brief())).unwrap();
    let mut answer = begin();
    assert!(wait(answer.next()).unwrap().is_ok());
    std::thread::sleep(PAUSE);
    // Its place is free for others of its kind.
    assert_eq!(end(begin()).unwrap(), 30_001);
    assert!(end(answer).is_ok());
    // Nobody came back for this one.
    let mut left = begin();
    assert!(wait(left.next()).unwrap().is_ok());
    until(|| idle(&engine) == 1);
    drop(left);
    until(|| plant.scanning.load(Ordering::SeqCst) == 0 && idle(&engine) == 0);
}

#[test]
fn what_works_longer_is_ended_also_behind_a_reader_that_pauses() {
    let plant = plant();
    plant.endless.store(true, Ordering::Relaxed);
    let engine = engine_of(&plant);
    // Gives much at once, and has endless work beside it: of a scan, of an operator that makes rows.
    for beside in ["samples", "generate_series(1, 1000000000000) WHERE value % 7 = 9"] {
        let text = format!("{LONG} UNION ALL SELECT count(*), '' FROM {beside}");
        let answer = begun(&engine, &text, brief());
        until(|| idle(&engine) == 1);
        // What was begun is done; from then on nothing works behind the back of who is away.
        std::thread::sleep(Duration::from_millis(500));
        let before = plant.scanned_rows.load(Ordering::SeqCst);
        std::thread::sleep(PAUSE);
        let after = plant.scanned_rows.load(Ordering::SeqCst);
        assert_eq!(before, after, "{beside}");
        let problem = end(answer).unwrap_err();
        assert_eq!((problem.code.id, &*problem.detail), ("query-time", "the query was stopped after 3s"));
    }
}

#[test]
fn the_longest_idle_gives_way_to_more_than_may_be() {
    let engine = with_one_place(&plant());
    let mut answers: Vec<_> = (0..5).map(|_| begun(&engine, LONG, brief())).collect();
    std::thread::sleep(PAUSE);
    assert_eq!(idle(&engine), 4, "four for the one place");
    let problem = end(answers.remove(0)).unwrap_err();
    let told = format!("{}: {}. {}", problem.code.id, problem.detail, problem.mend());
    let told: String = told.chars().filter(|c| !c.is_ascii_digit()).collect();
    expect_test::expect!["query-time: nobody took the answer for  s, and more than  answers wait for their readers. Take it without such pauses, and close what is not read to its end"].assert_eq(&told);
    for answer in answers {
        assert!(end(answer).is_ok());
    }
}

#[test]
fn an_answer_is_not_idle_for_ever() {
    let idle_time_max = Duration::from_millis(800);
    let engine = engine_with(&plant(), Settings { idle_time_max, ..settings() });
    let answer = begun(&engine, LONG, BUDGET);
    std::thread::sleep(PAUSE);
    assert_eq!(idle(&engine), 0);
    let problem = end(answer).unwrap_err();
    assert_eq!((problem.code.id, &*problem.detail), ("query-time", "nobody took the answer for 0 s"));
}

#[test]
fn the_longest_idle_gives_way_to_who_needs_its_memory() {
    let engine = engine_with(&plant(), Settings { memory_bytes: 64 << 20, ..settings() });
    let brief = Budget { time: TIME, memory_bytes: 64 << 20, ..BUDGET };
    let sorted = "SELECT value, repeat('x', 1000) AS text FROM generate_series(1, 14000) ORDER BY value DESC";
    let answer = begun(&engine, sorted, brief);
    until(|| idle(&engine) == 1);
    let held = engine.memory_used();
    assert!(held > 4 << 20, "{held}");
    std::thread::sleep(PAUSE);
    assert_eq!((idle(&engine), engine.memory_used()), (1, held), "nobody needs it");
    // What is freed a moment too late for the first is there for the next.
    let other = || sql_bytes(&engine, &ReadScope::everything(), sorted, Vec::new(), Format::Csv);
    assert!((0..3).any(|_| other().is_ok()));
    let problem = end(answer).unwrap_err();
    let told = format!("{}: {}. {}", problem.code.id, problem.detail, problem.mend());
    let told: String = told.chars().filter(|c| !c.is_ascii_digit()).collect();
    expect_test::expect!["query-memory: nobody took the answer for  s, and other queries need its memory (limits.memory). Take it without such pauses, ask for less at once, or raise limits.memory"].assert_eq(&told);
}

#[test]
fn what_a_view_keeps_of_what_files_hold_by_now_counts_as_its_memory() {
    let plant = Arc::new(Plant::default());
    (0..50_000).for_each(|number| plant.put("a/b", T0 + number * SECOND, Value::Float(number as f64 * 1.1)));
    // Half of them in files, half in memory.
    let kept = Kept::of(&plant);
    let engine = kept.engine();
    let answers = [begun(&engine, LONG, BUDGET), begun(&engine, LONG, BUDGET)];
    until(|| idle(&engine) == 2);
    let before = engine.memory_used();
    kept.flush();
    // Once, though both keep it; a time and a value take 16 bytes before they are packed.
    until(|| engine.memory_used() > before + 25_000);
    assert!(engine.memory_used() < before + 2 * 25_000 * 16);
    drop(answers);
    until(|| engine.memory_used() == 0);
}
