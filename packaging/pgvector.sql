-- both methods over pgvector's types, under pgvector's names of classes; an error
-- if an index is not used or vkflat differs from a scan
CREATE TABLE theirs AS
  SELECT id, embedding::real[]::vector(4) AS embedding, embedding::real[]::halfvec(4) AS half FROM items;
CREATE INDEX theirs_flat ON theirs USING vkflat (embedding vector_l2_ops);
CREATE INDEX theirs_ivf ON theirs USING vkivf (half halfvec_cosine_ops);
ANALYZE theirs;
DO $$
DECLARE
  nearest text := 'SELECT embedding <-> ''[7,11,13,5]'' AS d FROM theirs ORDER BY d LIMIT 10';
  alike text := 'SELECT half <=> ''[7,11,13,5]'' AS d FROM theirs ORDER BY d LIMIT 10';
  plan text;
  by_index float8[];
  by_table float8[];
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || nearest INTO plan;
  ASSERT plan LIKE '%"theirs_flat"%', plan;
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || alike INTO plan;
  ASSERT plan LIKE '%"theirs_ivf"%', plan;
  EXECUTE 'SELECT array_agg(d) FROM (' || nearest || ') s' INTO by_index;
  SET enable_indexscan = off;
  EXECUTE 'SELECT array_agg(d) FROM (' || nearest || ') s' INTO by_table;
  ASSERT by_index = by_table, by_index::text || ' by the index, ' || by_table::text;
END $$;
