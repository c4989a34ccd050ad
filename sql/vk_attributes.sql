--
-- conditions on attribute columns, which the index evaluates
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- One column of every type, with its least and greatest values, equal ones that
-- look different, and NULL; of 25 rows one has no vector, one a zero vector.
CREATE TYPE color AS ENUM ('red', 'green', 'blue');
CREATE TABLE t (id int, v f32vec(8), a_bool bool, a_int2 int2, a_int4 int4, a_int8 int8, a_float4 float4, a_float8 float8, a_date date, a_time time,
	a_timestamp timestamp, a_timestamptz timestamptz, a_uuid uuid, a_oid oid, a_char "char", a_enum color,
	a_text text, a_varchar varchar(20), a_bpchar char(6), a_numeric numeric, a_bytea bytea);
SET timezone = 'UTC';
CREATE FUNCTION pick(n int, anyarray) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT $2[1 + n % cardinality($2)]';
INSERT INTO t SELECT n, CASE n % 25 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 8) ELSE vec(n % 15, 8) + vec(n, 8, 0.3) END, n % 3 = 0,
	CASE WHEN n % 90 < 3 THEN pick(n, '{-32768,32767,0}'::int2[]) ELSE n % 40 - 20 END,
	CASE WHEN n % 90 < 3 THEN pick(n, '{-2147483648,2147483647,0}'::int4[]) ELSE n % 700 - 350 END,
	CASE WHEN n % 90 < 3 THEN pick(n, '{-9223372036854775808,9223372036854775807,4294967296}'::int8[]) ELSE (n % 50 - 25) * 1000000007::int8 END,
	CASE WHEN n % 70 < 7 THEN pick(n, '{NaN,Infinity,-Infinity,0,-0,1e-45,0.1}'::float4[]) ELSE (n % 60 - 30) / 7.0 END,
	CASE WHEN n % 70 < 7 THEN pick(n, '{NaN,Infinity,-Infinity,0,-0,5e-324,0.1}'::float8[]) ELSE (n % 60 - 30) / 7.0 END,
	CASE WHEN n % 90 < 3 THEN pick(n, '{infinity,-infinity,0044-03-15 BC}'::date[]) ELSE '2024-01-01'::date + n % 100 END,
	CASE WHEN n % 90 < 3 THEN pick(n, '{00:00,24:00,23:59:59.999999}'::time[]) ELSE '06:00'::time + n % 100 * interval '7 min' END,
	CASE WHEN n % 90 < 3 THEN pick(n, '{infinity,-infinity,0044-03-15 BC}'::timestamp[]) ELSE '2024-01-01'::timestamp + n % 100 * interval '6 h' END,
	CASE WHEN n % 90 < 3 THEN pick(n, '{infinity,-infinity,0044-03-15 BC}'::timestamptz[]) ELSE '2024-01-01'::timestamptz + n % 100 * interval '6 h' END,
	md5((n % 80)::text)::uuid, CASE WHEN n % 90 < 3 THEN pick(n, '{0,4294967295,2147483648}'::oid[]) ELSE n % 100 END,
	CASE WHEN n % 90 < 3 THEN pick(n, ARRAY['', '\200', '\377']::"char"[]) ELSE chr(33 + n % 60)::"char" END, pick(n, enum_range(NULL::color)),
	CASE n % 50 WHEN 0 THEN '' WHEN 1 THEN repeat('long ', 1000) ELSE 'text ' || n % 200 END, CASE n % 50 WHEN 0 THEN '' WHEN 1 THEN 'x ' ELSE 'var ' || n % 100 END,
	CASE n % 50 WHEN 0 THEN '' WHEN 1 THEN 'x ' ELSE 'bp ' || n % 60 END,
	CASE n % 50 WHEN 0 THEN 'NaN' WHEN 1 THEN 1.50 WHEN 2 THEN 1.5 WHEN 3 THEN 1e100 WHEN 4 THEN -0.0 ELSE (n % 90) / 4.0 END,
	CASE n % 50 WHEN 0 THEN '' WHEN 1 THEN '\x00' WHEN 2 THEN '\x0000' ELSE decode(md5((n % 110)::text), 'hex') END
	FROM generate_series(1, 1500) n;
UPDATE t SET a_bool = NULL, a_int2 = NULL, a_int4 = NULL, a_int8 = NULL, a_float4 = NULL, a_float8 = NULL, a_date = NULL, a_time = NULL, a_timestamp = NULL, a_timestamptz = NULL,
	a_uuid = NULL, a_oid = NULL, a_char = NULL, a_enum = NULL, a_text = NULL, a_varchar = NULL, a_bpchar = NULL, a_numeric = NULL, a_bytea = NULL WHERE id % 13 = 0;
