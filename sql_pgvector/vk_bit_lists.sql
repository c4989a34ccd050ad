--
-- Bit vectors in lists: vkivf under Hamming distance.
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/bits.psql
\set ECHO none
\i :helpers
\set ECHO all

-- rows about 60 centres
CREATE FUNCTION row_of(n int, dim int) RETURNS varbit
LANGUAGE sql IMMUTABLE AS $$ SELECT bits(n % 60, dim) # bits(n, dim, 3) $$;

-- share of the distances of the sequential plan that the index gives
CREATE FUNCTION recall(tab text, query varbit, target float8) RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
	found bytea;
	truth bytea := (nearest(false, tab, '<~>', query, 10)).distances;
BEGIN
	PERFORM set_config('vkindex.target_recall', target::text, true);
	found := (nearest(true, tab, '<~>', query, 10)).distances;
	RETURN (SELECT count(*) FROM (
				SELECT substr(found, 8 * i - 7, 8) FROM generate_series(1, 10) i
				INTERSECT ALL
				SELECT substr(truth, 8 * i - 7, 8) FROM generate_series(1, 10) i) s) / 10.0;
END
$$;

-- by dimensions, with centres ranked by either code
CREATE FUNCTION every_lists(dim int) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	wrong text := '';
	step text;
BEGIN
	PERFORM set_config('client_min_messages', 'warning', true);
	DROP TABLE IF EXISTS t;
	EXECUTE format('CREATE TABLE t (id int, v bit(%s), kind int)', dim);
	EXECUTE format('INSERT INTO t SELECT i, CASE WHEN i %% 50 <> 7 THEN row_of(i, %1$s) END, i %% 5 FROM generate_series(1, 2000) i', dim);
	CREATE INDEX t_index ON t USING vkivf (v, kind) WITH (lists = 40, calibrate = 100);
	IF (SELECT lists FROM vk_stats('t_index')) NOT BETWEEN 2 AND 40 THEN
		wrong := ' lists';
	END IF;
	FOREACH step IN ARRAY '{built,inserted,deleted,tuned}'::text[] LOOP
		IF step = 'inserted' THEN
			INSERT INTO t SELECT 10000 + i, row_of(10000 + i, dim), i % 5 FROM generate_series(1, 300) i;
		ELSIF step = 'deleted' THEN
			DELETE FROM t WHERE id % 7 = 0;
		ELSIF step = 'tuned' THEN
			INSERT INTO t SELECT 20000 + i, row_of(60 * i, dim), i % 5 FROM generate_series(1, 700) i;
			PERFORM vk_tune('t_index');
		END IF;
		PERFORM set_config('vkindex.target_recall', '1', true);
		IF NOT (SELECT bool_and(same('t', '<~>', row_of(q, dim), k, c))
				FROM unnest('{5,10001,77777}'::int[]) q, unnest('{1,10,NULL}'::int[]) k,
					unnest('{true,kind = 2}'::text[]) c) THEN
			wrong := wrong || ' ' || step;
		END IF;
		IF (SELECT avg(recall('t', row_of(50000 + q, dim), 0.9)) FROM generate_series(1, 20) q) < 0.9 THEN
			wrong := wrong || ' recall when ' || step;
		END IF;
		PERFORM sound('t_index');
	END LOOP;
	RETURN coalesce(nullif(wrong, ''), 'same');
END
$$;
SELECT dims, every_lists(dims) FROM unnest('{8,33,64,256,257,768}'::int[]) dims;

-- within a radius: what WHERE says is exact whatever the recall
SET vkindex.target_recall = 0.5;
SELECT radius, agree(format('SELECT id FROM t WHERE v <~> %L::bit(768) < %s', row_of(7, 768), radius))
FROM unnest('{0,1,100,250,384,1000}'::int[]) radius;
RESET vkindex.target_recall;

-- the first lists come by upkeep
CREATE TABLE grown (id int, v bit(96));
CREATE INDEX grown_index ON grown USING vkivf (v);
INSERT INTO grown SELECT i, row_of(i, 96) FROM generate_series(1, 5000) i;
SELECT lists, segments > 0 AS segments FROM vk_stats('grown_index');
VACUUM grown;
SELECT lists > 10 AS lists, segments FROM vk_stats('grown_index');
SET vkindex.target_recall = 1;
SELECT bool_and(same('grown', '<~>', row_of(q, 96), 10)) FROM generate_series(1, 5) q;
DELETE FROM grown WHERE id > 100;
VACUUM grown;
SELECT bool_and(same('grown', '<~>', row_of(q, 96), 10)) FROM generate_series(1, 5) q;
SELECT sound('grown_index');
RESET vkindex.target_recall;

