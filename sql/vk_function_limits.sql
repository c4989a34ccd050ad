--
-- functions that look into an index: where they have nothing to say, or refuse
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(8));
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(1, 500) n;

-- vk_recall: a partial index knows its own rows; none, none with a vector; one
-- that the planner would not take; one that is not valid
CREATE INDEX t_part ON t USING vkflat (v) WHERE id < 100;
SELECT vk_recall('t_part', 5, 10);
CREATE TABLE e (id int, v f32vec(8));
CREATE INDEX e_idx ON e USING vkflat (v);
SELECT vk_recall('e_idx') IS NULL AS unknown;
INSERT INTO e SELECT n, NULL FROM generate_series(1, 20) n;
SELECT vk_recall('e_idx') IS NULL AS unknown;
CREATE INDEX t_first ON t USING vkflat (v f32vec_l1_ops);
CREATE INDEX t_second ON t USING vkflat (v f32vec_l1_ops) WITH (bits = 8);
DO $$
BEGIN
	PERFORM vk_recall('t_first'), vk_recall('t_second');
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, 'first|second', '...');
END $$;
DROP INDEX t_first;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_second'::regclass;
SELECT vk_recall('t_second');
SELECT vk_check('t_second', true);
SELECT vk_check('t_second');
DROP INDEX t_second;

-- vk_stats: what a search scans with a number of lists
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 10);
SET vkindex.probes = 3;
SELECT budget_rows FROM vk_stats('t_ivf');
SET vkindex.probes = 1000;
SELECT budget_rows FROM vk_stats('t_ivf');
RESET vkindex.probes;

-- privileges: on the table, or on the columns of the index
CREATE ROLE vk_limits_user;
GRANT USAGE ON SCHEMA vk_test TO vk_limits_user;
CREATE INDEX t_sum ON t USING vkflat (((v + v)::f32vec(8)));
CREATE INDEX t_part_ivf ON t USING vkivf (v) WITH (lists = 5, calibrate = 0) WHERE id < 200;
CREATE INDEX t_moved ON t USING vkflat (((v + v)::f32vec(8)), ((id + 1)));
SET ROLE vk_limits_user;
SELECT rows FROM vk_stats('t_ivf');
SELECT count(*) FROM vk_centroids('t_ivf');
RESET ROLE;
GRANT SELECT (v) ON t TO vk_limits_user;
SET ROLE vk_limits_user;
SELECT rows FROM vk_stats('t_ivf');
SELECT count(*) FROM vk_centroids('t_ivf');
SELECT rows FROM vk_stats('t_sum');
-- the predicate and expressions are of columns, too
SELECT rows FROM vk_stats('t_part');
SELECT count(*) FROM vk_centroids('t_part_ivf');
SELECT rows FROM vk_stats('t_moved');
RESET ROLE;
GRANT SELECT (id) ON t TO vk_limits_user;
SET ROLE vk_limits_user;
SELECT rows FROM vk_stats('t_part');
SELECT count(*) FROM vk_centroids('t_part_ivf');
SELECT rows FROM vk_stats('t_moved');
RESET ROLE;
GRANT SELECT ON t TO vk_limits_user;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SET ROLE vk_limits_user;
SELECT rows FROM vk_stats('t_sum');
SELECT count(*) FROM vk_centroids('t_ivf');
RESET ROLE;

-- classes that are no good
CREATE OPERATOR CLASS bad_empty FOR TYPE f32vec USING vkivf AS STORAGE f32vec;
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'bad_empty';
CREATE OPERATOR CLASS bad_class FOR TYPE int4 USING vkflat AS OPERATOR 3 = (int4, int4), FUNCTION 1 (int4, int8) hashint4(int4);
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'bad_class';

-- vk_explain_refusal: bitmaps of several conditions
CREATE TABLE b (id int, kind int, v f32vec(8));
INSERT INTO b SELECT n, n % 50, vec(n, 8) FROM generate_series(1, 3000) n;
CREATE INDEX b_v ON b USING vkflat (v, kind);
CREATE INDEX b_id ON b (id);
ANALYZE b;
SET enable_seqscan = off;
SET enable_indexscan = off;
SELECT * FROM vk_explain_refusal('SELECT id FROM b WHERE id < 40 OR kind = 7');
SELECT * FROM vk_explain_refusal('SELECT id FROM b WHERE id BETWEEN 100 AND 900 AND kind = 7');

SET client_min_messages = warning;
REVOKE ALL ON SCHEMA vk_test FROM vk_limits_user;
DROP SCHEMA vk_test CASCADE;
DROP ROLE vk_limits_user;
