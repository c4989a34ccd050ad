--
-- vectors in TOAST: a scan reads them, the executor takes over the distances that
-- it has found, and they are those of a sequential scan to the last bit
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
SET extra_float_digits = 3;
CREATE TABLE wide (id int, v f32vec(1000));
ALTER TABLE wide ALTER v SET STORAGE EXTERNAL;
INSERT INTO wide SELECT n, vec(n, 1000) FROM generate_series(1, 300) n;
CREATE INDEX ON wide USING vkflat (v f32vec_l2_ops);
CREATE INDEX ON wide USING vkivf (v f32vec_ip_ops) WITH (lists = 4);
CREATE INDEX ON wide USING vkivf (v f32vec_cosine_ops) WITH (lists = 4);
CREATE INDEX ON wide USING vkflat (v f32vec_l1_ops);
VACUUM ANALYZE wide;
SET vkindex.target_recall = 1;
-- the ordering expression, the same for another query, and another operator
CREATE FUNCTION answers(metric text, by_index boolean)
RETURNS TABLE (id int, ordering float8, other_query float8, other_operator float8)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('enable_seqscan', (NOT by_index)::text, true),
		set_config('enable_sort', (NOT by_index)::text, true),
		set_config('enable_indexscan', by_index::text, true);
	RETURN QUERY EXECUTE format(
		'SELECT w.id, w.v %1$s vec(7, 1000), vec(8, 1000) %1$s w.v, vec(7, 1000) %2$s w.v
		 FROM wide w ORDER BY w.v %1$s vec(7, 1000) LIMIT 20', operator_of(metric), CASE metric WHEN 'l1' THEN '<->' ELSE '<+>' END);
END $$;
SELECT metric, count(*) AS rows, count(*) FILTER (WHERE i = s) AS equal
FROM unnest('{l2,ip,cosine,l1}'::text[]) metric,
	LATERAL (SELECT row_number() OVER () AS n, a AS i FROM answers(metric, true) a) i
	JOIN LATERAL (SELECT row_number() OVER () AS n, a AS s FROM answers(metric, false) a) s USING (n)
GROUP BY metric ORDER BY metric;
-- two scans take turns, each shows the other's distance too
SET enable_seqscan = off;
SET enable_sort = off;
SELECT vec(1, 1000) AS a, vec(2, 1000) AS b \gset
BEGIN;
DECLARE one CURSOR FOR SELECT id, v <-> :'a' AS a, v <-> :'b' AS b FROM wide ORDER BY v <-> :'a';
DECLARE two CURSOR FOR SELECT id, v <-> :'a' AS a, v <-> :'b' AS b FROM wide ORDER BY v <-> :'b';
FETCH 1 FROM one;
FETCH 1 FROM two;
FETCH 1 FROM one;
FETCH 1 FROM two;
-- a new version of the row is a new value
SAVEPOINT s;
UPDATE wide SET v = :'b' WHERE id = 1;
SELECT id, v <-> :'a' > 0 AS moved FROM wide ORDER BY v <-> :'b', id LIMIT 2;
ROLLBACK TO s;
FETCH 1 FROM one;
CLOSE one;
SELECT v <-> :'a' AS a FROM wide WHERE id = 1;
COMMIT;
SELECT id, v <-> :'a' AS a FROM wide ORDER BY v <-> :'a' LIMIT 1;
-- hardly a value is read twice (one scan of the TOAST index for each that is read):
-- the memo has less room than the table has rows
CREATE VIEW toast_scans AS
SELECT idx_scan AS scans FROM pg_stat_xact_all_tables
WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'wide'::regclass);
BEGIN;
SELECT scans FROM toast_scans \gset
SELECT count(distance) AS rows FROM (SELECT v <-> :'a' AS distance FROM wide ORDER BY v <-> :'a' LIMIT 20) s;
SELECT fetched >= 20 AS fetched, scans - :scans - fetched < 10 AS few_twice FROM vk_last_scan(), toast_scans;
COMMIT;
RESET enable_seqscan;
RESET enable_sort;

-- how many values a table has in TOAST, by their chunks, and how many compressed
CREATE FUNCTION forms(tab regclass, OUT "values" text, OUT compressed bigint)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT string_agg(format(''%%s of %%s'', n, chunks), '', '' ORDER BY chunks)
		FROM (SELECT chunks, count(*) AS n
			  FROM (SELECT count(*) AS chunks FROM %s GROUP BY chunk_id) c GROUP BY chunks) n',
		(SELECT reltoastrelid::regclass FROM pg_class WHERE oid = tab)) INTO "values";
	EXECUTE format('SELECT count(pg_column_compression(v)) FROM %s', tab) INTO compressed;