VACUUM ANALYZE t;
CREATE INDEX t_flat ON t USING vkflat (v, a_bool, a_int2, a_int4, a_int8, a_float4, a_float8, a_date, a_time, a_timestamp);
CREATE INDEX t_flat_2 ON t USING vkflat (v, a_timestamptz, a_uuid, a_oid, a_char, a_enum, a_text, a_varchar, a_bpchar, a_numeric, a_bytea);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops, a_bool, a_int2, a_int4, a_int8, a_float4, a_float8, a_date, a_time, a_timestamp) WITH (lists = 25, calibrate = 100);
CREATE INDEX t_ivf_2 ON t USING vkivf (v f32vec_cosine_ops, a_timestamptz, a_uuid, a_oid, a_char, a_enum, a_text, a_varchar, a_bpchar, a_numeric, a_bytea) WITH (lists = 25, calibrate = 100);

-- A condition in every way that the index can be asked: alone, through a bitmap,
-- with each distance; "12 rows" or what is wrong.
CREATE FUNCTION filtered(condition text, shape text DEFAULT 'Index Cond') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text := agree('index', 'SELECT id FROM t WHERE ' || condition, shape);
	other text;
BEGIN
	FOREACH other IN ARRAY ARRAY[agree('bitmap', 'SELECT id FROM t WHERE ' || condition, shape),
			agree('index', format('SELECT v <-> vec(3, 8) FROM t WHERE %s ORDER BY v <-> vec(3, 8)', condition), shape || '.*Order By', true),
			agree('index', format('SELECT v <=> vec(3, 8) FROM t WHERE %s ORDER BY v <=> vec(3, 8)', condition), shape || '.*Order By', true)] LOOP
		IF other <> result THEN
			RETURN result || '; ' || other;
		END IF;
	END LOOP;
	other := agree('index', format('SELECT v <=> vec(3, 8) FROM t WHERE %s ORDER BY v <=> vec(3, 8) LIMIT 10', condition), shape || '.*Order By', true);
	IF other <> least(10, split_part(result, ' ', 1)::int) || ' rows' THEN
		RETURN result || '; of ten ' || other;
	END IF;
	RETURN result;
END
$$;
-- Each operator of a column, for constants from the column and from beyond it;
-- how many rows there are, added up, or what is wrong.
CREATE FUNCTION operators(col text, VARIADIC constants text[]) RETURNS TABLE ("operator" text, rows text)
LANGUAGE plpgsql AS $$
DECLARE
	type text := (SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = col);
	hashed boolean := col IN ('a_text', 'a_varchar', 'a_bpchar', 'a_numeric', 'a_bytea');
	conditions text[];
BEGIN
	FOREACH "operator" IN ARRAY ARRAY['=', '<', '<=', '>', '>=', '<>', 'IN', 'BETWEEN', 'NULL'] LOOP
		CONTINUE WHEN (hashed OR col = 'a_enum') AND "operator" IN ('<', '<=', '>', '>=', 'BETWEEN') OR hashed AND "operator" = '<>';
		conditions := CASE "operator"
			WHEN 'IN' THEN ARRAY[format('%s IN (%s)', col, (SELECT string_agg(format('%L', c), ', ') FROM unnest(constants) c)),
				format('%s = ANY (%L::%s[])', col, constants || NULL::text, type), format('%s = ANY (''{}''::%s[])', col, type), format('%s = ANY (''{NULL}''::%s[])', col, type)]
			WHEN 'BETWEEN' THEN ARRAY[format('%s BETWEEN %L AND %L', col, constants[1], constants[2]), format('%s BETWEEN %L AND %L', col, constants[2], constants[1])]
			WHEN 'NULL' THEN ARRAY[col || ' IS NULL', col || ' IS NOT NULL', format('%s = %L AND %1$s IS NULL', col, constants[1])]
			ELSE ARRAY(SELECT format('%s %s %L', col, "operator", c) FROM unnest(constants) c) END;
		SELECT CASE WHEN count(*) FILTER (WHERE f !~ '^\d+ rows$') > 0 THEN string_agg(c || ': ' || f, '; ') FILTER (WHERE f !~ '^\d+ rows$')
			ELSE string_agg(split_part(f, ' ', 1), ' ' ORDER BY o) END INTO rows
		FROM unnest(conditions) WITH ORDINALITY u(c, o), filtered(c, CASE WHEN c ~ '\{NULL\}|\{\}' THEN 'Index Cond|Filter: false' ELSE 'Index Cond' END) f;
		RETURN NEXT;
	END LOOP;
