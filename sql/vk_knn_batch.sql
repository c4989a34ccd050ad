--
-- vk_knn_batch: the nearest rows of many queries, those that a plain query gives
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set batch :top /sql/include/batch.psql
\set ECHO none
\i :helpers
\i :batch
\set ECHO all

-- every metric, both methods
SELECT fill(3000);
CREATE TABLE results (metric text, method text, options text, k int, count int, answers int, rows int, different int);
DO $$
DECLARE
	metric text;
	method text;
	options text;
	k int;
BEGIN
	FOREACH metric IN ARRAY ARRAY['l2', 'ip', 'cosine', 'l1'] LOOP
		FOREACH method IN ARRAY ARRAY['vkflat', 'vkivf'] LOOP
			FOREACH options IN ARRAY CASE WHEN metric = 'l1' THEN (ARRAY['', 'WITH (lists = 20)'])[1:1 + (method = 'vkivf')::int]
				WHEN method = 'vkflat' THEN ARRAY['', 'WITH (bits = 8)', 'WITH (bits = 32)', 'WITH (bits = 1)']
				ELSE ARRAY['WITH (lists = 20)', 'WITH (lists = 20, bits = 1, refine = 4)'] END LOOP
				PERFORM fill(1200);
				EXECUTE format('CREATE INDEX t_idx ON t USING %s (v %s) %s', method, class_of(metric), options);
				PERFORM change();
				PERFORM set_config('vkindex.target_recall', '1', true);
				FOREACH k IN ARRAY ARRAY[1, 10] LOOP
					INSERT INTO results SELECT metric, method, options, k, 17, d.* FROM knn_differ('t_idx', queries(17), k) d;
				END LOOP;
				DROP INDEX t_idx;
			END LOOP;
		END LOOP;
	END LOOP;
END
$$;
SELECT metric, method, options, sum(answers) AS answers, sum(rows) AS rows, sum(different) AS different
FROM results GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- any number of queries; answers that take more memory than there is
SELECT fill(3000);
CREATE INDEX t_idx ON t USING vkflat (v);
SELECT change();
SELECT n, d.* FROM unnest(ARRAY[0, 1, 2, 3, 4, 15, 16, 17, 33, 70]) n, knn_differ('t_idx', queries(n), 5) d;
SET work_mem = '64kB';
SELECT d.* FROM knn_differ('t_idx', queries(70), 30) d;
SELECT d.* FROM knn_differ('t_idx', queries(3), 1000) d;
SET vkindex.simd = 'ref';
SELECT d.* FROM knn_differ('t_idx', queries(7), 100) d;
RESET vkindex.simd;
RESET work_mem;

-- queries and a centre that are the mean itself
CREATE TABLE around (v f32vec(64));
INSERT INTO around SELECT vec(n, 64, s) FROM generate_series(1, 1500) n, unnest('{-1,1}'::real[]) s;
CREATE TABLE places AS SELECT flat_vec(0, 64) AS v UNION ALL SELECT vec(n, 64) FROM generate_series(1, 3) n;
CREATE INDEX around_idx ON around USING vkivf (v) WITH (bits = 4, centroids = 'vk_test.places');
SELECT count(*) FROM vk_knn_batch('around_idx', array_fill(flat_vec(0, 64), ARRAY[130]), 10);
SELECT fetched < 300 AS few, path <> 'one by one' AS together FROM vk_last_scan();

-- more than there are; queries that are NULL have no rows
SELECT d.* FROM knn_differ('t_idx', queries(3), 5000) d;
SELECT d.* FROM knn_differ('t_idx', ARRAY[NULL, vec(1, 40), NULL, vec(1, 40), vec(1, 40)]::f32vec[], 3) d;
SELECT count(*) FROM vk_knn_batch('t_idx', ARRAY[NULL]::f32vec[], 3);
SELECT count(*) FROM vk_knn_batch('t_idx', '{}'::f32vec[], 3);
SELECT count(*) FROM vk_knn_batch('t_idx', NULL::f32vec[], 3);
SELECT count(*) FROM vk_knn_batch('t_idx', queries(3), NULL);

