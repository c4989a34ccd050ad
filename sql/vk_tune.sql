--
-- upkeep: an index that follows its table, by vacuum and by vk_tune
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- twenty groups of rows, the first ten in another place than the others
CREATE FUNCTION grouped(n int) RETURNS f32vec
LANGUAGE sql IMMUTABLE AS $$
	SELECT vec(n, 16, 0.2) + vec(-(n % 10) - 1 - CASE WHEN n > 6000 THEN 100 ELSE 0 END, 16)
$$;
-- (a temporary table: its dead rows are not kept for anybody else)
CREATE TEMP TABLE t (id int, v f32vec(16), a int);
CREATE INDEX t_flat ON t USING vkflat (v f32vec_l2_ops);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops, a);
CREATE INDEX t_two ON t USING vkivf (v f32vec_ip_ops) WITH (lists = 2, bits = 1, refine = 4);
CREATE FUNCTION good() RETURNS boolean
LANGUAGE sql AS $$
	SELECT bool_and(same('t', 'l2', grouped(n), 10) AND same('t', 'cosine', grouped(n), 10) AND
					same('t', 'cosine', grouped(n), 10, 1, 'a = ' || n % 7) AND same('t', 'ip', grouped(n), 10))
		AND sound('t_flat') AND sound('t_ivf') AND sound('t_two')
	FROM unnest(ARRAY[-1, 105, 8000]) n
$$;

-- nothing to do
SELECT * FROM vk_tune('t_ivf');
SELECT * FROM vk_tune('t_flat');

-- an index made on an empty table gets lists when there are rows enough
INSERT INTO t SELECT n, CASE WHEN n % 100 = 0 THEN NULL ELSE grouped(n) END, n % 7 FROM generate_series(1, 3000) n;
VACUUM t;
SELECT lists, rows FROM vk_stats('t_ivf');
SELECT good();
INSERT INTO t SELECT n, CASE WHEN n % 100 = 0 THEN NULL ELSE grouped(n) END, n % 7 FROM generate_series(3001, 6000) n;
SELECT good();
SELECT lists FROM vk_stats('t_ivf');
VACUUM t;
SELECT lists > 20 AS inverted, rows FROM vk_stats('t_ivf');
SELECT lists, rows FROM vk_stats('t_two');
SELECT good();
SELECT avg(recall('t', 'cosine', grouped(n), 10, 0.95)) >= 0.9 AS recall_kept FROM generate_series(11, 5000, 400) n;

-- its lists follow rows of another distribution
INSERT INTO t SELECT n, grouped(n), n % 7 FROM generate_series(6001, 18000) n;
CREATE TEMP TABLE before AS SELECT lists, list_max FROM vk_stats('t_ivf');
SELECT lists_after > lists_before AS more_lists, rows_rewritten > 0 AS rewritten, recall_measured FROM vk_tune('t_ivf');
SELECT s.lists > b.lists AS more_lists, s.list_max < b.list_max AS smaller FROM vk_stats('t_ivf') s, before b;
SELECT good();
SELECT avg(recall('t', 'cosine', grouped(n), 10, 0.95)) >= 0.9 AS recall_kept FROM generate_series(11, 18000, 700) n;
-- and then there is nothing more to do
SELECT lists_after = lists_before AS same_lists, rows_rewritten, recall_measured FROM vk_tune('t_ivf');

-- and the going of rows
DELETE FROM t WHERE id % 10 <> 0;
VACUUM t;
SELECT good();
SELECT s.lists < b.lists AS fewer_lists, s.dead_rows, s.rows FROM vk_stats('t_ivf') s, before b;
SELECT dead_rows, rows FROM vk_stats('t_flat');

-- emptied and filled again, pages are used again
TRUNCATE t;
INSERT INTO t SELECT n, grouped(n), n % 7 FROM generate_series(1, 6000) n;
REINDEX TABLE t;
CREATE TEMP TABLE fresh AS SELECT x AS index, pg_relation_size(x) AS bytes FROM unnest(ARRAY['t_flat', 't_ivf', 't_two']) x;
DELETE FROM t;
VACUUM t;
INSERT INTO t SELECT n, grouped(n), n % 7 FROM generate_series(1, 6000) n;
DELETE FROM t;
VACUUM t;
INSERT INTO t SELECT n, grouped(n), n % 7 FROM generate_series(1, 6000) n;
DELETE FROM t;
VACUUM t;
INSERT INTO t SELECT n, grouped(n), n % 7 FROM generate_series(1, 6000) n;
DELETE FROM t;
VACUUM t;
INSERT INTO t SELECT n, grouped(n), n % 7 FROM generate_series(1, 6000) n;
SELECT index, pg_relation_size(index::regclass) <= 2 * bytes AS small FROM fresh;
SELECT good();

