--
-- parallel builds: the same pages with any number of workers
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE EXTENSION pageinspect;

-- rows without a distance, and chains of row versions that begin late on their pages
CREATE TABLE t (id int, kind smallint, note text, raw real[], v f32vec(16)) WITH (fillfactor = 70, parallel_workers = 2);
INSERT INTO t SELECT n, n % 7, 'note ' || n % 100, (vec(n, 16))::real[],
	CASE WHEN n % 40 = 0 THEN NULL WHEN n % 41 = 0 THEN flat_vec(0, 16) ELSE vec(n % 5000, 16) END
FROM generate_series(1, 5500) n;
DELETE FROM t WHERE id % 9 = 0;
VACUUM t;
UPDATE t SET note = 'changed' WHERE id % 11 = 0;
CREATE UNLOGGED TABLE u WITH (parallel_workers = 2) AS SELECT id, v::f32vec(16) FROM t;
ALTER TABLE u ALTER v TYPE f32vec(16);

CREATE FUNCTION unsafe(raw real[]) RETURNS f32vec LANGUAGE sql IMMUTABLE PARALLEL UNSAFE AS $$ SELECT raw::public.f32vec $$;

-- all pages of an index, but for their LSN and checksum
CREATE FUNCTION pages(index text) RETURNS text
LANGUAGE sql AS $$
	SELECT md5(string_agg(substr(get_raw_page(index, n::int), 11), '' ORDER BY n))
	FROM generate_series(0, pg_relation_size(index) / current_setting('block_size')::int - 1) n
$$;

-- the number of different indexes that 0, 2 and, by REINDEX, 1 worker make
CREATE FUNCTION built(what text, OUT different bigint, OUT sound boolean)
LANGUAGE plpgsql AS $$
DECLARE
	alone text;
	two text;
BEGIN
	SET LOCAL max_parallel_maintenance_workers = 0;
	EXECUTE 'CREATE INDEX i ON ' || what;
	alone := pages('i');
	DROP INDEX i;
	SET LOCAL max_parallel_maintenance_workers = 2;
	EXECUTE 'CREATE INDEX i ON ' || what;
	two := pages('i');
	sound := sound('i');
	SET LOCAL max_parallel_maintenance_workers = 1;
	REINDEX INDEX i;
	different := (SELECT count(DISTINCT p) FROM unnest(ARRAY[alone, two, pages('i')]) p);
	DROP INDEX i;
END
$$;

SELECT * FROM built('t USING vkivf (v) WITH (lists = 40)');
SELECT * FROM built('t USING vkivf (v f32vec_cosine_ops) WITH (bits = 1, refine = 4, calibrate = 100)');
SELECT * FROM built('t USING vkivf (v f32vec_ip_ops) WITH (lists = 700, calibrate = 300)');
SELECT * FROM built('t USING vkivf (v, id, kind, note) WITH (lists = 20, calibrate = 100)');
SELECT * FROM built('t USING vkivf (v) WITH (calibrate = 0) WHERE kind = 3');
SELECT * FROM built('t USING vkivf (v f32vec_l1_ops) WITH (calibrate = 100)');
SELECT * FROM built('t USING vkflat (v f32vec_cosine_ops)');
SELECT * FROM built('t USING vkflat (v, kind) WHERE id < 3000');
SELECT * FROM built('t USING vkflat ((raw::f32vec(16)) f32vec_l1_ops)');
SELECT * FROM built('u USING vkivf (v) WITH (lists = 30, calibrate = 100)');
SELECT * FROM built('u USING vkflat (v)');
CREATE TABLE centers AS SELECT vec(n, 16) AS v FROM generate_series(1, 25) n;
SELECT * FROM built('t USING vkivf (v) WITH (centroids = ''vk_test.centers'', calibrate = 100)');
-- an expression that workers may not compute
SELECT * FROM built('t USING vkivf ((unsafe(raw)::f32vec(16))) WITH (calibrate = 100)');
-- little memory
SET maintenance_work_mem = '1MB';
SELECT * FROM built('t USING vkivf (v) WITH (lists = 40)');
SELECT * FROM built('t USING vkflat (v)');
RESET maintenance_work_mem;
-- nothing to scan
CREATE TABLE e (v f32vec(16)) WITH (parallel_workers = 2);
SELECT * FROM built('e USING vkivf (v)');
SELECT * FROM built('e USING vkflat (v)');
INSERT INTO e SELECT NULL FROM generate_series(1, 1000);
SELECT * FROM built('e USING vkivf (v)');
SELECT * FROM built('e USING vkflat (v)');

-- answers, and everything that builds an index
SET max_parallel_maintenance_workers = 2;
CREATE INDEX t_ivf ON t USING vkivf (v) WITH (lists = 40);
CREATE INDEX t_flat ON t USING vkflat (v f32vec_cosine_ops);
SELECT same('t', 'l2', vec(-1, 16), 40), same('t', 'cosine', vec(-1, 16), 40), sound('t_ivf'), sound('t_flat');
DROP INDEX t_ivf;
CREATE INDEX CONCURRENTLY t_ivf ON t USING vkivf (v) WITH (lists = 40);
REINDEX INDEX CONCURRENTLY t_flat;
SELECT same('t', 'l2', vec(-1, 16), 40), same('t', 'cosine', vec(-1, 16), 40), sound('t_ivf'), sound('t_flat');
VACUUM FULL t;
SELECT same('t', 'l2', vec(-1, 16), 40), same('t', 'cosine', vec(-1, 16), 40), sound('t_ivf'), sound('t_flat');
REINDEX TABLE t;
ALTER TABLE t ALTER id TYPE bigint;
TRUNCATE t;
SELECT same('t', 'l2', vec(-1, 16), 40), sound('t_ivf'), sound('t_flat');

DROP EXTENSION pageinspect;
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