-- all dead but a few: what set the thresholds is not there any more
DELETE FROM t WHERE id > 4;
SELECT d.* FROM knn_differ('t_idx', queries(20), 10) d;
TRUNCATE t;
SELECT d.* FROM knn_differ('t_idx', queries(20), 10) d;
-- the nearest dead: 100 rows, or 200 that are equal; one query by itself and two together
DROP INDEX t_idx;
TRUNCATE results;
DO $$
DECLARE
	options text;
BEGIN
	FOREACH options IN ARRAY ARRAY['', 'WITH (bits = 32)', 'WITH (bits = 1, refine = none)', 'WITH (bits = 1, refine = 4)'] LOOP
		PERFORM fill(1500);
		EXECUTE format('CREATE INDEX t_idx ON t USING vkflat (v) %s', options);
		DELETE FROM t WHERE ctid = ANY (ARRAY(SELECT n.ctid FROM unnest(queries(2)) q, LATERAL (SELECT ctid FROM t ORDER BY l2_distance(v, q) LIMIT 100) n));
		INSERT INTO results SELECT 'l2', 'vkflat', options, k, n, d.* FROM unnest(ARRAY[1, 2]) n, unnest(ARRAY[3, 20]) k, knn_differ('t_idx', queries(n), k) d;
		DROP INDEX t_idx;
		TRUNCATE t;
		INSERT INTO t SELECT -n, (queries(1))[1], 0 FROM generate_series(1, 200) n;
		INSERT INTO t SELECT n, vec(n, 40), n FROM generate_series(1, 1000) n;
		EXECUTE format('CREATE INDEX t_idx ON t USING vkflat (v) %s', options);
		DELETE FROM t WHERE id < 0;
		INSERT INTO results SELECT 'l2', 'vkflat', options, 3, n, d.* FROM unnest(ARRAY[1, 2]) n, knn_differ('t_idx', queries(n), 3) d;
		DROP INDEX t_idx;
	END LOOP;
END
$$;
SELECT options, sum(answers) AS answers, sum(rows) AS rows, sum(different) AS different FROM results GROUP BY 1 ORDER BY 1;
CREATE INDEX t_idx ON t USING vkflat (v);

-- queries without a direction: each distance is NaN
SELECT fill(300);
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkflat (v f32vec_cosine_ops);
SELECT d.* FROM knn_differ('t_idx', ARRAY[flat_vec(0, 40), vec(1, 40)], 5) d;
SELECT d.* FROM knn_differ('t_idx', ARRAY[flat_vec(0, 40), vec(1, 40), vec(2, 40), vec(3, 40), vec(4, 40)], 500) d;
INSERT INTO t SELECT n, flat_vec(0, 40), n FROM generate_series(1001, 3000) n;
SELECT d.* FROM knn_differ('t_idx', ARRAY[vec(1, 40), vec(2, 40)], 3000) d;
DELETE FROM t WHERE id > 1000;
DROP INDEX t_idx;

-- the rows of the table, under the snapshot of the statement
CREATE INDEX t_idx ON t USING vkflat (v);
WITH gone AS (DELETE FROM t RETURNING id)
SELECT (SELECT count(*) FROM gone) AS gone, count(*), bool_and((b.item).v <-> (ARRAY[vec(1, 40), vec(2, 40)])[b.query] = distance) AS same
FROM vk_knn_batch_rows('t_idx', ARRAY[vec(1, 40), vec(2, 40)], 3, NULL::t) b;
SELECT fill(300);
SELECT query, rank, round(distance::numeric, 4) AS distance, (item).id, (item).a
FROM vk_knn_batch_rows('t_idx', ARRAY[vec(1, 40), vec(2, 40)], 1, NULL::t) ORDER BY 1, 2;

-- what was done
SELECT count(*) FROM vk_knn_batch('t_idx', queries(10), 2);
SELECT path ~ '^tile ' AS tile, wanted, emitted, exhaustive, scanned, fetched >= 10 AS fetched FROM vk_last_scan();
SELECT count(*) FROM vk_knn_batch('t_idx', queries(1), 2);
SELECT path, wanted, emitted FROM vk_last_scan();

