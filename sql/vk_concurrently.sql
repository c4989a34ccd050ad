--
-- CREATE INDEX, REINDEX and DROP INDEX CONCURRENTLY
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(24));
INSERT INTO t SELECT n, CASE WHEN n % 50 > 0 THEN vec(n, 24) END FROM generate_series(1, 2500) n;
DELETE FROM t WHERE id % 9 = 0;

CREATE INDEX CONCURRENTLY t_flat ON t USING vkflat (v);
CREATE INDEX CONCURRENTLY t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 20);
CREATE INDEX CONCURRENTLY t_part ON t USING vkflat (v f32vec_ip_ops) WITH (bits = 8) WHERE id < 1000;
SELECT indexrelid::regclass, indisvalid, indisready, sound(indexrelid) FROM pg_index WHERE indrelid = 't'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT same('t', 'l2', vec(-1, 24), 40), same('t', 'l2', vec(-1, 24), NULL), same('t', 'cosine', vec(-1, 24), 40),
	same('t', 'ip', vec(-1, 24), 40, 1, 'id < 1000');

UPDATE t SET v = vec(id + 5000, 24) WHERE id % 4 = 0;
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(2501, 2700) n;
REINDEX INDEX CONCURRENTLY t_flat;
REINDEX TABLE CONCURRENTLY t;
SELECT indexrelid::regclass, indisvalid, indisready, sound(indexrelid) FROM pg_index WHERE indrelid = 't'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT same('t', 'l2', vec(-1, 24), 40), same('t', 'l2', vec(-1, 24), NULL), same('t', 'cosine', vec(-1, 24), 40),
	same('t', 'ip', vec(-1, 24), 40, 1, 'id < 1000');
REINDEX INDEX t_ivf;
REINDEX TABLE t;
SELECT indexrelid::regclass, indisvalid, indisready, sound(indexrelid) FROM pg_index WHERE indrelid = 't'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT same('t', 'l2', vec(-1, 24), 40), same('t', 'cosine', vec(-1, 24), 40), same('t', 'ip', vec(-1, 24), 40, 1, 'id < 1000');

-- on an empty table
CREATE TABLE e (id int, v f32vec(24));
CREATE INDEX CONCURRENTLY e_ivf ON e USING vkivf (v);
INSERT INTO e SELECT id, v FROM t WHERE id < 100;
REINDEX INDEX CONCURRENTLY e_ivf;
SELECT same('e', 'l2', vec(-1, 24), 40), sound('e_ivf');

-- a build that fails leaves an index that is not valid; it can be dropped, or built once it can be
CREATE TABLE f (id int, v f32vec);
INSERT INTO f SELECT n, vec(n, 3 + (n = 77)::int) FROM generate_series(1, 100) n;
CREATE INDEX CONCURRENTLY f_idx ON f USING vkivf ((v::f32vec(3)));
\echo :SQLSTATE
SELECT indisvalid FROM pg_index WHERE indexrelid = 'f_idx'::regclass;
SELECT pg_relation_size('f_idx') AS size;
SELECT vk_recall('f_idx');
SELECT rows FROM vk_stats('f_idx');
SELECT * FROM vk_centroids('f_idx');
SELECT vk_check('f_idx');
SELECT magic FROM vk_page_meta('f_idx');
SELECT slot FROM vk_page_slots('f_idx');
SELECT * FROM vk_tune('f_idx');
SELECT query FROM vk_knn_batch('f_idx', ARRAY['[1,2,3]']::f32vec[], 1);
DELETE FROM f WHERE id = 77;
REINDEX INDEX CONCURRENTLY f_idx;
SELECT indisvalid, sound(indexrelid) FROM pg_index WHERE indexrelid = 'f_idx'::regclass;
-- nor is one that fails while it is written
SET vkindex.test_point = 'list-written error';
CREATE INDEX CONCURRENTLY f_half ON f USING vkflat ((v::f32vec(3)));
RESET vkindex.test_point;
SELECT rows FROM vk_stats('f_half');
SELECT vk_check('f_half');
DROP INDEX f_half;

-- not in a transaction
BEGIN;
REINDEX INDEX CONCURRENTLY t_flat;
ROLLBACK;
-- a build that is taken back
BEGIN;
CREATE INDEX t_rolled ON t USING vkivf (v);
SELECT sound('t_rolled');
ROLLBACK;

DROP INDEX CONCURRENTLY t_ivf;
SELECT same('t', 'l2', vec(-1, 24), 40);
DROP INDEX CONCURRENTLY t_flat, t_part;
DROP INDEX CONCURRENTLY t_flat;
DROP INDEX CONCURRENTLY t_part;
SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
