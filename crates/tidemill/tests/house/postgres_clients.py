# Clients of PostgreSQL from PyPI as their users write with them; `argv` is host, port, part, then what the part needs.
import asyncio, datetime as dt, decimal, subprocess, sys, threading

host, port, part = sys.argv[1], int(sys.argv[2]), sys.argv[3]
token = sys.argv[4]
UTC = dt.timezone.utc
FIRST = dt.datetime(2026, 3, 1, tzinfo=UTC)
WITH = {"host": host, "port": port, "user": "anna", "password": token}
# A type, items of it, and the number of its array type in PostgreSQL.
LISTS = [
    ("float8", [1.5, None, -2.0], 1022),
    ("float4", [0.5, None], 1021),
    ("numeric", [decimal.Decimal("1.50"), None, decimal.Decimal("-20.25")], 1231),
    ("int8", [1, None, 2**40], 1016),
    ("int4", [7, None], 1007),
    ("bool", [True, None, False], 1000),
    ("date", [dt.date(2026, 1, 2), None], 1182),
    ("timestamptz", [FIRST, None], 1185),
    ("timestamp", [dt.datetime(2026, 1, 2, 3, 4, 5, 600000), None], 1115),
    ("time", [dt.time(3, 4, 5), None], 1183),
    ("interval", [dt.timedelta(days=1, hours=2), None], 1187),
    ("text", ["a b", None, "", "null", 'c"d\\e', "{f}"], 1009),
    ("bytea", [b"\x00\xff", None], 1001),
    ("int8", [], 1016),
    ("text", [None], 1009),
]


def same(one, other):
    assert one == other, (one, other)


