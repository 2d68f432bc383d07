//! SQL as it is answered.

use std::sync::Arc;

use expect_test::{Expect, expect};
use tidemill_core::{Quality, ReadScope, Value};

use super::fake::*;

/// A small plant: two lines, every kind of value, a late sample, a bad one, two at one time, a renamed signal.
pub(crate) fn plant() -> Arc<Plant> {
    let plant = Arc::new(Plant::default());
    plant.signal_with("acme/press/temperature", |signal| {
        signal.meta.unit = "°C".into();
        signal.meta.unit_ucum = "Cel".into();
        signal.meta.description = "Oil, \"tank\" 3".into();
        signal.meta.tags.insert("host".into(), "edge1".into());
        signal.aliases.push(tidemill_core::SignalPath::new("old/temperature").unwrap());
    });
    for (second, value) in [(0, 20.0), (1, 20.5), (2, 21.25), (60, 19.0)] {
        plant.put("acme/press/temperature", T0 + second * SECOND, Value::Float(value));
    }
    plant.put_with("acme/press/temperature", T0 + 3 * SECOND, Value::None, Quality::BAD_NO_COMMUNICATION, None);
    plant.put_with("acme/press/count", T0, Value::Int(9_007_199_254_740_993), Quality::GOOD, Some(T0 + 5 * SECOND));
    plant.put("acme/press/count", T0 + SECOND, Value::UInt(u64::MAX));
    plant.put("acme/press/running", T0, Value::Bool(true));
    plant.put("acme/press/state", T0, Value::Text("idle, \"cold\"".into()));
    plant.put("acme/press/state", T0, Value::Text("warm".into()));
    plant.put("acme/press/recipe", T0, Value::Json("{\"a\": [1]}".into()));
    plant.put("acme/press/raw", T0, Value::Bytes([1u8, 255].as_slice().into()));
    plant.put("beta/mill/temperature", T0, Value::Float(99.5));
    plant.signal_with("beta/mill/gone", |signal| signal.retired = true);
    plant.put("beta/mill/gone", T0, Value::Float(1.0));
    plant.batch_rows.store(3, std::sync::atomic::Ordering::Relaxed);
    plant
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&ask(&engine(&plant()), &ReadScope::everything(), text));
}

#[test]
fn everything() {
    check("SELECT * FROM samples", expect![[r#"
        signal,time,value,integer,text,quality,received,kind,source
        acme/press/count,2026-01-01T00:00:00Z,9007199254740992.0,9007199254740993,,0,2026-01-01T00:00:05Z,integer,token:source-1
        acme/press/count,2026-01-01T00:00:01Z,1.8446744073709552e19,,18446744073709551615,0,,unsigned,token:source-1
        acme/press/raw,2026-01-01T00:00:00Z,,,0x01ff,0,,bytes,token:source-1
        acme/press/state,2026-01-01T00:00:00Z,,,"idle, ""cold""",0,,text,token:source-1
        acme/press/state,2026-01-01T00:00:00Z,,,warm,0,,text,token:source-1
        acme/press/temperature,2026-01-01T00:00:00Z,20.0,,,0,,float,token:source-1
        acme/press/temperature,2026-01-01T00:00:01Z,20.5,,,0,,float,token:source-1
        acme/press/temperature,2026-01-01T00:00:02Z,21.25,,,0,,float,token:source-1
        acme/press/temperature,2026-01-01T00:00:03Z,,,,2150694912,,none,token:source-1
        acme/press/temperature,2026-01-01T00:01:00Z,19.0,,,0,,float,token:source-1
        beta/mill/temperature,2026-01-01T00:00:00Z,99.5,,,0,,float,token:source-1
        acme/press/recipe,2026-01-01T00:00:00Z,,,"{""a"": [1]}",0,,json,token:source-1
        acme/press/running,2026-01-01T00:00:00Z,1.0,,,0,,boolean,token:source-1
    "#]]);
    check("SELECT * FROM signals", expect![[r#"
        signal,unit,description,tags,kind,source,last_time,last_value,last_integer,last_text,last_quality,unit_ucum,number,stepped,owner,stale_after,aliases,creator,created
        acme/press/count,,,,unsigned,token:source-1,2026-01-01T00:00:01Z,1.8446744073709552e19,,,0,,float,,,,,token:test,2026-01-01T00:00:00Z
        acme/press/raw,,,,bytes,token:source-1,2026-01-01T00:00:00Z,,,0x01ff,0,,float,,,,,token:test,2026-01-01T00:00:00Z
        acme/press/recipe,,,,json,token:source-1,2026-01-01T00:00:00Z,,,"{""a"": [1]}",0,,float,,,,,token:test,2026-01-01T00:00:00Z
        acme/press/running,,,,boolean,token:source-1,2026-01-01T00:00:00Z,1.0,,,0,,float,,,,,token:test,2026-01-01T00:00:00Z
        acme/press/state,,,,text,token:source-1,2026-01-01T00:00:00Z,,,warm,0,,float,,,,,token:test,2026-01-01T00:00:00Z
        acme/press/temperature,°C,"Oil, ""tank"" 3","{""host"":""edge1""}",float,token:source-1,2026-01-01T00:01:00Z,19.0,,,0,Cel,float,,,,"[""old/temperature""]",token:test,2026-01-01T00:00:00Z
        beta/mill/temperature,,,,float,token:source-1,2026-01-01T00:00:00Z,99.5,,,0,,float,,,,,token:test,2026-01-01T00:00:00Z
    "#]]);
    check("SELECT count(*), avg(value) FROM samples", expect![[r#"
        count(*),avg(samples.value)
        13,2.3069689091205366e18
    "#]]);
    check("SELECT signal, count(*) AS n FROM samples WHERE matches(signal, 'acme/#') GROUP BY signal ORDER BY 1", expect![[r#"
        signal,n
        acme/press/count,2
        acme/press/raw,1
        acme/press/recipe,1
        acme/press/running,1
        acme/press/state,2
        acme/press/temperature,5
    "#]]);
    check("EXPLAIN SELECT count(*) FROM samples WHERE signal LIKE 'acme/%' AND time >= '2026-01-01T00:00:01Z' AND value > 3", expect![[r#"
        plan_type,plan
        logical_plan,"Projection: count(Int64(1)) AS count(*)
          Aggregate: groupBy=[[]], aggr=[[count(Int64(1))]]
            Projection:
              Filter: samples.value > Float64(3)
                TableScan: samples projection=[value], full_filters=[samples.time >= TimestampNanosecond(1767225601000000000, Some(""UTC"")), samples.signal LIKE Utf8View(""acme/%"")]"
        physical_plan,"ProjectionExec: expr=[count(Int64(1))@0 as count(*)]
          AggregateExec: mode=Final, gby=[], aggr=[count(Int64(1))]
            CoalescePartitionsExec
              AggregateExec: mode=Partial, gby=[], aggr=[count(Int64(1))]
                FilterExec: value@0 > 3, projection=[]
                  StreamingTableExec: partition_sizes=2, projection=[value]
        "
    "#]]);
    check("SELECT * FROM read('acme/+/temperature', '2026-01-01T00:00:01Z', now(), 'raw')", expect![[r#"
        signal,time,value,integer,text,kind,quality
        acme/press/temperature,2026-01-01T00:00:01Z,20.5,,,float,0
        acme/press/temperature,2026-01-01T00:00:02Z,21.25,,,float,0
        acme/press/temperature,2026-01-01T00:00:03Z,,,,none,2150694912
        acme/press/temperature,2026-01-01T00:01:00Z,19.0,,,float,0
    "#]]);
}
