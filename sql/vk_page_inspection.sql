--
-- functions that show what is on the pages of an index
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all
CREATE TABLE t (id int, v f32vec(20), tag text, big int8);
INSERT INTO t SELECT n, CASE n % 100 WHEN 0 THEN NULL WHEN 1 THEN flat_vec(0, 20) ELSE vec(n, 20) END,
	CASE WHEN n % 7 <> 0 THEN 'tag ' || n % 3 END, n::int8 * (1 - 2 * (n % 2)) * 5000000000 FROM generate_series(1, 5500) n;
CREATE TABLE s AS SELECT * FROM t;
-- two segments; no codes beside the scan codes; three attributes of each width
CREATE INDEX t_flat ON t USING vkflat (v, id, tag, big) WITH (bits = 4, refine = none, seed = 5);
CREATE INDEX s_ivf ON s USING vkivf (v f32vec_cosine_ops) WITH (lists = 12, bits = 1, refine = 8, calibrate = 100);
CREATE INDEX t_l1 ON t USING vkflat (v f32vec_l1_ops) WHERE id < 40;
CREATE INDEX s_half ON s USING vkivf (v f32vec_ip_ops) WITH (lists = 2, bits = '16', refine = none, calibrate = 0);
DELETE FROM t WHERE id % 10 = 3;
VACUUM (INDEX_CLEANUP on) t;

-- every page of an index, with its number
CREATE FUNCTION heads(index regclass, OUT block bigint, OUT kind text, OUT slot bigint, OUT born bigint, OUT next bigint,
					  OUT chain_position bigint, OUT refine_page bigint, OUT refine_position bigint, OUT refine_offset int,
					  OUT first_line int, OUT last_line int, OUT entries int)
RETURNS SETOF record LANGUAGE sql AS $$
	SELECT b, h.kind, h.slot, h.born, h.next, h.chain_position, h.refine_page, h.refine_position, h.refine_offset,
		h.first_line, h.last_line, h.entries
	FROM generate_series(0, pg_relation_size(index) / 8192 - 1) b, vk_page_head(index, b) h
$$;
CREATE FUNCTION lanes(index regclass, OUT block bigint, OUT slot bigint, OUT line int, OUT lane int, OUT tid tid, OUT live boolean,
					  OUT norm float8, OUT scale float8, OUT error float8, OUT center float8, OUT keys numeric[])
RETURNS SETOF record LANGUAGE sql AS $$
	SELECT h.block, h.slot, b.line, b.lane, b.tid, b.live, b.norm, b.scale, b.error, b.center, b.keys
	FROM heads(index) h, vk_page_blocks(index, h.block) b WHERE h.kind = 'block'
$$;

-- meta pages
SELECT name, version, dimensions, metric, bits, refine_bits, flat, element, attributes, attribute_widths, seed, epoch, op_in_progress, slots > lists AS slots, lists, centers
FROM unnest('{t_flat,s_ivf,t_l1,s_half}'::text[]) name, vk_page_meta(name::regclass);
SELECT to_hex(magic), build_rows, live_rows, dead_rows, mean_head IS NULL AS no_mean, maps, array_dims(curve), curve_rows, step = 0 AS no_step, array_dims(open_slots)
FROM vk_page_meta('s_ivf');
SELECT curve[4][1] > 0 AS known, curve[4][1] <= curve[4][8] AS rising, array_dims(fringe) FROM vk_page_meta('s_ivf');
SELECT step > 0 AS step FROM vk_page_meta('t_l1');

-- page heads
SELECT block, kind, slot, born, next, chain_position, entries FROM heads('t_flat') WHERE block < 3;
SELECT name, kind, count(*) > 0 AS pages FROM unnest('{t_flat,s_ivf,t_l1,s_half}'::text[]) name, heads(name::regclass) GROUP BY 1, 2 ORDER BY 1, 2;
-- chains are complete: each page but the first of its chain is the next of one
SELECT name, count(*) FROM unnest('{t_flat,s_ivf,s_half}'::text[]) name, heads(name::regclass) h
WHERE chain_position > 0 AND NOT EXISTS (SELECT FROM heads(name::regclass) p WHERE p.next = h.block AND p.chain_position = h.chain_position - 1
	AND p.kind = h.kind AND p.slot = h.slot AND p.born = h.born)
