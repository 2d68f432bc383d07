//! What is kept and told of questions that run and of slow ones. What is not here: what a question may cost.

use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{Format, Identity, IdentityKind, Peer, ReadScope, SqlQuery, Value};
use tidemill_ground::{Metrics, SimClock};

use super::fake::{BUDGET, Plant, SECOND, T0, collect, engine_with, settings, wait};
use crate::query::Settings;
use crate::query::ledger::{Ledger, Question, SLOW_MAX, State, TEXT_BYTES_MAX};

#[test]
fn slow_queries_are_told_with_who_asked_and_what_it_took() {
    let plant = Arc::new(Plant::default());
    (0..3).for_each(|number| plant.put("a/b", T0 + number * SECOND, Value::Float(1.0)));
    let engine = engine_with(&plant, Settings { slow: Some(Duration::ZERO), ..settings() });
    let who = Identity {
        name: "token:anna".into(),
        kind: IdentityKind::Token,
        peer: Peer { door: "http", address: None },
    };
    let ask = |query: &str, scope: ReadScope| {
        let query = SqlQuery { text: query.to_owned(), parameters: Vec::new() };
        let chunks = engine.sql(&scope, query, Format::Csv, BUDGET);
        wait(async { collect(chunks.await?).await }).map(|answer| String::from_utf8(answer).unwrap())
    };
    let all = ReadScope::everything();
    ask("SELECT value FROM samples ORDER BY time DESC", all.clone().of_identity(&who)).unwrap();
    assert!(ask("SELECT nothing FROM samples", all.clone()).is_err());
    let told = "SELECT state, who, door, kind, query, rows, bytes > 0 AS wrote, memory_bytes > 0 AS held, outcome \
                FROM sys.queries ORDER BY state DESC, number";
    expect_test::expect![[r#"
        state,who,door,kind,query,rows,wrote,held,outcome
        slow,token:anna,http,sql,SELECT value FROM samples ORDER BY time DESC,3,true,true,done
        slow,house,house,sql,SELECT nothing FROM samples,0,false,false,bad-sql
        running,house,house,sql,"SELECT state, who, door, kind, query, rows, bytes > 0 AS wrote, memory_bytes > 0 AS held, outcome FROM sys.queries ORDER BY state DESC, number",0,false,false,
    "#]].assert_eq(&ask(told, all).unwrap().replace("\r\n", "\n"));
    let mine = ReadScope::of(&[tidemill_core::Pattern::everything()], 1, false);
    assert!(ask("SELECT * FROM sys.queries", mine).is_err(), "what others asked is for administrators");
}

fn states(ledger: &Ledger) -> Vec<String> {
    let rows = ledger.rows();
    rows.iter().map(|row| [1, 5, 7, 11].map(|at| row[at].to_string()).join(" ")).collect()
}

#[test]
fn slow_questions_are_remembered_and_quick_ones_are_not() {
    let clock = Arc::new(SimClock::default());
    let metrics = Metrics::new();
    let ledger = Ledger::new(clock.clone(), &metrics, Some(Duration::from_secs(5)));
    let ask = |text: &str| ledger.begin(Arc::new(Question::sql(&ReadScope::everything(), "sql", text)));
    let (mut quick, mut slow, mut slowly_read) = (ask("quick"), ask("slow"), ask("slowly read"));
    slow.entry().is(State::Running);
    clock.advance(Duration::from_secs(4));
    quick.ended("done");
    drop(quick);
    assert_eq!(states(&ledger), ["running slow 4 -", "waiting slowly read 4 -"]);
    let entry = slowly_read.entry();
    entry.waits();
    clock.advance(Duration::from_secs(60));
    entry.goes_on();
    entry.handed_over(10);
    slow.ended("query-time");
    drop(slow);
    slowly_read.ended("done");
    drop(slowly_read);
    assert_eq!(states(&ledger), ["slow slow 64 query-time"]);
    assert!(metrics.render().contains("tidemill_queries_slow_total 1\n"));
    assert!(metrics.render().contains("tidemill_query_seconds_count 3\n"));
    ledger.set_slow(None);
    let never = ask("off");
    clock.advance(Duration::from_secs(3_600));
    drop(never);
    assert_eq!(states(&ledger).len(), 1);
}

#[test]
fn what_is_remembered_is_bounded() {
    let clock = Arc::new(SimClock::default());
    let ledger = Ledger::new(clock, &Metrics::new(), Some(Duration::ZERO));
    for _ in 0..SLOW_MAX + 10 {
        drop(ledger.begin(Arc::new(Question::sql(&ReadScope::everything(), "sql", &"é".repeat(10_000)))));
    }
    let rows = ledger.rows();
    assert_eq!((rows.len(), rows[0][0].to_string()), (SLOW_MAX, "110".to_owned()), "the newest first");
    assert_eq!(rows[0][5].to_string().len(), TEXT_BYTES_MAX + "…".len());
}
