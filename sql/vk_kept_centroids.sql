--
-- option centroids: centres from a table, and what is done where they cannot be had
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(8));
INSERT INTO t SELECT n, vec(n, 8) FROM generate_series(1, 6000) n;

-- more centres than are read at once; NULLs, and vectors of other dimensions, are none
CREATE TABLE many (id int, v f32vec);
INSERT INTO many SELECT n, vec(-n, 8) FROM generate_series(1, 1300) n;
INSERT INTO many VALUES (0, NULL);
CREATE INDEX t_many ON t USING vkivf (v) WITH (centroids = 'vk_test.many', calibrate = 0);
SELECT lists, rows FROM vk_stats('t_many');
SELECT vk_check('t_many', true);
SELECT same('t', 'l2', vec(-1, 8), 10);
SELECT max(near) < 0.01 AS same FROM (SELECT (SELECT min(c <-> m.v) FROM vk_centroids('t_many') c) AS near FROM many m WHERE id % 100 = 7) s;
-- REINDEX takes them again, as they are then
DELETE FROM many WHERE id > 20;
REINDEX INDEX t_many;
SELECT lists FROM vk_stats('t_many');
SELECT vk_check('t_many', true);
-- a column of arrays
CREATE TABLE arrays (id int, gone f32vec, v real[]);
ALTER TABLE arrays DROP COLUMN gone;
INSERT INTO arrays SELECT n, vec(-n, 8)::real[] FROM generate_series(1, 15) n;
ALTER INDEX t_many SET (centroids = 'vk_test.arrays');
REINDEX INDEX t_many;
SELECT lists FROM vk_stats('t_many');

-- no table, a view, policies, no column, no rows: a warning, and computed centres
CREATE VIEW seen AS SELECT * FROM many;
CREATE TABLE columns (id int);
CREATE TABLE nothing (v f32vec);
CREATE ROLE vk_centroids_owner;
GRANT USAGE, CREATE ON SCHEMA vk_test TO vk_centroids_owner;
GRANT SELECT ON ALL TABLES IN SCHEMA vk_test TO vk_centroids_owner;
CREATE TABLE guarded AS SELECT * FROM many;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON guarded TO vk_centroids_owner;
ALTER TABLE t OWNER TO vk_centroids_owner;
CREATE FUNCTION try(name text) RETURNS TABLE (computed boolean, sound boolean) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER INDEX vk_test.t_many SET (centroids = %L)', name);
	REINDEX INDEX vk_test.t_many;
	RETURN QUERY SELECT s.lists <> 20, vk_check('vk_test.t_many', true) IS NOT NULL FROM vk_stats('vk_test.t_many') s;
END $$;
SELECT * FROM try('vk_test.no_such_table');
SELECT * FROM try('vk_test.seen');
SELECT * FROM try('vk_test.columns');
SELECT * FROM try('vk_test.nothing');
SELECT * FROM try('vk_test.guarded');
SELECT * FROM try('vk_test.many');
-- the table's owner must be allowed to read them: a dump restores rights later; what
-- may not be read is not locked
REVOKE SELECT ON many FROM vk_centroids_owner;
BEGIN;
SELECT * FROM try('vk_test.many');
SELECT count(*) AS locks FROM pg_locks WHERE relation = 'many'::regclass AND pid = pg_backend_pid();
COMMIT;
GRANT SELECT (v) ON many TO vk_centroids_owner;
SELECT * FROM try('vk_test.many');
CREATE SCHEMA vk_closed;
CREATE TABLE vk_closed.many AS SELECT * FROM many;
GRANT SELECT ON vk_closed.many TO vk_centroids_owner;
SELECT * FROM try('vk_closed.many');
-- nor are there rows in a materialized view until then
CREATE MATERIALIZED VIEW stored AS SELECT * FROM many WITH NO DATA;
GRANT SELECT ON stored TO vk_centroids_owner;
SELECT * FROM try('vk_test.stored');
REFRESH MATERIALIZED VIEW stored;
SELECT * FROM try('vk_test.stored');
-- a domain over vectors
CREATE DOMAIN vector_of_8 AS f32vec(8);
CREATE TABLE of_domain (v vector_of_8);
INSERT INTO of_domain SELECT v FROM many WHERE v IS NOT NULL;
GRANT SELECT ON of_domain TO vk_centroids_owner;
SELECT * FROM try('vk_test.of_domain');
-- what does not fit is an error
CREATE TABLE others AS SELECT vec(n, 9) AS v FROM generate_series(1, 3) n;
GRANT SELECT ON others TO vk_centroids_owner;
SELECT * FROM try('vk_test.others');
GRANT SELECT ON many TO vk_centroids_owner;
ALTER TABLE t OWNER TO CURRENT_USER;
-- more than there is memory for
SET maintenance_work_mem = '1MB';
CREATE TABLE wide (v f32vec(1000));
INSERT INTO wide SELECT vec(n, 1000) FROM generate_series(1, 1100) n;
CREATE INDEX wide_idx ON wide USING vkivf (v) WITH (centroids = 'vk_test.wide');
RESET maintenance_work_mem;
-- only an index that has lists takes the option
CREATE INDEX ON t USING vkflat (v) WITH (centroids = 'vk_test.many');

-- partitions of one table have the same lists, and one that is made later too
CREATE TABLE p (id int, v f32vec(8)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (3000);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (3000) TO (9000);
INSERT INTO p SELECT * FROM t;
CREATE INDEX p_idx ON p USING vkivf (v) WITH (centroids = 'vk_test.many', calibrate = 0);
CREATE TABLE p3 (id int, v f32vec(8));
INSERT INTO p3 SELECT 9000 + n, vec(9000 + n, 8) FROM generate_series(1, 500) n;
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (9000) TO (99000);
SELECT inhrelid::regclass, lists, rows FROM pg_inherits, vk_stats(inhrelid::regclass) WHERE inhparent = 'p_idx'::regclass ORDER BY 1;
SELECT inhrelid::regclass, max(near) < 0.01 AS same FROM pg_inherits, LATERAL
	(SELECT (SELECT min(c <-> m.v) FROM vk_centroids(inhrelid::regclass) c) AS near FROM many m WHERE m.v IS NOT NULL) s
WHERE inhparent = 'p_idx'::regclass GROUP BY 1 ORDER BY 1;
SELECT same('p', 'l2', vec(-3, 8), 10);

SET client_min_messages = warning;
DROP SCHEMA vk_test, vk_closed CASCADE;
DROP ROLE vk_centroids_owner;
