--
-- conditions on attribute columns: index against table, at the ends of every type
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
SET datestyle = ISO;
SET timezone = UTC;
CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad');
CREATE DOMAIN small AS int CHECK (VALUE < 1000);

-- Values of each column.  It is compared with the values of every column of its
-- family, by every operator of the family.  A "char" is written as a number; two
-- of text and two of numeric have the same hash.
CREATE TABLE columns (number serial, col text, type text, family text, vals text[], via text);
INSERT INTO columns (col, type, family, vals) VALUES
	('b', 'boolean', 'bool', '{false,true}'),
	('s', 'int2', 'integer', '{-32768,-1,0,1,7,32767}'),
	('i', 'int4', 'integer', '{-2147483648,-32769,-1,0,1,7,32768,2147483647}'),
	('l', 'int8', 'integer', '{-9223372036854775808,-2147483649,-1,0,7,2147483648,9223372036854775807}'),
	('sm', 'small', 'integer', '{-1,0,7,999}'),
	('r', 'float4', 'float', '{-Infinity,-3.4028235e38,-1.5,-1e-45,-0,0,1e-45,0.1,1,1.0000001,16777216,3.4028235e38,Infinity,NaN}'),
	('d', 'float8', 'float', '{-Infinity,-1.7976931348623157e308,-3.4028235677973366e38,-3.4028234663852886e38,-1.5,-5e-324,-0,0,5e-324,8e-46,0.1,0.10000000149011612,1.00000006,16777217,3.4028235677973366e38,1e39,Infinity,NaN}'),
	('da', 'date', 'datetime', '{-infinity,4714-11-24 BC,1999-12-31,2000-01-01,2000-01-02,294276-12-31,294277-01-01,5874897-12-31,infinity}'),
	('ts', 'timestamp', 'datetime', '{-infinity,4714-11-24 00:00:00 BC,1999-12-30 12:00:00,1999-12-31 00:00:00,1999-12-31 23:59:59.999999,2000-01-01 00:00:00,2000-01-01 00:00:00.000001,294276-12-31 23:59:59.999999,infinity}'),
	('tz', 'timestamptz', 'timestamptz', '{-infinity,4714-11-25 00:00:00+00 BC,2000-01-01 00:00:00+00,2000-01-01 00:00:00+01,294276-12-31 00:00:00+00,infinity}'),
	('ti', 'time', 'time', '{00:00:00,00:00:00.000001,12:00:00,23:59:59.999999,24:00:00}'),
	('u', 'uuid', 'uuid', '{00000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000001,00000000-0000-0001-0000-000000000000,7fffffff-ffff-ffff-ffff-ffffffffffff,80000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}'),
	('o', 'oid', 'oid', '{0,1,2147483647,2147483648,4294967295}'),
	('e', 'mood', 'enum', '{sad,fine,glad}'),
	('t', 'text', 'text', '{"",a,"a ",A,sad,x30780,x135173}'),
	('vc', 'varchar', 'text', '{"",a,"a ",b}'),
	('bp', 'character(3)', 'bpchar', '{"",a,"a ",ab}'),
	('n', 'numeric', 'numeric', '{0,-0.00,1,1.000,1e30,26955,78037,NaN,Infinity}'),
	('by', 'bytea', 'bytea', '{"","\\x00","\\x0000",a}');
INSERT INTO columns (col, type, family, vals, via) VALUES
	('c', '"char"', 'char', '{-128,-1,0,65,127}', 'int4');

-- all values as expressions; a boolean as one that the planner does not simplify
CREATE VIEW constants AS
	SELECT number, col, type, family, 
		format(CASE type WHEN 'boolean' THEN '(SELECT %L::%s)' ELSE '%L::%s' END,
			   value, coalesce(via || '::', '') || type) AS expression, place
	FROM columns, unnest(vals) WITH ORDINALITY value (value, place);
CREATE TABLE operators (family text, op text);
INSERT INTO operators SELECT DISTINCT family, op FROM columns,
	unnest(CASE WHEN family IN ('text', 'bpchar', 'numeric', 'bytea') THEN '{=}'
		   WHEN family = 'enum' THEN '{=,<>}' ELSE '{<,<=,=,>=,>,<>}' END::text[]) op;

