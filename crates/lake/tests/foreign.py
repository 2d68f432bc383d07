"""Reads a table of samples with deltalake, DuckDB and pandas, knowing nothing of Tidemill but docs/spec/lake.md.

Arguments: the table's folder, and that page. Prints, for deltalake and for DuckDB, the number of rows and a SHA-256 over all
rows in order of their spelling: signal, time in nanoseconds, kind, value (floats as their bits), quality, source. Then
whether the page's view in DuckDB and its line of pandas, run as they stand there, give the same numbers, and whether files
are found by their statistics.
"""

import hashlib
import importlib.metadata
import math
import os
import re
import struct
import sys

import deltalake
import duckdb
import pandas  # what `to_pandas` gives  # noqa: F401

COLUMNS = "signal, epoch_us(time) * 1000 + nanos AS ns, kind, float, scaled, scale, text, bytes, quality, source"


def number(kind, double, scaled, scale):
    """The value as a number, by the page's words: scaled / 10^scale is exact by IEEE 754 division of exact doubles."""
    if kind not in (1, 2, 3, 4):
        return None
    return double if double is not None else scaled / 10**scale


def spelled(row):
    signal, ns, kind, double, scaled, scale, text, data, quality, source = row
    if kind == 1:
        value = struct.pack(">d", number(kind, double, scaled, scale)).hex()
    elif kind == 3 and scaled is None:
        value = text
    elif kind in (2, 3, 4):
        value = str(scaled)
    elif kind in (5, 6):
        value = text
    elif kind == 7:
        value = bytes(data).hex()
    else:
        value = ""
    return f"{signal}|{ns}|{kind}|{value}|{quality}|{source}"


def told(rows):
    lines = sorted(spelled(row) for row in rows)
    print(len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())


def numbers(rows):
    """Sorted (signal, time in ns, the bits of the value); pandas has no other word for no value than NaN."""

    def bits(value):
        return "nan" if value is None or math.isnan(value) else struct.pack(">d", value).hex()

    return sorted((signal, ns, bits(value)) for signal, ns, value in rows)


def same(what, found, truth):
    if found == truth:
        return True
    different = next(((a, b) for a, b in zip(found, truth) if a != b), "")
    print(f"{what}: {len(found)} rows, {len(truth)} in truth, {different}", file=sys.stderr)
    return False


table, page = sys.argv[1:3]
text = open(page, encoding="utf-8").read().replace("data/lake/samples", table)
view = re.search(r"CREATE VIEW samples AS.*?;", text, re.S).group()
line = re.search(r"```python\n(.*?)```", text, re.S).group(1)

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.execute("SET TimeZone = 'UTC'")
arrow = deltalake.DeltaTable(table).to_pyarrow_dataset().to_table()
connection.register("by_deltalake", arrow)
told(connection.execute(f"SELECT {COLUMNS} FROM by_deltalake").fetchall())

extension = next(f for f in importlib.metadata.files("duckdb-ext-delta") if str(f).endswith(".duckdb_extension"))
connection.execute(f"LOAD '{extension.locate()}'")
rows = connection.execute(f"SELECT {COLUMNS} FROM delta_scan('{table}')").fetchall()
told(rows)

truth = numbers((row[0], row[1], number(*row[2:6])) for row in rows)
connection.execute(view)
by_view = numbers(connection.execute("SELECT signal, epoch_us(time) * 1000 + nanos, value FROM samples").fetchall())
names = {"deltalake": deltalake}
exec(line, names)
df = names["df"]
by_pandas = numbers((s, t.value + n, v) for s, t, n, v in zip(df["signal"], df["time"], df["nanos"], df["value"]))

# Skipping of files by their statistics.
last = connection.execute(f"SELECT max(signal), max(time)::VARCHAR FROM delta_scan('{table}')").fetchone()
found = connection.execute(
    f"SELECT count(*) > 0 FROM delta_scan('{table}') WHERE signal = ? AND time <= ?::TIMESTAMPTZ", [last[0], last[1]]
).fetchone()[0]
print(same("DuckDB", by_view, truth), same("pandas", by_pandas, truth), found)

# Not through the end of the interpreter: threads of the readers' own pools are at times still there, and it aborts.
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
