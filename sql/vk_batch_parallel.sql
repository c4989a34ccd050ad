--
-- batch functions whose queries several processes share: rows are those of one
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set batch :top /sql/include/batch.psql
\set ECHO none
\i :helpers
\i :batch
\set ECHO all

SELECT fill(600);
CREATE TABLE results (metric text, method text, call text, rows bigint, same boolean, workers int);
DO $$
DECLARE
	pair text[];
	radius text;
BEGIN
	FOREACH pair SLICE 1 IN ARRAY ARRAY[['l2', 'vkflat'], ['l1', 'vkflat'], ['cosine', 'vkivf']] LOOP
		radius := CASE pair[1] WHEN 'l2' THEN '4.3' WHEN 'cosine' THEN '0.75' ELSE '22' END;
		EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', pair[2], class_of(pair[1]),
			CASE pair[2] WHEN 'vkivf' THEN 'WITH (lists = 20)' ELSE '' END);
		PERFORM change();
		INSERT INTO results SELECT pair[1], pair[2], call, s.* FROM
			unnest(ARRAY['vk_knn_batch(''t_idx'', queries(400), 10)', 'vk_knn_batch(''t_idx'', queries(40), 5000)',
				format('vk_range_batch(''t_idx'', queries(100), %s) ORDER BY query, "row"', radius), 'vk_knn_graph(''t_idx'', 3)',
				format('vk_similarity_graph(''t_idx'', %s, false, 0) ORDER BY "row", neighbor', radius),
				format('vk_similarity_graph(''t_idx'', %s, true, 0) ORDER BY "row", neighbor', radius),
				format('vk_similarity_degree(''t_idx'', %s) ORDER BY "row"', radius)]) call,
			shared('SELECT * FROM ' || call) s;
		DROP INDEX t_idx;
		PERFORM fill(600);
	END LOOP;
END
$$;
SELECT * FROM results ORDER BY metric, call;

-- answers are right, whoever finds them
CREATE INDEX t_idx ON t USING vkflat (v);
SELECT change();
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SELECT * FROM knn_differ('t_idx', queries(200), 5);
SELECT * FROM range_differ('t_idx', queries(200), 4.5);
SELECT workers, wanted, emitted > 0 AS emitted, exhaustive, path ~ '^tile ' AS tile FROM vk_last_scan();
RESET parallel_setup_cost;
SET max_parallel_workers_per_gather = 0;

-- with little memory; numbers of queries are those of the array, where some are NULL
SET work_mem = '64kB';
SELECT * FROM shared($$SELECT * FROM vk_knn_batch('t_idx', queries(200), 30)$$);
SELECT * FROM shared($$SELECT * FROM vk_similarity_graph('t_idx', 100, false, 0) ORDER BY "row", neighbor$$);
SELECT * FROM shared($$SELECT * FROM vk_similarity_degree('t_idx', 4.5) ORDER BY "row"$$);
SELECT * FROM shared($$SELECT * FROM vk_knn_batch('t_idx', ARRAY[NULL, NULL]::f32vec[] || queries(40) || ARRAY[NULL]::f32vec[] || queries(40), 3)$$);
RESET work_mem;
-- whole rows
SELECT * FROM shared($$SELECT query, rank, distance, (item).* FROM vk_knn_batch_rows('t_idx', queries(100), 4, NULL::t)$$);
-- queries that tell nothing of any row
SELECT * FROM shared($$SELECT * FROM vk_knn_batch('t_idx', array_fill(flat_vec(0, 40), ARRAY[40]), 3)$$);
SELECT * FROM shared($$SELECT * FROM vk_knn_batch('t_idx', array_fill(flat_vec(1e30, 40), ARRAY[40]), 3)$$);
-- a target of its own
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkivf (v) WITH (lists = 20);
SELECT * FROM shared($$SELECT * FROM vk_knn_batch('t_idx', queries(100), 4, 1)$$);
SELECT exhaustive, rounds > 1 AS rounds FROM vk_last_scan();
SELECT * FROM shared($$SELECT * FROM vk_knn_batch('t_idx', queries(400), 4, 0.6)$$);
SELECT exhaustive FROM vk_last_scan();

-- what the transaction has done itself; the snapshot of a statement that writes
BEGIN ISOLATION LEVEL SERIALIZABLE;
CREATE TABLE fresh AS SELECT * FROM t;
CREATE INDEX fresh_idx ON fresh USING vkflat (v);
INSERT INTO fresh SELECT id + 10000, v, a FROM fresh WHERE id % 3 = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SAVEPOINT s;
DELETE FROM fresh WHERE id % 2 = 0;
UPDATE fresh SET a = 0 WHERE id % 3 = 0;
SELECT * FROM shared($$SELECT * FROM vk_knn_graph('fresh_idx', 3)$$);
SET LOCAL max_parallel_workers_per_gather = 2;
WITH gone AS (DELETE FROM fresh RETURNING id)
SELECT (SELECT count(*) FROM gone) > 0 AS gone, count(*) FROM vk_knn_batch('fresh_idx', queries(100), 3);
SELECT workers FROM vk_last_scan();
SELECT count(*) FROM vk_knn_batch('fresh_idx', queries(100), 3);
ROLLBACK TO s;
INSERT INTO fresh SELECT query, NULL, rank FROM vk_knn_batch('fresh_idx', queries(100), 3);
SELECT workers FROM vk_last_scan();
ROLLBACK;

