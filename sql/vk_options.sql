--
-- storage parameters and settings
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE t (id int, v f32vec(8));
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(1, 300) n;

-- bad values
CREATE INDEX ON t USING vkivf (v) WITH (lists = -1);
\echo :SQLSTATE
CREATE INDEX ON t USING vkivf (v) WITH (lists = 1000001);
CREATE INDEX ON t USING vkivf (v) WITH (lists = many);
CREATE INDEX ON t USING vkivf (v) WITH (bits = 3);
\echo :SQLSTATE
CREATE INDEX ON t USING vkflat (v) WITH (bits = 64);
CREATE INDEX ON t USING vkflat (v) WITH (bits = 'four');
CREATE INDEX ON t USING vkivf (v) WITH (refine = 16);
CREATE INDEX ON t USING vkflat (v) WITH (refine = all);
CREATE INDEX ON t USING vkivf (v) WITH (bits = 8, refine = 4);
CREATE INDEX ON t USING vkivf (v) WITH (bits = 4, refine = 4);
CREATE INDEX ON t USING vkivf (v) WITH (seed = -1);
CREATE INDEX ON t USING vkivf (v) WITH (seed = 2147483648);
CREATE INDEX ON t USING vkivf (v) WITH (calibrate = 99);
\echo :SQLSTATE
CREATE INDEX ON t USING vkivf (v) WITH (calibrate = 100001);
CREATE INDEX ON t USING vkivf (v) WITH (centroids = 'a.b.');
-- options of the other method, and of none
CREATE INDEX ON t USING vkflat (v) WITH (lists = 10);
\echo :SQLSTATE
CREATE INDEX ON t USING vkflat (v) WITH (calibrate = 0);
CREATE INDEX ON t USING vkivf (v) WITH (fillfactor = 70);
CREATE INDEX ON t USING vkivf (v) WITH (m = 16);

-- good ones, at both ends
CREATE INDEX t1 ON t USING vkivf (v) WITH (lists = 0, bits = auto, refine = auto, seed = 0, calibrate = 0);
CREATE INDEX t2 ON t USING vkivf (v) WITH (lists = 1, bits = 1, refine = 8, seed = 2147483647, calibrate = 100);
CREATE INDEX t3 ON t USING vkivf (v) WITH (lists = 1000000, bits = '32', refine = none, calibrate = 100000);
CREATE INDEX t4 ON t USING vkflat (v) WITH (bits = 8, refine = none, seed = 1);
SELECT relname, reloptions FROM pg_class WHERE relname ~ '^t[1-4]$' AND relnamespace = 'vk_test'::regnamespace
ORDER BY relname;
SELECT relname, sound(oid) FROM pg_class WHERE relname ~ '^t[1-4]$' AND relnamespace = 'vk_test'::regnamespace
ORDER BY relname;
DROP INDEX t1, t3, t4;

-- changes take effect with the next REINDEX
SELECT same('t', 'l2', vec(-1, 8), 20);
ALTER INDEX t2 SET (bits = 4, refine = none);
SELECT reloptions FROM pg_class WHERE oid = 't2'::regclass;
SELECT same('t', 'l2', vec(-1, 8), 20), sound('t2');
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(301, 400) n;
SELECT same('t', 'l2', vec(-1, 8), 20), sound('t2');
REINDEX INDEX t2;
SELECT same('t', 'l2', vec(-1, 8), 20), sound('t2');
ALTER INDEX t2 SET (lists = 1000001);
ALTER INDEX t2 SET (bits = 5);
ALTER INDEX t2 SET (refine = 4);
ALTER INDEX t2 SET (nothing = 1);
ALTER INDEX t2 RESET (bits, refine, lists);
SELECT reloptions FROM pg_class WHERE oid = 't2'::regclass;
REINDEX INDEX t2;
SELECT same('t', 'l2', vec(-1, 8), 20), sound('t2');
DROP INDEX t2;

-- settings
SHOW vkindex.target_recall;
SHOW vkindex.probes;
SHOW vkindex.simd;
SHOW vkindex.log_scans;
SET vkindex.target_recall = 0.49;
\echo :SQLSTATE
SET vkindex.target_recall = 1.01;
SET vkindex.target_recall = 'NaN';
SET vkindex.target_recall = most;
SET vkindex.target_recall = 0.5;
SET vkindex.target_recall = 1;
SET vkindex.probes = -1;
SET vkindex.probes = 1000001;
SET vkindex.probes = 1000000;
SET vkindex.log_scans = maybe;
SET vkindex.simd = 'mmx';
\echo :SQLSTATE
SET vkindex.simd = '';
SET vkindex.simd = 'AVX2';
SHOW vkindex.simd;
SET vkindex.simd = 'ref';
SHOW vkindex.simd;
RESET vkindex.simd;
SET vkindex.unheard_of = 1;
\echo :SQLSTATE
RESET vkindex.target_recall;
RESET vkindex.probes;
-- of a function, and of one transaction
CREATE FUNCTION target() RETURNS text LANGUAGE sql SET vkindex.target_recall = 0.7
	AS 'SELECT current_setting(''vkindex.target_recall'')';
SELECT target(), current_setting('vkindex.target_recall');
BEGIN;
SET LOCAL vkindex.simd = 'ref';
ROLLBACK;
SHOW vkindex.simd;
-- a limit of scans is none of builds: calibration searches far more rows
CREATE TABLE many (v f32vec(4));
INSERT INTO many SELECT array[n % 71, n % 83, n % 97, n % 101]::f32vec FROM generate_series(1, 8000) n;
SET vkindex.max_scan_rows = 500;
CREATE INDEX many_v ON many USING vkivf (v);
RESET vkindex.max_scan_rows;
SELECT budget_rows < rows / 2 AS calibrated FROM vk_stats('many_v');

-- nor is it reached where nothing is left to look at: rows without a distance come too
CREATE TABLE few (v f32vec(4));
INSERT INTO few SELECT array[n % 7, n % 8, n % 9, n]::f32vec FROM generate_series(1, 300) n;
INSERT INTO few SELECT NULL FROM generate_series(1, 5);
CREATE INDEX few_v ON few USING vkflat (v);
SET enable_seqscan = off;
SET vkindex.max_scan_rows = 300;
SELECT count(*) FROM (SELECT FROM few ORDER BY v <-> '[1,2,3,4]' LIMIT 304) s;
SELECT emitted, exhaustive FROM vk_last_scan();
RESET vkindex.max_scan_rows;
RESET enable_seqscan;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