GROUP BY 1;

-- directory
SELECT slot, directory, kind, visible, born, retired, retire_xid, live, dead, flags, summary FROM vk_page_slots('t_flat') WHERE slot < 3;
SELECT kind, bool_and(visible) AS visible, count(retired) AS retired, sum(live) AS live, sum(dead) AS dead, bool_and(summary IS NOT NULL) AS summary,
	bool_or(refine_head IS NOT NULL) AS refine FROM vk_page_slots('t_flat') WHERE slot >= 3 GROUP BY 1;
SELECT kind, count(*), sum(live), sum(dead), bool_and(visible) AS visible, bool_and(head IS NOT NULL) AS head, bool_and(refine_head IS NOT NULL) AS refine
FROM vk_page_slots('s_ivf') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM vk_page_slots('s_ivf') s, vk_page_head('s_ivf', s.head) h WHERE h.slot <> s.slot OR h.born <> s.born OR h.chain_position <> 0;

-- rows of blocks: the live ones are those of the table
SELECT name, count(*), count(*) FILTER (WHERE live) AS live, count(DISTINCT l.tid) FROM unnest('{t_flat,s_ivf,t_l1,s_half}'::text[]) name, lanes(name::regclass) l
WHERE l.slot >= 3 GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM t JOIN lanes('t_flat') l ON l.tid = t.ctid AND l.live
WHERE l.keys[1] = t.id AND l.keys[3] = t.big AND (l.keys[2] IS NULL) = (t.tag IS NULL);
SELECT count(*) FROM t WHERE v IS NOT NULL;
-- of three texts there are three hashes
SELECT count(DISTINCT keys[2]), count(*) FILTER (WHERE keys[2] IS NULL) > 0 AS nulls FROM lanes('t_flat') WHERE live;
-- annotation: the norm is that of the row about the mean, the code is orthogonal to its error
SELECT max(abs(l.norm - vector_norm(t.v - (SELECT avg(v) FROM t)))) < 0.1 AS norm, bool_and(error > 0 AND error < norm) AS error, bool_and(scale > 0) AS scale
FROM t JOIN lanes('t_flat') l ON l.tid = t.ctid AND l.live WHERE vector_norm(t.v) > 0;
SELECT bool_and(norm > 0 AND norm < 2.1) AS norm, bool_and(error > 0 AND error <= norm) AS error FROM lanes('s_ivf') WHERE slot >= 3;
-- L1 has no norm, floats have no scale
SELECT count(norm), count(scale), count(error) = count(*) AS error FROM lanes('t_l1');
SELECT count(norm) = count(*) AS norm, count(scale), max(error / norm) < 0.001 AS error FROM lanes('s_half') WHERE slot >= 3;
-- dots with the centre, of lists that have one
SELECT name, count(center) FROM unnest('{t_flat,t_l1,s_half}'::text[]) name, lanes(name::regclass) GROUP BY 1 ORDER BY 1;
SELECT slot >= 3 AS list, count(center) = count(*) AS known, bool_and(abs(center) <= 1.01 * norm) AS dot, count(*) FILTER (WHERE center <> 0) > count(*) / 2 AS mostly
FROM lanes('s_ivf') GROUP BY 1 ORDER BY 1;
-- the centre list: its rows are slots
SELECT count(*), count(keys), count(DISTINCT s.slot) FROM lanes('s_ivf') l JOIN vk_page_slots('s_ivf') s ON l.tid = format('(%s,1)', s.slot)::tid AND s.kind = 'list'
WHERE l.slot = 0;

-- refine codes: as many heads as rows, those of rows as they are in their block
CREATE TEMP TABLE codes AS SELECT h.slot, c.* FROM heads('s_ivf') h, vk_page_codes('s_ivf', h.block) c WHERE h.kind = 'refine';
SELECT count(DISTINCT (slot, item)) = count(*) AS once FROM codes;
SELECT max(abs(c.norm - l.norm)) < 0.01 AS norm, bool_and(c.error <= l.error) AS finer, corr(c.center, l.center) > 0.8 AS center FROM
	(SELECT *, row_number() OVER (PARTITION BY l.slot ORDER BY h.chain_position, l.line, l.lane) - 1 AS item FROM lanes('s_ivf') l JOIN heads('s_ivf') h USING (block, slot)) l
	JOIN codes c USING (slot, item) WHERE l.slot >= 3 AND l.live;

