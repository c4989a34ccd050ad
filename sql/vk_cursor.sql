--
-- cursors: rows in portions, to the end
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
-- row n is n away from the origin
CREATE TABLE t (id int, v f32vec(2));
INSERT INTO t SELECT n, ARRAY[n, 0] FROM generate_series(1, 1000) n;
CREATE INDEX t_idx ON t USING vkflat (v);
ANALYZE t;
SET enable_seqscan = off;
SET enable_sort = off;

BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0]';
FETCH 3 FROM c;
FETCH NEXT FROM c;
MOVE FORWARD 40 FROM c;
FETCH 2 FROM c;
MOVE FORWARD 900 FROM c;
FETCH 2 FROM c;
MOVE FORWARD ALL FROM c;
FETCH NEXT FROM c;
FETCH NEXT FROM c;
FETCH BACKWARD 1 FROM c;
ROLLBACK;

-- backward: by means of what the server keeps
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0]';
FETCH 2 FROM c;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
FETCH ABSOLUTE 500 FROM c;
FETCH RELATIVE -100 FROM c;
FETCH FIRST FROM c;
COMMIT;

-- rows that come and go while the cursor is open
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0]';
FETCH 2 FROM c;
INSERT INTO t VALUES (-3, '[2.5,0]'), (-4, '[500.5,0]');
DELETE FROM t WHERE id IN (3, 600);
FETCH 2 FROM c;
MOVE FORWARD 496 FROM c;
FETCH 2 FROM c;
MOVE FORWARD 97 FROM c;
FETCH 2 FROM c;
CLOSE c;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0]';
FETCH 4 FROM c;
-- of what the cursor points at
DELETE FROM t WHERE CURRENT OF c;
ROLLBACK;

-- beyond the transaction
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 500;
FETCH 2 FROM h;
COMMIT;
FETCH 2 FROM h;
MOVE FORWARD ALL FROM h;
CLOSE h;

-- two cursors on one index, by turns
BEGIN;
DECLARE a CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0]';
DECLARE b CURSOR FOR SELECT id FROM t ORDER BY v <-> '[1001,0]';
FETCH 2 FROM a;
FETCH 2 FROM b;
FETCH 2 FROM a;
FETCH 2 FROM b;
SAVEPOINT s;
DECLARE d CURSOR FOR SELECT id FROM t ORDER BY v <-> '[250.25,0]';
FETCH 3 FROM d;
ROLLBACK TO s;
FETCH 2 FROM a;
COMMIT;

-- in portions to the end: each row once, at every target
CREATE FUNCTION portions(step int, target float8, OUT rows bigint, OUT different bigint, OUT ordered boolean)
LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
	ids int[];
	id int;
	size int := step;
BEGIN
	PERFORM set_config('vkindex.target_recall', target::text, true);
	OPEN c FOR SELECT t.id FROM t ORDER BY v <-> '[0,0]';
	<<all_rows>>
	LOOP
		FOR n IN 1..size LOOP
			FETCH c INTO id;
			EXIT all_rows WHEN NOT FOUND;
			ids := ids || id;
		END LOOP;
		size := size * 2;
	END LOOP;
	CLOSE c;
	rows := cardinality(ids);
	different := (SELECT count(DISTINCT i) FROM unnest(ids) i);
	ordered := ids = ARRAY(SELECT i FROM unnest(ids) i ORDER BY i);
END
$$;
SELECT * FROM portions(1, 1);
DROP INDEX t_idx;
CREATE INDEX t_idx ON t USING vkivf (v) WITH (lists = 20);
SELECT * FROM portions(1, 1);
SELECT * FROM portions(7, 1);
SELECT rows, different FROM portions(1, 0.5);
SELECT rows, different FROM portions(7, 0.95);
SET vkindex.probes = 1;
SELECT rows, different FROM portions(1, 0.95);
SELECT rows, different FROM portions(1, 1);
RESET vkindex.probes;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
