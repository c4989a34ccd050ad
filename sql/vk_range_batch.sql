--
-- vk_range_batch: all rows within a radius of many queries
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE t (id int, v f32vec(40), a int);

CREATE FUNCTION queries(count int) RETURNS f32vec[] LANGUAGE sql AS $$
	SELECT coalesce(array_agg(CASE WHEN i % 5 = 2 THEN vec(i * 3, 40) ELSE vec(50000 + i, 40) END
							  ORDER BY i), '{}') FROM generate_series(1, count) i $$;

-- rows that only one side has, by query, row and distance
CREATE FUNCTION differ(index regclass, queries f32vec[], radius float8, OUT rows bigint, OUT different bigint)
LANGUAGE plpgsql AS $$
DECLARE
	metric text := (SELECT split_part(opcname, '_', 2) FROM pg_index
					JOIN pg_opclass o ON o.oid = indclass[0] WHERE indexrelid = index);
	tab text := (SELECT indrelid::regclass FROM pg_index WHERE indexrelid = index);
BEGIN
	PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
	EXECUTE format($q$
		WITH batch AS MATERIALIZED (SELECT query, "row", float8send(distance) FROM vk_range_batch($1, $2, $3)),
			plain AS MATERIALIZED (
				SELECT n, ctid, float8send(v OPERATOR(public.%1$s) q)
				FROM %2$s, unnest($2) WITH ORDINALITY u(q, n) WHERE v OPERATOR(public.%1$s) q < $3)
		SELECT (SELECT count(*) FROM batch),
			(SELECT count(*) FROM (SELECT * FROM batch EXCEPT ALL SELECT * FROM plain) x) +
			(SELECT count(*) FROM (SELECT * FROM plain EXCEPT ALL SELECT * FROM batch) y)
		$q$, operator_of(metric), tab) INTO rows, different USING index, queries, radius;
	PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_bitmapscan', 'on', true);
END
$$;

CREATE FUNCTION fill(rows int) RETURNS void LANGUAGE sql AS $$
	TRUNCATE t;
	INSERT INTO t SELECT n, CASE WHEN n % 97 = 0 THEN NULL WHEN n % 89 = 0 THEN flat_vec(0, 40)
							WHEN n % 7 = 0 THEN vec(n % 70, 40) ELSE vec(n, 40) END, n
	FROM generate_series(1, rows) n;
$$;
CREATE FUNCTION change() RETURNS void LANGUAGE sql AS $$
	INSERT INTO t SELECT n, vec(n, 40), n FROM generate_series(9001, 9050) n;
	DELETE FROM t WHERE id % 11 = 3;
	UPDATE t SET a = a + 1 WHERE id % 5 = 0;
	UPDATE t SET v = vec(-id, 40) WHERE id % 13 = 4;
$$;

CREATE TABLE results (metric text, method text, options text, rows bigint, different bigint);
DO $$
DECLARE
	metric text;
	method text;
	options text;
BEGIN
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		FOREACH method IN ARRAY ARRAY['vkflat', 'vkivf'] LOOP
			FOREACH options IN ARRAY CASE WHEN metric = 'l1' THEN (ARRAY['', 'WITH (lists = 20)'])[1:1 + (method = 'vkivf')::int]
				WHEN method = 'vkflat' THEN ARRAY['', 'WITH (bits = 8)', 'WITH (bits = 32)']
				ELSE ARRAY['WITH (lists = 20, bits = 1, refine = 4)'] END LOOP
				PERFORM fill(1200);
				EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
				PERFORM change();
				INSERT INTO results SELECT metric, method, options, d.*
				FROM differ('t_idx', queries(17), CASE metric WHEN 'l2' THEN 4.3 WHEN 'ip' THEN -3 WHEN 'cosine' THEN 0.75 ELSE 22 END) d;
				DROP INDEX t_idx;
			END LOOP;
		END LOOP;
	END LOOP;
END
$$;
SELECT * FROM results ORDER BY metric, method, options;

SELECT fill(1000);
CREATE INDEX t_idx ON t USING vkflat (v);
-- a row on the radius is not within it
SELECT rows, different FROM unnest(ARRAY[0, -1, 1e-30, 5.1, 1e30, 'infinity', 'NaN']) radius, differ('t_idx', queries(12), radius) ORDER BY 1;
SET work_mem = '64kB';
SELECT * FROM differ('t_idx', queries(70), 5);
RESET work_mem;
SELECT * FROM differ('t_idx', queries(1), 5);
SELECT * FROM differ('t_idx', '{}', 5);
SELECT count(*), count(DISTINCT query) FROM vk_range_batch('t_idx', ARRAY[NULL, vec(1, 40)]::f32vec[], 4);
SELECT count(*) FROM vk_range_batch('t_idx', queries(5), NULL);
SELECT exhaustive FROM vk_last_scan();
TRUNCATE t;
SELECT * FROM differ('t_idx', queries(5), 5);
SELECT fill(50);
SELECT count(*) FROM vk_range_batch('t_idx', ARRAY[vec(1, 41)], 4);

\set ECHO none
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
