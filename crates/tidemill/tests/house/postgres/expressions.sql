-- Expressions as people's tools write them, one a line: a real PostgreSQL and Tidemill must give the same text, or both an error.
-- casts of numbers
12345678901234567890.123456789012::numeric
'12345678901234567890.123456789012'::numeric
-12345678901234567890.5::numeric
CAST(0.1 AS numeric)
CAST(1e-7 AS numeric)
12.50::numeric(10,2)
12.345::numeric(10,2)
'12.345'::numeric(10,2)
2.345::float8::numeric(10,2)
12345.6::numeric(5,2)
5::numeric
0.1::float8::numeric
(0.1::float8 + 0.2::float8)::numeric
1e20::float8::numeric
round(2.345::numeric, 2)
round(2.345::float8::numeric, 2)
round(1234.5::numeric, -2)
round(2.5)
round(-2.5::numeric)
1.5::int
2.5::int
-2.5::int
2.5::float8::int
3.5::float8::int
-0.5::float8::int
2.5::numeric::int
'42'::int
' 42 '::int
'4x'::int
'1.5'::int
1.5::bigint
99999::int2
3000000000::int
1e20::float8::bigint
'NaN'::float8
'Infinity'::float8
true::int
1::boolean
'yes'::boolean
'abc'::varchar(2)
'abc'::char(2)
'abc'::text
'x'::varchar
5::text
1.50::numeric::text
-- bytes
'\x00ff'::bytea
'abc'::bytea
length('\x00ff'::bytea)
encode('\x00ff'::bytea, 'hex')
-- arithmetic
5::int4 + 2147483647::int4
2147483647::int4 * 2::int4
32767::int2 + 1::int2
-(-9223372036854775807 - 1)
9223372036854775807 + 1
-(-32768)::int2
abs(-9223372036854775807 - 1)
1 / 0
1 % 0
7 / 2
-7 / 2
-7 % 3
7.0::float8 / 2
2 ^ 10
2::float8 ^ 0.5
5 # 3
6 & 3
~5
|/ 16.0
@ -5
1::float8 / 3
1.5 + 1
10::numeric + 0.5::numeric
1.10::numeric * 2
0.1::numeric + 0.2::numeric
0.1::float8 + 0.2::float8
3::numeric - 5
mod(7, 3)
power(2, 3)
sqrt(16)
ceil(1.2)
floor(-1.2)
trunc(1.9)
sign(-3)
abs(-1.5)
greatest(1, NULL, 3)
least(2, 1)
width_bucket(5.0, 0.0, 10.0, 5)
div(7, 2)
-- texts
'a' || 'b'
'a' || 1
concat('a', NULL, 1)
concat_ws('-', 'a', NULL, 'b')
upper('abc')
initcap('hello world')
length('äöü')
octet_length('äöü')
substring('hello' from 2 for 3)
substring('hello', 2, 3)
substring('foobar' from 'o.b')
substr('hello', 2)
left('hello', 2)
left('hello', -2)
right('hello', 2)
position('l' in 'hello')
strpos('hello', 'l')
replace('hello', 'l', 'L')
split_part('a/b/c', '/', 2)
split_part('a/b/c', '/', -1)
trim('  x ')
ltrim('xxa', 'x')
btrim('xxaxx', 'x')
lpad('7', 3, '0')
rpad('7', 3, '0')
repeat('ab', 3)
reverse('abc')
ascii('A')
chr(65)
md5('a')
translate('abc', 'ab', 'xy')
starts_with('hello', 'he')
regexp_replace('abc123', '[0-9]+', '#')
regexp_replace('a1b2', '[0-9]', '#', 'g')
regexp_match('foo12', '([a-z]+)([0-9]+)')
regexp_count('a1b2', '[0-9]')
string_to_array('a,b,c', ',')
array_to_string(ARRAY['a','b'], ',')
quote_ident('Some Name')
quote_literal('it''s')
format('%s and %s', 1, 'x')
to_hex(255)
overlay('abcdef' placing 'XX' from 2 for 2)
'abc' LIKE 'a%'
'abc' LIKE 'A%'
'abc' ILIKE 'A%'
'a_c' LIKE 'a\_c'
'abc' NOT LIKE '%b%'
'abc' SIMILAR TO 'a(b|x)c'
'abc' ~ '^a.c$'
'abc' ~* 'B'
'abc' !~ 'z'
'b' > 'a'
'B' < 'a'
-- conditions
CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END
CASE 3 WHEN 1 THEN 'one' WHEN 3 THEN 'three' END
COALESCE(NULL, 2)
COALESCE(NULL, NULL, 'x')
NULLIF(1, 1)
NULLIF(1, 2)
NULL IS NULL
1 IS DISTINCT FROM NULL
NULL::int + 1
NULL OR true
1 IN (1, 2, NULL)
3 IN (1, 2, NULL)
3 BETWEEN 1 AND 5
5 = ANY(ARRAY[1, 5])
5 = ANY('{1,5}')
'b' = ANY('{a,b}')
5 <> ALL(ARRAY[1, 2])
-- times
'2026-01-02 03:04:05+00'::timestamptz
'2026-01-02 03:04+00'::timestamptz
'2026-01-02 03:04:05+02'::timestamptz
'2026-01-02T03:04:05Z'::timestamptz
'2026-01-02T03:04:05.123456+05:30'::timestamptz
'2026-01-02'::timestamptz
'2026-01-02 03:04'::timestamp
'2026-01-02'::date
'2026-01-02 03:04:05'::date
'03:04'::time
'2026-13-01'::date
TIMESTAMP '2026-01-02 03:04:05'
TIMESTAMPTZ '2026-01-02 03:04+02'
DATE '2026-03-01' + 1
DATE '2026-03-01' - 1
DATE '2026-03-01' - DATE '2026-02-01'
DATE '2026-03-01' + INTERVAL '1 day'
TIMESTAMP '2026-03-01 00:00:00' - INTERVAL '1 hour 30 minutes'
TIMESTAMP '2026-01-31 00:00:00' + INTERVAL '1 month'
TIMESTAMP '2026-03-02 00:00:00' - TIMESTAMP '2026-03-01 00:00:00'
TIMESTAMPTZ '2026-03-02 00:00:00+00' - TIMESTAMPTZ '2026-03-01 12:00:00+00'
INTERVAL '1 day' * 2
INTERVAL '90 minutes'
INTERVAL '1 year 2 months'
interval '1 hour' + interval '30 minutes'
extract(epoch from TIMESTAMPTZ '2026-01-02 03:04:05.5+00')
extract(year from DATE '2026-03-01')
extract(dow from DATE '2026-03-01')
extract(isodow from DATE '2026-03-01')
extract(doy from DATE '2026-03-01')
extract(hour from TIMESTAMP '2026-03-01 05:06:07')
extract(second from TIMESTAMP '2026-03-01 05:06:07.25')
extract(week from DATE '2026-03-01')
extract(quarter from DATE '2026-03-01')
extract(epoch from INTERVAL '1 hour')
date_part('minute', TIMESTAMP '2026-03-01 05:06:07')
date_trunc('hour', TIMESTAMPTZ '2026-03-01 05:06:07+00')
date_trunc('month', TIMESTAMP '2026-03-15 05:06:07')
date_trunc('week', DATE '2026-03-04')
date_bin('15 minutes', TIMESTAMPTZ '2026-03-01 05:06:07+00', TIMESTAMPTZ '2001-01-01 00:00:00+00')
to_timestamp(1772323200)
to_timestamp(1772323200.5)
make_date(2026, 3, 1)
TIMESTAMPTZ '2026-03-01 00:00:00+00' AT TIME ZONE 'Europe/Berlin'
TIMESTAMP '2026-03-01 00:00:00' AT TIME ZONE 'UTC'
TIMESTAMPTZ '2026-03-01 00:00:00+00' < '2026-03-01 00:01'
TIMESTAMPTZ '2026-03-01 00:00:00+00' BETWEEN '2026-02-28 23:00+00' AND '2026-03-01 01:00:00+00'
age(TIMESTAMP '2026-03-01 00:00:00', TIMESTAMP '2026-01-01 00:00:00')
to_char(TIMESTAMP '2026-03-01 05:06:07', 'YYYY-MM-DD HH24:MI:SS')
to_char(1234.5, '9999.99')
to_date('2026-03-01', 'YYYY-MM-DD')
-- sets and aggregates
(SELECT sum(x) FROM generate_series(1, 10) AS x)
(SELECT avg(x) FROM generate_series(1, 4) AS x)
(SELECT avg(x::float8) FROM generate_series(1, 4) AS x)
(SELECT count(*) FROM generate_series(1, 10, 2))
(SELECT max(x) - min(x) FROM (VALUES (1), (5), (3)) AS v(x))
(SELECT string_agg(x, ',' ORDER BY x DESC) FROM (VALUES ('a'), ('c'), ('b')) AS v(x))
(SELECT array_agg(x ORDER BY x) FROM (VALUES (3), (1), (2)) AS v(x))
(SELECT array_agg(x ORDER BY x) FROM (VALUES (3), (NULL), (2)) AS v(x))
(SELECT array_agg(x ORDER BY x DESC) FROM (VALUES (3), (NULL), (2)) AS v(x))
(SELECT x FROM (VALUES (3), (NULL), (2)) AS v(x) ORDER BY x DESC LIMIT 1)
(SELECT x FROM (VALUES (3), (NULL), (2)) AS v(x) ORDER BY x LIMIT 1)
(SELECT x FROM (VALUES (3), (NULL), (2)) AS v(x) ORDER BY x DESC NULLS LAST LIMIT 1)
(SELECT sum(x) FROM (VALUES (1.5), (2.25)) AS v(x))
(SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS v(x))
(SELECT count(DISTINCT x) FROM (VALUES (1), (1), (NULL)) AS v(x))
(SELECT count(*) FILTER (WHERE x > 1) FROM (VALUES (1), (2), (3)) AS v(x))
(SELECT bool_and(x > 0) FROM (VALUES (1), (2)) AS v(x))
(SELECT stddev(x) FROM (VALUES (1.0::float8), (2), (4)) AS v(x))
(SELECT var_pop(x) FROM (VALUES (1.0::float8), (2), (4)) AS v(x))
(SELECT corr(x, y) FROM (VALUES (1.0::float8, 2.0::float8), (2, 4), (3, 6)) AS v(x, y))
(SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM (VALUES (1.0::float8), (2), (10)) AS v(x))
(SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY x) AS n FROM (VALUES (5), (6)) AS v(x)) AS t)
(SELECT lag(x) OVER (ORDER BY x) FROM (VALUES (5), (6)) AS v(x) ORDER BY x DESC LIMIT 1)
(SELECT count(*) FROM unnest(ARRAY[1, 2, 3]) AS u(x))
(SELECT max(x) FROM unnest('{4,5}'::int[]) AS x)
ARRAY[1, 2, 3]
ARRAY['a', NULL]
(ARRAY[1, 2, 3])[2]
array_length(ARRAY[1, 2, 3], 1)
cardinality(ARRAY[1, 2])
array_position(ARRAY['a', 'b'], 'b')
ARRAY[1, 2] || 3
'{1,2}'::int[]
(SELECT count(*) FROM generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-02', INTERVAL '1 hour') AS t)
DATE '2026-03-01' - CURRENT_DATE < 0
2.0::float8 > 1.5::numeric
1e20::float8 > 1.5::numeric
1e20::float8 BETWEEN 1.5::numeric AND 2::numeric
'12.5'::float8 = 12.5
extract(epoch from TIMESTAMPTZ '2026-01-02 03:04:05.5+00')::int
extract(epoch from TIMESTAMPTZ '2026-01-02 03:04:05.5+00')::bigint
(2.5 * 1)::int
round(avg(x)::numeric, 2) FROM (VALUES (1.0::float8), (2)) AS v(x)
round(2.345, 2)
2 * INTERVAL '1 hour'
INTERVAL '1 hour' / 4
TIMESTAMP '2026-03-01 00:00:00' + 3 * INTERVAL '15 minutes'
to_char(TIMESTAMPTZ '2026-03-01 05:06:07+00', 'YYYY-MM')
date_trunc('day', TIMESTAMPTZ '2026-03-01 05:06:07+00', 'Europe/Berlin')
TIMESTAMPTZ '2026-03-01 05:06:07+00' AT TIME ZONE 'UTC'
(TIMESTAMPTZ '2026-07-01 05:06:07+00' AT TIME ZONE 'Europe/Berlin')::date
7::numeric / 2
10::numeric / 3
1.5 / 0.5
1.0::float8 / 0
0.1::numeric::float8
sum(x) FROM (VALUES (1.10::numeric), (2.20::numeric)) AS v(x)
max(x)::numeric FROM (VALUES (1.5::float8), (2)) AS v(x)
'abc'::varchar(2)::text
'2026-01-02 03:04:05+02'::timestamp
now() > '2020-01-02 03:04'
round(1.005::numeric, 2)
1234.5678::numeric(8,3)
(1.5::numeric)::int8
'5'::numeric + 1
3.7::numeric::int2
-- numbers of many digits
9999999999999999999.9999999999999999::numeric + 1
1234567890123456789012345678.12345678::numeric + 0.000000001::numeric
9999999999999999999999999999999999999::numeric + 1
9999999999999999999999999999999999999::numeric * 3
12345678901234567.5::numeric * 1234567890123456789.25::numeric
0.00000000000000001::numeric(38,17) / 0.00000000000000001::numeric(38,17) = 1
12345678901234567890123456789012345678::numeric > 1.5
12345678901234567890123456789012345678::numeric = 12345678901234567890123456789012345678::numeric
12345678901234567890123456789012345678::numeric % 1000
-(99999999999999999999999999999999999999::numeric)
(SELECT sum(x) FROM (VALUES (9999999999999999999999999999999999999::numeric), (9999999999999999999999999999999999999::numeric)) AS v(x))
(SELECT sum(x) FROM (VALUES (1.5::numeric), (-2.25::numeric)) AS v(x))
(SELECT round(avg(x), 1) FROM (VALUES (9999999999999999999999999999999.5::numeric), (9999999999999999999999999999999.5::numeric)) AS v(x))
'9223372036854775808'::numeric::bigint
'9223372036854775807'::numeric::bigint
-- intervals
interval '36 hours' > interval '1 day'
interval '1 day' = interval '24 hours'
interval '1 month' > interval '29 days'
interval '1 month' = interval '720 hours'
interval '1 month' < interval '31 days'
interval '30 days 1 second' BETWEEN interval '1 month' AND interval '2 months'
interval '24 hours' IN (interval '1 hour', interval '1 day')
interval '24 hours' NOT IN (interval '1 hour', interval '1 day')
interval '1 day' IS DISTINCT FROM interval '24 hours'
CASE interval '24 hours' WHEN interval '1 day' THEN 'same' ELSE 'other' END
(TIMESTAMP '2026-09-25 00:00:00' - TIMESTAMP '2026-01-01 00:00:00') > interval '1 day'
(TIMESTAMP '2026-01-01 00:00:00' - TIMESTAMP '2026-09-25 00:00:00') < interval '-1 day'
now() - TIMESTAMPTZ '2020-01-01 00:00:00+00' > interval '1 day'
(SELECT max(x) FROM (VALUES (interval '1 day'), (interval '36 hours'), (NULL)) AS v(x))
(SELECT min(x) FROM (VALUES (interval '1 day'), (interval '36 hours'), (NULL)) AS v(x))
(SELECT max(x) FILTER (WHERE x < interval '30 hours') FROM (VALUES (interval '1 day'), (interval '36 hours')) AS v(x))
(SELECT x FROM (VALUES (interval '1 day'), (interval '36 hours'), (interval '2 hours')) AS v(x) ORDER BY x DESC LIMIT 1)
(SELECT string_agg(n, ',' ORDER BY x) FROM (VALUES (interval '1 day', 'b'), (interval '36 hours', 'c'), (interval '2 hours', 'a')) AS v(x, n))
(SELECT count(DISTINCT x) FROM (VALUES (interval '1 day'), (interval '24 hours')) AS v(x))
(SELECT count(*) FROM (VALUES (interval '1 day')) AS a(x) JOIN (VALUES (interval '24 hours')) AS b(y) ON x = y)
(SELECT max(n) FROM (SELECT row_number() OVER (PARTITION BY x) AS n FROM (VALUES (interval '1 day'), (interval '24 hours')) AS v(x)) AS t)
-- times in zones and formats
TIMESTAMPTZ '2026-03-01 00:00:00+00' AT TIME ZONE '+02'
TIMESTAMPTZ '2026-03-01 00:00:00+00' AT TIME ZONE '-05:30'
TIMESTAMP '2026-03-01 00:00:00' AT TIME ZONE '+02'
TIMESTAMP '2026-03-29 02:30:00' AT TIME ZONE 'Europe/Berlin'
TIMESTAMP '2026-10-25 02:30:00' AT TIME ZONE 'Europe/Berlin'
TIMESTAMP '2026-07-01 00:00:00' AT TIME ZONE 'Europe/Berlin'
TIMESTAMP '2011-12-30 12:00:00' AT TIME ZONE 'Pacific/Apia'
date_trunc('day', TIMESTAMPTZ '2026-03-29 12:00:00+00', 'Europe/Berlin')
to_timestamp('2026-03-01 05', 'YYYY-MM-DD HH24')
to_timestamp('2026-03-01 05:06', 'YYYY-MM-DD HH24:MI')
to_timestamp('2026-03-01 05:06:07', 'YYYY-MM-DD HH24:MI:SS')
to_timestamp('2026-03-01 05', 'YYYY-MM-DD HH12')
to_timestamp('2026-03-01 05 PM', 'YYYY-MM-DD HH12 PM')
to_timestamp('2026-03-01', 'YYYY-MM-DD')
to_timestamp('NaN'::float8)
to_timestamp(1e300)
to_timestamp('Infinity'::float8)
extract(epoch from TIMESTAMPTZ '2026-01-02 03:04:05.002+00')::text::float8
-- patterns, lists and subqueries
'foo' SIMILAR TO '%o'
'foo' SIMILAR TO 'f%'
'foo' SIMILAR TO 'o'
'xfoox' SIMILAR TO 'foo'
'a.c' SIMILAR TO 'a.c'
'abc' SIMILAR TO 'a.c'
'abc' NOT SIMILAR TO 'a_c'
'50%' SIMILAR TO '50#%' ESCAPE '#'
'a1' SIMILAR TO '[[:alpha:]][0-9]'
NULL SIMILAR TO 'a'
array_remove(ARRAY[1, 2, 1], 1)
'{a}'::int[]
'{1,2}'::int8[]
(ARRAY[1, 2, 3])[-1]
(ARRAY[1, 2, 3])[0]
(ARRAY[1, 2, 3])[3]
(ARRAY[1, 2, 3])[4]
(SELECT (ARRAY[1, 2, 3])[x] FROM (VALUES (-1)) AS v(x))
array_length('{}'::int[], 1)
array_length('{1,2}'::int[], 1)
array_upper('{}'::text[], 1)
cardinality('{}'::int[])
(SELECT 1 WHERE false)
(SELECT x FROM generate_series(1, 3) AS x WHERE x > 5)
(SELECT 1 WHERE false) IS NULL
COALESCE((SELECT 1 WHERE false), 7)
(SELECT 1 WHERE false) + 1
length('ab'::char(5))
'ab'::char(5) || 'x'
'ab'::char(5) = 'ab'
'ab'::char(5)::text || 'x'
'ab'::char(5)
-- parts of what lies between two times
extract(epoch from TIMESTAMP '2026-03-03 01:30:05.75' - TIMESTAMP '2026-03-01 00:00:00')::float8
extract(second from TIMESTAMP '2026-03-03 01:30:05.75' - TIMESTAMP '2026-03-01 00:00:00')::float8
extract(hour from TIMESTAMP '2026-03-03 01:30:05.75' - TIMESTAMP '2026-03-01 00:00:00')
extract(minute from TIMESTAMP '2026-03-03 01:30:05.75' - TIMESTAMP '2026-03-01 00:00:00')
extract(day from TIMESTAMP '2026-03-03 01:30:05.75' - TIMESTAMP '2026-03-01 00:00:00')
extract(milliseconds from TIMESTAMP '2026-03-03 01:30:05.75' - TIMESTAMP '2026-03-01 00:00:00')::float8
extract(epoch from TIMESTAMP '2026-03-01 00:00:00' - TIMESTAMP '2026-03-03 01:30:05.75')::float8
extract(epoch from TIMESTAMP '2026-03-01 00:00:03.5' - TIMESTAMP '2026-03-01 00:00:00')::float8
extract(epoch from TIMESTAMP '2100-01-01 00:00:00' - TIMESTAMP '1970-01-01 00:00:00')::float8
extract(second from interval '5.75 s')::float8
extract(epoch from interval '1 year 2 months 3 days')::float8
date_part('hour', interval '36 hours')
-- how tightly operators bind
-1.5::float8 ^ 2
2 * -3::float8 ^ 2
-2::float8 ^ 2 ^ 2
- x ^ 2 FROM (VALUES (3::float8)) AS v(x)
@ x + 1 FROM (VALUES (-5)) AS v(x)
(@ -5) + 1
~5 + 1
-- intervals in numbers
'30'::interval
'1 hour 30'::interval
'1.5'::interval
'2 days 1.5'::interval
'1 hour -30'::interval
'3 02:00'::interval
'1d2h'::interval
'1.5 months'::interval
'1-2'::interval
'P1Y2M3DT4H5M6.5S'::interval
'1 day ago'::interval
'1 30'::interval
'1 fortnight'::interval
''::interval
INTERVAL '90'
-- times with something behind them
'2024-01-05 10:00:00,5'::timestamp
'2024-01-05 10:00:00 XYZ'::timestamp
'2024-01-05 10:00:00 CET'::timestamp
'2024-01-05 10:00:00+02'::timestamp
'2024-07-05 10:00 CET'::timestamptz
'2024-07-05 10:00:00 EST'::timestamptz
TIMESTAMPTZ '2026-07-01 00:00:00+00' AT TIME ZONE 'CET'
-- items beside blanks and quotes
'b' = ANY('{"a", "b"}')
'b' = ANY('{ "a" , b }')
'b' = ANY('{a,}')
'{a,,b}'::text[]
'{a"b"}'::text[]
-- rows with NULL among their items
(x, i) = (1.5, 3) FROM (VALUES (1.5::float8, NULL::int)) AS v(x, i)
(x, i) IN ((1.5, 3)) FROM (VALUES (1.5::float8, NULL::int)) AS v(x, i)
(x, i) < (1.5, 3) FROM (VALUES (1.5::float8, NULL::int)) AS v(x, i)
(x, i) IS NULL FROM (VALUES (NULL::int, NULL::int)) AS v(x, i)
(1, NULL) IS NULL
(1, NULL) IS NOT NULL
(1, NULL) = (2, 3)
(1, 2) NOT IN ((1, 2), (3, 4))
(2, 1) > (1, NULL)
ROW(1, 2) = ROW(1, 2)
-- texts of values
TIMESTAMPTZ '2024-01-05 10:11:12.5+00'::text
'a' || TIMESTAMPTZ '2024-01-05 10:11:12.5+00'
TIMESTAMP '2024-01-05 10:11:12.5'::text
21::float8::text
'a' || x FROM (VALUES (21::float8), (NULL)) AS v(x)
concat(1.0::float8, 'a')
INTERVAL '1 day 2 hours'::text
(TIMESTAMP '2026-03-02 00:00:00' - TIMESTAMP '2026-03-01 12:00:00')::text
TIME '10:11:12.5'::text
'NaN'::float8::text
true::text
string_agg(x::text, ',') FROM (VALUES (1.0::float8), (2.5)) AS v(x)
to_char(TIMESTAMP '2026-03-01 10:11:12', 'SSSS')
to_char(TIMESTAMP '2026-03-01 10:11:12', '%Y')
to_char(TIMESTAMP '2026-03-02 00:00:00' - TIMESTAMP '2026-03-01 12:00:00', 'HH24:MI:SS')
to_hex(-1)
concat(true)
'2024-01-05 10:00:00 PM'::timestamp
round(x::numeric, 2) FROM (VALUES ('NaN'::float8)) AS v(x)
'Infinity'::float8::numeric(10,2)
-- lists of all types
ARRAY[1.5, 2.25]::float8[]
'{1.5,NULL,-2}'::float8[]
'{1.5,NaN,Infinity}'::float8[]
'{}'::float8[]
ARRAY[]::float8[]
ARRAY[NULL]::float8[]
ARRAY[NULL, 1.5]::float8[]
NULL::float8[]
'{1.50,2.25,NULL}'::numeric[]
ARRAY[1.50, 2.25, NULL]::numeric[]
'{1.239,2}'::numeric(10,2)[]
'{1.5,2}'::numeric[]
'{1.5,x}'::numeric[]
'{true,f,NULL}'::bool[]
'{2026-01-02,NULL}'::date[]
'{"2026-01-02 03:04:05.5+02",NULL}'::timestamptz[]
ARRAY[TIMESTAMP '2026-01-02 03:04:05', NULL]
ARRAY[DATE '2026-01-02', NULL]
'{03:04:05.25,NULL}'::time[]
'{"1 day 02:00:00",NULL}'::interval[]
'{a,"b c",NULL,"null","","d\"e","f\\g","{h}","i,j"}'::text[]
'{"\\x00ff",NULL}'::bytea[]
ARRAY['a', NULL]::text[]
ARRAY[1, 2]::text[]
ARRAY[1, NULL]::float8[]
ARRAY[1.7, 2.2]::int[]
'{1,2'::int[]
'{1,x}'::int[]
'{{1,2},{3,4}}'::int[]
ARRAY['2026-01-02']::date[]
string_to_array('1,2', ',')::int[]
string_to_array('1,x', ',')::int[]
array_agg(x) FROM (VALUES (1.5::float8), (NULL)) AS v(x)
array_agg(x::numeric(10,2) ORDER BY x) FROM (VALUES (1.5::float8), (NULL), (0.25)) AS v(x)
array_agg(x::text ORDER BY x) FROM (VALUES (2), (1)) AS v(x)
array_agg(x ORDER BY x)::text[] FROM (VALUES (2), (1)) AS v(x)
array_agg(x ORDER BY x) FROM (VALUES (TIMESTAMPTZ '2026-01-01 00:00:00+00'), (NULL)) AS v(x)
array_agg(x ORDER BY x) FROM (VALUES (true), (false), (NULL)) AS v(x)
3 = ANY('{}'::int[])
2 = ANY('{1,2,NULL}'::int[])
3 = ANY('{1,2,NULL}'::int[])
3 <> ALL('{1,2,NULL}'::int[])
1.5 = ANY('{1.50,2.25}'::numeric[])
DATE '2026-01-02' = ANY('{2026-01-02}'::date[])
-- casts that only their types tell apart
sum(x), sum(x::numeric(20,3)), sum(x::numeric(10,1)) FROM (VALUES (1.5::float8), (2.25)) AS v(x)
max(x), max(x::date) FROM (VALUES (TIMESTAMP '2026-01-02 03:04:05')) AS v(x)
x::date, x FROM (VALUES (TIMESTAMP '2026-01-02 03:04:05')) AS v(x) GROUP BY x::date, x
sum(x) OVER (ORDER BY x), sum(x::numeric(10,1)) OVER (ORDER BY x) FROM (VALUES (1.5::float8), (2.5)) AS v(x) ORDER BY x LIMIT 1
b FROM (SELECT count(x), count(x::text), sum(x::int) - sum(x) AS b FROM (VALUES (1.5::float8)) AS v(x) HAVING sum(x) > 1) AS t
-- intervals in other spellings
'1 day 2:00:00'::interval
'-1 days +02:00:00'::interval
'-1-2 +2 days 00:00:01'::interval
'-1 mons -2 days'::interval
INTERVAL '1 year 2 mons 3 days 04:05:06.7'
'90'::interval
INTERVAL '1.5'
'PT90M'::interval
'-00:00:01.5'::interval
'1:30'::interval
'1:x'::interval
'PX'::interval
'soon'::interval
-- intervals that are chosen
greatest(interval '1 day', interval '36 hours')
least(interval '1 day', interval '36 hours', NULL)
greatest(interval '1 day', interval '24 hours')
greatest(NULL::interval, NULL)
nullif(interval '1 day', interval '24 hours')
nullif(interval '1 day', interval '25 hours')
greatest(x, interval '2 hours') FROM (VALUES (interval '1 hour')) AS v(x)
(SELECT count(*) FROM (SELECT DISTINCT x FROM (VALUES (interval '1 day'), (interval '24 hours')) AS v(x)) AS d)

-- functions of the catalogue, which are numbers with names
'array_in'::regproc
'array_in'::regproc::oid
typreceive FROM pg_type WHERE typname = 'int8'
typreceive::text || ', ' || typsend || ', ' || typmodin FROM pg_type WHERE typname = 'int8'
typreceive::oid, typmodin::oid::text FROM pg_type WHERE typname = 'int8'
typname FROM pg_type WHERE typreceive = 'pg_catalog.int8recv'::regproc
typname FROM pg_type WHERE typreceive::text = 'int8recv' AND typsend != 0 AND typmodin = '-'::regproc
typname FROM pg_type WHERE typreceive = 'no_such_function'::regproc
p.proname, p.prorettype::regtype FROM pg_type t JOIN pg_proc p ON p.oid = t.typinput WHERE t.typname = '_text'
proname FROM pg_proc WHERE oid = 'timestamptz_recv'::regproc
string_agg(typname, ',' ORDER BY typname) FROM (SELECT oid, typname, typreceive, typbasetype, typrelid, typarray FROM pg_catalog.pg_type WHERE (typreceive != 0 OR typsend != 0) AND typtype != 'r' AND typreceive::TEXT != 'array_recv') AS t WHERE typname IN ('bool', 'text', '_text', 'aclitem', 'void')
relkind, relpersistence, oid::text FROM pg_class WHERE relname = 'pg_type'
attidentity = '', attgenerated = '', attnum FROM pg_attribute WHERE attrelid = 'pg_type'::regclass AND attname = 'oid'
-- signs, powers, rows and floats
- interval '1 day'
- interval '2 hours 30 minutes'
timestamp '2026-01-02' + (- interval '1 day')
timestamp '2026-01-02' - (- interval '1 month 1 day')
2 ^ -3 ^ 2
2 ^ (-3 ^ 2)
-2 ^ 2 ^ -1
(1, 2) NOT BETWEEN (1, 1) AND (1, NULL)
(1, 2) BETWEEN (1, 1) AND (1, 3)
(1, 3) NOT BETWEEN (1, 1) AND (1, 2)
1e15::float8::text
1e14::float8::text
1e-5::float8::text
0.0001::float8::text
0.00001234::float8::text
1234567::float4::text
123456::float4::text
0.0001::float4::text
-1.5e-300::float8::text

-- intervals of differences, of texts in columns, multiplied and divided
extract(day from coalesce(max(t) - min(t), interval '0')) FROM (VALUES (TIMESTAMP '2026-01-01 00:00:00'), (TIMESTAMP '2026-01-04 05:00:00')) AS v(t)
extract(day from (a - b) + interval '1 hour') FROM (VALUES (TIMESTAMP '2026-01-09 00:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)
extract(hour from (a - b)::interval) FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)
extract(day from CASE WHEN a > b THEN a - b ELSE interval '1 day' END) FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)
greatest(a - b, interval '1 day') FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)
(a - b) * 2 FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)
(a - b) / 3 FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b)
string_agg(d::text, ', ') FROM (SELECT a - b AS d FROM (VALUES (TIMESTAMP '2026-01-09 05:00:00', TIMESTAMP '2026-01-01 00:00:00')) AS v(a, b) UNION ALL SELECT interval '8 days 05:00:00') AS u
interval '49 days' / 49
interval '49 months' / 49
interval '1 month' * 2.3
interval '100 days' * 0.29
interval '1 mon -1 day' * 0.5
interval '1 year' / 7
interval '1 day' / 3
interval '1 hour' / 7
interval '3 days 5 hours' * -1.5
2.5 * interval '1 month 1 day 1 hour'
interval '-1 month' * 0.1
interval '999999 hours' / 7.7
interval '1 day' / 0
interval '1 day' * 1e10
x::interval FROM (VALUES ('30')) AS v(x)
string_agg(x::interval::text, ', ' ORDER BY x) FROM (VALUES ('1 day 02:30'), (NULL), ('P1Y2M')) AS v(x)
x::interval FROM (VALUES ('soon')) AS v(x)
x::timestamp FROM (VALUES ('2026-01-02 03:04:05+02')) AS v(x)
x::timestamp FROM (VALUES ('2026-01-02 03:04')) AS v(x)
x::timestamptz FROM (VALUES ('2026-07-02 03:04:05 CET')) AS v(x)
x::timestamptz FROM (VALUES ('2026-07-02 03:04:05+0530')) AS v(x)
interval '1 day 1 day'
interval '1 hour 02:00'
interval '1 year 1-2'
interval '1.5 s 20 ms'
-- what stands before a number, with what follows
1 + @ -5 + 3
1 + @ -5 + 3 - 2
1 - @ -5 - 3
2 * @ -5 + 3
3 + 2 * @ -5 + 1
10 - @ -5 * 2 + 1
1 + ~ 1 + 1
- @ -5 + 3
@ @ -5 + 3
(1 + @ -5) + 3
1 + |/ 9 + 7
2 ^ -1 ^ -2 ^ 1
