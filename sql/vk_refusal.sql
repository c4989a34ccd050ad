--
-- vk_explain_refusal: why an index is not used
--
\getenv top PG_ABS_SRCDIR
\set helpers :top /sql/include/helpers.psql
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE t (id int, kind int, v f32vec(16), w f32vec);
INSERT INTO t SELECT n, n % 10, vec(n, 16), vec(n, 16) FROM generate_series(1, 6000) n;
CREATE INDEX t_l2 ON t USING vkflat (v);
CREATE TABLE q (id int, v f32vec(16));
INSERT INTO q SELECT n, vec(-n, 16) FROM generate_series(1, 3) n;
ANALYZE t, q;

-- costs depend on the version of everything
CREATE FUNCTION why(query text, OUT index regclass, OUT reason text) RETURNS SETOF record
LANGUAGE sql AS $$
	SELECT r.index, regexp_replace(r.reason, '[0-9]+\.[0-9]{2}', 'N', 'g')
	FROM vk_explain_refusal(query) r
$$;
\a
\t on

-- used: parameters of unknown type, sub-selects, views, CTEs, LATERAL
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SET enable_sort = off;
SELECT * FROM why('SELECT id FROM t WHERE kind = $2 ORDER BY $1 <-> v LIMIT $3');
RESET enable_sort;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE id = 1) LIMIT 10;');
CREATE VIEW distances AS SELECT id, v <-> (SELECT v FROM q WHERE id = 1) AS distance FROM t;
SELECT * FROM why('SELECT id FROM distances ORDER BY distance LIMIT 10');
SELECT * FROM why('WITH near AS MATERIALIZED (SELECT id FROM t ORDER BY v <-> $1 LIMIT 10) SELECT count(*) FROM near');
SELECT * FROM why('SELECT * FROM q, LATERAL (SELECT t.id FROM t ORDER BY t.v <-> q.v LIMIT 2) n');
SELECT * FROM why('SELECT (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 1) FROM q');
SELECT * FROM why('UPDATE t SET kind = 0 WHERE id IN (SELECT id FROM t ORDER BY v <-> $1 LIMIT 10)');
SELECT count(*) FROM t WHERE kind = 0;

-- no distance, or not where it helps
SELECT * FROM why('SELECT id FROM t');
SELECT * FROM why('SELECT id FROM t ORDER BY id LIMIT 10');
SELECT * FROM why('SELECT id, v <-> $1 FROM t LIMIT 10');
SELECT * FROM why('SELECT min(v <-> $1) FROM t');
SELECT * FROM why('SELECT id FROM t ORDER BY id, v <-> $1 LIMIT 10');
SELECT * FROM why('SELECT kind FROM t GROUP BY kind ORDER BY min(v <-> $1) LIMIT 10');
SELECT * FROM why('SELECT DISTINCT v <-> $1 FROM t ORDER BY 1 LIMIT 10');

