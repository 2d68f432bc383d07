"""Reads a table of samples with deltalake and with DuckDB, knowing nothing of Tidemill but docs/spec/lake.md.

Argument: the table's folder. Prints, for each of the two readers, the number of rows and a SHA-256 over all rows
in order of their spelling: signal, time in nanoseconds, kind, value (floats as their bits), quality, source.
"""

import hashlib
import importlib.metadata
import os
import struct
import sys

import deltalake
import duckdb

COLUMNS = "signal, epoch_us(time) * 1000 + nanos AS ns, kind, float, scaled, scale, text, bytes, quality, source"


def spelled(row):
    signal, ns, kind, double, scaled, scale, text, data, quality, source = row
    if kind == 1:
        value = struct.pack(">d", double if double is not None else scaled / 10**scale).hex()
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


table = sys.argv[1]
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.execute("SET TimeZone = 'UTC'")
arrow = deltalake.DeltaTable(table).to_pyarrow_dataset().to_table()
connection.register("by_deltalake", arrow)
told(connection.execute(f"SELECT {COLUMNS} FROM by_deltalake").fetchall())

extension = next(f for f in importlib.metadata.files("duckdb-ext-delta") if str(f).endswith(".duckdb_extension"))
connection.execute(f"LOAD '{extension.locate()}'")
told(connection.execute(f"SELECT {COLUMNS} FROM delta_scan('{table}')").fetchall())

# The documented formula, and skipping of files by their statistics.
value = "coalesce(float, scaled / pow(10, coalesce(scale, 0)))"
whole = connection.execute(
    f"SELECT count(*) FROM delta_scan('{table}') WHERE kind = 1 AND float IS NULL AND {value} != scaled / pow(10, scale)"
).fetchone()[0]
last = connection.execute(f"SELECT max(signal), max(time)::VARCHAR FROM delta_scan('{table}')").fetchone()
found = connection.execute(
    f"SELECT count(*) > 0 FROM delta_scan('{table}') WHERE signal = ? AND time <= ?::TIMESTAMPTZ", [last[0], last[1]]
).fetchone()[0]
print(whole, found)

# Not through the end of the interpreter: threads of the readers' own pools are at times still there, and it aborts.
sys.stdout.flush()
os._exit(0)
