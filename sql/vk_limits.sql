--
-- how many rows are asked for, and of how many
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
SET enable_seqscan = off;

-- row n is n away from the origin
CREATE TABLE t (id int, v f32vec(2));
CREATE TABLE e (id int, v f32vec(2));
CREATE INDEX t_flat ON t USING vkflat (v);
CREATE INDEX e_ivf ON e USING vkivf (v);

-- empty
SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT id FROM e ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT id FROM t ORDER BY v <-> '[0,0]';
SELECT id FROM e ORDER BY v <-> '[0,0]';
SELECT sound('t_flat'), sound('e_ivf');

-- one row, inserted into an index that was made on none
INSERT INTO t VALUES (1, '[1,0]');
INSERT INTO e TABLE t;
SELECT id, v <-> '[0,0]' AS d FROM t ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT id, v <-> '[0,0]' AS d FROM e ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT sound('t_flat'), sound('e_ivf');
-- one row, there when the index is made
REINDEX INDEX t_flat;
REINDEX INDEX e_ivf;
SELECT id, v <-> '[0,0]' AS d FROM t ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT id, v <-> '[0,0]' AS d FROM e ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT sound('t_flat'), sound('e_ivf');

-- twenty
INSERT INTO t SELECT n, ARRAY[n, 0] FROM generate_series(2, 20) n;
INSERT INTO e SELECT * FROM t WHERE id > 1;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM e ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 1;
SELECT id FROM e ORDER BY v <-> '[0,0]' LIMIT 1;
SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 19) s;
SELECT array_agg(id) FROM (SELECT id FROM e ORDER BY v <-> '[0,0]' LIMIT 19) s;
SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 1000) s;
SELECT array_agg(id) FROM (SELECT id FROM e ORDER BY v <-> '[0,0]' LIMIT 1000) s;
SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 9223372036854775807) s;
SELECT array_agg(id) FROM (SELECT id FROM e ORDER BY v <-> '[0,0]' LIMIT 9223372036854775807) s;
SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]') s;
SELECT array_agg(id) FROM (SELECT id FROM e ORDER BY v <-> '[0,0]') s;
SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT ALL OFFSET 17) s;
SELECT array_agg(id) FROM (SELECT id FROM e ORDER BY v <-> '[0,0]' LIMIT NULL OFFSET 17) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 0) s;
SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 3 OFFSET 2) s;
SELECT array_agg(id) FROM (SELECT id FROM e ORDER BY v <-> '[0,0]' LIMIT 3 OFFSET 2) s;
SELECT array_agg(id) FROM (SELECT id FROM e ORDER BY v <-> '[0,0]' OFFSET 30) s;

-- ties: two rows at each distance from 21 to 40
INSERT INTO t SELECT n, ARRAY[n, 0] FROM generate_series(21, 40) n;
INSERT INTO t SELECT n + 100, ARRAY[0, n] FROM generate_series(21, 40) n;
INSERT INTO e SELECT * FROM t WHERE id > 20;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]' FETCH FIRST 23 ROWS WITH TIES) s;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM e ORDER BY v <-> '[0,0]' FETCH FIRST 23 ROWS WITH TIES) s;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM t ORDER BY v <-> '[0,0]' FETCH FIRST 22 ROWS WITH TIES) s;
SELECT same('t', 'l2', '[0,0]', 30), same('e', 'l2', '[0,0]', 30), same('t', 'l2', '[0,0]', NULL), same('e', 'l2', '[0,0]', NULL);
SELECT sound('t_flat'), sound('e_ivf');

-- as a limit grows, what came before it stays
CREATE TABLE g (id int, v f32vec(8));
INSERT INTO g SELECT n, vec(n, 8) FROM generate_series(1, 1000) n;
CREATE INDEX g_idx ON g USING vkivf (v) WITH (lists = 10);
SELECT count(*) FILTER (WHERE same('g', 'l2', vec(-5, 8), k)) FROM generate_series(1, 1001, 40) k;
DROP INDEX g_idx;
CREATE INDEX g_idx ON g USING vkflat (v f32vec_ip_ops) WITH (bits = 8);
SELECT count(*) FILTER (WHERE same('g', 'ip', vec(-5, 8), k)) FROM generate_series(1, 1001, 40) k;

-- row by row from nothing past the size of a page, then emptied and filled anew
TRUNCATE g;
INSERT INTO g SELECT n, vec(n, 8) FROM generate_series(1, 700) n;
SELECT same('g', 'ip', vec(-5, 8), 100), sound('g_idx');
DROP INDEX g_idx;
TRUNCATE g;
CREATE INDEX g_idx ON g USING vkivf (v f32vec_cosine_ops);
INSERT INTO g SELECT n, vec(n, 8) FROM generate_series(1, 5000) n;
SELECT same('g', 'cosine', vec(-5, 8), 100), sound('g_idx');
REINDEX INDEX g_idx;
SELECT same('g', 'cosine', vec(-5, 8), 100), sound('g_idx');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