def psycopg_part():
    import psycopg

    for binary in (False, True):
        with psycopg.connect(dbname="press", **WITH) as con:
            cur = con.cursor(binary=binary)
            cur.execute("SELECT time, value, integer, text, quality, signal FROM samples WHERE signal LIKE %s ORDER BY signal, time", ("beta/%",))
            same(cur.fetchone(), (FIRST, 0.0, 0, None, 0, "beta/mill"))
            same([column.type_code for column in cur.description], [1184, 701, 20, 25, 20, 25])
            cur.execute("SELECT count(*) FROM samples WHERE time >= %s AND value > %s AND signal = ANY(%s)", (FIRST, 1, ["acme/press", "beta/mill"]))
            same(cur.fetchall(), [(15 + 18,)])
            values = (5, "ä'", dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), 1.5, True, decimal.Decimal("-12.5"), dt.date(2026, 1, 2), None)
            cur.execute("SELECT %s::int8, %s::text, %s::timestamptz, %s::float8, %s::bool, %s::numeric, %s::date, %s::text", values)
            same(cur.fetchone(), values)
            cur.execute("SELECT ARRAY[1,2], 18446744073709551615, INTERVAL '1 day 2 hours', x'01ff', DATE '1999-12-31', 1.5::float4, 7::int2, 8::int4, ARRAY['a b', NULL], 12.50::numeric(10,2), '10:11:12.5'::time")
            same(cur.fetchone(), ([1, 2], decimal.Decimal(2**64 - 1), dt.timedelta(days=1, hours=2), b"\x01\xff", dt.date(1999, 12, 31), 1.5, 7, 8, ["a b", None], decimal.Decimal("12.50"), dt.time(10, 11, 12, 500000)))
            # Lists, and a table function, by parameters.
            for column, wanted in (("value", [0.25, 4.75, 100.5]), ("integer", [1, 2, 77777]), ("quality", [0]), ("signal", ["acme/press", "nix"])):
                cur.execute(f"SELECT count(*) FROM samples WHERE signal = 'acme/press' AND {column} = ANY(%s)", (wanted,))
                counted = cur.fetchone()
                listed = ", ".join(f"'{one}'" if isinstance(one, str) else str(one) for one in wanted)
                cur.execute(f"SELECT count(*) FROM samples WHERE signal = 'acme/press' AND {column} IN ({listed})")
                same(counted, cur.fetchone())
            cur.execute("SELECT count(*) FROM read(%s, %s, %s)", ("acme/press", FIRST, FIRST + dt.timedelta(seconds=5)))
            same(cur.fetchone(), (5,))
            # With a NULL among their items, and without any, both typed and not.
            cur.execute("SELECT " + ", ".join(f"%s::{kind}[]" for kind, _, _ in LISTS), [items for _, items, _ in LISTS])
            same(cur.fetchone(), tuple(items for _, items, _ in LISTS))
            same([column.type_code for column in cur.description], [number for _, _, number in LISTS])
            same([column.name for column in cur.description], [kind for kind, _, _ in LISTS])
            plain = ([1.5, None], [decimal.Decimal("1.50"), None], [FIRST, None])
            cur.execute("SELECT %s, %s, %s", plain)
            same(cur.fetchone(), plain)
            cur.execute("SELECT array_agg(value ORDER BY time), array_agg(value::numeric(10,2) ORDER BY time), array_agg(time ORDER BY time) FROM samples WHERE signal = 'acme/press' AND value < 0.5")
            same(cur.fetchone(), ([0.0, 0.25], [decimal.Decimal("0.00"), decimal.Decimal("0.25")], [FIRST, FIRST + dt.timedelta(seconds=1)]))
            untyped = (decimal.Decimal("12345678901234567890.123456789012"), b"\x00\xff", 2**63, -(2**40))
            cur.execute("SELECT %s, %s, %s, %s", untyped)
            same(cur.fetchone(), (untyped[0], untyped[1], decimal.Decimal(2**63), -(2**40)))
        with psycopg.connect(dbname="press", **WITH) as con:
            with con.cursor(name="c", binary=binary) as cur:
                cur.itersize = 3
                cur.execute("SELECT value FROM samples WHERE signal = 'acme/press' ORDER BY time")
                same([row[0] for row in cur], [index / 4 for index in range(20)])
            con.execute("DECLARE d CURSOR FOR SELECT value FROM samples WHERE signal = 'acme/press' ORDER BY time")
            # From the sixth on it is prepared, and says in which format.
            fetched = [con.cursor(binary=binary).execute("FETCH 2 FROM d").fetchall() for _ in range(8)]
            same(fetched, [[(index / 2,), (index / 2 + 0.25,)] for index in range(8)])
            with con.cursor().copy("COPY (SELECT signal, value FROM samples WHERE signal = 'acme/press' ORDER BY time LIMIT 2) TO STDOUT (FORMAT BINARY)") as copy:
                copy.set_types(["text", "float8"])
                same(list(copy.rows()), [("acme/press", 0.0), ("acme/press", 0.25)])
            with con.pipeline():
                one, two = con.execute("SELECT 1"), con.execute("SELECT 2")
            same((one.fetchone(), two.fetchone()), ((1,), (2,)))
    with psycopg.connect(dbname="press", **WITH) as con:
        try:
            con.execute("INSERT INTO samples VALUES (1)")
            raise AssertionError("it was written")
        except psycopg.errors.ReadOnlySqlTransaction as error:
            assert "read" in str(error) and error.diag.message_hint
        con.rollback()
        same(con.execute("SELECT 1").fetchone(), (1,))
    # Data of COPY are written as they were asked for, or not at all.
    with psycopg.connect(dbname="press", autocommit=True, **WITH) as con:
        for options, wanted in (
            ("csv delimiter ';' null 'nix'", b'"x;y";;nix;"""u"\n'),
            ("(FORMAT csv, QUOTE '~', HEADER, FORCE_QUOTE (a, d))", b'a,b,c,d\n~x;y~,~~,,~"u~\n'),
            ("WITH (DELIMITER '|', NULL '', HEADER on)", b'a|b|c|d\nx;y|||"u\n'),
        ):
            with con.cursor().copy(f"COPY (SELECT 'x;y' AS a, '' AS b, NULL::text AS c, '\"u' AS d) TO STDOUT {options}") as copy:
                same((options, b"".join(copy)), (options, wanted))
        for options in ("(FORMAT csv, FREEZE)", "(FORMAT csv, DELIMITER ';;')", "(FORMAT csv, FORCE_QUOTE (nix))"):
            try:
                with con.cursor().copy(f"COPY (SELECT 1 AS a) TO STDOUT {options}") as copy:
                    raise AssertionError((options, b"".join(copy)))
            except psycopg.errors.FeatureNotSupported as error:
                assert "COPY" in str(error), error
    # A statement that would run for long ends when it is asked to.
    with psycopg.connect(dbname="press", autocommit=True, **WITH) as con:
        # A cancel while nothing runs stops nothing.
        for index in range(3):
            con.cancel_safe()
            same(con.execute("SELECT %s::int8", (index,)).fetchone(), (index,))
        con.execute("DECLARE e CURSOR WITH HOLD FOR SELECT value FROM samples WHERE signal = 'acme/press' ORDER BY time")
        con.cancel_safe()
        same(con.execute("FETCH 1 FROM e").fetchall(), [(0.0,)])
        ended = threading.Event()

        def cancel():
            while not ended.wait(0.1):
                con.cancel_safe()

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            con.execute("SELECT sum(a.a * b.b) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b")
            raise AssertionError("it ran to its end")
        except psycopg.errors.QueryCanceled as error:
            assert "cancel" in str(error), error
        finally:
            ended.set()
            thread.join()


