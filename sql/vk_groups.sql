--
-- centroids in groups, above 16,384 lists
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

-- What the meta page, the slots and the pages say of groups.
CREATE FUNCTION shape(index regclass, OUT lists bigint, OUT groups bigint, OUT centers bigint, OUT entries bigint,
					  OUT named bigint, OUT smallest bigint, OUT largest bigint)
LANGUAGE plpgsql AS $$
DECLARE
	meta record := vk_page_meta(index);
	next bigint;
BEGIN
	lists := meta.lists;
	groups := meta.groups;
	centers := meta.centers;
	SELECT sum(s.live), min(s.live), max(s.live) INTO entries, smallest, largest
	FROM vk_page_slots(index) s WHERE s.kind = 'group' AND s.visible AND s.slot <> meta.root;
	SELECT s.head INTO next FROM vk_page_slots(index) s WHERE s.slot = meta.root;
	named := 0;
	WHILE next IS NOT NULL LOOP
		named := named + (SELECT count(*) FROM vk_page_blocks(index, next) b WHERE b.live AND b.keys IS NULL);
		next := (vk_page_head(index, next)).next;
	END LOOP;
END
$$;

CREATE FUNCTION grouped(index regclass) RETURNS SETOF text
LANGUAGE sql AS $$
	SELECT unnest(ARRAY[
		CASE WHEN groups BETWEEN 50 AND 67 THEN 'groups' ELSE groups || ' groups' END,
		CASE WHEN named = groups THEN 'all are named' ELSE named || ' groups are named' END,
		CASE WHEN centers = lists AND entries = lists THEN 'every list has an entry'
			ELSE format('%s lists, %s counted, %s entered', lists, centers, entries) END,
		CASE WHEN smallest > 0 AND largest < 1500 THEN 'of fair sizes' ELSE format('of %s to %s entries', smallest, largest) END])
	FROM shape(index)
$$;

-- (temporary tables: what is replaced is not kept for anybody else)
CREATE TEMP TABLE t (id int, part int, v f32vec(3));
INSERT INTO t SELECT i, i % 7, ARRAY[hashint4(i) % 1000, hashint4(-i) % 1000, hashint4(i + 100000) % 1000]::real[]::f32vec FROM generate_series(1, 40000) i;
CREATE INDEX t_idx ON t USING vkivf (v, part) WITH (lists = 17000, calibrate = 100);
ANALYZE t;
SELECT * FROM grouped('t_idx');
SELECT kind, count(*) > 1 AS several FROM vk_page_slots('t_idx') GROUP BY 1 ORDER BY 1;
SELECT sound('t_idx');

-- Answers, and statistics.
SELECT bool_and(same('t', 'l2', vec(-n, 3, 1000), 10)) AS exact FROM generate_series(1, 3) n;
SELECT bool_and(same('t', 'l2', vec(-n, 3, 1000), 5, condition => 'part = 3')) AS filtered FROM generate_series(1, 2) n;
SELECT avg(recall('t', 'l2', vec(-n, 3, 1000), 10, 0.95)) > 0.93 AS recall FROM generate_series(1, 10) n;
SELECT segments, lists = (SELECT lists FROM shape('t_idx')) AS lists FROM vk_stats('t_idx');
SELECT count(*) = (SELECT lists FROM shape('t_idx')) AS centroids FROM vk_centroids('t_idx') c;
SET enable_seqscan = off;
SET enable_indexscan = off;
SELECT count(*) FROM t WHERE part = 3;
RESET enable_seqscan;
RESET enable_indexscan;

-- Rows go to near lists.
CREATE TABLE near AS SELECT 50000 + i AS id, vec(-i, 3, 1000) AS v FROM generate_series(1, 200) i;
INSERT INTO t SELECT id, 8, v FROM near;
SELECT avg(recall('t', 'l2', v, 1, 0.95)) > 0.9 AS found FROM (SELECT v FROM near LIMIT 20) s;
SELECT sound('t_idx');
DELETE FROM t WHERE v <-> '[-1000,-1000,-1000]' < 900;
VACUUM t;
ALTER INDEX t_idx SET (lists = 16400);
SELECT lists_after < lists_before - 100 AS fewer FROM vk_tune('t_idx');
SELECT sound('t_idx');
SELECT centers >= lists AS some_wait FROM vk_page_meta('t_idx');
SELECT txid_current() > 0 AS later;
SELECT lists_after = lists_before AS same FROM vk_tune('t_idx');
SELECT * FROM grouped('t_idx');
SELECT sound('t_idx');
SELECT bool_and(same('t', 'l2', vec(-n, 3, 1000), 10)) AS exact FROM generate_series(1, 3) n;
DROP TABLE t;

-- An index that grows gets groups by an operation of their own; the old centre list stays for those who see it.
CREATE TEMP TABLE t (id int, v f32vec(2));
CREATE INDEX t_idx ON t USING vkivf (v) WITH (lists = 17000, calibrate = 0);
INSERT INTO t SELECT i, ARRAY[hashint4(i) % 1000, hashint4(-i) % 1000]::real[]::f32vec FROM generate_series(1, 32000) i;
SELECT lists_after > 16384 AS many FROM vk_tune('t_idx');
SELECT * FROM grouped('t_idx');
SELECT m.root > 2 AS elsewhere, (SELECT s.retired = m.epoch FROM vk_page_slots('t_idx') s WHERE s.slot = 0) AS old_is_retired
FROM vk_page_meta('t_idx') m;
SELECT sound('t_idx');
ANALYZE t;
SELECT bool_and(same('t', 'l2', vec(-n, 2, 1000), 10)) AS exact FROM generate_series(1, 3) n;
SELECT txid_current() > 0 AS later;
SELECT lists_after = lists_before AS same FROM vk_tune('t_idx');
SELECT kind, visible, count(*) > 1 AS several FROM vk_page_slots('t_idx') WHERE slot = 0 OR kind = 'group' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT sound('t_idx');
DROP TABLE t;
DROP TABLE near;
