//! What `sys.queries` tells of questions that run and of slow ones. What is not here: how that is kept ([`crate::query::ledger`]).

use std::time::Duration;

use tidemill_core::{Format, Identity, IdentityKind, Peer, ReadScope, SqlQuery, Value};

use super::fake::{BUDGET, Plant, SECOND, T0, collect, engine_with, settings, wait};
use crate::query::Settings;

#[test]
fn slow_queries_are_told_with_who_asked_and_what_it_took() {
    let plant = std::sync::Arc::new(Plant::default());
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