-- Rows whose numbers are near each other are near each other in space, and have
-- equal values: so most lists lack most values.  Half of the rows come when the
-- indexes are there; a few have no vector.
DO $$
DECLARE
	definitions text;
	randoms text;
BEGIN
	SELECT string_agg(col || ' ' || type, ', ' ORDER BY number) INTO definitions FROM columns;
	SELECT string_agg(format('(ARRAY[%s])[1 + abs(hashint8extended(id / 10, %s) %% %s)]', expressions, number, n + 1),
					  ', ' ORDER BY number) INTO randoms
		FROM (SELECT number, string_agg(expression, ', ' ORDER BY place) AS expressions, count(*) AS n
			  FROM constants GROUP BY number) s;
	EXECUTE format('CREATE TABLE plain (id int, v f32vec(2), %s)', definitions);
	EXECUTE format('INSERT INTO plain SELECT id, CASE WHEN id %% 50 <> 0 THEN vec(id / 10, 2, 100) + vec(id, 2) END, %s FROM generate_series(1, 600) id',
				   randoms);
END
$$;
CREATE TABLE flat AS SELECT * FROM plain WHERE id % 2 = 0;
CREATE TABLE ivf AS SELECT * FROM plain WHERE id % 2 = 0;
CREATE INDEX ON flat USING vkflat (v, id, b, s, i, l, sm, r, d, da, ts, tz);
CREATE INDEX ON flat USING vkflat (v f32vec_l1_ops, ti, u, o, e, t, vc, bp, n, by, c);
CREATE INDEX ON ivf USING vkivf (v, id, b, s, i, l, sm, r, d, da, ts, tz) WITH (lists = 12);
CREATE INDEX ON ivf USING vkivf (v f32vec_cosine_ops, ti, u, o, e, t, vc, bp, n, by, c) WITH (lists = 12);
INSERT INTO flat SELECT * FROM plain WHERE id % 2 = 1;
INSERT INTO ivf SELECT * FROM plain WHERE id % 2 = 1;
ANALYZE flat, ivf, plain;

-- Does the index give the rows that the table without one does?  Raises where
-- the plan does not use it for all of the condition; of ANY and other conditions
-- the planner may leave ANY to a filter.
CREATE FUNCTION matches(tab text, condition text, ordered boolean DEFAULT false, OUT count int, OUT wrong int)
LANGUAGE plpgsql AS $$
DECLARE
	statement CONSTANT text := 'SELECT id FROM %I WHERE %s %s';
	rows CONSTANT text := 'SELECT array_agg(id ORDER BY id) FROM (' || statement || ' OFFSET 0) s';
	sort CONSTANT text := CASE WHEN ordered THEN 'ORDER BY v <-> ''[30,40]''' ELSE '' END;
	line text;
	used boolean := false;
	found int[];
	expected int[];
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || format(statement, tab, condition, sort) LOOP
		used := used OR line LIKE '%Index Cond%';
		IF line ~ '(Seq Scan|Sort$)' OR line ~ ' Filter:' AND condition !~ 'ANY.* AND | AND .*ANY' THEN
			RAISE 'the plan for % has %', condition, trim(line);
		END IF;
	END LOOP;
	IF NOT used THEN
		RAISE 'the plan for % does not use the index', condition;
	END IF;
	EXECUTE format(rows, tab, condition, sort) INTO found;
	EXECUTE format(rows, 'plain', condition, '') INTO expected;
	count := coalesce(cardinality(expected), 0);
	wrong := (found IS DISTINCT FROM expected)::int;
	IF wrong > 0 THEN
		RAISE WARNING '% WHERE %: % rows, expected %', tab, condition, coalesce(cardinality(found), 0), count;
	END IF;
END
$$;
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_indexscan = off;
SET jit = off;