SET vkindex.max_scan_rows = 100;
SET client_min_messages = error;
SELECT count(*) FROM vk_knn_batch('t_idx', queries(10), 2);
SELECT path, wanted, emitted FROM vk_last_scan();
RESET vkindex.max_scan_rows;
SET client_min_messages = warning;

-- attribute columns, expressions, partial indexes
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkflat (v, a, id);
SELECT d.* FROM knn_differ('t_idx', queries(20), 10) d;
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkflat ((l2_normalize(v)::f32vec(40)) f32vec_ip_ops) WHERE v IS NOT NULL AND id % 3 = 1;
SELECT count(*) AS rows, count(*) FILTER (WHERE distance <> l2_normalize(v) <#> (queries(9))[query]) AS wrong,
	count(*) FILTER (WHERE id % 3 <> 1) AS outside, max(rank)
FROM vk_knn_batch('t_idx', queries(9), 7) b JOIN t ON t.ctid = b."row";
DROP INDEX t_idx;

-- declared recall; a target of its own leaves the setting alone
SELECT fill(0);
INSERT INTO t SELECT n, vec(n % 40, 40) + vec(n, 40, 0.4), n FROM generate_series(1, 6000) n;
CREATE INDEX t_idx ON t USING vkivf (v);
SET vkindex.target_recall = 0.9;
SELECT count(*) AS rows, count(*) FILTER (WHERE distance <= limits[query]) / 2000.0 > 0.9 AS enough
FROM vk_knn_batch('t_idx', (SELECT array_agg(vec(n % 40, 40) + vec(90000 + n, 40, 0.4) ORDER BY n) FROM generate_series(1, 200) n), 10, 0.95),
	(SELECT array_agg(d ORDER BY n) AS limits FROM generate_series(1, 200) n, LATERAL (
		SELECT max(d) AS d FROM (SELECT v <-> vec(n % 40, 40) + vec(90000 + n, 40, 0.4) AS d FROM t ORDER BY 1 LIMIT 10) s) l) l;
SELECT exhaustive, scanned < 6000 * 200 AS less, path <> 'one by one' AS together FROM vk_last_scan();
-- few queries visit hardly any list together
SELECT count(*) FROM vk_knn_batch('t_idx', queries(30), 10);
SELECT path FROM vk_last_scan();
SELECT d.* FROM knn_differ('t_idx', (queries(3)), 7000) d;
SELECT count(*) FROM vk_knn_batch('t_idx', ARRAY[vec(1, 40)], 2147483647);
SHOW vkindex.target_recall;
BEGIN;
SELECT count(*) FROM vk_knn_batch('t_idx', queries(3), 10, 1);
SELECT exhaustive, scanned >= 6000 AS scanned FROM vk_last_scan();
SHOW vkindex.target_recall;
COMMIT;
-- queries so near the mean of all rows that their codes about it have no room for the lists' centres
SELECT count(*) AS rows, count(*) FILTER (WHERE distance <= (SELECT max(d) FROM (SELECT v <-> q AS d FROM t ORDER BY 1 LIMIT 10) s)) > 650 AS most
FROM (SELECT avg(v) AS q FROM t) m, vk_knn_batch('t_idx', array_fill(q, ARRAY[130]), 10);
RESET vkindex.target_recall;

-- what cannot be asked
\set SHOW_CONTEXT never
SELECT count(*) FROM vk_knn_batch('t_idx', queries(3), 0);
SELECT count(*) FROM vk_knn_batch('t_idx', queries(3), 1, 0.2);
SELECT count(*) FROM vk_knn_batch('t_idx', ARRAY[vec(1, 40), vec(1, 41)], 1);
SELECT count(*) FROM vk_knn_batch('t_idx', ARRAY[1.0], 1);
SELECT count(*) FROM vk_knn_batch('t', queries(3), 1);
SELECT count(*) FROM vk_knn_batch_rows('t_idx', queries(3), 1, NULL::results);
CREATE SCHEMA "Out of path";
CREATE TABLE "Out of path"."T x" (v f32vec(40));
CREATE INDEX "T i" ON "Out of path"."T x" USING vkflat (v);
SELECT count(*) FROM vk_knn_batch_rows('"Out of path"."T i"', queries(3), 1, NULL::results);
SELECT count(*) FROM vk_knn_batch_rows('"Out of path"."T i"', queries(3), 1, null::"Out of path"."T x");
CREATE TABLE keyed (id int PRIMARY KEY);
SELECT count(*) FROM vk_knn_batch('keyed_pkey', queries(3), 1);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_idx'::regclass;
SELECT count(*) FROM vk_knn_batch('t_idx', queries(3), 1);
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 't_idx'::regclass;

-- who may ask
CREATE ROLE vk_batch_reader;
GRANT USAGE ON SCHEMA vk_test TO vk_batch_reader;
SET ROLE vk_batch_reader;
SELECT count(*) FROM vk_knn_batch('t_idx', queries(3), 1);
RESET ROLE;
GRANT SELECT (v) ON t TO vk_batch_reader;
SET ROLE vk_batch_reader;
SELECT count(*) FROM vk_knn_batch('t_idx', queries(3), 1);
SELECT count(*) FROM vk_knn_batch_rows('t_idx', queries(3), 1, NULL::t);
RESET ROLE;
CREATE INDEX t_partial ON t USING vkflat (v) WHERE id > 10;
SET ROLE vk_batch_reader;
SELECT count(*) FROM vk_knn_batch('t_partial', queries(3), 1);
RESET ROLE;
GRANT SELECT ON t TO vk_batch_reader;
SET ROLE vk_batch_reader;
SELECT count(*) FROM vk_knn_batch_rows('t_idx', queries(3), 1, NULL::t);
RESET ROLE;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SET ROLE vk_batch_reader;
SELECT count(*) FROM vk_knn_batch('t_idx', queries(3), 1);
RESET ROLE;

-- a whole row has the columns that the table got later, also when it is kept
CREATE TABLE later (id int, v f32vec(3));
INSERT INTO later SELECT n, ARRAY[n, 1, 1]::f32vec FROM generate_series(1, 10) n;
CREATE INDEX later_v ON later USING vkflat (v);
ALTER TABLE later ADD COLUMN price int DEFAULT 42;
CREATE TABLE kept AS SELECT item FROM vk_knn_batch_rows('later_v', ARRAY['[1,1,1]'::f32vec], 2, NULL::later);
VACUUM FULL later;
SELECT (item).* FROM kept;

-- and those that are computed when they are read
SELECT CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'VIRTUAL' ELSE 'STORED' END AS kind \gset
CREATE TABLE twice (id int, v f32vec(3), double int GENERATED ALWAYS AS (id * 2) :kind);
INSERT INTO twice SELECT n, ARRAY[n, 1, 1]::f32vec FROM generate_series(1, 10) n;
CREATE INDEX twice_v ON twice USING vkflat (v);
SELECT (item).id, (item).double FROM vk_knn_batch_rows('twice_v', ARRAY['[4,1,1]'::f32vec], 2, NULL::twice);
DROP TABLE twice;

-- there is nothing to search before a materialized view is populated
CREATE MATERIALIZED VIEW seen AS SELECT * FROM later;
CREATE INDEX seen_v ON seen USING vkflat (v);
REFRESH MATERIALIZED VIEW seen WITH NO DATA;
SELECT count(*) FROM vk_knn_batch('seen_v', ARRAY['[1,1,1]'::f32vec], 2);
SELECT count(*) FROM vk_similarity_graph('seen_v', 2);
REFRESH MATERIALIZED VIEW seen;
SELECT count(*) FROM vk_knn_batch('seen_v', ARRAY['[1,1,1]'::f32vec], 2);

DROP OWNED BY vk_batch_reader;
DROP ROLE vk_batch_reader;
\set ECHO none
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
