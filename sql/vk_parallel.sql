--
-- scans that several processes share give the answer of one
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, tag int, other int, v f32vec(6));
INSERT INTO t SELECT n, n % 50, n % 977, CASE n % 400 WHEN 7 THEN NULL WHEN 8 THEN flat_vec(0, 6) ELSE vec(n, 6) END
FROM generate_series(1, 9000) n;
CREATE INDEX t_idx ON t USING vkflat (v, tag);
-- rows of the open segment, rows that are gone
INSERT INTO t SELECT n, n % 50, n % 977, vec(n, 6) FROM generate_series(9001, 14000) n;
DELETE FROM t WHERE id % 3 = 0;
VACUUM ANALYZE t;
\set q '''[0.1,0.2,-0.3,0.4,-0.5,0.6]''::f32vec'
SET max_parallel_workers_per_gather = 2;
SET jit = off;

-- not for a table as small as this one
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :q LIMIT 10;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
-- what each process does for itself
SET cpu_tuple_cost = 0;
SET random_page_cost = 0.1;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :q LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tag = 3 AND other < 100 ORDER BY v <-> :q, id LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> :q < 1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tag = 3;

-- where workers could not compute the query's vector
CREATE FUNCTION somewhere() RETURNS f32vec STABLE PARALLEL RESTRICTED LANGUAGE plpgsql AS 'BEGIN RETURN flat_vec(0.5, 6); END';
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> somewhere() LIMIT 10;
EXPLAIN (COSTS OFF) SELECT (SELECT id FROM t ORDER BY v <-> o.v LIMIT 1) FROM (VALUES (vec(1, 6)), (vec(2, 6))) o(v);
-- where they would not be told of a LIMIT that grows
EXPLAIN (COSTS OFF) SELECT n, id FROM generate_series(1, 3) n, LATERAL (SELECT id FROM t ORDER BY v <-> :q LIMIT n) s;
SET parallel_leader_participation = off;
SELECT n, count(*) FROM generate_series(1, 5) n, LATERAL (SELECT id FROM t ORDER BY v <-> :q LIMIT (SELECT n)) s GROUP BY n ORDER BY n;
RESET parallel_leader_participation;

-- The distances and the rows of a statement, by the index and so many workers
-- or, workers NULL, by the sequential plan.
CREATE FUNCTION answer(statement text, workers int, OUT distances bytea, OUT ids int[]) LANGUAGE plpgsql AS $$
DECLARE
	plan text := '';
	line text;
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', coalesce(workers, 0)::text, true),
		set_config('enable_indexscan', (workers IS NOT NULL)::text, true), set_config('enable_sort', (workers IS NULL)::text, true);
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
		plan := plan || E'\n' || line;
	END LOOP;
	IF (plan ~ 'Gather.*Parallel Index Scan' AND plan !~ ' Sort ') IS DISTINCT FROM (workers IS NOT NULL) THEN
		RAISE 'wrong plan: %', plan;
	END IF;
	EXECUTE format('SELECT string_agg(coalesce(float8send(d), ''''), ''''), array_agg(id) FROM (%s) s', statement)
		INTO distances, ids;
	PERFORM set_config('max_parallel_workers_per_gather', '2', true), set_config('enable_indexscan', 'on', true),
		set_config('enable_sort', 'on', true);
END
$$;
-- Distances bit for bit, position by position, and no row twice; without an
-- order the set of rows.
CREATE FUNCTION agrees(statement text, ordered boolean DEFAULT true) RETURNS boolean LANGUAGE sql AS $$
	SELECT CASE WHEN ordered THEN a.distances IS NOT DISTINCT FROM b.distances AND cardinality(a.ids) IS NOT DISTINCT FROM cardinality(b.ids)
		ELSE ARRAY(SELECT unnest(a.ids) ORDER BY 1) = ARRAY(SELECT unnest(b.ids) ORDER BY 1) END
		AND cardinality(a.ids) IS NOT DISTINCT FROM nullif((SELECT count(DISTINCT id) FROM unnest(a.ids) id), 0)
	FROM answer(statement, 2) a, answer(statement, NULL) b
$$;
CREATE FUNCTION ordered(metric text, query f32vec, condition text, bounds text) RETURNS boolean LANGUAGE sql AS $$
	SELECT agrees(format('SELECT id, v OPERATOR(public.%1$s) %2$L::f32vec AS d FROM t WHERE %3$s ORDER BY v OPERATOR(public.%1$s) %2$L::f32vec %4$s',
						 operator_of(metric), query, condition, bounds))
$$;
CREATE FUNCTION unordered(condition text) RETURNS boolean LANGUAGE sql AS $$
	SELECT agrees('SELECT id, 0::float8 AS d FROM t WHERE ' || condition, false)
$$;

-- ordered, with and without the leader
SET parallel_leader_participation = off;
SELECT bounds, ordered('l2', :q, 'true', bounds) FROM unnest('{LIMIT 1,LIMIT 30 OFFSET 1000,""}'::text[]) bounds;
SELECT condition, ordered('l2', :q, condition, bounds)
FROM (VALUES ('tag IN (1, 2) AND other < 100', 'LIMIT 20'), ('other % 7 = 1', 'LIMIT 20'), ('other % 7 = 1', 'OFFSET 5'), ('v IS NULL', ''),
	  ('v IS NOT NULL', 'LIMIT 20'), ('tag = 3 AND other = 500', '')) c(condition, bounds);
RESET parallel_leader_participation;
SELECT condition, bounds, ordered('l2', :q, condition, bounds)
FROM (VALUES ('true', 'LIMIT 30 OFFSET 100'), ('true', ''), ('tag = 3', 'LIMIT 20'), ('other = 500', 'LIMIT 5')) c(condition, bounds);
SELECT radius, bounds, ordered('l2', :q, format('v <-> %L < %s', :q, radius), bounds) FROM (VALUES (0.8, ''), (1, 'LIMIT 20'), (1, '')) c(radius, bounds);

-- not ordered
SELECT condition, unordered(condition)
FROM unnest(ARRAY[format('v <-> %L < 0.7', :q), format('v <<->>= vk_sphere(%L, 1) AND tag > 40 AND other < 500', :q), 'tag = 3', 'v IS NULL']) condition;
SET parallel_leader_participation = off;
SELECT unordered('tag = 3');
RESET parallel_leader_participation;

-- a vector that comes from a parameter, or an InitPlan, and a limit that does
SET plan_cache_mode = force_generic_plan;
PREPARE near(f32vec, int) AS SELECT id FROM t ORDER BY v <-> $1 LIMIT $2;
EXPLAIN (COSTS OFF) EXECUTE near(:q, 5);
SET parallel_leader_participation = off;
EXECUTE near(:q, 5);
EXECUTE near(flat_vec(0.5, 6), 2);
RESET parallel_leader_participation;
EXECUTE near(:q, 5);
SELECT id FROM t ORDER BY v <-> (SELECT flat_vec(0.5, 6)) LIMIT 2;
RESET plan_cache_mode;

-- again and again
SET enable_material = off;
EXPLAIN (COSTS OFF) SELECT n, id FROM generate_series(1, 3) n LEFT JOIN (SELECT id FROM t ORDER BY v <-> :q LIMIT 2) s ON true;
SELECT n, id FROM generate_series(1, 3) n LEFT JOIN (SELECT id FROM t ORDER BY v <-> :q LIMIT 2) s ON true;
SELECT n, count(*), count(DISTINCT id) FROM generate_series(1, 3) n LEFT JOIN (SELECT id FROM t WHERE tag = 3 ORDER BY v <-> :q OFFSET 0) s ON true GROUP BY 1 ORDER BY 1;
RESET enable_material;

-- without workers that were planned for
SET max_parallel_workers = 0;
SELECT ordered('l2', :q, 'other % 7 = 1', '');
SET parallel_leader_participation = off;
SELECT unordered('tag = 3');
RESET parallel_leader_participation;
SET vkindex.max_scan_rows = 5000;
SELECT count(*) < 9000 AS cut FROM (SELECT id FROM t ORDER BY v <-> :q OFFSET 0) s;
RESET vkindex.max_scan_rows;
RESET max_parallel_workers;
-- the leader's own part
SELECT ordered('l2', :q, 'true', 'LIMIT 10');
SELECT index, wanted, rounds, exhaustive FROM vk_last_scan();
-- rows that are gone cost another round, no more
SET max_parallel_workers = 0;
BEGIN;
DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY v <-> :q LIMIT 20);
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :q LIMIT 10;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> :q LIMIT 10) s;
SELECT rounds > 1 AS again, fetched < 500 AS few, exhaustive FROM vk_last_scan();
ROLLBACK;
RESET max_parallel_workers;

-- the whole plan in a worker
SET max_parallel_workers_per_gather = 0;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT id FROM t ORDER BY v <-> :q LIMIT 3;
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SET max_parallel_workers_per_gather = 2;

-- the other metrics; zero vectors have no cosine distance, nor has the zero query
CREATE FUNCTION other_metric(metric text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	DROP INDEX t_idx;
	EXECUTE format('CREATE INDEX t_idx ON t USING vkflat (v %s, tag)', class_of(metric));
	RETURN (SELECT bool_and(ordered(metric, '[0.1,0.2,-0.3,0.4,-0.5,0.6]', condition, bounds))
			FROM (VALUES ('true', 'LIMIT 15'), ('true', ''), ('other % 7 = 1', 'LIMIT 100')) c(condition, bounds));
END
$$;
SELECT metric, other_metric(metric) FROM unnest('{ip,l1,cosine}'::text[]) metric;
SELECT ordered('cosine', flat_vec(0, 6), 'true', '');

-- a worker does not know the vector of a row outside the subquery
CREATE TABLE parts (id bigint, v f32vec(2)) PARTITION BY HASH (id);
SELECT format('CREATE TABLE parts%s PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER %s)', n, n) FROM generate_series(0, 2) n \gexec
INSERT INTO parts SELECT i, array[i % 31, i % 37]::f32vec FROM generate_series(1, 116) i;
CREATE INDEX ON parts USING vkflat (v);
ANALYZE parts;
SET parallel_leader_participation = off;
SELECT n, (SELECT p.v <-> o.v FROM parts p WHERE p.id % 2 = 0 ORDER BY p.v <-> o.v LIMIT 1) FROM (SELECT n, array[n, n]::f32vec AS v FROM generate_series(1, 3) n OFFSET 0) o;
RESET parallel_leader_participation;

-- nor does it run an expression that only the leader may
CREATE FUNCTION led(v f32vec) RETURNS f32vec LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED AS 'BEGIN RETURN v; END';
CREATE INDEX t_led ON t USING vkflat ((led(v)::f32vec(6)));
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY led(v)::f32vec(6) <-> :q LIMIT 10;
DROP INDEX t_led;

-- an inverted file is searched by one process
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkivf (v, tag) WITH (lists = 20);
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> :q LIMIT 10;

\set ECHO none
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