def psycopg2_part():
    import psycopg2

    con = psycopg2.connect(dbname="press", **WITH)
    cur = con.cursor()
    cur.execute("SELECT time, value, text, ARRAY['x'], INTERVAL '90 seconds' FROM samples WHERE signal = %s ORDER BY time LIMIT 1", ("acme/press",))
    same(cur.fetchall(), [(FIRST, 0.0, None, ["x"], dt.timedelta(seconds=90))])
    con.commit()
    with con.cursor("named") as cur:
        cur.execute("SELECT value FROM samples WHERE signal = 'beta/mill' ORDER BY time")
        same([row[0] for row in cur], [float(index) for index in range(20)])
    con.close()


def asyncpg_part():
    import asyncpg

    async def run():
        con = await asyncpg.connect(database="press", **WITH)
        rows = await con.fetch("SELECT time, value, signal FROM samples WHERE signal = $1 AND time >= $2 AND value < $3 ORDER BY time LIMIT $4", "acme/press", FIRST, 100.0, 1)
        same([tuple(row) for row in rows], [(FIRST, 0.0, "acme/press")])
        same(await con.fetchval("SELECT count(*) FROM samples WHERE signal = ANY($1::text[])", ["acme/press", "beta/mill"]), 40)
        same(await con.fetchval("SELECT count(*) FROM samples WHERE signal = ANY($1)", ["acme/press", "beta/mill"]), 40)
        same(await con.fetchval("SELECT count(*) FROM read($1, $2::timestamptz)", "acme/press", FIRST), 20)
        # Of types that it must ask the catalogue for.
        for column, wanted in (("value", [0.25, 4.75, 100.5]), ("integer", [0, 1, 77777]), ("time", [FIRST, FIRST + dt.timedelta(days=1)])):
            counted = await con.fetchval(f"SELECT count(*) FROM samples WHERE signal IN ('acme/press', 'beta/mill') AND {column} = ANY($1)", wanted)
            same((column, counted), (column, {"value": 2, "integer": 2, "time": 2}[column]))
        for kind, items, number in LISTS:
            same(await con.fetchval(f"SELECT $1::{kind}[]", items), items)
            prepared = await con.prepare(f"SELECT $1::{kind}[]")
            same(prepared.get_attributes()[0].type.oid, number)
        async with con.transaction():
            same(len([row async for row in con.cursor("SELECT value FROM samples WHERE signal = 'acme/press'", prefetch=3)]), 20)
        same(con.get_server_version()[:2], (15, 0))
        await con.reset()
        try:
            await con.fetch("SELECT nix FROM samples")
            raise AssertionError("there is a column nix")
        except asyncpg.UndefinedColumnError:
            pass
        await con.close()
        pool = await asyncpg.create_pool(database="press", min_size=2, max_size=4, **WITH)
        same(await asyncio.gather(*[pool.fetchval("SELECT $1::int8", index) for index in range(6)]), list(range(6)))
        await pool.close()

    asyncio.run(run())


