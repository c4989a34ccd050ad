--
-- Rows that a scan drops are remembered by the smallest of their lower bounds:
-- where the rows that set the threshold are filtered away, nothing beyond that
-- bound may come before them.  Here one near row is filtered, 1,300 follow at
-- about 0.02, and one row of tiny norm, which no bound holds, is a candidate
-- from the start, at 0.14.
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(32));
INSERT INTO t VALUES (1, flat_vec(1, 32) + vec(1, 32, 0.02));
INSERT INTO t SELECT n, vec(n, 32) FROM generate_series(2, 700) n;
INSERT INTO t SELECT n, flat_vec(1, 32) + vec(n, 32, 0.5) FROM generate_series(701, 2000) n;
INSERT INTO t VALUES (3000, (flat_vec(1, 32) + vec(5000, 32, 0.9)) * flat_vec(1e-18, 32));
CREATE INDEX t_idx ON t USING vkflat (v f32vec_cosine_ops) WITH (bits = 4);
ANALYZE t;
SELECT k, same('t', 'cosine', flat_vec(1, 32), k, condition => 'id <> 1')
FROM (VALUES (1), (3), (10)) n(k);

-- the same where the near row is dead
DELETE FROM t WHERE id = 1;
SELECT k, same('t', 'cosine', flat_vec(1, 32), k) FROM (VALUES (1), (3), (10)) n(k);

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
