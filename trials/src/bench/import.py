"""Takes a file into a table of DuckDB or chdb in a folder of its own. Arguments: the program, the form of the file, the
file, the folder. Prints its rows, seconds, seconds of processor time and the most memory in MiB."""

import os
import resource
import sys
import time

program, form, path, folder = sys.argv[1:5]
names = {"narrow": ["tag", "time", "value", "status"]}.get(form, ["time"] + [f"c{n}" for n in range(10)])
kinds = {"duckdb": {"time": "TIMESTAMP", "tag": "VARCHAR", "status": "VARCHAR"},
         "chdb": {"time": "DateTime64(3)", "tag": "LowCardinality(String)", "status": "LowCardinality(String)"}}[program]
number = {"duckdb": "DOUBLE", "chdb": "Float64"}[program]
columns = ", ".join(f"{name} {kinds.get(name, number)}" for name in names)
order = "tag, time" if form == "narrow" else "time"

if program == "duckdb":
    import duckdb
    began = time.perf_counter()
    connection = duckdb.connect(os.path.join(folder, "bench.duckdb"))
    connection.execute(f"CREATE TABLE t ({columns})")
    how = "(FORMAT json)" if form == "objects" else "(FORMAT csv, HEADER)"
    connection.execute(f"COPY t FROM '{path}' {how}")
    rows = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    connection.execute("CHECKPOINT")
else:
    from chdb import session
    began = time.perf_counter()
    plant = session.Session(os.path.join(folder, "chdb"))
    plant.query("CREATE DATABASE b ENGINE = Atomic")
    plant.query(f"CREATE TABLE b.t ({columns}) ENGINE = MergeTree ORDER BY ({order})")
    how = "JSONEachRow" if form == "objects" else "CSVWithNames"
    plant.query(f"INSERT INTO b.t SELECT * FROM file('{path}', '{how}', '{columns}')")
    rows = int(plant.query("SELECT count() FROM b.t").bytes())
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_SELF)
print(rows, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)

# Not through the end of the interpreter: threads of the readers' own pools are at times still there, and it aborts.
sys.stdout.flush()
os._exit(0)
