--
-- columns of domains: they have the dimensions of the type under them
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE DOMAIN embedding AS f32vec(16) CHECK (vector_norm(VALUE) < 1000);
CREATE DOMAIN tokens AS f32vec(16)[];
CREATE TABLE d (id int, v embedding, w tokens);
INSERT INTO d SELECT n, vec(n, 16), ARRAY[vec(n, 16)] FROM generate_series(1, 1500) n;
CREATE INDEX d_flat ON d USING vkflat (v);
CREATE INDEX d_ivf ON d USING vkivf (v f32vec_cosine_ops) WITH (lists = 20);
CREATE INDEX d_tokens ON d USING vkflat (w);
ANALYZE d;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query; END $$;
SET enable_seqscan = off;
SELECT l FROM unnest(ARRAY['ORDER BY v <-> vec(3, 16) LIMIT 3', 'ORDER BY v <=> vec(3, 16) LIMIT 3', 'WHERE v <-> vec(3, 16) < 2.2', 'ORDER BY w @# ARRAY[vec(3, 16)] LIMIT 3']) q, plan_of('SELECT id FROM d ' || q) l WHERE l ~ 'Scan';
SELECT count(*) FROM (SELECT id FROM d WHERE v <-> vec(3, 16) < 2.2) s;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_seqscan = on;
SELECT count(*) FROM (SELECT id FROM d WHERE v <-> vec(3, 16) < 2.2) s;
RESET enable_indexscan;
RESET enable_bitmapscan;
SELECT count(*) FROM vk_knn_batch('d_flat', ARRAY[vec(3, 16), vec(5, 16)], 5);
SELECT count(*) FROM vk_knn_batch('d_flat', ARRAY(SELECT v FROM d WHERE id < 3), 5);
UPDATE d SET v = vec(id + 1, 16) WHERE id % 3 = 0;
VACUUM d;
SELECT lists_after > 0 AS lists FROM vk_tune('d_ivf');
SELECT sound('d_flat'), sound('d_ivf'), sound('d_tokens');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
