--
-- temporary and unlogged tables
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- temporary
CREATE TEMP TABLE t (id int, v f32vec(24));
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1, 1200) n;
CREATE INDEX t_flat ON t USING vkflat (v) WITH (bits = 4);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 10, bits = 2);
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'cosine', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1201, 1500) n;
DELETE FROM t WHERE id % 4 = 0;
VACUUM t;
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1501, 1800) n;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'cosine', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
TRUNCATE t;
SELECT same('t', 'l2', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1, 50) n;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'cosine', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
DROP TABLE t;
-- parallel workers cannot read temporary tables: nothing that is given an index runs in one
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vkindex') AND 'regclass'::regtype = ANY (p.proargtypes) AND p.proparallel = 's';

-- emptied at each commit: its indexes are built anew on nothing
CREATE TEMP TABLE t (id int, v f32vec(24)) ON COMMIT DELETE ROWS;
CREATE INDEX t_flat ON t USING vkflat (v);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops);
BEGIN;
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1, 50) n;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'cosine', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
COMMIT;
BEGIN;
SELECT same('t', 'l2', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1, 30) n;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'cosine', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
SAVEPOINT s;
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(31, 60) n;
ROLLBACK TO s;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'cosine', vec(-1, 24), 20);
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(31, 60) n;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'cosine', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
COMMIT;
SELECT count(*) FROM t;
DROP TABLE t;
-- a session that knew a longer file: full pages of refine codes, and none behind them
CREATE TEMP TABLE t (id int, v f32vec(100)) ON COMMIT DELETE ROWS;
CREATE INDEX t_ivf ON t USING vkivf (v) WITH (bits = 1, refine = 4);
INSERT INTO t SELECT n, flat_vec(n, 100) FROM generate_series(1, 6000) n;
BEGIN;
INSERT INTO t SELECT n, flat_vec(n, 100) FROM generate_series(1, 4000) n;
SELECT count(*), sound('t_ivf') FROM t;
COMMIT;
DROP TABLE t;
BEGIN;
CREATE TEMP TABLE t ON COMMIT DROP AS SELECT n AS id, vec(n, 24)::f32vec(24) AS v FROM generate_series(1, 50) n;
CREATE INDEX t_flat ON t USING vkflat (v);
SELECT same('t', 'l2', vec(-1, 24), 20), sound('t_flat');
COMMIT;

-- unlogged
CREATE UNLOGGED TABLE t (id int, v f32vec(24));
CREATE INDEX t_flat ON t USING vkflat (v);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_ip_ops) WITH (lists = 10);
-- the init fork is what a crash leaves
SELECT relname, pg_relation_size(oid, 'init') > 0 AS init_fork,
	pg_relation_size(oid, 'init') = pg_relation_size(oid, 'main') AS as_large
FROM pg_class WHERE relname IN ('t_flat', 't_ivf') AND relnamespace = 'vk_test'::regnamespace ORDER BY relname;
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1, 1200) n;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'ip', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
REINDEX TABLE t;
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1201, 1300) n;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'ip', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
ALTER TABLE t SET LOGGED;
SELECT relname, relpersistence FROM pg_class WHERE relname IN ('t_flat', 't_ivf') AND relnamespace = 'vk_test'::regnamespace ORDER BY relname;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'ip', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
ALTER TABLE t SET UNLOGGED;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'ip', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
SELECT same('t', 'l2', vec(-1, 24), 20), same('t', 'ip', vec(-1, 24), 20), sound('t_flat'), sound('t_ivf');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