-- each operator
SELECT tab, a.col, a.type, b.type AS constant, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM columns a JOIN operators USING (family) JOIN constants b USING (family), unnest('{flat,ivf}'::text[]) tab,
	LATERAL matches(tab, format('%s %s %s', a.col, op, b.expression)) m
GROUP BY tab, a.number, a.col, a.type, b.type ORDER BY tab, a.number, b.type;

-- ANY: of every third value and NULL, of one value twice, of NULL, of none
SELECT tab, a.col, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM columns a JOIN operators USING (family)
	JOIN (SELECT family, type, col AS from_col, array_agg(expression ORDER BY place) FILTER (WHERE place % 3 = 1) AS list
		  FROM constants GROUP BY 1, 2, 3) b USING (family),
	LATERAL (VALUES (list || 'NULL'::text), (list[1:1] || list[1:1]), (ARRAY['NULL']), ('{}')) lists (elements),
	unnest('{flat,ivf}'::text[]) tab,
	LATERAL matches(tab, format('%s %s ANY (ARRAY[%s]::%s[])', a.col, op, array_to_string(elements, ', '), b.type)) m
GROUP BY tab, a.number, a.col ORDER BY tab, a.number;

-- NOT IN: the same lists where they are constant; of none it holds for NULL too
SELECT tab, a.col, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM columns a JOIN operators o ON o.family = a.family AND op = '<>'
	JOIN (SELECT family, type, col AS from_col, array_agg(expression ORDER BY place) FILTER (WHERE place % 3 = 1) AS list
		  FROM constants GROUP BY 1, 2, 3) b ON b.family = a.family,
	LATERAL (VALUES (list), (list || 'NULL'::text), (list[1:1] || list[1:1]), (ARRAY['NULL'])) lists (elements),
	unnest('{flat,ivf}'::text[]) tab,
	LATERAL matches(tab, format('%s %s ALL (ARRAY[%s]::%s[])', a.col, op, array_to_string(elements, ', '), b.type)) m
WHERE a.family <> 'bool' AND b.type <> 'small'
GROUP BY tab, a.number, a.col ORDER BY tab, a.number;
SELECT tab, m.* FROM unnest('{flat,ivf}'::text[]) tab, matches(tab, format('id <> ALL (%L)', (SELECT array_agg(g) FROM generate_series(2, 200, 2) g))) m;
SELECT (SELECT count(*) FROM flat WHERE i <> ALL ('{}')) - (SELECT count(*) FROM flat) AS missing,
	(SELECT count(*) FROM (SELECT id FROM ivf WHERE i <> ALL ('{}') ORDER BY v <-> '[30,40]') s) - (SELECT count(*) FROM ivf) AS missing;

-- NULL
SELECT condition, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM columns a, unnest('{%1$s IS NULL,%1$s IS NOT NULL,%1$s IS NULL AND %1$s IS NOT NULL}'::text[]) condition,
	unnest('{flat,ivf}'::text[]) tab, LATERAL matches(tab, format(condition, a.col)) m
GROUP BY condition ORDER BY condition COLLATE "C";
SELECT sum(m.count) AS rows, sum(wrong) AS wrong
FROM constants a, unnest('{flat,ivf}'::text[]) tab,
	LATERAL matches(tab, format('%1$s IS NULL AND %1$s = %2$s', col, expression)) m;

-- NaN is one value, whatever its bits are
CREATE TABLE nan AS SELECT id, v, CASE id % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN x - x ELSE id END::float8 AS d,
	CASE id % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN x - x ELSE id END::float4 AS r FROM plain, (SELECT 'Infinity'::float8 AS x OFFSET 0) s;
CREATE INDEX ON nan USING vkflat (v, d, r);
ANALYZE nan;
SELECT condition, (SELECT rows_by.result[1] FROM rows_by('bitmap', 'SELECT count(*) FROM nan WHERE ' || c, 'Index Cond')) AS by_index, (SELECT rows_by.result[1] FROM rows_by('sequential', 'SELECT count(*) FROM nan WHERE ' || c, '')) AS by_table
FROM unnest('{%s = ''NaN'',%s = x,%s >= x,%s < ''NaN'',%s <> x}'::text[]) condition, unnest('{d,r}'::text[]) col,
	LATERAL (SELECT replace(format(condition, col), 'x', format('(SELECT ''Infinity''::%1$s - ''Infinity''::%1$s)', CASE col WHEN 'd' THEN 'float8' ELSE 'float4' END)) AS c) t;
