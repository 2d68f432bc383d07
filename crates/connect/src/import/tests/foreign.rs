//! What other programs dump: as they write it, and what becomes of it.

use expect_test::expect;

use super::*;

fn check_foreign(name: &str, text: &str, expected: Expect) {
    let mut out = match open_bytes(name, text.as_bytes(), &prefix("p")) {
        Ok(reader) => reader.plan().describe(),
        Err(problem) => format!("{problem}\n"),
    };
    out.push_str(&shown(name, text.as_bytes(), &prefix("p")));
    expected.assert_eq(&out);
}

#[test]
fn influxdb_annotated_csv() {
    let text = "#group,false,false,true,true,false,false,true,true,true\r\n\
        #datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\r\n\
        #default,_result,,,,,,,,\r\n\
        ,result,table,_start,_stop,_time,_value,_field,_measurement,host\r\n\
        ,,0,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2024-01-01T00:00:00Z,1.5,usage idle,cpu,\"a,b\"\r\n\
        ,,0,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2024-01-01T00:00:10.000000001Z,,usage idle,cpu,\"a,b\"\r\n\
        ,,0,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,yesterday,2,usage idle,cpu,a\r\n\
        \r\n\
        #group,false,false,false,false,true,true\r\n\
        #datatype,string,long,dateTime:RFC3339,string,string,string\r\n\
        #default,_result,,,,state,pump\r\n\
        ,result,table,_time,_value,_field,_measurement\r\n\
        ,,1,2024-01-01T00:00:00Z,\"run\"\"ning\",,\r\n\
        #datatype,string,long,dateTime:RFC3339,unsignedLong,string,string\r\n\
        ,result,table,_time,_value,_field,_measurement\r\n\
        ,,2,2024-01-01T00:00:00Z,18446744073709551615,n,pump\r\n";
    check_foreign(
        "a.csv",
        text,
        expect![[r#"
        an annotated CSV of InfluxDB, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/cpu,host=a\,b usage\ idle=1.5 1704067200000000000
        p/pump state="run\"ning" 1704067200000000000
        p/pump n=18446744073709551615u 1704067200000000000
        rejected line 2: it is no line protocol
    "#]],
    );
    // For `influx write`.
    let text = "#datatype measurement,tag,double,long,dateTime:RFC3339\nm,host,used,n,time\n\
        mem,h1,64.2,3,2024-01-01T00:00:00Z\n";
    check_foreign(
        "a.csv",
        text,
        expect![[r#"
        an annotated CSV of InfluxDB, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/mem,host=h1 used=64.2,n=3i 1704067200000000000
    "#]],
    );
    // Pivoted, without annotations.
    let text = ",result,table,_time,_measurement,host,_field,_value\n\
        ,_result,0,2024-01-01T00:00:00Z,cpu,a,idle,1\n,_result,0,2024-01-01T00:00:10Z,cpu,a,idle,2.5\n";
    check_foreign(
        "a.csv",
        text,
        expect![[r#"
        an annotated CSV of InfluxDB, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/cpu,host=a idle=1 1704067200000000000
        p/cpu,host=a idle=2.5 1704067210000000000
    "#]],
    );
}

#[test]
fn influxdb_command_line_csv() {
    let text = "name,time,host,usage_idle,up\ncpu,1700000000000000000,a,1.5,true\ncpu,1700000001000000000,b,,false\n\n\
        name,time,used\nmem,2023-11-14T22:13:20Z,7\nmem,never,7\n";
    check_foreign(
        "q.csv",
        text,
        expect![[r#"
        a CSV of InfluxDB's command line, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/cpu,host=a usage_idle=1.5,up=true 1700000000000000000
        p/cpu,host=b up=false 1700000001000000000
        p/mem used=7 1700000000000000000
        rejected line 4: it is no line protocol
    "#]],
    );
    let text = "name,tags,time,mean\ncpu,\"host=a,cpu=0\",1700000000000000000,1.5\n";
    check_foreign(
        "q.csv",
        text,
        expect![[r#"
        a CSV of InfluxDB's command line, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/cpu,host=a,cpu=0 mean=1.5 1700000000000000000
    "#]],
    );
}

/// InfluxDB keeps one point of a name, a time and tags: where two rows have them in common, a number is a tag.
#[test]
fn tags_of_influxdb_whose_values_are_numbers_are_asked_for() {
    let text = "name,time,slave_id,host,temp\nmodbus,1700000000000000000,1,pi,20.5\nmodbus,1700000000000000000,2,pi,80.5\n\
        modbus,1700000010000000000,1,pi,20.5\nmodbus,1700000010000000000,2,pi,81\n";
    check_foreign(
        "q.csv",
        text,
        expect![[r#"
        bad-import: rows of q.csv that have one time differ in 'slave_id' (lines 2 and 3), so that values of different things would be one signal. Name the tags among them with --key slave_id; or say with --key '' that they are one signal all the same
        bad-import: rows of q.csv that have one time differ in 'slave_id' (lines 2 and 3), so that values of different things would be one signal. Name the tags among them with --key slave_id; or say with --key '' that they are one signal all the same
    "#]],
    );
    let keyed = |key: &str| with(|options| options.keys = vec![key.to_owned()]);
    check_with(
        "q.csv",
        text.as_bytes(),
        &keyed("slave_id"),
        expect![[r#"
        text/plain; charset=utf-8 ?precision=ns
        modbus,slave_id=1,host=pi temp=20.5 1700000000000000000
        modbus,slave_id=2,host=pi temp=80.5 1700000000000000000
        modbus,slave_id=1,host=pi temp=20.5 1700000010000000000
        modbus,slave_id=2,host=pi temp=81 1700000010000000000
    "#]],
    );
    check_with(
        "q.csv",
        text.lines().take(3).collect::<Vec<_>>().join("\n").as_bytes(),
        &keyed(""),
        expect![[r#"
        text/plain; charset=utf-8 ?precision=ns
        modbus,host=pi slave_id=1,temp=20.5 1700000000000000000
        modbus,host=pi slave_id=2,temp=80.5 1700000000000000000
    "#]],
    );
    // Another time, another host, or the same row again: nothing to ask.
    let plain = "name,time,n,host,temp\nm,1,1,a,20.5\nm,1,2,b,80.5\nm,2,3,a,7\nm,2,3,a,7\n";
    assert!(open_bytes("q.csv", plain.replace("m,", "m,170000000000000000").as_bytes(), &options()).is_ok());
}

#[test]
fn telegraf_and_prometheus() {
    let text = "{\"fields\":{\"usage_idle\":1.5,\"n\":3,\"s\":\"a \\\"b\\\"\",\"up\":true},\"name\":\"cpu\",\"tags\":{\"host\":\"x y\"},\"timestamp\":1700000000}\n\
        {\"fields\":{},\"name\":\"cpu\",\"tags\":{},\"timestamp\":1700000001}\n";
    check_foreign(
        "metrics.out",
        text,
        expect![[r#"
        Telegraf's metrics in JSON, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/cpu,host=x\ y n=3,s="a \"b\"",up=true,usage_idle=1.5 1700000000000000000
        rejected line 2: it is no line protocol
    "#]],
    );
    let text = "{\"metrics\":[{\"fields\":{\"v\":1},\"name\":\"a\",\"tags\":{},\"timestamp\":1700000000},{\"fields\":{\"v\":2},\"name\":\"a\",\"tags\":{},\"timestamp\":1700000010}]}\n";
    check_foreign(
        "metrics.json",
        text,
        expect![[r#"
        Telegraf's metrics in JSON, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/a v=1 1700000000000000000
        p/a v=2 1700000010000000000
    "#]],
    );
    let text = "# HELP up x\n# TYPE up gauge\nup{instance=\"h:9100\",job=\"a \\\"b\\\"\"} 1 1700000000000\n\
        up 1.5e3 1700000001000\nup{job=\"n\"} NaN 1700000002000\nup 3\n";
    check_foreign(
        "prom.txt",
        text,
        expect![[r#"
        Prometheus' text format, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/up,instance=h:9100,job=a\ "b" value=1 1700000000000000000
        p/up value=1.5e3 1700000001000000000
        p/up,job=n value=NaN 1700000002000000000
        rejected line 4: there is no time
    "#]],
    );
    let text = "{__name__=\"up\", instance=\"h:9100\", job=\"n\"} 1 1700000000000\n{__name__=\"up\", job=\"m\"} 0 1700000000000\n";
    check_foreign(
        "dump.txt",
        text,
        expect![[r#"
        Prometheus' text format, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/up,instance=h:9100,job=n value=1 1700000000000000000
        p/up,job=m value=0 1700000000000000000
    "#]],
    );
    let text = "# TYPE foo counter\nfoo_total{a=\"b\"} 17.0 1700000000.5 # {id=\"x\"} 0.67\n# EOF\n";
    check_foreign(
        "om.txt",
        text,
        expect![[r#"
        Prometheus' text format, read as InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        p/foo_total,a=b value=17.0 1700000000500000000
    "#]],
    );
}

#[test]
fn rows_within_objects() {
    let text = "{\"temperature\":[{\"ts\":1700000000000,\"value\":\"1.5\"},{\"ts\":1700000001000,\"value\":\"on\"}],\n\
        \"a b\":[{\"ts\":1700000000000,\"value\":55}]}";
    check_foreign(
        "tb.json",
        text,
        expect![[r#"
        JSON with its rows within, read as JSON lines, UTF-8; times ms since 1970 UTC
        2023-11-14T22:13:20Z p/temperature float 1.5
        2023-11-14T22:13:21Z p/temperature text on
        2023-11-14T22:13:20Z p/a b float 55
    "#]],
    );
    let text = "{\"status\":\"ok\",\"data\":[\n {\"time\":\"2024-01-01T00:00:00Z\",\n  \"temp\":1.5},\n {\"time\":\"2024-01-01T00:00:01Z\",\"temp\":2}]}";
    check_foreign(
        "api.json",
        text,
        expect![[r#"
        JSON with its rows within, read as JSON lines, UTF-8; times Europe/Berlin where no offset is given
        2024-01-01T00:00:00Z p/temp float 1.5
        2024-01-01T00:00:01Z p/temp float 2
    "#]],
    );
    let text = "{\"timestamp\":1700000000000,\"values\":[{\"id\":\"Ch.Dev.T1\",\"v\":42,\"q\":true,\"t\":1700000000000},{\"id\":\"Ch.Dev.T2\",\"v\":43,\"q\":false,\"t\":1700000000000}]}\n\
        {\"timestamp\":1700000001000,\"values\":[{\"id\":\"Ch.Dev.T1\",\"v\":44,\"q\":true,\"t\":1700000001000}]}\n";
    check_foreign(
        "kep.json",
        text,
        expect![[r#"
        JSON with its rows within, read as JSON lines, UTF-8; times ms since 1970 UTC
        2023-11-14T22:13:20Z p/Ch.Dev.T1 float 42
        2023-11-14T22:13:20Z p/Ch.Dev.T2 float 43 Bad
        2023-11-14T22:13:21Z p/Ch.Dev.T1 float 44
    "#]],
    );
    // No rows, and rows that hold lists.
    check_foreign(
        "labels.json",
        "{\"a.csv\":[[\"2014-04-10 07:15:00\",\"2014-04-11 16:45:00\"]],\"b.csv\":[]}",
        expect![[r#"
        bad-import: labels.json is JSON without rows: its members are lists and objects without a time, and cannot be read as it is. Write one object a row, with a time in it
        bad-import: labels.json is JSON without rows: its members are lists and objects without a time, and cannot be read as it is. Write one object a row, with a time in it
    "#]],
    );
    check_foreign(
        "l.json",
        "{\"time\":1700000000,\"l\":[{\"time\":1,\"x\":2}]}\n",
        expect![[r#"
        JSON lines, UTF-8; times s since 1970 UTC
        2023-11-14T22:13:20Z p/l json [{"time":1,"x":2}]
    "#]],
    );
}

#[test]
fn one_row_a_signal() {
    check_foreign(
        "pivot.csv",
        "tag,2024-01-01,2024-01-02,2024-01-03\nA,1.5,,3.5\n\"B,x\",4,NA,6\n",
        expect![[r#"
        one row a signal, read as CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        one value a row: signal signal, value value; values by their form, decimal point
        2023-12-31T23:00:00Z p/A float 1.5
        2024-01-02T23:00:00Z p/A float 3.5
        2023-12-31T23:00:00Z p/B,x float 4
        2024-01-02T23:00:00Z p/B,x float 6
    "#]],
    );
    let turned = |options: &mut Options| {
        options.prefix = Some("p".to_owned());
        options.transposed = true;
        options.start = Some(1_704_067_200_000_000_000);
        options.step = Step::parse("1w");
    };
    let text = "\"V1\",\"V2\",\"V3\",\"V4\"\n\"W1\",\"1\",\"2\",NA\n\"W2\",\"3\",,\n";
    check_with(
        "m4.csv",
        text.as_bytes(),
        &with(turned),
        expect![[r#"
        2024-01-01T00:00:00Z p/W1 float 1
        2024-01-08T00:00:00Z p/W1 float 2
        2024-01-01T00:00:00Z p/W2 float 3
    "#]],
    );
    check_with(
        "d00.dat",
        b"  1.0e-01  2.0e-01 3\n  3.6426000e+03   3.6948000e+03 4\n",
        &with(turned),
        expect![[r#"
        2024-01-01T00:00:00Z p/row 1 float 0.1
        2024-01-08T00:00:00Z p/row 1 float 0.2
        2024-01-15T00:00:00Z p/row 1 float 3
        2024-01-01T00:00:00Z p/row 2 float 3642.6
        2024-01-08T00:00:00Z p/row 2 float 3694.8
        2024-01-15T00:00:00Z p/row 2 float 4
    "#]],
    );
}

#[test]
fn historians_of_plants() {
    let text = "ASCII\r\n,\r\nAdmin,1,Server Local,1,1\r\nReactTemp,0,2024/01/01,00:00:01.500,0,1.5,192\r\nReactTemp,0,2024/01/01,00:00:02.500,0,2.5,0\r\nReactTemp,0,2024/01/01,00:00:03.500,0,\"2,5\",64\r\nState,0,2024/01/01,00:00:03.500,0,on,192\r\nshort,0\r\n";
    check_foreign(
        "hist.csv",
        text,
        expect![[r#"
        a CSV of AVEVA Historian, read as CSV, UTF-8, separated by ',', header in line 1
        time: date and time, Europe/Berlin where no offset is given
        one value a row: signal tagname, value value, quality quality; values by their form, decimal point
        2023-12-31T23:00:01.500Z p/ReactTemp float 1.5
        2023-12-31T23:00:02.500Z p/ReactTemp float 2.5 Bad
        2023-12-31T23:00:03.500Z p/ReactTemp text 2,5 Uncertain
        2023-12-31T23:00:03.500Z p/State boolean true
        rejected line 6: the row has 2 fields, and 4 are needed
    "#]],
    );
    let text = "[Data]\r\nTagname,TimeStamp,Value,DataQuality\r\nTIGER.F_CV,07/20/01 11:07,1,Good\r\n* a comment\r\nTIGER.F_CV,07/20/01 11:08,2,Bad\r\n";
    check_foreign(
        "ge.csv",
        text,
        expect![[r#"
        CSV, UTF-8, separated by ',', header in line 2
        time: TimeStamp, Europe/Berlin where no offset is given
        one value a row: signal Tagname, value Value, quality DataQuality; values by their form, decimal point
        note: 1 lines above the table are left out
        2001-07-20T09:07:00Z p/TIGER.F_CV float 1
        2001-07-20T09:08:00Z p/TIGER.F_CV float 2 Bad
        rejected line 4: the row has 1 fields, and 3 are needed
    "#]],
    );
}

#[test]
fn pi_and_others_side_by_side() {
    let text = "sinusoid,,cdt158,\nTimestamp,Value,Timestamp,Value\n15-Jan-24 10:00:00,50,15-Jan-24 10:00:07,60\n15-Jan-24 10:00:10,I/O Timeout,,\n";
    check_foreign(
        "dl.csv",
        text,
        expect![[r#"
        times and values side by side, read as CSV, UTF-8, separated by ',', header in line 1
        time: time, Europe/Berlin where no offset is given
        one value a row: signal signal, value value; values by their form, decimal point
        2024-01-15T09:00:00Z p/sinusoid float 50
        2024-01-15T09:00:07Z p/cdt158 float 60
        2024-01-15T09:00:10Z p/sinusoid none - Bad_Timeout
    "#]],
    );
    check_foreign(
        "pi.csv",
        "Tag,Time,Value\nA,*-1h,3\nA,*,4\n",
        expect![[r#"
        bad-import: pi.csv has no column with times. The column 'Time' has times relative to now (*). Export them as absolute times: what `*` meant when the file was written is not in it
        bad-import: pi.csv has no column with times. The column 'Time' has times relative to now (*). Export them as absolute times: what `*` meant when the file was written is not in it
    "#]],
    );
    let text = "\"VarName\";\"TimeString\";\"VarValue\";\"Validity\"\n\"T\";\"2024-01-15 10:00:00\";1,5;1\n\"$RT_OFF$\";\"2024-01-15 10:01:00\";0;2\n";
    check_foreign(
        "wincc.csv",
        text,
        expect![[r#"
        CSV, UTF-8, separated by ';', header in line 1
        time: TimeString, Europe/Berlin where no offset is given
        one value a row: signal VarName, value VarValue, quality Validity; values by their form, decimal comma
        2024-01-15T09:00:00Z p/T float 1.5
        rejected line 3, column 'VarName': a mark of WinCC's runtime is no sample
    "#]],
    );
}

#[test]
fn logs_of_messages() {
    let text = "{\"tst\":\"2024-01-01T00:00:00.000000+0100\",\"topic\":\"acme/oven/t\",\"qos\":0,\"retain\":0,\"payloadlen\":3,\"payload\":\"1.5\"}\n\
        {\"tst\":\"2024-01-01T00:00:01+0100\",\"topic\":\"acme/oven\",\"qos\":0,\"payload\":\"{\\\"temp\\\":2,\\\"s\\\":{\\\"on\\\":true}}\"}\n\
        {\"tst\":\"2024-01-01T00:00:02+0100\",\"topic\":\"acme/door\",\"qos\":0,\"payload\":\"ON\"}\n\
        {\"tst\":\"2024-01-01T00:00:03+0100\",\"topic\":\"acme/oven\",\"qos\":0,\"payload\":{\"temp\":3}}\n";
    check_foreign(
        "mqtt.json",
        text,
        expect![[r#"
        JSON lines, UTF-8; times Europe/Berlin where no offset is given
        note: qos is left out
        note: retain is left out
        note: payloadlen is left out
        2023-12-31T23:00:00Z p/acme/oven/t float 1.5
        2023-12-31T23:00:01Z p/acme/oven/temp float 2
        2023-12-31T23:00:01Z p/acme/oven/s/on boolean true
        2023-12-31T23:00:02Z p/acme/door boolean true
        2023-12-31T23:00:03Z p/acme/oven/temp float 3
    "#]],
    );
}

/// As `influx_inspect export` writes all databases into one file: what is of each is sent apart.
#[test]
fn influx_inspect_of_several_databases() {
    let text = "# INFLUXDB EXPORT: 1677-09-21T00:12:43Z - 2262-04-11T23:47:16Z\n# DDL\nCREATE DATABASE prod WITH NAME autogen\n\
                CREATE DATABASE staging WITH NAME autogen\n# DML\n# CONTEXT-DATABASE:prod\n# CONTEXT-RETENTION-POLICY:autogen\n\
                # writing tsm data\ncpu,host=a usage=1.5 1700000000000000000\ncpu,host=a usage=2.5 1700000001000000000\n\
                # CONTEXT-DATABASE:prod\n# CONTEXT-RETENTION-POLICY:autogen\n# writing wal data\n\
                cpu,host=a usage=3.5 1700000002000000000\n# CONTEXT-DATABASE:prod\n# CONTEXT-RETENTION-POLICY:1y\n\
                cpu,host=a usage=4.5 1700000000000000000\n# CONTEXT-DATABASE:my staging\n# CONTEXT-RETENTION-POLICY:autogen\n\
                cpu,host=a usage=9 1700000000000000000\n";
    check_foreign(
        "export.lp",
        text,
        expect![[r#"
        InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        # CONTEXT-DATABASE:prod
        # CONTEXT-RETENTION-POLICY:autogen
        p/cpu,host=a usage=1.5 1700000000000000000
        p/cpu,host=a usage=2.5 1700000001000000000
        text/plain; charset=utf-8 ?precision=ns
        # CONTEXT-DATABASE:prod
        # CONTEXT-RETENTION-POLICY:autogen
        p/cpu,host=a usage=3.5 1700000002000000000
        text/plain; charset=utf-8 ?precision=ns
        # CONTEXT-DATABASE:prod
        # CONTEXT-RETENTION-POLICY:1y
        p/cpu,host=a usage=4.5 1700000000000000000
        text/plain; charset=utf-8 ?precision=ns
        # CONTEXT-DATABASE:my staging
        # CONTEXT-RETENTION-POLICY:autogen
        p/cpu,host=a usage=9 1700000000000000000
    "#]],
    );
}

#[test]
fn influx_inspect_and_numbers_with_units() {
    let text = "# DDL\nCREATE DATABASE telegraf WITH NAME autogen\n# DML\n# CONTEXT-DATABASE:telegraf\ncpu,host=a usage=1.5 1700000000000000000\n";
    check_foreign(
        "export.lp",
        text,
        expect![[r#"
        InfluxDB line protocol, UTF-8; times in ns
        text/plain; charset=utf-8 ?precision=ns
        # CONTEXT-DATABASE:telegraf
        p/cpu,host=a usage=1.5 1700000000000000000
    "#]],
    );
    let text = "Time,Temp,host\n2024-01-01 00:00:00,20.5 °C,a\n2024-01-01 00:01:00,\"1,021.5 °C\",a\n2024-01-01 00:02:00,,a\n2024-01-01 00:03:00,7 bar,a\n2024-01-01 00:04:00,-3 °C,a\n2024-01-01 00:05:00,4,a\n2024-01-01 00:06:00,N/A,a\n";
    check_foreign(
        "grafana.csv",
        text,
        expect![[r#"
        CSV, UTF-8, separated by ',', header in line 1
        time: Time, Europe/Berlin where no offset is given
        p/Temp: Temp, numbers with decimal point and their unit, in °C
        p/host: host, text
        note: host may say what each row is about: --key host puts it into the names
        2023-12-31T23:00:00Z p/Temp float 20.5 °C
        2023-12-31T23:00:00Z p/host text a
        2023-12-31T23:01:00Z p/Temp float 1021.5 °C
        2023-12-31T23:01:00Z p/host text a
        2023-12-31T23:02:00Z p/host text a
        2023-12-31T23:03:00Z p/host text a
        2023-12-31T23:04:00Z p/Temp float -3 °C
        2023-12-31T23:04:00Z p/host text a
        2023-12-31T23:05:00Z p/Temp float 4 °C
        2023-12-31T23:05:00Z p/host text a
        2023-12-31T23:06:00Z p/Temp none - °C Bad_NoData
        2023-12-31T23:06:00Z p/host text a
        rejected line 5, column 'Temp': '7 bar' is no number of °C
    "#]],
    );
}

#[test]
fn members_that_stand_twice() {
    let text = "{\"time\":1700000000,\"a\":1,\"a\":2}\n{\"time\":1700000001,\"a\":3}\n";
    check_foreign(
        "l.json",
        text,
        expect![[r#"
        JSON lines, UTF-8; times s since 1970 UTC
        2023-11-14T22:13:21Z p/a float 3
        rejected line 1: the member 'a' stands twice
    "#]],
    );
    let text = "{\"signal\":\"s\",\"time\":1700000000,\"value\":{\"a\":[{\"b\":1,\"b\":2}]}}\n{\"signal\":\"s\",\"time\":1700000000,\"value\":{\"a\":[{\"b\":1}]}}\n";
    check_foreign(
        "n.json",
        text,
        expect![[r#"
        JSON lines, UTF-8; times s since 1970 UTC
        2023-11-14T22:13:20Z p/s json {"a":[{"b":1}]}
        rejected line 1, column 'value': the member 'b' stands twice
    "#]],
    );
    check_foreign(
        "n.csv",
        "signal,time,value,kind\ns,1700000000,\"{\"\"a\"\":1,\"\"a\"\":2}\",json\n",
        expect![[r#"
        CSV, UTF-8, separated by ',', header in line 1
        time: time, s since 1970 UTC
        one value a row: signal signal, value value, kind kind; values by their form, decimal point
        2023-11-14T22:13:20Z p/s json {"a":1,"a":2}
    "#]],
    );
}

#[test]
fn words_that_are_no_values() {
    let text = "entity_id,state,last_changed\nsensor.t,21.5,2024-01-01T00:00:00.000Z\nsensor.t,unavailable,2024-01-01T00:00:01.000Z\n\
        binary_sensor.door,on,2024-01-01T00:00:00.000Z\nsun.sun,above_horizon,2024-01-01T00:00:00.000Z\n";
    check_foreign(
        "history.csv",
        text,
        expect![[r#"
        CSV, UTF-8, separated by ',', header in line 1
        time: last_changed, Europe/Berlin where no offset is given
        one value a row: signal entity_id, value state; values by their form, decimal point
        2024-01-01T00:00:00Z p/sensor.t float 21.5
        2024-01-01T00:00:01Z p/sensor.t none - Bad_NoData
        2024-01-01T00:00:00Z p/binary_sensor.door boolean true
        2024-01-01T00:00:00Z p/sun.sun text above_horizon
    "#]],
    );
    let text = "Tag;Time;Value;Status\nS;15-Jan-2024 10:00:00.00000;1.5;Good\nS;15-Jan-2024 10:01:00;Shutdown;Bad\n\
        S;15-Jan-2024 10:02:00;I/O Timeout;Bad\nS;15-Jan-2024 10:03:00;2;Questionable\nS;15-Jan-2024 10:04:00;3;Annotated, Substituted\n\
        S;15-Jan-2024 10:05:00;Pt Created;Bad\nM;15-Jan-2024 10:00:00;Running;Good\n";
    check_foreign(
        "pi.csv",
        text,
        expect![[r#"
        CSV, UTF-8, separated by ';', header in line 1
        time: Time, Europe/Berlin where no offset is given
        one value a row: signal Tag, value Value, quality Status; values by their form, decimal point
        2024-01-15T09:00:00Z p/S float 1.5
        2024-01-15T09:01:00Z p/S none - Bad_Shutdown
        2024-01-15T09:02:00Z p/S none - Bad_Timeout
        2024-01-15T09:03:00Z p/S float 2 Uncertain
        2024-01-15T09:04:00Z p/S float 3 Uncertain_SubstituteValue
        2024-01-15T09:05:00Z p/S none - Bad_WaitingForInitialData
        2024-01-15T09:00:00Z p/M text Running
    "#]],
    );
}

#[test]
fn days_of_the_week() {
    for time in [
        "Mon Jan 01 10:00:00 CET 2024",
        "Mon, 01 Jan 2024 09:00:00 GMT",
        "Montag, 1. Januar 2024 10:00",
        "Mon Jan  1 10:00:00 2024",
    ] {
        let text = format!("time;a\n{time};1\n");
        assert_eq!(
            shown("t.csv", text.as_bytes(), &prefix("p")),
            "2024-01-01T09:00:00Z p/a float 1\n",
            "{time}"
        );
    }
}

#[test]
fn answers_of_influxdb() {
    check_foreign(
        "answer.json",
        "{\n  \"results\": [ { \"statement_id\": 0, \"series\": [\n    {\"name\":\"cpu\",\"tags\":{\"host\":\"a, b\"},\"columns\":[\"time\",\"usage\",\"state\",\"on\"],\n     \"values\":[[\"2024-01-01T00:00:00Z\",1.5,\"o\\\"k]\",true],\n [\"2024-01-01T00:00:10.25Z\",null,\"idle\",null],[\"2024-01-01T00:00:20Z\",3,null,false]]},\n    {\"name\":\"mem\",\"columns\":[\"time\",\"free\"],\"values\":[[1704067200000,9007199254740993]],\"partial\":true}]},\n    {\"statement_id\":1}]}\n{\"results\":[{\"series\":[{\"name\":\"mem\",\"columns\":[\"time\",\"free\"],\"values\":[[1704067201000,2],[1704067202000]]}]}]}\n",
        expect![[r#"
            an answer of InfluxDB, read as InfluxDB line protocol, UTF-8; times in ns
            text/plain; charset=utf-8 ?precision=ns
            p/cpu,host=a\,\ b,state=o"k] usage=1.5,on=true 1704067200000000000
            p/cpu,host=a\,\ b usage=3,on=false 1704067220000000000
            p/mem free=9007199254740993 1704067200000000000
            p/mem free=2 1704067201000000000
            rejected line 5: it is no line protocol
        "#]],
    );
    check_foreign(
        "none.json",
        "{\"results\":[{\"statement_id\":0}]}\n",
        expect![[r#"
        bad-import: none.json is JSON without rows: its members are lists and objects without a time, and cannot be read as it is. Write one object a row, with a time in it
        bad-import: none.json is JSON without rows: its members are lists and objects without a time, and cannot be read as it is. Write one object a row, with a time in it
    "#]],
    );
}

#[test]
fn measurements_of_labview() {
    let file = |columns: &str, comma: &str| {
        format!(
            "LabVIEW Measurement\t\nWriter_Version\t2\nReader_Version\t2\nSeparator\tTab\nDecimal_Separator\t{comma}\nMulti_Headings\tYes\nX_Columns\t{columns}\nTime_Pref\tRelative\nOperator\tlab\nDate\t2024/02/01\nTime\t10:30:00{comma}5\n***End_of_Header***\t\n\t\n"
        )
    };
    let head = "Channels\t2\t\t\nSamples\t2\t2\t\nDate\t2024/02/01\t2024/02/01\t\nTime\t10:30:00.5000000000000000000\t10:30:01\t\nY_Unit_Label\tVolts\tBar\t\nX_Dimension\tTime\tTime\t\nX0\t0.0000000000000000E+0\t0.5\t\nDelta_X\t0.001000\t0.002\t\n***End_of_Header***\t\t\t\n";
    let one = file("One", ".")
        + head
        + "X_Value\tVoltage_0\tPressure\tComment\n0.000000\t1.5\t2.5\tbegun\n0.001000\t-1.6E-3\t2.6\t\n\n"
        + "Channels\t1\t\nDate\t2024/02/02\t\nTime\t00:00:00\t\n***End_of_Header***\t\t\nX_Value\tVoltage_0\tComment\n3784879800.25\t3\t\nx\t4\t\n";
    check_foreign(
        "one.lvm",
        &one,
        expect![[r#"
            a measurement file of LabVIEW, read as CSV, UTF-8, separated by ',', header in line 1
            time: time, Europe/Berlin where no offset is given
            one value a row: signal signal, value value, unit unit; values by their form, decimal point
            note: 5 times have no offset, as others do: they are taken as those of Europe/Berlin
            2024-02-01T09:30:00.500Z p/Voltage_0 float 1.5 Volts
            2024-02-01T09:30:01Z p/Pressure float 2.5 Bar
            2024-02-01T09:30:00.500Z p/Comment text begun
            2024-02-01T09:30:00.501Z p/Voltage_0 float -0.0016 Volts
            2024-02-01T09:30:01.001Z p/Pressure float 2.6 Bar
            2023-12-08T11:30:00.250Z p/Voltage_0 float 3 Volts
            rejected line 8: the row has 1 fields, and 3 are needed
        "#]],
    );
    let multi = file("Multi", ".")
        + head
        + "X_Value\tVoltage_0\tX_Value\tPressure\tComment\n0.000000\t1.5\t0.25\t2.5\tpump on, 3,5 bar\n0.001000\t1.6\t0.5\t\t\n";
    check_foreign(
        "multi.lvm",
        &multi,
        expect![[r#"
            a measurement file of LabVIEW, read as CSV, UTF-8, separated by ',', header in line 1
            time: time, Europe/Berlin where no offset is given
            one value a row: signal signal, value value, unit unit; values by their form, decimal point
            2024-02-01T09:30:00.500Z p/Voltage_0 float 1.5 Volts
            2024-02-01T09:30:01.250Z p/Pressure float 2.5 Bar
            2024-02-01T09:30:00.500Z p/Comment text pump on, 3,5 bar
            2024-02-01T09:30:00.501Z p/Voltage_0 float 1.6 Volts
        "#]],
    );
    let none = file("No", ",") + "X_Value\tVoltage_0\tComment\n\t1,5\t2,5 bar, begun\n";
    let none = none.replace("***End_of_Header***\t\n\t\n", "Delta_X\t0,5\n***End_of_Header***\t\n");
    check_foreign(
        "none.lvm",
        &none,
        expect![[r#"
            a measurement file of LabVIEW, read as CSV, UTF-8, separated by ',', header in line 1
            time: time, Europe/Berlin where no offset is given
            one value a row: signal signal, value value, unit unit; values by their form, decimal point
            2024-02-01T09:30:00.500Z p/Voltage_0 float 1.5
            2024-02-01T09:30:00.500Z p/Comment text 2,5 bar, begun
        "#]],
    );
    check_foreign(
        "american.lvm",
        &one.replace("2024/02/01", "02/01/2024"),
        expect![[r#"
            a measurement file of LabVIEW, read as CSV, UTF-8, separated by ',', header in line 1
            time: time, Europe/Berlin where no offset is given
            one value a row: signal signal, value value, unit unit; values by their form, decimal point
            2023-12-08T11:30:00.250Z p/Voltage_0 float 3 Volts
            rejected line 2, column 'time': there is no time
            rejected line 3, column 'time': there is no time
            rejected line 4, column 'time': there is no time
            rejected line 5, column 'time': there is no time
            rejected line 6, column 'time': there is no time
            rejected line 8: the row has 1 fields, and 3 are needed
        "#]],
    );
}
