-- a table, the same on every machine, with an index of each method
CREATE TABLE items (id int PRIMARY KEY, kind int, embedding f32vec(4));
INSERT INTO items
  SELECT n, n % 5, ARRAY[n % 17, n % 23, n % 29, n % 31]::real[]::f32vec
  FROM generate_series(1, 5000) n;
CREATE TABLE plain AS SELECT id FROM items LIMIT 10;
CREATE INDEX items_flat ON items USING vkflat (embedding f32vec_l2_ops, kind);
CREATE INDEX items_ivf ON items USING vkivf (embedding f32vec_cosine_ops);
ANALYZE items;