DROP TABLE nan;

-- values of their own, which fall as rows are added: each is in its list's summary
CREATE TABLE falling (id int, v f32vec(2), i int, l bigint, u uuid);
CREATE INDEX falling_flat ON falling USING vkflat (v, i);
INSERT INTO falling SELECT id, vec(id % 20, 2, 100) + vec(id, 2), -id, -id, lpad(to_hex(1000000 - id), 32, '0')::uuid FROM generate_series(1, 600) id;
CREATE INDEX falling_ivf ON falling USING vkivf (v f32vec_cosine_ops, l, u) WITH (lists = 60);
INSERT INTO falling SELECT id, vec(id % 20, 2, 100) + vec(id, 2), -id, -id, lpad(to_hex(1000000 - id), 32, '0')::uuid FROM generate_series(601, 700) id;
ANALYZE falling;
SELECT count(*) FILTER (WHERE i) AS i, count(*) FILTER (WHERE l) AS l, count(*) FILTER (WHERE u) AS u FROM (
	SELECT EXISTS (SELECT FROM falling f WHERE f.i = p.i OFFSET 0) AS i, EXISTS (SELECT FROM falling f WHERE f.l = p.l OFFSET 0) AS l,
		EXISTS (SELECT FROM falling f WHERE f.u = p.u OFFSET 0) AS u FROM falling p OFFSET 0) s;
EXPLAIN (COSTS OFF) SELECT EXISTS (SELECT FROM falling f WHERE f.i = p.i OFFSET 0) AS i, EXISTS (SELECT FROM falling f WHERE f.l = p.l OFFSET 0) AS l,
		EXISTS (SELECT FROM falling f WHERE f.u = p.u OFFSET 0) AS u FROM falling p;
DROP TABLE falling;

-- more conditions than one on a column
SELECT a.col, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM constants a JOIN constants b USING (family, col), unnest('{flat,ivf}'::text[]) tab,
	unnest('{%1$s BETWEEN %2$s AND %3$s,%1$s > %2$s AND %1$s <> %3$s,%1$s <> %2$s AND %1$s <> %3$s AND %1$s IS NOT NULL}'::text[]) condition,
	LATERAL matches(tab, format(condition, a.col, a.expression, b.expression)) m
WHERE a.col IN ('i', 'd', 'da', 'u', 'c') AND (a.place < 6 OR a.place % 4 = 0) AND (b.place < 6 OR b.place % 3 = 0)
GROUP BY a.col ORDER BY a.col;
SELECT condition, sum(m.count) AS rows, sum(wrong) AS wrong
FROM unnest('{flat,ivf}'::text[]) tab, (VALUES
	('i BETWEEN -1::int2 AND 7::int8'), ('i > 0::int8 AND i < 1::int2'), ('l > 0::int2 AND l < 9223372036854775807'),
	('r >= 0.1::float8 AND r <= 1.00000006::float8'), ('r > 0.1 AND r < ''NaN'''), ('d BETWEEN 0.1::float4 AND 0.1::float4'),
	('da >= timestamp ''1999-12-31 00:00:01'' AND da < timestamp ''infinity'''), ('ts > date ''5874897-12-31'''),
	('ts = date ''294277-01-01'''), ('i = ANY (''{-1,0,1,7}'') AND i <> 0 AND i >= 0::int8'),
	('i = ANY (''{-1,0}'') AND i = ANY (''{1,7}'')'), ('t = ''a'' AND t = ANY (''{A,x30780}'')'), ('t = ''a'' AND t IS NOT NULL')) v (condition),
	LATERAL matches(tab, condition) m
GROUP BY condition ORDER BY condition COLLATE "C";