-- no workers: little work, settings of the server or the table, temporary tables,
-- functions that must not run there
CREATE FUNCTION workers(statement text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN (SELECT l.workers FROM vk_last_scan() l);
END
$$;
SET max_parallel_workers_per_gather = 2;
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_idx', queries(100), 3)$$);
SET parallel_setup_cost = 0;
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_idx', queries(100), 3)$$);
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_idx', queries(40), 3)$$);
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_idx', queries(20), 3)$$);
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_idx', '{}'::f32vec[], 3)$$);
ALTER TABLE t SET (parallel_workers = 1);
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_idx', queries(100), 3)$$);
ALTER TABLE t SET (parallel_workers = 0);
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_idx', queries(100), 3)$$);
ALTER TABLE t RESET (parallel_workers);
CREATE TEMP TABLE own AS SELECT * FROM t;
CREATE INDEX own_idx ON own USING vkflat (v);
SELECT workers($$SELECT count(*) FROM vk_knn_batch('own_idx', queries(100), 3)$$);
-- (names are qualified: 17 builds indexes without a search_path)
CREATE FUNCTION turn(v f32vec) RETURNS f32vec(40) IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('vk_test.fails', true) = 'on' THEN
		RAISE 'there is no turning';
	END IF;
	RETURN array_fill(-1, ARRAY[40])::public.f32vec OPERATOR(public.*) v;
END
$$;
CREATE FUNCTION turned(v f32vec) RETURNS f32vec(40) IMMUTABLE PARALLEL RESTRICTED LANGUAGE plpgsql AS 'BEGIN RETURN vk_test.turn(v); END';
CREATE INDEX t_turned ON t USING vkflat ((turned(v)::f32vec(40)));
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_turned', queries(100), 3)$$);
DROP INDEX t_turned;
CREATE INDEX t_turned ON t USING vkflat ((turn(v)::f32vec(40)));
SELECT workers($$SELECT count(*) FROM vk_knn_batch('t_turned', queries(100), 3)$$);
-- where rows are too dear to hand over
SET parallel_tuple_cost = 1e9;
SET parallel_setup_cost = 1;
SELECT count(*) FROM vk_knn_batch('t_idx', queries(1000), 100);
SELECT workers FROM vk_last_scan();
RESET parallel_tuple_cost;
SET parallel_setup_cost = 0;
-- in a plan that has workers of its own
SET min_parallel_table_scan_size = 0;
SET parallel_tuple_cost = 0;
SELECT workers($$SELECT (SELECT count(*) FROM t), count(*) FROM vk_knn_batch('t_idx', ARRAY(SELECT v FROM t LIMIT 100), 3)$$);
RESET min_parallel_table_scan_size;
RESET parallel_tuple_cost;

-- errors of workers, and time that is over, are the function's; nothing is left
SET parallel_leader_participation = off;
SET vk_test.fails = 'on';
\set SHOW_CONTEXT never
SELECT count(*) FROM vk_knn_batch('t_turned', queries(100), 3);
RESET vk_test.fails;
SELECT count(*) FROM vk_knn_batch('t_turned', queries(100), 3);
DO $$
BEGIN
	PERFORM set_config('vk_test.fails', 'on', true);
	PERFORM count(*) FROM vk_knn_batch('t_turned', queries(100), 3);
EXCEPTION WHEN raise_exception THEN
	PERFORM set_config('vk_test.fails', 'off', true);
	RAISE WARNING '% rows', (SELECT count(*) FROM vk_knn_batch('t_turned', queries(100), 3));
END
$$;
SELECT fill(3000);
SET statement_timeout = '30ms';
SELECT count(*) FROM vk_knn_graph('t_idx', 300);
RESET statement_timeout;
SELECT count(*) FROM vk_progress;
RESET parallel_leader_participation;

-- who may read the table may read it with workers
CREATE ROLE vk_batch_reader;
GRANT USAGE ON SCHEMA vk_test TO vk_batch_reader;
GRANT SELECT (v) ON t TO vk_batch_reader;
SET ROLE vk_batch_reader;
SELECT count(*) FROM vk_knn_batch('t_idx', queries(100), 3);
SELECT workers FROM vk_last_scan();
RESET ROLE;
DROP OWNED BY vk_batch_reader;
DROP ROLE vk_batch_reader;

\set ECHO none
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