-- who may, and what
CREATE TABLE other (id int, v f32vec(4));
CREATE INDEX other_v ON other USING vkivf (v);
CREATE INDEX other_id ON other (id);
CREATE ROLE vk_tune_user;
GRANT USAGE ON SCHEMA vk_test TO vk_tune_user;
SET ROLE vk_tune_user;
SELECT vk_tune('vk_test.other_v');
RESET ROLE;
SELECT vk_tune('other_id');
\set VERBOSITY sqlstate
SELECT vk_tune('other');
\set VERBOSITY default
SELECT vk_tune(NULL);
ALTER TABLE other OWNER TO vk_tune_user;
SET ROLE vk_tune_user;
SELECT * FROM vk_tune('vk_test.other_v');
RESET ROLE;
DROP TABLE other;
REVOKE ALL ON SCHEMA vk_test FROM vk_tune_user;
DROP ROLE vk_tune_user;

-- the centre list is written anew where many of its lanes are of no use; what is replaced is recycled
CREATE TEMP TABLE t2 (id int, v f32vec(8));
INSERT INTO t2 SELECT n, vec(n, 8) FROM generate_series(1, 6000) n;
CREATE INDEX t2_v ON t2 USING vkivf (v) WITH (lists = 400, calibrate = 0);
CREATE FUNCTION ranked() RETURNS TABLE (all_live boolean, root_is_new boolean, old_root text)
LANGUAGE sql AS $$
	SELECT m.centers = m.lists, m.root <> 0,
		CASE WHEN s.born = 0 THEN 'unused' WHEN s.retired <> 0 THEN 'retired' ELSE 'in use' END
	FROM vk_page_meta('t2_v') m, vk_page_slots('t2_v') s WHERE s.slot = 0
$$;
SELECT * FROM ranked();
DELETE FROM t2 WHERE id % 50 > 0;
INSERT INTO t2 SELECT n, vec(n, 8) + '[9,9,9,9,9,9,9,9]' FROM generate_series(6001, 12000) n;
VACUUM t2;
SELECT * FROM ranked();
SELECT sound('t2_v');
SELECT txid_current() > 0 AS later;
SELECT lists_after = lists_before AS same, lists_rewritten, pages_freed > 0 AS recycled FROM vk_tune('t2_v');
SELECT * FROM ranked();
SELECT sound('t2_v');
SELECT bool_and(same('t2', 'l2', vec(-n, 8), 10)) AS exact FROM generate_series(1, 3) n;

-- rows are also seen to have come where their pages are visible to all, and vacuum need not read them
BEGIN;
CREATE TEMP TABLE frozen (v f32vec(16));
CREATE INDEX frozen_v ON frozen USING vkivf (v f32vec_l2_ops);
\copy frozen FROM PROGRAM 'seq -f "[%g,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]" 5000' (FREEZE)
COMMIT;
VACUUM frozen;
SELECT lists > 20 AS inverted, rows FROM vk_stats('frozen_v');
SELECT sound('frozen_v');

-- The versions of a row before the last one may have other vectors, or none, where they are
-- older than the index and nothing has pruned them: whoever codes the row anew does not take
-- theirs, though no version is seen at the moment.
CREATE TEMP TABLE versions (id int, pad text, v f32vec(8));
ALTER TABLE versions ALTER pad SET STORAGE PLAIN;
INSERT INTO versions VALUES (1, repeat('x', 3000), vec(1, 8));
UPDATE versions SET v = vec(101, 8) WHERE id = 1;
INSERT INTO versions VALUES (2, repeat('x', 3000), NULL);
UPDATE versions SET v = vec(102, 8) WHERE id = 2;
INSERT INTO versions VALUES (3, repeat('x', 3000), flat_vec(0, 8));
UPDATE versions SET v = vec(103, 8) WHERE id = 3;
CREATE INDEX versions_l2 ON versions USING vkflat (v);
CREATE INDEX versions_cosine ON versions USING vkivf (v f32vec_cosine_ops);
INSERT INTO versions SELECT n, repeat('x', 2200), vec(n + 100, 8) FROM generate_series(4, 5000) n;
BEGIN;
DELETE FROM versions WHERE id <= 3;
SELECT rows_rewritten FROM vk_tune('versions_l2');
SELECT rows_rewritten FROM vk_tune('versions_cosine');
ROLLBACK;
SELECT n, same('versions', 'l2', vec(n + 100, 8), 5), same('versions', 'cosine', vec(n + 100, 8), 5) FROM generate_series(1, 3) n;
SELECT sound('versions_l2'), sound('versions_cosine');

