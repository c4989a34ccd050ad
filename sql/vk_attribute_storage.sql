--
-- attribute columns on disk: build, insert, vacuum, rebuild; vk_check compares
-- every stored value with that of its row, and with the summary of its list
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
-- a column of every width, each with NULLs of its own; rows without a vector, or with one of norm 0
CREATE FUNCTION rows(first int, last int, dim int)
RETURNS TABLE (id int, v f32vec, b bool, i2 int2, i4 int, i8 int8, f8 float8, d date, u uuid, m mood, x text)
LANGUAGE sql AS $$
	SELECT n, CASE n % 40 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, dim) ELSE vec(n, dim) END,
		CASE WHEN n % 3 < 2 THEN n % 3 = 0 END, CASE WHEN n % 5 > 0 THEN n - 1000 END,
		CASE WHEN n % 7 > 0 THEN n * 1000 END, CASE WHEN n % 11 > 0 THEN n * -10000000000 END,
		CASE n % 13 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE sqrt(n) END,
		CASE n % 17 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' ELSE date '2000-01-01' + n END,
		CASE WHEN n % 19 > 0 THEN md5(n::text)::uuid END,
		CASE n % 4 WHEN 0 THEN 'sad'::mood WHEN 1 THEN 'ok' WHEN 2 THEN 'happy' END,
		CASE WHEN n % 23 > 0 THEN 'row ' || n END
	FROM generate_series(first, last) n
$$;
CREATE FUNCTION sounds(tab text) RETURNS TABLE (index name, sound boolean, attributes int)
LANGUAGE sql AS $$
	SELECT c.relname, sound(c.oid), (vk_stats(c.oid)).attributes FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
	WHERE i.indrelid = tab::regclass AND c.relkind = 'i' ORDER BY c.relname COLLATE "C"
$$;

-- small blocks: many on a page
CREATE TABLE t (id int, v f32vec(16), b bool, i2 int2, i4 int, i8 int8, f8 float8, d date, u uuid, m mood, x text) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT * FROM rows(1, 1500, 16);
CREATE INDEX t_flat ON t USING vkflat (v, b, i2, i4, i8, f8, d, u, m, x);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops, u, b) WITH (lists = 40, bits = 2, refine = 8);
CREATE INDEX t_l1 ON t USING vkivf (v f32vec_l1_ops, i8, x);
CREATE INDEX t_expression ON t USING vkivf (v, (i4 + id), (lower(x) || 'y'), (coalesce(d, 'infinity'))) WITH (lists = 5);
CREATE INDEX t_part ON t USING vkflat (v, i2, m) WHERE id % 2 = 0;
CREATE INDEX t_none ON t USING vkflat (v);
SELECT * FROM sounds('t');
-- rows after the build: values that the lists did not have, new blocks, new pages
INSERT INTO t SELECT * FROM rows(2001, 3000, 16);
SELECT * FROM sounds('t');
SELECT same('t', 'l2', vec(-1, 16), 40), same('t', 'cosine', vec(-1, 16), NULL), same('t', 'l1', vec(-1, 16), NULL);
-- changes of attributes alone, and of the vector
UPDATE t SET i4 = -id, x = repeat('x', id) WHERE id % 10 = 3;
UPDATE t SET v = vec(id + 10000, 16) WHERE id % 10 = 7;
UPDATE t SET v = NULL WHERE id % 10 = 4 AND id < 500;
SELECT * FROM sounds('t');
DELETE FROM t WHERE id % 3 = 0;
VACUUM t;
INSERT INTO t SELECT * FROM rows(3001, 3500, 16);
SELECT * FROM sounds('t');
REINDEX INDEX CONCURRENTLY t_flat;
REINDEX INDEX t_ivf;
REINDEX TABLE t;
CREATE INDEX CONCURRENTLY t_later ON t USING vkflat (v f32vec_ip_ops, x, u) WITH (bits = 1, refine = 4);
INSERT INTO t SELECT * FROM rows(4001, 4200, 16);
VACUUM FULL t;
INSERT INTO t SELECT * FROM rows(5001, 5100, 16);
SELECT * FROM sounds('t');
SELECT same('t', 'l2', vec(-1, 16), 40), same('t', 'ip', vec(-1, 16), 40), same('t', 'cosine', vec(-1, 16), 40);
-- rows that never were
BEGIN;
INSERT INTO t SELECT * FROM rows(6001, 6100, 16);
ROLLBACK;
TRUNCATE t;
INSERT INTO t SELECT * FROM rows(1, 100, 16);
SELECT * FROM sounds('t');
DROP TABLE t;

-- blocks that take several pages
CREATE TABLE t (id int, v f32vec(300), b bool, i2 int2, i4 int, i8 int8, f8 float8, d date, u uuid, m mood, x text);
INSERT INTO t SELECT * FROM rows(1, 100, 300);
CREATE INDEX t_flat ON t USING vkflat (v, u, i8, i4) WITH (bits = 32);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops, b, m, x, u, d) WITH (bits = 16, lists = 3);
CREATE INDEX t_refined ON t USING vkivf (v f32vec_ip_ops, b, m, x, u, d) WITH (bits = 4, refine = 8, lists = 2);
INSERT INTO t SELECT * FROM rows(101, 180, 300);
SELECT * FROM sounds('t');
SELECT same('t', 'l2', vec(-1, 300), NULL), same('t', 'cosine', vec(-1, 300), NULL), same('t', 'ip', vec(-1, 300), 30);
DROP TABLE t;