# An expression, and what a column of it and its value are to ADBC: the same from PostgreSQL 15.
COLUMNS = [
    ("7::int2", "int16", 7),
    ("8::int4", "int32", 8),
    ("(2^40)::int8", "int64", 2**40),
    ("1.5::float4", "float", 1.5),
    ("0.1::float8", "double", 0.1),
    ("'ä b'::text", "string", "ä b"),
    ("true", "bool", True),
    ("TIMESTAMPTZ '2026-03-01 00:00:00.5+00'", "timestamp[us, tz=UTC]", FIRST + dt.timedelta(milliseconds=500)),
    ("TIMESTAMP '2026-03-01 00:00:00'", "timestamp[us]", dt.datetime(2026, 3, 1)),
    ("DATE '2026-03-01'", "date32[day]", dt.date(2026, 3, 1)),
    ("TIME '10:11:12.5'", "time64[us]", dt.time(10, 11, 12, 500000)),
    ("INTERVAL '1 day 2 hours'", "month_day_nano_interval", (0, 1, 7200 * 10**9)),
    ("12.50::numeric(10,2)", "string", "12.50"),
    ("18446744073709551615::numeric", "string", "18446744073709551615"),
    ("'\\x01ff'::bytea", "binary", b"\x01\xff"),
    ("NULL::float8", "double", None),
    ("NULL::text", "string", None),
    ("ARRAY[1.5::float8, NULL]", "list<item: double>", [1.5, None]),
    ("ARRAY['a b', NULL]::text[]", "list<item: string>", ["a b", None]),
    ("ARRAY[TIMESTAMPTZ '2026-03-01 00:00:00+00']", "list<item: timestamp[us, tz=UTC]>", [FIRST]),
    ("16::oid::text", "string", "16"),
]