-- what it does goes by what the index is, not by options set since, nor by the column's dimensions
CREATE TABLE altered (id int, v f32vec(8)) WITH (autovacuum_enabled = off);
INSERT INTO altered SELECT n, vec(n, 8) FROM generate_series(1, 6000) n;
CREATE INDEX altered_l1 ON altered USING vkivf (v f32vec_l1_ops) WITH (lists = 40);
CREATE INDEX altered_l2 ON altered USING vkivf (v) WITH (lists = 40);
ALTER INDEX altered_l1 SET (bits = 4);
ALTER TABLE altered ALTER v TYPE f32vec;
INSERT INTO altered SELECT n, vec(n, 8) FROM generate_series(6001, 9000) n;
VACUUM altered;
SELECT index, lists > 20 AS inverted, curve_age < 0.2 AS measured, sound(index) FROM unnest('{altered_l1,altered_l2}'::text[]) index, vk_stats(index);
DROP TABLE altered;

-- lists of rows that differ by less than codes can tell are not split, again and again
CREATE TABLE alike (id int, v f32vec(16)) WITH (autovacuum_enabled = off);
INSERT INTO alike SELECT n, vec(n, 16) FROM generate_series(1, 8000) n;
INSERT INTO alike SELECT n, flat_vec(1, 16) + (ARRAY[1 + n % 100 * 1e-6] || array_fill(1, ARRAY[15]))::f32vec FROM generate_series(8001, 10000) n;
CREATE INDEX alike_v ON alike USING vkivf (v) WITH (lists = 40, calibrate = 0);
SELECT lists_after > 0 AS tuned FROM vk_tune('alike_v');
SELECT lists_rewritten, rows_rewritten FROM vk_tune('alike_v');
SELECT sound('alike_v');
DROP TABLE alike;

-- a vacuum that has workers leaves rows alone where the index's expression may not run beside them
CREATE TABLE guarded (id int PRIMARY KEY, txt text) WITH (autovacuum_enabled = off);
CREATE FUNCTION parse(txt text) RETURNS f32vec LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RETURN txt::public.f32vec;
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END
$$;
CREATE INDEX guarded_v ON guarded USING vkivf ((parse(txt)::f32vec(8)));
INSERT INTO guarded SELECT n, vec(n, 8)::text FROM generate_series(1, 6000) n;
SET min_parallel_index_scan_size = 0;
VACUUM (PARALLEL 2) guarded;
SELECT lists FROM vk_stats('guarded_v');
VACUUM (PARALLEL 0) guarded;
SELECT lists > 20 AS inverted, sound('guarded_v') FROM vk_stats('guarded_v');
RESET min_parallel_index_scan_size;
DROP TABLE guarded;

-- an expression over deleted rows that have no TOAST any more
CREATE TEMP TABLE plain (id int, v f32vec);
ALTER TABLE plain ALTER v SET STORAGE EXTERNAL;
CREATE INDEX plain_v ON plain USING vkivf ((v::f32vec(600)));
INSERT INTO plain SELECT n, vec(n, 600) FROM generate_series(1, 6000) n;
DELETE FROM plain WHERE id % 6 = 0;
\set ECHO none
SELECT format('VACUUM %s', reltoastrelid::regclass) FROM pg_class WHERE relname = 'plain'
\gexec
\set ECHO all
SELECT lists_after > 0 AS tuned FROM vk_tune('plain_v');
SELECT sound('plain_v');
VACUUM plain;
SELECT sound('plain_v');
DROP TABLE plain;

-- a list that was made large stays as it is until it has grown: here one has six
-- times the average from the start
CREATE TEMP TABLE u (id int, v f32vec(16));
INSERT INTO u SELECT n, vec(n, 16, 0.2) + vec(-1 - CASE n % 20 WHEN 0 THEN 0 ELSE n % 89 END, 16) FROM generate_series(1, 10000) n;
CREATE TABLE places AS SELECT vec(-1 - n, 16) AS v FROM generate_series(0, 88) n;
CREATE INDEX u_idx ON u USING vkivf (v) WITH (centroids = 'vk_test.places', calibrate = 100);
SELECT lists, list_max > 5 * list_avg AS uneven FROM vk_stats('u_idx');
SELECT lists_after, lists_rewritten FROM vk_tune('u_idx');
INSERT INTO u SELECT n, vec(n, 16, 0.2) + vec(-1, 16) FROM generate_series(10001, 10400) n;
SELECT lists_after > lists_before AS split, lists_rewritten < 20 AS nothing_else FROM vk_tune('u_idx');
SELECT lists > 89 AS more_lists, list_max < 5 * list_avg AS even FROM vk_stats('u_idx');
SELECT lists_after = lists_before AS same_lists, lists_rewritten FROM vk_tune('u_idx');
SELECT vk_check('u_idx', true);
DROP TABLE u, places;

-- rows that k-means cannot tell apart are not written again and again
CREATE TEMP TABLE tiny (v f32vec(8));
INSERT INTO tiny SELECT vec(n, 8, 1e-22) FROM generate_series(1, 6000) n;
CREATE INDEX tiny_idx ON tiny USING vkivf (v);
SELECT lists, list_max >= 6000 AS one_list FROM vk_stats('tiny_idx');
SELECT lists_after, lists_rewritten, recall_measured FROM vk_tune('tiny_idx');
DROP TABLE tiny;