-- long lists
SELECT tab, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM unnest('{flat,ivf}'::text[]) tab, (VALUES
	('id = ANY (ARRAY(SELECT generate_series(-100, 700, 7)))'), ('id = ANY (ARRAY(SELECT generate_series(1, 17)))'),
	('id = ANY (ARRAY(SELECT generate_series(2, 601, 2)::int8)) AND id > 100'),
	('l = ANY (ARRAY(SELECT generate_series(-2147483650, 2147483650, 1000000)) || ''{7,-1}''::int8[])'),
	('d = ANY (ARRAY(SELECT generate_series(-20, 20, 0.5)::float8))'), ('n = ANY (ARRAY(SELECT generate_series(-100, 100)::numeric))'),
	('u = ANY (ARRAY(SELECT (''00000000-0000-00'' || lpad(to_hex(g), 2, ''0'') || ''-0000-000000000000'')::uuid FROM generate_series(0, 99) g))')) v (condition),
	LATERAL matches(tab, condition) m
GROUP BY tab ORDER BY tab;

-- conditions on several columns, three ways to scan
CREATE TABLE random_conditions AS
SELECT seed, half, string_agg(condition, ' AND ') AS condition
FROM generate_series(1, 60) seed, LATERAL (
	SELECT a.number > 10 AS half, CASE hashint4extended(seed, a.number) % 5 WHEN 0 THEN a.col || ' IS NULL'
		WHEN 1 THEN a.col || ' IS NOT NULL' ELSE format('%s %s %s', a.col, op, b.expression) END AS condition,
		row_number() OVER (PARTITION BY a.number > 10 ORDER BY hashtextextended(a.col || op || b.expression, seed)) AS place
	FROM columns a JOIN operators USING (family) JOIN constants b USING (family)) c
WHERE place <= 3 GROUP BY seed, half;
SELECT tab, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM random_conditions, unnest('{flat,ivf}'::text[]) tab, LATERAL matches(tab, condition) m GROUP BY tab ORDER BY tab;
RESET enable_indexscan;
SET enable_bitmapscan = off;
SELECT tab, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM random_conditions, unnest('{flat,ivf}'::text[]) tab, LATERAL matches(tab, condition) m GROUP BY tab ORDER BY tab;
SELECT tab, count(*) AS conditions, sum(m.count) AS rows, sum(wrong) AS wrong
FROM random_conditions, unnest('{flat,ivf}'::text[]) tab, LATERAL matches(tab, condition, true) m WHERE NOT half
GROUP BY tab ORDER BY tab;

-- constants that are known late
RESET enable_bitmapscan;
SET enable_indexscan = off;
SET plan_cache_mode = force_generic_plan;
PREPARE compare (int8) AS SELECT count(*) FROM ivf WHERE i >= $1;
PREPARE among (int8[]) AS SELECT count(*) FROM ivf WHERE i = ANY ($1);
PREPARE hashed (text) AS SELECT count(*) FROM ivf WHERE t = $1;
EXPLAIN (COSTS OFF) EXECUTE compare (0);
EXECUTE compare (0);
EXECUTE compare (NULL);
EXECUTE compare (-5000000000);
EXECUTE among ('{7,NULL,5000000000,0,7}');
EXECUTE among (NULL);
EXECUTE among ('{}');
EXECUTE among ('{{0,7},{0,7}}');
EXECUTE hashed ('x30780');
EXECUTE hashed (NULL);
SELECT (SELECT count(*) FROM plain WHERE i >= 0) AS compare, (SELECT count(*) FROM plain WHERE i IN (0, 7)) AS among,
	(SELECT count(*) FROM plain WHERE t = 'x30780') AS hashed;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT value, (SELECT count(*) FROM ivf WHERE i = value) AS equal, (SELECT count(*) FROM flat WHERE i < value) AS less
FROM unnest('{0,NULL,7,5000000000,-5000000000}'::int8[]) value;
SELECT value, (SELECT count(*) FROM plain WHERE i = value) AS equal, (SELECT count(*) FROM plain WHERE i < value) AS less
FROM unnest('{0,NULL,7,5000000000,-5000000000}'::int8[]) value;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