-- rest, map and mean pages
SELECT count(*), count(DISTINCT e.tid), count(e.block_number), count(e.value) FROM heads('s_ivf') h, vk_page_entries('s_ivf', h.block) e WHERE h.kind = 'rest';
SELECT count(*) FROM s WHERE v IS NULL OR vector_norm(v) = 0;
SELECT * FROM vk_page_entries('t_flat', 1);
SELECT count(*), max(abs(e.value)) < 0.1 AS small FROM heads('t_flat') h, vk_page_entries('t_flat', h.block) e WHERE h.kind = 'mean';

-- summaries
SELECT attribute, min(low) AS low, max(high) AS high, bool_or(nulls) AS nulls, bool_and(bits BETWEEN 1 AND 2048) AS bits
FROM heads('t_flat') h, vk_page_summaries('t_flat', h.block) s JOIN vk_page_slots('t_flat') USING (slot) WHERE h.kind = 'summary' AND attribute <> 2 GROUP BY 1 ORDER BY 1;
SELECT bool_or(nulls) AS nulls FROM heads('t_flat') h, vk_page_summaries('t_flat', h.block) s WHERE h.kind = 'summary' AND attribute = 2;
SELECT count(*) > 0 AS more, count(low), count(high), sum(bits) FROM heads('t_flat') h, vk_page_summaries('t_flat', h.block) s
WHERE h.kind = 'summary' AND NOT EXISTS (SELECT FROM vk_page_slots('t_flat') d WHERE d.slot = s.slot);

-- errors, as pageinspect has them
SELECT * FROM vk_page_head('t_flat', -1);
SELECT * FROM vk_page_head('t_flat', 1000000);
SELECT * FROM vk_page_blocks('t_flat', 4294967296);
SELECT * FROM vk_page_blocks('t_flat', 0);
SELECT * FROM vk_page_codes('t_flat', 1);
SELECT * FROM vk_page_summaries('t_flat', 2);
SELECT * FROM vk_page_entries('t_flat', 0);
SELECT * FROM vk_page_meta('t');
SELECT * FROM vk_page_slots('nothing');
CREATE INDEX t_tag ON t (tag);
SELECT * FROM vk_page_slots('t_tag');
SELECT * FROM vk_page_head('t_tag', 0);
SELECT * FROM vk_page_meta(NULL);
SELECT * FROM vk_page_blocks('t_flat', NULL);
CREATE TABLE p (v f32vec(3)) PARTITION BY LIST (v);
CREATE INDEX p_idx ON p USING vkflat (v);
SELECT * FROM vk_page_meta('p_idx');
-- an unlogged and an empty index
CREATE UNLOGGED TABLE u (v f32vec(3));
CREATE INDEX u_idx ON u USING vkflat (v);
SELECT lists, live_rows, mean_head FROM vk_page_meta('u_idx');
SELECT slot, kind, head FROM vk_page_slots('u_idx') WHERE slot < 3;

-- privileges
CREATE ROLE vk_page_reader;
GRANT USAGE ON SCHEMA vk_test TO vk_page_reader;
SET ROLE vk_page_reader;
SELECT * FROM vk_page_meta('t_flat');
SELECT * FROM vk_page_head('t_flat', 0);
SELECT * FROM vk_page_slots('t_flat');
SELECT * FROM vk_page_blocks('t_flat', 3);
SELECT * FROM vk_page_codes('t_flat', 3);
SELECT * FROM vk_page_summaries('t_flat', 3);
SELECT * FROM vk_page_entries('t_flat', 1);
RESET ROLE;
GRANT pg_read_server_files TO vk_page_reader;
SET ROLE vk_page_reader;
SELECT epoch FROM vk_page_meta('t_flat');
SELECT kind FROM vk_page_head('t_flat', 0);
RESET ROLE;
REVOKE USAGE ON SCHEMA vk_test FROM vk_page_reader;
DROP ROLE vk_page_reader;

SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