def adbc_part():
    import adbc_driver_postgresql.dbapi as adbc
    import pandas
    import pyarrow as pa

    uri = f"postgresql://anna:{token}@{host}:{port}/press"
    with adbc.connect(uri, autocommit=True) as con:

        def table(text, parameters=None, **options):
            with con.cursor(adbc_stmt_kwargs=options) as cur:
                cur.execute(text, parameters)
                return cur.fetch_arrow_table()

        def told(field):
            # What Arrow has no type for is one of Arrow's opaque ones, kept as text.
            return str(getattr(field.type, "storage_type", field.type))

        text = "SELECT " + ", ".join(f"{text} AS c{number}" for number, (text, _, _) in enumerate(COLUMNS))
        for copies in ("true", "false"):
            found = table(text, **{"adbc.postgresql.use_copy": copies})
            for (text_of, kind, value), field, column in zip(COLUMNS, found.schema, found.columns, strict=True):
                same((text_of, told(field), column[0].as_py()), (text_of, kind, value))
        found = table("SELECT time, signal, value, integer, text, quality FROM samples WHERE signal LIKE '%/mill' ORDER BY time")
        same([told(field) for field in found.schema], ["timestamp[us, tz=UTC]", "string", "double", "int64", "string", "int64"])
        same((found.num_rows, found.slice(1, 1).to_pylist()), (20, [{"time": FIRST + dt.timedelta(seconds=1), "signal": "beta/mill", "value": 1.0, "integer": 1, "text": None, "quality": 0}]))
        # Parameters: of the types that are told, and of those that Python has.
        same(table("SELECT value FROM samples WHERE signal = $1 AND time >= $2 AND value > $3 ORDER BY time LIMIT $4", ("acme/press", FIRST, 1, 2))["value"].to_pylist(), [1.25, 1.5])
        for value in (5, 1.5, "ä", True, None, b"\x00\xff", dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4, 5, 6), dt.time(1, 2, 3), [1.5, 2.0], ["a", "b"]):
            same(table("SELECT $1 AS v", (value,))["v"].to_pylist(), [value])
        same(table("SELECT $1 AS v", (decimal.Decimal("-12.5"),))["v"].to_pylist(), ["-12.5"])
        same(table("SELECT count(*) AS n FROM samples WHERE signal = ANY($1)", (["acme/press", "beta/mill"],))["n"].to_pylist(), [40])
        # A row of answers for each row of parameters.
        same(table("SELECT count(*) AS n FROM samples WHERE signal = $1", pa.table({"signal": ["acme/press", "nix"]}))["n"].to_pylist(), [20, 0])
        with con.cursor() as cur:
            cur.execute("SELECT x, x / 2.0::float8 AS half FROM generate_series(1, 200000) AS x")
            same(sum(batch.num_rows for batch in cur.fetch_record_batch()), 200000)
            same([told(field) for field in cur.adbc_execute_schema("SELECT time, value FROM samples WHERE signal = $1")], ["timestamp[us, tz=UTC]", "double"])
            same([told(field) for field in cur.adbc_prepare("SELECT value FROM samples WHERE signal = $1 AND time > $2")], ["string", "timestamp[us, tz=UTC]"])
        frame = pandas.read_sql("SELECT time, value FROM samples WHERE signal = 'acme/press' ORDER BY time", con)
        same((len(frame), frame["value"].sum(), str(frame["time"].dtype.tz)), (20, 47.5, "UTC"))
        # What there is, as tools look at it.
        same((con.adbc_current_catalog, con.adbc_current_db_schema), ("press", "public"))
        columns = ["signal", "time", "value", "integer", "text", "quality", "received", "kind", "source"]
        schema = con.adbc_get_table_schema("samples")
        same(schema.names, columns)
        same([told(field) for field in schema][:4], ["string", "timestamp[us, tz=UTC]", "double", "int64"])
        same(con.adbc_get_table_schema("signals", db_schema_filter="public").field("last_value").type, pa.float64())
        objects = con.adbc_get_objects(depth="all", db_schema_filter="public").read_all().to_pylist()
        [catalog] = objects
        [found] = catalog["catalog_db_schemas"]
        same((catalog["catalog_name"], found["db_schema_name"]), ("press", "public"))
        tables = {one["table_name"]: one for one in found["db_schema_tables"]}
        same(sorted((name, one["table_type"]) for name, one in tables.items()), [("samples", "table"), ("signals", "table")])
        found = sorted(tables["samples"]["table_columns"], key=lambda one: one["ordinal_position"])
        same([(one["column_name"], one["ordinal_position"]) for one in found], [(name, number) for number, name in enumerate(columns, 1)])
        same([one["xdbc_type_name"] for one in found][:4], ["text", "timestamptz", "float8", "int8"])
        assert all(one["remarks"] for one in found)
        same([one["table_constraints"] for one in tables.values()], [[], []])
        [catalog] = con.adbc_get_objects(depth="columns", table_name_filter="samp%", column_name_filter="val%").read_all().to_pylist()
        same([(one["db_schema_name"], table["table_name"], column["column_name"]) for one in catalog["catalog_db_schemas"] for table in one["db_schema_tables"] for column in table["table_columns"]], [("public", "samples", "value")])
        for depth in ("catalogs", "db_schemas", "tables", "columns"):
            same([one["catalog_name"] for one in con.adbc_get_objects(depth=depth).read_all().to_pylist()], ["press"])
        for failing, kind in ((lambda: table("SELECT nix FROM samples"), adbc.ProgrammingError), (lambda: con.adbc_get_table_schema("nix"), adbc.ProgrammingError), (lambda: con.cursor().adbc_ingest("t", pa.table({"a": [1]})), adbc.Error)):
            try:
                failing()
                raise AssertionError("it was answered")
            except kind:
                pass
        same(table("SELECT 1::int8 AS one").to_pylist(), [{"one": 1}])
    # In a transaction, as without `autocommit`.
    with adbc.connect(uri) as con, con.cursor() as cur:
        cur.execute("SELECT count(*) FROM samples WHERE signal = 'acme/press'")
        same(cur.fetchall(), [(20,)])
        con.commit()