END $$;
-- half zeros: 1,000 dimensions compress to somewhat more than a row may have
CREATE FUNCTION half_vec(n bigint, dim int) RETURNS f32vec LANGUAGE sql IMMUTABLE AS $$
	SELECT vec(n, dim) * (array_fill(0::real, ARRAY[dim / 2]) || array_fill(1::real, ARRAY[dim - dim / 2]))::f32vec
$$;
-- one chunk, two, three (a full one is the last), many
CREATE TABLE sizes (chunks int PRIMARY KEY, dim int);
INSERT INTO sizes VALUES (1, 400), (2, 768), (3, 1495), (33, 16000);
SELECT format('CREATE TABLE t%1$s (id int, v f32vec(%2$s), pad text DEFAULT repeat(''-'', 1000));
	ALTER TABLE t%1$s ALTER v SET STORAGE EXTERNAL, ALTER pad SET STORAGE PLAIN;
	INSERT INTO t%1$s SELECT n, vec(n, %2$s) FROM generate_series(1, 30) n;
	CREATE INDEX ON t%1$s USING vkflat (v f32vec_l2_ops)', chunks, dim) FROM sizes ORDER BY chunks
\gexec
SELECT chunks, f.*, same('t' || chunks, 'l2', vec(7, dim), 10) AS first, same('t' || chunks, 'l2', vec(7, dim), NULL) AS all
FROM sizes, LATERAL forms(('t' || chunks)::regclass) f ORDER BY chunks;

-- every way that a vector can be stored in one table, in turn
CREATE TABLE mixed (id int, v f32vec(1000));
CREATE FUNCTION fill(first int, storage text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'ALTER TABLE mixed ALTER v SET STORAGE ' || storage;
	INSERT INTO mixed SELECT n, CASE n % 3 WHEN 0 THEN vec(n, 1000) WHEN 1 THEN half_vec(n, 1000) ELSE flat_vec(n, 1000) END
	FROM generate_series(first, first + 29) n;
END $$;
SELECT fill(1, 'external'), fill(31, 'extended'), fill(61, 'main'), fill(91, 'plain');
CREATE INDEX mixed_flat ON mixed USING vkflat (v f32vec_l2_ops);
CREATE INDEX mixed_lists ON mixed USING vkivf (v f32vec_cosine_ops) WITH (lists = 3);
CREATE FUNCTION mixed_same() RETURNS TABLE (metric text, first bigint, "all" bigint) LANGUAGE sql AS $$
	SELECT metric, count(*) FILTER (WHERE same('mixed', metric, q, 10)), count(*) FILTER (WHERE same('mixed', metric, q, NULL))
	FROM unnest('{l2,cosine}'::text[]) metric, (VALUES (vec(3, 1000)), (half_vec(34, 1000)), (flat_vec(65, 1000)), (half_vec(500, 1000))) c(q)
	GROUP BY metric ORDER BY metric
$$;
SELECT * FROM forms('mixed');
SELECT * FROM mixed_same();
-- new versions, with other numbers and in other places
UPDATE mixed SET v = v + vec(id, 1000) WHERE id % 4 = 0;
DELETE FROM mixed WHERE id % 7 = 0;
VACUUM mixed;
INSERT INTO mixed SELECT n, half_vec(n, 1000) FROM generate_series(201, 220) n;
SELECT * FROM forms('mixed');
SELECT * FROM mixed_same();
ALTER TABLE mixed ALTER v SET STORAGE EXTENDED;
VACUUM FULL mixed;
SELECT * FROM forms('mixed');
SELECT * FROM mixed_same();

-- one scan for several queries
SET enable_seqscan = off;
SELECT q.n, array_agg(w.id ORDER BY w.d) AS ids
FROM unnest('{7,50,7,120}'::int[]) WITH ORDINALITY q(n, o),
	LATERAL (SELECT id, v <-> vec(q.n, 1000) AS d FROM wide ORDER BY v <-> vec(q.n, 1000) LIMIT 3) w
GROUP BY q.o, q.n ORDER BY q.o;

-- a cursor that a subtransaction began to read, and others that it leaves
CREATE TABLE expected AS SELECT row_number() OVER (ORDER BY v <-> :'a') AS n, id FROM wide;
BEGIN;
DECLARE early CURSOR FOR SELECT id FROM wide ORDER BY v <-> :'a';
DECLARE late CURSOR FOR SELECT id FROM wide ORDER BY v <-> :'a';
FETCH 3 FROM early;
SAVEPOINT s;
FETCH 2 FROM early;
FETCH 2 FROM late;
DECLARE inner_one CURSOR FOR SELECT id FROM wide ORDER BY v <-> :'a';
FETCH 1 FROM inner_one;
ROLLBACK TO s;
FETCH 2 FROM early;
FETCH 2 FROM late;
SAVEPOINT t;
FETCH 1 FROM late;
SELECT 1 / 0;
ROLLBACK TO t;
MOVE 40 FROM early;
FETCH 1 FROM early;
FETCH 1 FROM late;
CLOSE early;
MOVE ALL FROM late;
COMMIT;
SELECT array_agg(id ORDER BY n) AS ids FROM expected WHERE n IN (1, 2, 3, 4, 5, 6, 7, 48);
-- an error while rows come, and a block that catches it
CREATE FUNCTION caught(q f32vec) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	found int := 0;
	r record;
BEGIN
	BEGIN
		FOR r IN SELECT id FROM wide ORDER BY v <-> q LOOP
			found := found + 1;
			PERFORM 1 / (20 - found);
		END LOOP;
	EXCEPTION WHEN division_by_zero THEN
		FOR r IN SELECT id FROM wide ORDER BY v <-> q LIMIT 30 LOOP
			found := found + 1;
		END LOOP;
	END;
	RETURN found;
END $$;
SELECT caught(:'a'), caught(:'b');

-- an expression may return what is in TOAST
RESET enable_seqscan;
CREATE TABLE either (id int, v f32vec(1000), w f32vec(1000));
ALTER TABLE either ALTER v SET STORAGE EXTERNAL, ALTER w SET STORAGE EXTENDED;
INSERT INTO either SELECT n, CASE WHEN n % 3 > 0 THEN vec(n, 1000) END, half_vec(n, 1000) FROM generate_series(1, 40) n;
CREATE INDEX ON either USING vkflat (coalesce(v, w) f32vec_l2_ops);
CREATE VIEW nearest_either AS
SELECT array_agg(id) AS ids FROM (SELECT id FROM either ORDER BY coalesce(v, w) <-> half_vec(12, 1000) LIMIT 8) s;
SELECT * FROM forms('either');
TABLE nearest_either;
SET enable_seqscan = off;
TABLE nearest_either;
RESET enable_seqscan;

-- damage gives the errors of a sequential scan
CREATE TABLE damaged (id int, v f32vec(1495));
ALTER TABLE damaged ALTER v SET STORAGE EXTERNAL;
INSERT INTO damaged VALUES (1, vec(1, 1495));
CREATE INDEX ON damaged USING vkflat (v f32vec_l2_ops);
CREATE FUNCTION error_of(by_index boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nearest(by_index, 'damaged', 'l2', vec(7, 1495), NULL);
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, ' for toast value .*', '');
END $$;
CREATE VIEW errors AS SELECT error_of(true) AS by_index, error_of(false) AS sequential;
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE oid = 'damaged'::regclass \gset
SELECT DISTINCT chunk_id AS value FROM :toast \gset
TABLE errors;
-- its rows can be changed as those of an ordinary table
SET allow_system_table_mods = on;
UPDATE pg_class SET relkind = 'r' WHERE oid = :'toast'::regclass;
CREATE TABLE chunks AS SELECT chunk_seq, chunk_data FROM :toast;
-- too many
INSERT INTO :toast VALUES (:value, 3, 'more');
TABLE errors;
-- none
TRUNCATE :toast;
TABLE errors;
-- the first and the last
INSERT INTO :toast SELECT :value, chunk_seq, chunk_data FROM chunks WHERE chunk_seq <> 1;
TABLE errors;
-- the first two
TRUNCATE :toast;
INSERT INTO :toast SELECT :value, chunk_seq, chunk_data FROM chunks WHERE chunk_seq < 2;
TABLE errors;
-- the last one too long; so short that its length is one byte
INSERT INTO :toast SELECT :value, chunk_seq, chunk_data || '!' FROM chunks WHERE chunk_seq = 2;
TABLE errors;
TRUNCATE :toast;
INSERT INTO :toast SELECT :value, chunk_seq, CASE chunk_seq WHEN 2 THEN 'less' ELSE chunk_data END FROM chunks;
TABLE errors;
-- as they were
TRUNCATE :toast;
INSERT INTO :toast SELECT :value, chunk_seq, chunk_data FROM chunks;
TABLE errors;
UPDATE pg_class SET relkind = 't' WHERE oid = :'toast'::regclass;
RESET allow_system_table_mods;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
