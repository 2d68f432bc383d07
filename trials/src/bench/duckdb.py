"""Count and mean of all samples by DuckDB, over the table's log. Arguments: the table's folder, how often to ask.
Prints the count and the median seconds of a question; opening and loading are not in it."""

import importlib.metadata
import os
import statistics
import sys
import time

import duckdb

table, questions = sys.argv[1], int(sys.argv[2])
extension = next(f for f in importlib.metadata.files("duckdb-ext-delta") if str(f).endswith(".duckdb_extension"))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
# A slow question's bar would stand where its answer is read.
connection.execute("SET enable_progress_bar = false")
connection.execute(f"LOAD '{extension.locate()}'")
query = f"""
    SELECT count(*), avg(coalesce(float, scaled / pow(10, coalesce(scale, 0))))
    FROM delta_scan('{table}') WHERE signal <> 'bench/lone'
"""
times = []
for _ in range(questions):
    began = time.perf_counter()
    row = connection.execute(query).fetchone()
    times.append(time.perf_counter() - began)
print(row[0], statistics.median(times))

# Not through the end of the interpreter: threads of the readers' own pools are at times still there, and it aborts.
sys.stdout.flush()
os._exit(0)
