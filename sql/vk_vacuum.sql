--
-- deleted rows, vacuum, and rows in the place of others
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- (a temporary table: its dead rows are not kept for anybody else)
CREATE TEMP TABLE t (id int, v f32vec(24));
INSERT INTO t SELECT n, CASE n % 20 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 24) ELSE vec(n, 24) END FROM generate_series(1, 2000) n;
CREATE INDEX t_flat ON t USING vkflat (v f32vec_l2_ops) WITH (bits = 4);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 16, bits = 2);

CREATE TEMP VIEW counts AS
	SELECT 't_flat' AS index, rows, dead_rows, rest_rows, lists FROM vk_stats('t_flat')
	UNION ALL SELECT 't_ivf', rows, dead_rows, rest_rows, lists FROM vk_stats('t_ivf');
CREATE FUNCTION good() RETURNS boolean
LANGUAGE sql AS $$
	SELECT bool_and(same('t', 'l2', vec(n, 24), 10) AND same('t', 'cosine', vec(n, 24), 10)) AND
		same('t', 'l2', vec(-1, 24), NULL) AND same('t', 'cosine', vec(-1, 24), NULL) AND sound('t_flat') AND sound('t_ivf')
	FROM unnest(ARRAY[-1, -2, -3, 5, 105, 1999, 2500]) n
$$;
TABLE counts;
SELECT good();

-- dead rows are passed over before vacuum, and gone after it
DELETE FROM t WHERE id % 3 = 0;
SELECT good();
TABLE counts;
VACUUM t;
TABLE counts;
SELECT good();

-- new rows in the places of the dead ones
CREATE TEMP TABLE size AS SELECT pg_relation_size('t') AS bytes;
INSERT INTO t SELECT n, CASE n % 20 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 24) ELSE vec(n, 24) END FROM generate_series(2001, 2600) n;
SELECT pg_relation_size('t') = bytes AS reused FROM size;
SELECT good();
VACUUM t;
TABLE counts;
SELECT good();

-- everything goes, and comes back
DELETE FROM t;
SELECT good();
VACUUM t;
SELECT index, rows, dead_rows > 0 AS dead, rest_rows, lists FROM counts;
SELECT good();
INSERT INTO t SELECT n, CASE n % 20 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 24) ELSE vec(n, 24) END FROM generate_series(1, 300) n;
SELECT good();
VACUUM t;
SELECT index, rows, dead_rows > 0 AS dead, rest_rows, lists FROM counts;
VACUUM FULL t;
TABLE counts;
SELECT good();
-- rows in another order
CREATE INDEX t_id ON t ((-id));
CLUSTER t USING t_id;
SELECT good();
TRUNCATE t;
TABLE counts;
SELECT good();

-- what rows without a vector leave behind is used again
CREATE FUNCTION nulls_come_and_go(OUT flat bigint, OUT ivf bigint)
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t SELECT n, NULL FROM generate_series(1, 20000) n;
	flat := pg_relation_size('t_flat');
	ivf := pg_relation_size('t_ivf');
	DELETE FROM t;
END
$$;
CREATE TEMP TABLE sizes AS SELECT * FROM nulls_come_and_go();
VACUUM t;
INSERT INTO sizes SELECT * FROM nulls_come_and_go();
VACUUM t;
INSERT INTO sizes SELECT * FROM nulls_come_and_go();
VACUUM t;
SELECT count(DISTINCT flat) AS flat, count(DISTINCT ivf) AS ivf FROM sizes;
-- so is what a few of them leave, and the rest goes behind the others
INSERT INTO t SELECT n, CASE WHEN n % 100 <> 0 THEN NULL ELSE vec(n, 24) END FROM generate_series(1, 20000) n;
DELETE FROM t WHERE id BETWEEN 2000 AND 2999;
VACUUM t;
INSERT INTO t SELECT n, NULL FROM generate_series(20001, 24000) n;
TABLE counts;
SELECT good();

-- the same, of a table that others can see
DROP VIEW counts;
DROP TABLE t;
CREATE TABLE t (id int, v f32vec(24)) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT n, CASE n % 20 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 24) ELSE vec(n, 24) END FROM generate_series(1, 2000) n;
CREATE INDEX t_flat ON t USING vkflat (v f32vec_l2_ops) WITH (bits = 4);
CREATE INDEX t_ivf ON t USING vkivf (v f32vec_cosine_ops) WITH (lists = 16, bits = 2);
DELETE FROM t WHERE id % 3 = 0;
VACUUM t;
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(2001, 2600) n;
SELECT good();

-- updates that stay on their page, and such that change the vector
UPDATE t SET id = id WHERE id < 500;
UPDATE t SET v = vec(id + 10000, 24) WHERE id % 5 = 2;
SELECT good();
VACUUM (PARALLEL 2) t;
SELECT good();
-- a vacuum that does not go to the indexes, and one that has nothing to do
DELETE FROM t WHERE id % 100 = 7;
VACUUM (INDEX_CLEANUP off) t;
SELECT good();
VACUUM t;
VACUUM t;
SELECT good();
VACUUM (FREEZE, ANALYZE) t;
SELECT good();

-- changes that never were
BEGIN;
INSERT INTO t SELECT n, vec(n, 24) FROM generate_series(3001, 3100) n;
UPDATE t SET v = vec(id + 20000, 24) WHERE id % 2 = 0;
SELECT good();
ROLLBACK;
SELECT good();
VACUUM t;
SELECT good();

-- rows that come and go for ever: places in the directory are used again
CREATE TEMP TABLE churned (id int, kind int, v f32vec(4));
CREATE INDEX churned_flat ON churned USING vkflat (v, kind);
CREATE INDEX churned_ivf ON churned USING vkivf (v);
CREATE PROCEDURE churn(cycles int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. cycles LOOP
		INSERT INTO churned SELECT n, n % 7, vec(n, 4) FROM generate_series(1, 9000) n;
		DELETE FROM churned;
	END LOOP;
END
$$;
CREATE TEMP TABLE slots (cycle int, flat int, ivf int);
SELECT 'CALL churn(1)', 'VACUUM churned', format('INSERT INTO slots SELECT %s, f.slots, i.slots FROM vk_page_meta(''churned_flat'') f, vk_page_meta(''churned_ivf'') i', n) FROM generate_series(1, 8) n \gexec
SELECT max(flat) FILTER (WHERE cycle = 8) - max(flat) FILTER (WHERE cycle = 4) AS flat, max(ivf) FILTER (WHERE cycle = 8) - max(ivf) FILTER (WHERE cycle = 4) AS ivf FROM slots;
INSERT INTO churned SELECT n, n % 7, vec(n, 4) FROM generate_series(1, 9000) n;
SELECT sound('churned_flat'), sound('churned_ivf'), same('churned', 'l2', vec(-1, 4), 20, 1, 'kind = 3');
DROP TABLE churned;
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
