"""Reads the lake of a stopped plant with DuckDB and deltalake, knowing nothing of Tidemill but docs/spec/lake.md.

With the table's folder alone: prints how many rows of the crash load DuckDB and deltalake find, and how many signals differ
between them: in number of rows, sum of times, or sum of a 64-bit hash over all columns of each row. deltalake's rows come by
way of Arrow, batch by batch, so that memory is bounded.
With a file of time ranges ("from,to" in nanoseconds, one a line) and one to write: writes the rows in them as DuckDB finds them.
"""

import importlib.metadata
import os
import sys

import deltalake
import duckdb

table = sys.argv[1]
extension = next(f for f in importlib.metadata.files("duckdb-ext-delta") if str(f).endswith(".duckdb_extension"))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.execute("SET TimeZone = 'UTC'")
connection.execute(f"LOAD '{extension.locate()}'")


def totals(source):
    rows = connection.execute(
        f"""
        SELECT signal, count(*), sum(epoch_us(time)::HUGEINT * 1000 + nanos), sum(hash(
            epoch_us(time), nanos::BIGINT, kind::BIGINT, float, scaled::BIGINT, scale::BIGINT, text::VARCHAR, bytes::BLOB,
            quality::BIGINT, epoch_us(received), source::VARCHAR))
        FROM {source} WHERE signal LIKE 'crash/%' GROUP BY signal
        """
    ).fetchall()
    return {signal: rest for signal, *rest in rows}


def compare():
    by_deltalake = deltalake.DeltaTable(table).to_pyarrow_dataset()
    connection.register("by_deltalake", by_deltalake)
    duck, delta = totals(f"delta_scan('{table}')"), totals("by_deltalake")
    differ = [signal for signal in duck.keys() | delta.keys() if duck.get(signal) != delta.get(signal)]
    print(sum(row[0] for row in duck.values()), sum(row[0] for row in delta.values()), len(differ))


def write(ranges, out):
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


if len(sys.argv) == 2:
    compare()
else:
    write(*sys.argv[2:4])

# Not through the end of the interpreter: threads of the readers' own pools are at times still there, and it aborts.
sys.stdout.flush()
os._exit(0)