-- as many columns as there may be: two lists share a page of summaries, and inserts open new segments
CREATE TABLE t (id int, v f32vec(3), a1 int, a2 int8, a3 uuid, a4 bool, a5 text, a6 int, a7 int8, a8 uuid, a9 bool, a10 text, a11 "char", a12 oid);
CREATE FUNCTION wide_rows(first int, last int)
RETURNS TABLE (id int, v f32vec, a1 int, a2 int8, a3 uuid, a4 bool, a5 text, a6 int, a7 int8, a8 uuid, a9 bool, a10 text, a11 "char", a12 oid)
LANGUAGE sql AS $$
	SELECT n, vec(n, 3), n, n, md5(n::text)::uuid, n % 2 = 0, n::text, -n, -n, md5((-n)::text)::uuid, n % 3 = 0, (-n)::text, 'c', n
	FROM generate_series(first, last) n
$$;
CREATE INDEX t_empty ON t USING vkflat (v, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12);
INSERT INTO t SELECT * FROM wide_rows(1, 500);
CREATE INDEX t_ivf ON t USING vkivf (v, a12, a11, a10, a9, a8, a7, a6, a5, a4, a3, a2, a1) WITH (lists = 5);
INSERT INTO t SELECT * FROM wide_rows(501, 13000);
SELECT * FROM sounds('t');
REINDEX TABLE t;
INSERT INTO t SELECT * FROM wide_rows(13001, 14000);
SELECT * FROM sounds('t');
CREATE INDEX ON t USING vkflat (v, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, id);
DROP TABLE t;

-- unlogged and temporary tables, partitions
CREATE UNLOGGED TABLE t (id int, v f32vec(4), a int, x text);
CREATE INDEX t_unlogged ON t USING vkivf (v, a, x);
INSERT INTO t SELECT n, vec(n, 4), n, n FROM generate_series(1, 300) n;
SELECT * FROM sounds('t');
ALTER TABLE t SET LOGGED;
INSERT INTO t SELECT n, vec(n, 4), n, n FROM generate_series(301, 350) n;
SELECT * FROM sounds('t');
-- another type for a column: the index is built anew
ALTER TABLE t ALTER a TYPE int8, ALTER x TYPE numeric USING x::numeric;
SELECT * FROM sounds('t');
DROP TABLE t;
CREATE TEMP TABLE t (id int, v f32vec(4), a int, x text);
CREATE INDEX t_temp ON t USING vkflat (v, a, x);
INSERT INTO t SELECT n, vec(n, 4), n, n FROM generate_series(1, 300) n;
SELECT * FROM sounds('t');
DROP TABLE t;
CREATE TABLE t (id int, v f32vec(4), a int) PARTITION BY LIST (a);
CREATE INDEX t_idx ON t USING vkflat (v, a, id);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t2 (a int, gone int, v f32vec(4), id int);
ALTER TABLE t2 DROP gone;
INSERT INTO t2 SELECT 2, vec(n, 4), n FROM generate_series(1, 50) n;
ALTER TABLE t ATTACH PARTITION t2 FOR VALUES IN (2);
INSERT INTO t SELECT n, vec(n, 4), 1 + n % 2 FROM generate_series(101, 300) n;
SELECT * FROM sounds('t1') UNION ALL SELECT * FROM sounds('t2');
DROP TABLE t;

-- vk_check finds a value that is not that of the row
CREATE FUNCTION shifted(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 + current_setting('vk_test.shift')::int $$;
SET vk_test.shift = 0;
CREATE TABLE t (id int, v f32vec(4));
INSERT INTO t SELECT n, vec(n, 4) FROM generate_series(1, 300) n;
CREATE INDEX t_flat ON t USING vkflat (v, shifted(id));
CREATE INDEX t_ivf ON t USING vkivf (v, shifted(id)) WITH (lists = 4);
SELECT * FROM sounds('t');
SET vk_test.shift = 1;
SELECT vk_check('t_flat'), vk_check('t_ivf');
SELECT vk_check('t_flat', true);
SELECT vk_check('t_ivf', true);
REINDEX TABLE t;
SELECT * FROM sounds('t');
DROP TABLE t;

-- what cannot be indexed
CREATE TABLE t (id int, v f32vec(4), w f32vec(4), j json);
CREATE INDEX ON t USING vkflat (id);
CREATE INDEX ON t USING vkivf (id, v);
CREATE INDEX ON t USING vkivf (v, w);
CREATE INDEX ON t USING vkflat (v, v);
CREATE INDEX ON t USING vkflat (v, j);
CREATE INDEX ON t USING vkflat (v) INCLUDE (id);
CREATE UNIQUE INDEX ON t USING vkflat (v, id);
CREATE INDEX ON t USING vkflat (v, id DESC);

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