-- not the distance of the index
SELECT * FROM why('SELECT id FROM t ORDER BY v <=> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY l2_distance(v, $1) LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY 1 - (v <-> $1) LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY v::f32vec(8) <-> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY l2_normalize(v) <-> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY w <-> $1 LIMIT 10');
CREATE FUNCTION apart(real[], real[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 0.0';
CREATE OPERATOR <-> (LEFTARG = real[], RIGHTARG = real[], PROCEDURE = apart);
CREATE FUNCTION plpgsql_apart(real[], real[]) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 0; END';
CREATE OPERATOR <#> (LEFTARG = real[], RIGHTARG = real[], PROCEDURE = plpgsql_apart);
CREATE INDEX t_ip ON t USING vkflat (v f32vec_ip_ops);
SELECT * FROM why('SELECT id FROM t ORDER BY v::real[] <#> $1::real[] LIMIT 10') WHERE index = 't_ip'::regclass;
DROP INDEX t_ip;

-- not its order
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 DESC LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 NULLS FIRST LIMIT 10');
SELECT * FROM why('SELECT t.id FROM q LEFT JOIN t ON t.id = q.id ORDER BY t.v <-> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 = 0 ORDER BY v <-> $1 LIMIT 10');

-- its order and more
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1, id LIMIT 10');
SET enable_incremental_sort = off;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1, id LIMIT 10');
RESET enable_incremental_sort;

-- not a vector that is known before
CREATE FUNCTION chance() RETURNS f32vec LANGUAGE plpgsql VOLATILE AS $$ BEGIN RAISE 'was called'; END $$;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> chance() LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> (SELECT chance()) LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> w LIMIT 10');
SELECT * FROM why('SELECT t.id FROM t, q ORDER BY t.v <-> q.v LIMIT 10');
SELECT * FROM why('SELECT a.id FROM t a JOIN t b ON b.id = a.id + 1 ORDER BY a.v <-> b.v LIMIT 10');
SELECT * FROM why('SELECT id FROM t WHERE v <-> chance() < 1');
SELECT * FROM why('SELECT id FROM t WHERE v <-> w <= 1');
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < id');
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < random()');
SELECT * FROM why('SELECT id FROM t WHERE v <<->> vk_sphere($1, random())');
SELECT * FROM why('SELECT t.id FROM t, q WHERE t.v <<->> vk_sphere(q.v, t.id)');

-- conditions that no setting helps
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 > 3');
SELECT * FROM why('SELECT id FROM t WHERE v <=> $1 < 3');
SELECT * FROM why('SELECT id FROM t WHERE NOT v <<->> vk_sphere($1, 1)');
SELECT * FROM why('SELECT t.id FROM t, q WHERE 2 * (t.v <-> q.v) < 1');

-- conditions that an index serves
SELECT query, reason FROM (VALUES
	('SELECT id FROM t WHERE v <-> $1 < 1'),
	('SELECT id FROM t WHERE 1 >= $1 <-> v'),
	('SELECT id FROM t WHERE v <-> $1 BETWEEN 1 AND 2'),
	('SELECT id FROM t WHERE NOT v <-> $1 > $2'),
	('SELECT id FROM t WHERE v <<->> vk_sphere($1, 1)'),
	('DELETE FROM t WHERE v <-> $1 < 1')) AS queries (query), why(query);
SET vkindex.range_pushdown = off;
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < 1');
SELECT * FROM why('SELECT id FROM t WHERE v <<->> vk_sphere($1, 1)');
RESET vkindex.range_pushdown;

-- OR: an index for each part
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < 1 OR v <-> $2 < 1');
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < 1 OR id = 3');
CREATE INDEX t_id ON t (id);
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < 1 OR id = 3');
SET enable_bitmapscan = off;
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < 1 OR id = 3');
RESET enable_bitmapscan;
SET random_page_cost = 1e6;
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < 1 OR id = 3');
RESET random_page_cost;
DROP INDEX t_id;

-- no LIMIT is missing where there is no order
CREATE TABLE few (id int, v f32vec(16));
INSERT INTO few SELECT id, v FROM t WHERE id < 100;
CREATE INDEX few_idx ON few USING vkivf (v);
ANALYZE few;
SELECT * FROM why('SELECT id FROM few ORDER BY v <-> $1');
SELECT * FROM why('SELECT id FROM few WHERE v <-> $1 < 3');
SELECT * FROM why('DELETE FROM few WHERE v <-> $1 < 3');
DROP TABLE few;

-- joins: looked up by another table's rows, or not
SELECT query, reason FROM (VALUES
	('SELECT t.id FROM t, q WHERE t.v <-> q.v < 1'),
	('SELECT t.id FROM q LEFT JOIN t ON t.v <-> q.v < 1'),
	('SELECT t.id FROM t LEFT JOIN q ON t.v <-> q.v < 1 WHERE q.id = 1'),
	('SELECT q.id FROM q WHERE EXISTS (SELECT FROM t WHERE t.v <-> q.v < 1)'),
	('SELECT q.id FROM q WHERE NOT EXISTS (SELECT FROM t WHERE t.v <<->> vk_sphere(q.v, 1))')) AS queries (query), why(query);
SELECT * FROM why('SELECT t.id FROM t LEFT JOIN q ON t.v <-> q.v < 1');
SELECT query, reason ~ '^each row of the table is kept or left out by ' AS kept FROM (VALUES
	('SELECT t.id FROM t LEFT JOIN q ON t.v <<->> vk_sphere(q.v, 1)'),
	('SELECT t.id FROM q RIGHT JOIN t ON t.v <-> q.v < 1'),
	('SELECT t.id FROM t WHERE EXISTS (SELECT FROM q WHERE t.v <-> q.v < 1)'),
	('SELECT t.id FROM t WHERE NOT EXISTS (SELECT FROM q WHERE t.v <-> q.v < 1)')) AS queries (query), why(query);

-- a class that has distances only
CREATE OPERATOR CLASS distances_only FOR TYPE f32vec USING vkflat AS
	OPERATOR 1 <-> (f32vec, f32vec) FOR ORDER BY float_ops,
	FUNCTION 1 f32vec_l2_support(internal);
CREATE INDEX t_distances_only ON t USING vkflat (v distances_only);
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < 1') WHERE index = 't_distances_only'::regclass;
DROP OPERATOR CLASS distances_only USING vkflat CASCADE;

-- dearer
SET random_page_cost = 1e6;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1');
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
RESET random_page_cost;
SET enable_indexscan = off;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SHOW enable_indexscan;
RESET enable_indexscan;
CREATE INDEX t_l2_8 ON t USING vkflat (v) WITH (bits = 8);
SELECT count(*) FILTER (WHERE reason = 'used') AS used,
	count(*) FILTER (WHERE reason ~ '^index t_l2(_8)? serves the query instead, at an estimated cost of N, N with this') AS not_used
FROM why('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
DROP INDEX t_l2_8;

-- the table is not read
SELECT * FROM why('SELECT id FROM t WHERE false ORDER BY v <-> $1 LIMIT 10');
SELECT * FROM why('INSERT INTO t (id, v) SELECT id, v FROM q');
SELECT * FROM why('SELECT id FROM t TABLESAMPLE system (50) ORDER BY v <-> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM q ORDER BY v <-> $1 LIMIT 10');

-- indexes for some of the rows, or on an expression
CREATE INDEX t_part ON t USING vkflat (v f32vec_cosine_ops) WHERE kind < 3;
CREATE INDEX t_expression ON t USING vkflat ((w::f32vec(16)) f32vec_l1_ops);
SELECT * FROM why('SELECT id FROM t ORDER BY v <=> $1 LIMIT 10') WHERE index = 't_part'::regclass;
SELECT * FROM why('SELECT id FROM t WHERE kind < $2 ORDER BY v <=> $1 LIMIT 10') WHERE index = 't_part'::regclass;
SET enable_sort = off;
SELECT * FROM why('SELECT id FROM t WHERE kind = 2 ORDER BY v <=> $1 LIMIT 10');
RESET enable_sort;
SELECT * FROM why('SELECT id FROM t ORDER BY w::f32vec(16) <+> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY w <+> $1 LIMIT 10') WHERE index = 't_expression'::regclass;
DROP INDEX t_part, t_expression;

-- an index that cannot be used
INSERT INTO t SELECT 0, 0, NULL, '[1]';
CREATE INDEX CONCURRENTLY t_invalid ON t USING vkflat ((w::f32vec(16)));
SELECT * FROM why('SELECT id FROM t ORDER BY w::f32vec(16) <-> $1 LIMIT 10') WHERE index = 't_invalid'::regclass;
DROP INDEX t_invalid;

-- partitions
CREATE TABLE p (id int, v f32vec(16)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (3000);
CREATE TABLE p2 (gone int, v f32vec(16), id int);
ALTER TABLE p2 DROP gone;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (3000) TO (6001);
INSERT INTO p SELECT id, v FROM t WHERE id > 0;
CREATE INDEX p_l2 ON p USING vkflat (v);
CREATE INDEX p1_cosine ON p1 USING vkflat (v f32vec_cosine_ops);
ANALYZE p;
SELECT * FROM why('SELECT id FROM p ORDER BY v <-> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM p WHERE id < 10 ORDER BY v <=> $1 LIMIT 10');
SET random_page_cost = 1e6;
SELECT * FROM why('SELECT id FROM p ORDER BY v <-> $1');
RESET random_page_cost;
SELECT * FROM why('SELECT id FROM p ORDER BY 2 * (v <-> $1)') WHERE index::text LIKE '%v_idx';
SELECT reason FROM why('SELECT p.id FROM q LEFT JOIN p ON p.id = q.id ORDER BY p.v <-> $1 LIMIT 10') WHERE index::text LIKE '%v_idx';
SELECT reason FROM why('SELECT p.id FROM p LEFT JOIN q ON p.v <-> q.v < 1') WHERE index::text LIKE '%v_idx';
SELECT reason FROM why('SELECT p.id FROM q LEFT JOIN p ON p.v <-> q.v < 1') WHERE index::text LIKE '%v_idx';
SELECT * FROM why('INSERT INTO p VALUES (1, NULL)');
SELECT * FROM why('SELECT id FROM t WHERE id = 1 UNION ALL (SELECT id FROM p2 ORDER BY v <-> $1 LIMIT 3)');

-- what is not one query
SELECT * FROM why('');
SELECT * FROM why('SELECT id FROM t; SELECT id FROM t');
SELECT * FROM why('EXPLAIN SELECT id FROM t');
SELECT * FROM why('CREATE TABLE u AS SELECT id FROM t');
SELECT * FROM why('SELECT id INTO u FROM t');
SELECT * FROM why('DROP TABLE t');
SELECT * FROM why('SELEC id FROM t');
SELECT * FROM why('SELECT id FROM t WHERE kind = nothing');
SELECT * FROM why('SELECT id FROM nowhere');
SELECT * FROM why('SELECT $1');
SELECT * FROM why('SELECT $2 FROM t WHERE id = $3');
SELECT * FROM why(NULL);

-- a query inside the planning of a query
CREATE FUNCTION inside() RETURNS f32vec LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	PERFORM * FROM vk_explain_refusal('SELECT id FROM q ORDER BY v <-> $1 LIMIT 1');
	RETURN (SELECT v FROM t ORDER BY v <=> vec(1, 16) LIMIT 1);
END
$$;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> inside() LIMIT 10');
CREATE FUNCTION failing() RETURNS f32vec LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'failed'; END $$;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> failing() LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');

-- an OR that only a bitmap of several indexes answers
CREATE TABLE parts (id int, k int, g int, v f32vec(4));
INSERT INTO parts SELECT n, n % 20, n % 7, vec(n, 4) FROM generate_series(1, 6000) n;
CREATE INDEX parts_ivf ON parts USING vkivf (v);
CREATE INDEX parts_part ON parts USING vkflat (v f32vec_l1_ops, g) WHERE k < 5;
CREATE INDEX parts_g ON parts (g);
ANALYZE parts;
SELECT * FROM why('SELECT id FROM parts WHERE (v <-> vec(1, 4) < 0.3 AND k = 3) OR (v <-> vec(2, 4) < 0.3 AND g = 3)');

-- privileges are those of the caller, as for EXPLAIN
CREATE ROLE regress_vk_refusal;
GRANT USAGE ON SCHEMA vk_test TO regress_vk_refusal;
SET ROLE regress_vk_refusal;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM distances ORDER BY distance LIMIT 10');
RESET ROLE;
GRANT SELECT (id) ON t TO regress_vk_refusal;
GRANT SELECT ON distances, q TO regress_vk_refusal;
SET ROLE regress_vk_refusal;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM t ORDER BY id LIMIT 10');
SELECT * FROM why('SELECT id FROM distances ORDER BY distance LIMIT 10');
SELECT * FROM why('DELETE FROM t');
SELECT * FROM why('DELETE FROM q USING t WHERE t.id = q.id');
RESET ROLE;

-- row security
GRANT SELECT ON t TO regress_vk_refusal;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON t USING (kind < 5);
SET ROLE regress_vk_refusal;
SELECT * FROM why('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SELECT * FROM why('SELECT id FROM t WHERE v <-> $1 < 1');
RESET ROLE;

\t off
\a
SET client_min_messages = warning;
DROP SCHEMA vk_test CASCADE;
DROP ROLE regress_vk_refusal;
