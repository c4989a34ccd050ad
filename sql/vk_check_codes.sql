--
-- vk_check(..., true): each code is of its row's vector
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- one row changes its vector behind the indexes' backs
CREATE FUNCTION moved(id int, v f32vec) RETURNS f32vec LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN CASE WHEN id = 777 AND current_setting('vk_test.moved')::boolean THEN vec(-id, 24) ELSE v END;
END
$$;
SET vk_test.moved = off;
CREATE TABLE t (id int, v f32vec(24));
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1, 900) n;
CREATE TABLE indexes (name text, definition text);
INSERT INTO indexes VALUES
	('flat_l2', 'vkflat ((moved(id, v)::f32vec(24)))'), ('flat_cosine', 'vkflat ((moved(id, v)::f32vec(24)) f32vec_cosine_ops) WITH (bits = 8)'),
	('flat_ip', 'vkflat ((moved(id, v)::f32vec(24)) f32vec_ip_ops) WITH (bits = 16)'), ('flat_l1', 'vkflat ((moved(id, v)::f32vec(24)) f32vec_l1_ops)'),
	('flat_half', 'vkflat ((moved(id, v)::f16vec(24)) f16vec_l2_ops) WITH (bits = 32)'), ('flat_refined', 'vkflat ((moved(id, v)::f32vec(24))) WITH (bits = 1, refine = 4)'),
	('ivf_l2', 'vkivf ((moved(id, v)::f32vec(24))) WITH (lists = 9)'), ('ivf_cosine', 'vkivf ((moved(id, v)::f32vec(24)) f32vec_cosine_ops) WITH (lists = 9, bits = 1, refine = 8)'),
	('ivf_ip', 'vkivf ((moved(id, v)::f32vec(24)) f32vec_ip_ops) WITH (lists = 9, bits = 2)'), ('ivf_l1', 'vkivf ((moved(id, v)::f32vec(24)) f32vec_l1_ops) WITH (lists = 9)'),
	('small', 'vkivf ((moved(id, v)::f32vec(24))) WHERE id > 700');
SELECT format('CREATE INDEX %I ON t USING %s', name, definition) FROM indexes \gexec
CREATE FUNCTION fault(index text, heap boolean DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM vk_check(index::regclass, heap);
	RETURN 'sound';
EXCEPTION WHEN index_corrupted THEN
	RETURN regexp_replace(SQLERRM, 'index ".*"', 'its index');
END
$$;
SELECT fault(name), count(*) FROM indexes GROUP BY 1;

-- more rows, and such whose codes are written by upkeep
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(1001, 4000) n;
DELETE FROM t WHERE id % 5 = 1;
VACUUM t;
SELECT name FROM indexes, vk_tune(name::regclass) WHERE lists_rewritten < 0;
UPDATE t SET v = vec(id + 5000, 24) WHERE id % 5 = 0;
SELECT fault(name), count(*) FROM indexes GROUP BY 1;

SET vk_test.moved = on;
SELECT fault(name, false), count(*) FROM indexes GROUP BY 1;
SELECT name, fault(name) FROM indexes;
SELECT format('REINDEX INDEX %I', name) FROM indexes \gexec
SELECT fault(name), count(*) FROM indexes GROUP BY 1;

-- vectors without bounds, a direction, or anything
DROP INDEX flat_half;
DELETE FROM indexes WHERE name = 'flat_half';
INSERT INTO t VALUES (5001, array_fill(1e30, ARRAY[24])::f32vec), (5002, array_fill(1e-30, ARRAY[24])::f32vec), (5003, flat_vec(0, 24)), (5004, NULL);
SELECT fault(name), count(*) FROM indexes GROUP BY 1;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
