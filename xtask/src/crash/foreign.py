"""Reads the lake of a stopped plant with DuckDB and deltalake, knowing nothing of Tidemill but docs/spec/lake.md.

Arguments: the table's folder, a file of time ranges ("from,to" in nanoseconds, one a line), the file to write.
Prints two numbers: the rows that DuckDB and deltalake count under the root of the crash load.
"""

import importlib.metadata
import os
import sys

import deltalake
import duckdb

table, ranges, out = sys.argv[1:4]
extension = next(f for f in importlib.metadata.files("duckdb-ext-delta") if str(f).endswith(".duckdb_extension"))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.execute("SET TimeZone = 'UTC'")
connection.execute(f"LOAD '{extension.locate()}'")
connection.execute(
    f"""
    CREATE VIEW samples AS SELECT
        signal, epoch_us(time) * 1000 + nanos AS time,
        CASE WHEN kind IN (2, 3) THEN scaled END AS integer,
        coalesce(float, scaled / pow(10, coalesce(scale, 0))) AS value,
        text, quality
    FROM delta_scan('{table}') WHERE signal LIKE 'crash/%'
    """
)
connection.execute(
    f"CREATE TABLE ranges AS SELECT * FROM read_csv('{ranges}', header = false, auto_detect = false, delim = ',', columns = "
    "{'first': 'BIGINT', 'beyond': 'BIGINT'})"
)
connection.execute(
    f"""
    COPY (
        SELECT s.* FROM samples s WHERE s.signal LIKE '%/stamped'
            OR EXISTS (SELECT 1 FROM ranges r WHERE s.time >= r.first AND s.time < r.beyond)
    ) TO '{out}' (FORMAT JSON)
    """
)
duck = connection.execute("SELECT count(*) FROM samples").fetchone()[0]
names = deltalake.DeltaTable(table).to_pyarrow_dataset().to_table(columns=["signal"]).column("signal")
delta = sum(1 for name in names.to_pylist() if name.startswith("crash/"))
print(duck, delta)

# Not through the end of the interpreter: threads of the readers' own pools are at times still there, and it aborts.
sys.stdout.flush()
os._exit(0)
