"""The questions of `bench peers` to DuckDB or chdb over the same samples in a table of its own. Arguments: which of them, a
Parquet file of all samples, a folder for its database, how often to ask, when the slow signals begin and end (s UTC). Prints the bytes
of the database, then what each answer counts and the median seconds it took; starting and loading are not in it."""

import os
import statistics
import sys
import time

name, export, folder = sys.argv[1:4]
asked, begin, turn = (int(word) for word in sys.argv[4:7])
os.makedirs(folder, exist_ok=True)
bucket = (turn - begin) // 1200
DENSE, FAST = "sensor/cell=c0,id=y000,line=l0", "sensor/cell=c0,id=s0000,line=l0"

if name == "DuckDB":
    import duckdb

    database = duckdb.connect(os.path.join(folder, "samples.duckdb"))
    database.execute(
        f"CREATE TABLE samples AS SELECT signal, epoch_ns(time) AS time, value FROM read_parquet('{export}') ORDER BY signal, time"
    )
    database.execute("CHECKPOINT")
    ask = lambda query: database.execute(query).fetchall()
    last = "SELECT signal, max(time), arg_max(value, time) FROM samples GROUP BY signal"
    ends = "arg_min(value, time), min(value), max(value), arg_max(value, time)"
    count = lambda rows: rows[0][0]
else:
    import chdb.session

    database = chdb.session.Session(os.path.join(folder, "samples"))
    database.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
    database.query(
        "CREATE TABLE bench.samples (signal LowCardinality(String), time Int64 CODEC(Delta, ZSTD(3)), value Float64 CODEC(ZSTD(3))) "
        "ENGINE = MergeTree ORDER BY (signal, time)"
    )
    database.query(
        f"INSERT INTO bench.samples SELECT signal, toUnixTimestamp64Nano(time), value FROM file('{export}', Parquet)"
    )
    database.query("OPTIMIZE TABLE bench.samples FINAL")
    database.query("USE bench")
    ask = lambda query: [line.split("\t") for line in str(database.query(query, "TabSeparated")).splitlines()]
    last = "SELECT signal, max(time), argMax(value, time) FROM samples GROUP BY signal"
    ends = "argMin(value, time), min(value), max(value), argMax(value, time)"
    count = lambda rows: int(rows[0][0])

second = 1_000_000_000
questions = [
    (last, len),
    (
        f"SELECT time, value FROM samples WHERE signal = '{FAST}' AND time >= {turn * second} "
        f"AND time < {(turn + 3600) * second} ORDER BY time",
        len,
    ),
    (
        f"SELECT (time - {begin * second}) // {bucket * second} AS bucket, {ends} FROM samples WHERE signal = '{DENSE}' "
        f"AND time >= {begin * second} AND time < {turn * second} GROUP BY bucket ORDER BY bucket".replace(
            "//", "//" if name == "DuckDB" else "DIV"
        ),
        len,
    ),
    ("SELECT count(*), avg(value) FROM samples", count),
]
if name == "DuckDB":
    size = sum(os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(folder) for file in files)
else:
    # Parts that were merged stay in the folder for minutes, for those who still read them.
    size = count(ask("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'bench'"))
print(size)
for query, counts in questions:
    times = []
    for _ in range(asked):
        began = time.perf_counter()
        rows = ask(query)
        times.append(time.perf_counter() - began)
    print(counts(rows), statistics.median(times))

# Not through the end of the interpreter: threads of the readers' own pools are at times still there, and it aborts.
sys.stdout.flush()
os._exit(0)