def sqlalchemy_part():
    import pandas
    import sqlalchemy as sa

    for driver in ("psycopg2", "psycopg"):
        engine = sa.create_engine(sa.URL.create("postgresql+" + driver, "anna", token, host, port, "press"))
        inspector = sa.inspect(engine)
        same(sorted(inspector.get_table_names()), ["samples", "signals"])
        assert "sys" in inspector.get_schema_names()
        columns = {column["name"]: str(column["type"]) for column in inspector.get_columns("samples")}
        same((columns["time"], columns["value"], columns["signal"]), ("TIMESTAMP", "DOUBLE PRECISION", "TEXT"))
        same((inspector.get_indexes("samples"), inspector.get_foreign_keys("samples")), ([], []))
        assert inspector.has_table("signals") and not inspector.has_table("nix")
        # All that there is, as tools look at it.
        for schema in (None, "public", "sys"):
            metadata = sa.MetaData()
            metadata.reflect(engine, schema=schema, views=True)
            with engine.connect() as con:
                told = con.execute(sa.text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = :schema"), {"schema": schema or "public"}).all()
            same(sorted((table.name, column.name) for table in metadata.tables.values() for column in table.columns), sorted(tuple(row) for row in told))
            assert told
            for name in inspector.get_table_names(schema):
                same(inspector.get_pk_constraint(name, schema)["constrained_columns"], [])
                same([asked(name, schema) for asked in (inspector.get_indexes, inspector.get_foreign_keys, inspector.get_unique_constraints, inspector.get_check_constraints)], [[], [], [], []])
                assert inspector.get_columns(name, schema)
            inspector.get_view_names(schema)
        assert inspector.get_table_comment("samples")["text"]
        frame = pandas.read_sql(sa.text("SELECT time, signal, value FROM samples WHERE signal LIKE :like ORDER BY time"), engine, params={"like": "%/mill"})
        same((len(frame), frame["value"].sum(), str(frame["time"].dtype.tz)), (20, 190.0, "UTC"))
        table = sa.Table("samples", sa.MetaData(), autoload_with=engine)
        with engine.connect() as con:
            same(con.execute(sa.select(sa.func.count(), sa.func.max(table.c.value)).where(table.c.signal == "acme/press")).all(), [(20, 4.75)])
            chunks = pandas.read_sql(sa.text("SELECT value FROM samples WHERE signal = 'acme/press'"), con.execution_options(stream_results=True), chunksize=3)
            same(sum(len(chunk) for chunk in chunks), 20)


def rights_part():
    import psycopg

    narrow, revoked, tidemill, plant = sys.argv[4:8]

    def failing(work):
        try:
            work()
        except psycopg.Error as error:
            return str(error).replace(str(port), "PORT").splitlines()[0].split("failed: ")[-1]
        return "nothing failed"

    def connect(password, user="anna"):
        return psycopg.connect(host=host, port=port, user=user, password=password, dbname="press", autocommit=True)

    print("wrong:", failing(lambda: connect("tm_nonsense")))
    print("empty:", failing(lambda: connect("")))
    print("anonymous:", failing(lambda: connect("", "anonymous")))
    with connect(narrow) as con:
        print("narrow:", con.execute("SELECT DISTINCT signal FROM samples ORDER BY 1").fetchall(), con.execute("SELECT signal FROM signals ORDER BY 1").fetchall())
        print("tables:", con.execute("SELECT count(*) FROM pg_catalog.pg_class WHERE relname IN ('audit', 'files')").fetchall())
    con = connect(revoked)
    print("before:", con.execute("SELECT count(*) FROM samples WHERE signal NOT LIKE 'tidemill/%'").fetchall())
    subprocess.run([tidemill, "token", "revoke", "revoked", "--plant", plant], check=True, stdout=subprocess.DEVNULL)
    print("after:", failing(lambda: con.execute("SELECT count(*) FROM samples")), con.closed)


{"psycopg": psycopg_part, "psycopg2": psycopg2_part, "asyncpg": asyncpg_part, "adbc": adbc_part, "sqlalchemy": sqlalchemy_part, "rights": rights_part}[part]()
if part != "rights":
    print("done")
