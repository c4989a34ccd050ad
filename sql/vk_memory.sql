--
-- many rows within a thousandth of each other, and little memory
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(32));
INSERT INTO t SELECT n, vec(1, 32) + vec(n, 32, 0.0005) FROM generate_series(1, 12000) n;

CREATE FUNCTION compare(metric text, k int[]) RETURNS TABLE (memory text, equal bigint, of bigint)
LANGUAGE plpgsql AS $$
BEGIN
	FOREACH memory IN ARRAY ARRAY['64kB', '256kB', '1MB'] LOOP
		PERFORM set_config('work_mem', memory, true);
		SELECT count(*) FILTER (WHERE same('t', metric, q, n)), count(*) INTO equal, of
		FROM unnest(k) n, (VALUES (vec(1, 32)), (vec(1, 32) + vec(77, 32, 0.0005)), (vec(2, 32))) v(q);
		RETURN NEXT;
	END LOOP;
END
$$;

CREATE INDEX t_idx ON t USING vkflat (v) WITH (bits = 4);
SELECT * FROM compare('l2', ARRAY[1, 10, 100, 3000, NULL]);
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkflat (v f32vec_ip_ops) WITH (bits = 1, refine = none);
SELECT * FROM compare('ip', ARRAY[10, 500]);
DROP INDEX t_idx;
SET maintenance_work_mem = '1MB';
CREATE INDEX t_idx ON t USING vkivf (v f32vec_cosine_ops) WITH (bits = 1, refine = 4, lists = 50, calibrate = 100);
RESET maintenance_work_mem;
SELECT * FROM compare('cosine', ARRAY[1, 10, 100, 3000, NULL]);
SELECT sound('t_idx');
-- below target 1: as many rows as asked for, each once
SET work_mem = '64kB';
SELECT k, cardinality(ids) AS rows, (SELECT count(DISTINCT id) FROM unnest(ids) id) AS different
FROM unnest(ARRAY[1, 100, 5000, 30000]) k, nearest(true, 't', 'cosine', vec(2, 32), k, 0.9);

-- nearly all of it dead, or not yet alive
DELETE FROM t WHERE id % 600 > 0;
SELECT same('t', 'cosine', vec(1, 32), 10), same('t', 'cosine', vec(1, 32), NULL);
BEGIN;
INSERT INTO t SELECT n, vec(1, 32) + vec(n, 32, 0.0001) FROM generate_series(12001, 18000) n;
ROLLBACK;
SELECT same('t', 'cosine', vec(1, 32), 10), same('t', 'cosine', vec(1, 32), NULL);
VACUUM t;
SELECT same('t', 'cosine', vec(1, 32), 10), same('t', 'cosine', vec(1, 32), NULL), sound('t_idx');

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