-- centres are means of bits
SELECT count(*) > 0 AS centroids, bool_and(vector_dims(c) = 96) AS dims,
	bool_and((SELECT bool_and(x BETWEEN -0.01 AND 1.01) FROM unnest(c::real[]) x)) AS "between 0 and 1"
FROM vk_centroids('grown_index') c;
SELECT count(*) > (SELECT count(v) FROM grown) AS "rows and centroids", count(norm) = count(scale) AS "only centroids have scales"
FROM codes('grown_index');

-- dead rows whose TOAST is gone when lists are made: nobody knows their bits
CREATE TABLE dead (id int, filler text, v bit(8000))
WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE dead ALTER filler SET STORAGE plain, ALTER v SET STORAGE external;
CREATE INDEX dead_index ON dead USING vkivf (v) WITH (lists = 4, calibrate = 100);
INSERT INTO dead SELECT i, repeat('x', 1700), row_of(i, 8000) FROM generate_series(1, 120) i;
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE oid = 'dead'::regclass \gset
DELETE FROM dead WHERE id % 3 = 0;
VACUUM :toast;
SELECT lists_after, rows_rewritten FROM vk_tune('dead_index');
SELECT count(*) FROM codes('dead_index') WHERE error = 'infinity';
SET vkindex.target_recall = 1;
SELECT same('dead', '<~>', row_of(7, 8000), k) FROM unnest('{1,10,NULL}'::int[]) k;
SELECT sound('dead_index');
VACUUM dead;
SELECT rows FROM vk_stats('dead_index');
SELECT same('dead', '<~>', row_of(7, 8000), 10), sound('dead_index');

-- rows that are gone do not come between others and a LIMIT, relied on for order or not:
-- the list with the nearer centre has the farther rows, of which few are left
CREATE TABLE gone (id int, v bit(64)) WITH (autovacuum_enabled = off);
INSERT INTO gone SELECT i, (SELECT string_agg((b < 30)::int::text, '' ORDER BY hashint8extended(b, i))::bit(64) FROM generate_series(0, 63) b) FROM generate_series(1, 1000) i;
INSERT INTO gone SELECT 1000 + i, (repeat('1', 20) || repeat('0', 44))::bit(64) FROM generate_series(1, 1000) i;
CREATE INDEX gone_index ON gone USING vkivf (v) WITH (lists = 2);
ANALYZE gone;
DELETE FROM gone WHERE id BETWEEN 5 AND 1000;
RESET vkindex.target_recall;
SET vkindex.probes = 1;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT array_agg(id) FROM (SELECT id FROM gone ORDER BY v <~> repeat('0', 64)::bit(64), id LIMIT 10) s;
SELECT array_agg(id) FROM (SELECT id FROM gone ORDER BY v <~> repeat('0', 64)::bit(64) LIMIT 4) s;

-- rows just on the radius, beyond as many as the LIMIT wants that are gone
RESET vkindex.probes;
CREATE TABLE edge (id int, v bit(64)) WITH (autovacuum_enabled = off);
INSERT INTO edge SELECT i, rpad(CASE WHEN i <= 10 THEN '1' WHEN i <= 30 THEN '11111' ELSE repeat('1', 40) END, 64, '0')::bit(64) FROM generate_series(1, 1000) i;
CREATE INDEX edge_index ON edge USING vkflat (v);
ANALYZE edge;
DELETE FROM edge WHERE id <= 10;
SET enable_sort = off;
SELECT count(*), sum(d) FROM (SELECT v <~> repeat('0', 64)::bit(64) AS d FROM edge WHERE v <~> repeat('0', 64)::bit(64) <= 5 ORDER BY v <~> repeat('0', 64)::bit(64) LIMIT 5) s;
SELECT count(*), sum(d) FROM (SELECT v <~> repeat('0', 64)::bit(64) AS d FROM edge WHERE v <~> repeat('0', 64)::bit(64) < 5 ORDER BY v <~> repeat('0', 64)::bit(64) LIMIT 5) s;
RESET enable_sort;
RESET enable_seqscan;
RESET enable_bitmapscan;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
