--
-- what is refused, and how
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(3), free f32vec, wide f32vec(16000), tag int);
INSERT INTO t VALUES (1, '[1,2,3]', '[1,2]', NULL, 1), (2, '[3,2,1]', '[1,2,3]', NULL, 2);
CREATE INDEX t_flat ON t USING vkflat (v);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops);
CREATE INDEX t_tag ON t (tag);
SET enable_seqscan = off;

-- dimensions: of the row, of the query
INSERT INTO t (v) VALUES ('[1,2]');
\echo :SQLSTATE
UPDATE t SET v = '[1,2,3,4]' WHERE id = 1;
SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
\echo :SQLSTATE
SELECT id FROM t ORDER BY v <=> '[1,2,3,4]' LIMIT 1;
\echo :SQLSTATE
-- an expression of which only the class knows nothing: the index finds out
CREATE INDEX t_free ON t USING vkflat ((free::f32vec(2)));
\echo :SQLSTATE
CREATE INDEX t_free ON t USING vkflat ((free::f32vec(2))) WHERE vector_dims(free) = 2;
SELECT id FROM t WHERE vector_dims(free) = 2 ORDER BY free::f32vec(2) <-> '[0,0]' LIMIT 1;
INSERT INTO t (free) VALUES ('[5,6,7]');
DROP INDEX t_free;

-- values
INSERT INTO t (v) VALUES ('[1,NaN,3]');
\echo :SQLSTATE
INSERT INTO t (v) VALUES ('[1,Infinity,3]');
INSERT INTO t (v) VALUES ('[1,1e39,3]');
\echo :SQLSTATE
SELECT id FROM t ORDER BY v <-> '[NaN,0,0]' LIMIT 1;
SELECT id FROM t ORDER BY v <-> ARRAY[1, 'inf', 0]::float8[]::f32vec LIMIT 1;
CREATE TABLE too_wide (v f32vec(16001));
\echo :SQLSTATE
INSERT INTO t (free) VALUES (array_fill(1, ARRAY[16001]));
\echo :SQLSTATE

-- columns
CREATE INDEX ON t USING vkflat (free);
\echo :SQLSTATE
CREATE INDEX ON t USING vkivf (free f32vec_ip_ops);
\echo :SQLSTATE
CREATE INDEX ON t USING vkivf ((free || v));
CREATE INDEX ON t USING vkivf (id);
\echo :SQLSTATE
CREATE INDEX ON t USING vkflat (id f32vec_l2_ops);
\echo :SQLSTATE
CREATE INDEX ON t USING vkflat (v f32vec_hamming_ops);
\echo :SQLSTATE
CREATE INDEX ON t USING vkivf (v vector_l2_ops);
CREATE INDEX ON t USING btree (v f32vec_l2_ops);
CREATE UNIQUE INDEX ON t USING vkflat (v);
\echo :SQLSTATE
CREATE INDEX ON t USING vkivf (v, free);
\echo :SQLSTATE
CREATE INDEX ON t USING vkivf (v) INCLUDE (id);
\echo :SQLSTATE
CREATE INDEX ON t USING vkflat (v DESC);
\echo :SQLSTATE
CREATE INDEX ON t USING vkflat (v NULLS FIRST);
ALTER TABLE t ADD PRIMARY KEY USING INDEX t_flat;
CLUSTER t USING t_flat;
\echo :SQLSTATE
ALTER TABLE t ADD EXCLUDE USING vkflat (v WITH =);
\echo :SQLSTATE
CREATE OPERATOR CLASS half_ops FOR TYPE f32vec USING vkflat AS OPERATOR 1 <-> (f32vec, f32vec) FOR ORDER BY float_ops;
SELECT amname, opcname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE amname IN ('vkflat', 'vkivf') ORDER BY 1, 2;

-- functions: what is no index, no index of ours, not there
SELECT * FROM vk_check('t_tag', false);
\echo :SQLSTATE
SELECT * FROM vk_check('t', true);
\echo :SQLSTATE
SELECT * FROM vk_check('nothing', true);
\echo :SQLSTATE
SELECT * FROM vk_check(0, true);
\echo :SQLSTATE
SELECT * FROM vk_stats('t_tag');
\echo :SQLSTATE
SELECT * FROM vk_stats('t');
CREATE VIEW t_view AS SELECT * FROM t;
SELECT * FROM vk_tune('t');
\echo :SQLSTATE
SELECT * FROM vk_tune('t_view');
SELECT * FROM vk_stats('t_view');
SELECT * FROM vk_tune(0);
SELECT * FROM vk_centroids('t_tag');
\echo :SQLSTATE
SELECT * FROM vk_recall('t_tag', 10, 10);
\echo :SQLSTATE
SELECT * FROM vk_recall('t_flat', 0, 10);
\echo :SQLSTATE
SELECT * FROM vk_recall('t_flat', 10, 0);
\echo :SQLSTATE
SELECT * FROM vk_recall('t_flat', -1, 10);
SELECT count(*) FROM vk_stats(NULL);
SELECT count(*) FROM vk_centroids(NULL);

-- an index of a partitioned table has no pages
CREATE TABLE p (id int, v f32vec(3)) PARTITION BY RANGE (id);
CREATE INDEX p_idx ON p USING vkflat (v);
SELECT * FROM vk_check('p_idx', false);
\echo :SQLSTATE
SELECT * FROM vk_stats('p_idx');
\echo :SQLSTATE

-- an ordinary role
CREATE ROLE vk_test_role;
GRANT USAGE ON SCHEMA vk_test TO vk_test_role;
SET ROLE vk_test_role;
SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 1;
\echo :SQLSTATE
SELECT * FROM vk_centroids('t_ivf');
\echo :SQLSTATE
\set SHOW_CONTEXT never
SELECT * FROM vk_recall('t_ivf', 1, 1);
\echo :SQLSTATE
SELECT * FROM vk_check('t_ivf', true);
\echo :SQLSTATE
SELECT * FROM vk_stats('t_ivf');
\echo :SQLSTATE
RESET ROLE;
GRANT SELECT (v) ON t TO vk_test_role;
SET ROLE vk_test_role;
SELECT count(*) FROM vk_centroids('t_ivf');
SELECT v FROM t ORDER BY v <-> '[1,2,3]' LIMIT 1;
SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 1;
RESET ROLE;
DROP OWNED BY vk_test_role;
DROP ROLE vk_test_role;

-- none of this has left anything behind
SELECT sound('t_flat'), sound('t_ivf');
SELECT id, v <-> '[1,2,3]' AS d FROM t WHERE v IS NOT NULL ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 't'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