END
$$;
SET vkindex.target_recall = 1;
SELECT * FROM operators('a_bool', 'true', 'false');
SELECT * FROM operators('a_int2', '-20', '7', '-32768', '32767', '100');
SELECT * FROM operators('a_int4', '-350', '7', '-2147483648', '2147483647', '100000');
SELECT * FROM operators('a_int8', '-25000000175', '7000000049', '-9223372036854775808', '9223372036854775807', '1');
SELECT * FROM operators('a_float4', '-1', '1', '0', 'NaN', 'Infinity', '-Infinity', '1e-45', '-0');
SELECT * FROM operators('a_float8', '-1', '1', '0', 'NaN', 'Infinity', '-Infinity', '5e-324', '-0');
SELECT * FROM operators('a_date', '2024-01-10', '2024-03-01', 'infinity', '-infinity', '0044-03-15 BC', '1999-01-01');
SELECT * FROM operators('a_time', '07:24', '12:00', '00:00', '24:00');
SELECT * FROM operators('a_timestamp', '2024-01-10', '2024-01-20 12:00', 'infinity', '-infinity', '2024-01-10 00:00:00.000001');
SELECT * FROM operators('a_timestamptz', '2024-01-10', '2024-01-20 12:00+00', 'infinity', '-infinity', '2024-01-10 02:00+02');
SELECT * FROM operators('a_uuid', md5('7'), md5('8'), '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '80000000-0000-0000-0000-000000000000');
SELECT * FROM operators('a_oid', '7', '50', '4294967295', '2147483648', '0');
SELECT * FROM operators('a_char', 'A', 'a', '\200', '\377', '');
SELECT * FROM operators('a_enum', 'red', 'blue');
-- hashed: equality
SELECT * FROM operators('a_text', 'text 7', 'text 107', '', repeat('long ', 1000), 'none');
SELECT * FROM operators('a_varchar', 'var 7', 'x ', 'x', '');
SELECT * FROM operators('a_bpchar', 'bp 7', 'x', 'x   ', '');
SELECT * FROM operators('a_numeric', '1.5', '1.5000', '2.25', 'NaN', '1e100', '0');
SELECT * FROM operators('a_bytea', '\x00', '\x0000', '', '\x' || md5('7'));

-- other types on the other side, booleans by themselves, several columns
SELECT c, filtered(c) FROM unnest(ARRAY['a_int2 = 7::int4', 'a_int2 < 100000::int4', 'a_int2 > -9223372036854775808', 'a_int2 IN (7::int8, 100000)', 'a_int4 = 7::int8', 'a_int4 < 4294967303::int8',
	'a_int4 = 4294967303::int8', 'a_int4 >= 7::int2', 'a_int4 <> 4294967303::int8', 'a_int8 = 4294967296', 'a_int8 > 7::int2', 'a_int8 <= 7::int4', 'a_int8 = ANY (''{0,7}''::int4[])',
	'a_float4 = 0.1::float8', 'a_float4 = 0.1::float4', 'a_float4 < 0.1::float8', 'a_float4 > 0.1::float8', 'a_float4 <= 1e300::float8', 'a_float4 <> 0.1::float8', 'a_float8 = 0.1::float4', 'a_float8 = 0.1',
	'a_float8 >= 0.1::float4', 'a_float8 < ''NaN''::float4', 'a_date = ''2024-01-10''::timestamp', 'a_date = ''2024-01-10 00:00:00.000001''::timestamp', 'a_date < ''2024-01-10 00:00:00.000001''::timestamp',
	'a_date <= ''infinity''::timestamp', 'a_timestamp >= ''2024-01-10''::date', 'a_timestamp < ''infinity''::date', 'a_timestamp = ''2024-01-20''::date', 'a_date > ''-infinity''::timestamp']) c;
SELECT c, filtered(c) FROM unnest(ARRAY['a_bool', 'NOT a_bool', 'a_bool IS TRUE', 'a_bool IS FALSE', 'a_bool = true', 'a_bool <> true', 'a_bool AND a_int2 > 0', 'a_bool IN (true, false)', 'a_int4 > 0 AND a_int4 < 100', 'a_int4 < 0 AND a_int4 > 0',
	'a_int4 > 5 AND a_int4 >= 5 AND a_int4 <> 7 AND a_int4 <> 9', 'a_int4 IN (1, 2, 3, 500) AND a_int2 IN (-19, 3) AND a_bool IS NOT NULL', 'a_int4 = ANY (ARRAY(SELECT generate_series(-20, 20)))', 'a_int4 < ANY (''{-340,-330}'')',
	'a_int4 = (SELECT 7)', 'a_int2 IS NULL AND a_int4 IS NULL', 'v IS NULL AND a_int2 > 0', 'v IS NOT NULL AND a_int2 > 0', 'a_int2 > 0 AND v <=> vec(2, 8) < 0.2 AND v <-> vec(2, 8) < 2', 'a_int4 > 0 AND id % 3 = 1', 'a_int4 > 0 AND a_text LIKE ''text%''',
	'a_uuid > md5(''7'')::uuid AND a_oid < 50 AND a_enum <> ''red'' AND a_char IN (''A'', ''B'', ''C'')', 'a_text = ''text 7'' AND a_varchar = ''var 7''', 'a_text = ''text 7'' AND a_bpchar <> ''bp 7''']) c;
-- what stays a filter
SELECT c, agree('sequential', 'SELECT id FROM t WHERE ' || c) AS rows, (rows_by('index', 'SELECT id FROM t WHERE ' || c, '')).note AS by_index,
	agree('index', format('SELECT v <-> vec(3, 8) FROM t WHERE %s ORDER BY v <-> vec(3, 8)', c), 'Order By', true) AS in_order FROM unnest(ARRAY['a_text < ''text 7''', 'a_text <> ''text 7''', 'a_numeric > 1.5', 'a_enum < ''blue''', 'a_int4 + 0 = 7', 'a_date < ''2024-01-10''::timestamptz', 'a_timestamptz > ''2024-01-10''::date', 'a_int4 = a_int2', 'a_text LIKE ''text 7%''', 'a_int4 = 7 OR a_int2 = 7 AND random() >= 0']) c;
SET enable_sort = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE a_int4 BETWEEN 0 AND 9 AND a_bool AND a_int2 = ANY ('{1,2}') AND a_float8 IS NOT NULL AND a_text > 'a' ORDER BY v <-> (SELECT vec(3, 8)) LIMIT 10;
RESET enable_sort;
RESET enable_bitmapscan;
-- as parameters, that come late
PREPARE p (int8, int2[], text, timestamp) AS SELECT id FROM t WHERE a_int4 >= $1 AND a_int2 = ANY ($2) AND a_date <= $4;
PREPARE h (text, numeric, text[]) AS SELECT v <-> vec(3, 8) FROM t WHERE a_text = $1 AND a_numeric <> $2 OR a_varchar = ANY ($3) AND a_numeric = $2 ORDER BY v <-> vec(3, 8);
PREPARE e (text, numeric) AS SELECT v <-> vec(3, 8) FROM t WHERE a_text = $1 AND a_numeric = $2 ORDER BY v <-> vec(3, 8) LIMIT 3;
SET plan_cache_mode = force_generic_plan;
SELECT p, agree('index', p) FROM unnest(ARRAY['EXECUTE p (0, ''{1,2,3,NULL}'', NULL, ''infinity'')', 'EXECUTE p (4294967296, ''{1,2,3}'', NULL, ''infinity'')', 'EXECUTE p (NULL, ''{1,2,3}'', NULL, ''infinity'')',
	'EXECUTE p (-4294967296, NULL, NULL, ''2024-02-01 12:00'')', 'EXECUTE p (-4294967296, ''{}'', NULL, ''2024-02-01 12:00'')', 'EXECUTE p (-4294967296, ''{-3,-4}'', NULL, ''2024-02-01 12:00'')',
	'EXECUTE e (''text 7'', 1.750)', 'EXECUTE e (NULL, 1)', 'EXECUTE e ('''', ''NaN'')']) p;
SELECT agree('bitmap', p, 'BitmapOr') FROM unnest(ARRAY['EXECUTE h (''text 7'', 1, ''{}'')', 'EXECUTE h (''text 7'', 1.75, ''{x ,var 7}'')']) p;
RESET plan_cache_mode;
DEALLOCATE ALL;

-- a join on an attribute: the nested loop's other side
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
CREATE TABLE keys (k int8, s text);
INSERT INTO keys SELECT n, 'text ' || n FROM generate_series(-20, 20, 4) n UNION ALL SELECT NULL, NULL;
SELECT agree('index', 'SELECT k, t.id FROM keys JOIN t ON a_int4 = k', 'Nested Loop.*Index Cond'), agree('index', 'SELECT k, t.id FROM keys JOIN t ON a_text = s', 'Nested Loop.*Index Cond'),
	agree('index', 'SELECT k, d FROM keys, LATERAL (SELECT v <-> vec(3, 8) AS d FROM t WHERE a_int4 = k ORDER BY v <-> vec(3, 8) LIMIT 2) s', 'Nested Loop.*Index Cond');

-- after changes
CREATE FUNCTION sample() RETURNS TABLE (condition text, result text) LANGUAGE sql AS $$
	SELECT c, filtered(c) FROM unnest(ARRAY['a_int4 BETWEEN 0 AND 99', 'a_int4 = 123456', 'a_int2 IS NULL', 'a_text = ''text 7''', 'a_text = ''new''', 'a_numeric = 1.5', 'a_bool', 'a_uuid = md5(''7'')::uuid', 'a_uuid IN (md5(''9'')::uuid, md5(''new'')::uuid)']) c
$$;
UPDATE t SET a_int4 = 123456, a_text = 'new' WHERE id % 31 = 0;
UPDATE t SET a_bool = NULL WHERE id % 31 = 1;
DELETE FROM t WHERE a_int4 BETWEEN 50 AND 70;
INSERT INTO t (id, v, a_int4, a_text, a_uuid) SELECT n, CASE WHEN n % 25 > 0 THEN vec(n, 8) END, 123456 + n % 2, 'new', md5('new')::uuid FROM generate_series(2001, 2200) n;
SELECT * FROM sample();
VACUUM t;
SELECT * FROM sample();
SELECT sound('t_flat'), sound('t_flat_2'), sound('t_ivf'), sound('t_ivf_2');
REINDEX TABLE t;
SELECT * FROM sample();
-- an index that was empty
CREATE TABLE filled AS TABLE t;
TRUNCATE t;
SELECT * FROM sample();
INSERT INTO t TABLE filled;
SELECT * FROM sample();
SELECT sound('t_flat'), sound('t_flat_2'), sound('t_ivf'), sound('t_ivf_2');
DROP TABLE filled, t;

-- equal texts that differ, where a collation says so; many texts, of which hashes may collide
CREATE FUNCTION without_case() RETURNS TABLE (rows text) LANGUAGE plpgsql AS $$
BEGIN
	CREATE COLLATION vk_no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	CREATE TABLE t (id int, v f32vec(8), a_text text COLLATE vk_no_case);
	INSERT INTO t SELECT n, vec(n, 8), CASE n % 3 WHEN 0 THEN 'Word ' WHEN 1 THEN 'word ' ELSE 'WORD ' END || n / 3 % 20 FROM generate_series(1, 900) n;
	CREATE INDEX t_idx ON t USING vkivf (v, a_text) WITH (lists = 10, calibrate = 100);
	RETURN QUERY SELECT agree(path, 'SELECT id FROM t WHERE a_text = ''wOrD 7''') FROM unnest(ARRAY['index', 'bitmap']) path;
	RETURN QUERY SELECT agree('index', 'SELECT v <-> vec(3, 8) FROM t WHERE a_text IN (''word 7'', ''WORD 9'', ''ward 9'') ORDER BY v <-> vec(3, 8)', 'Index Cond.*Order By', true);
	-- another collation than the index has
	RETURN QUERY SELECT agree('index', 'SELECT v <-> vec(3, 8) FROM t WHERE a_text = ''word 7'' COLLATE "C" ORDER BY v <-> vec(3, 8)', 'Filter', true);
	DROP TABLE t;
	DROP COLLATION vk_no_case;
EXCEPTION WHEN feature_not_supported THEN		-- a server without ICU
	RETURN QUERY SELECT * FROM unnest(ARRAY['45 rows', '45 rows', '90 rows', '15 rows']);
END
$$;
SELECT without_case();
CREATE TABLE t (id int, v f32vec(8), a_text text, a_numeric numeric);
INSERT INTO t SELECT n, vec(n, 8), 'text ' || n % 10000, n % 10000 FROM generate_series(1, 20000) n;
CREATE INDEX t_idx ON t USING vkflat (v, a_text, a_numeric);
ANALYZE t;
SELECT agree('index', 'SELECT id FROM t WHERE a_text = ANY (ARRAY(SELECT ''text '' || i FROM generate_series(0, 30000, 30) i))'),
	agree('bitmap', 'SELECT id FROM t WHERE a_numeric IN (1, 10.0, 100.00, 20001)');
DROP TABLE t;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
