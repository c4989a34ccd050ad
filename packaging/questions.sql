-- what packaging/tables.sql made, asked by its indexes; an error if one is not
-- used, or if vkflat's distances are not those of a scan without index
CREATE FUNCTION pg_temp.distances(query text, index text) RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE
  plan text;
  found float8[];
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  ASSERT index IS NULL AND plan NOT LIKE '%"Index Name"%' OR plan LIKE '%"' || index || '"%', plan;
  EXECUTE 'SELECT array_agg(d) FROM (' || query || ') s' INTO found;
  RETURN found;
END $$;

\set nearest 'SELECT embedding <-> $v$[7,11,13,5]$v$ AS d FROM items ORDER BY d LIMIT 10'
\set filtered 'SELECT embedding <-> $v$[7,11,13,5]$v$ AS d FROM items WHERE kind = 3 ORDER BY d LIMIT 10'
\set alike 'SELECT embedding <=> $v$[7,11,13,5]$v$ AS d FROM items ORDER BY d LIMIT 10'

SELECT pg_temp.distances(:'nearest', 'items_flat') AS nearest,
  pg_temp.distances(:'filtered', 'items_flat') AS filtered \gset by_index_
SELECT :'by_index_nearest', :'by_index_filtered';
SELECT cardinality(pg_temp.distances(:'alike', 'items_ivf'));

SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT pg_temp.distances(:'nearest', NULL) = :'by_index_nearest'
  AND pg_temp.distances(:'filtered', NULL) = :'by_index_filtered' AS same \gset
\if :same
\else
  DO $$ BEGIN RAISE 'the distances differ from those of a scan without index'; END $$;
\endif
