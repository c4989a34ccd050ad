--
-- f32vec: text and binary form, type modifier, limits
--

-- text in, shortest text out
SELECT '[1,2,3]'::f32vec;
SELECT '[-1.5,+2,.5,3.]'::f32vec;
SELECT E' \t\n\x0b\f[ 1 ,\t2\n,\x0b3 ]\f '::f32vec;
SELECT '[0.1,0.30000001,16777217,1e10,1e-10,-0]'::f32vec;
SELECT '[0x10,1e0]'::f32vec;

-- extra_float_digits has no say
BEGIN;
SET LOCAL extra_float_digits = -5;
SELECT '[0.1234567,3.4028235e38]'::f32vec;
COMMIT;

-- the ends of the range of float
SELECT '[3.4028235e38,-3.4028235e38,1.17549435e-38,1e-45]'::f32vec;
SELECT '[1e-46,-1e-46]'::f32vec;
SELECT '[1,3.5e38]'::f32vec;
SELECT '[-1e400]'::f32vec;
SELECT '[nan]'::f32vec;
SELECT '[1,inf]'::f32vec;
SELECT '[1,-infinity]'::f32vec;

-- syntax
SELECT ''::f32vec;
SELECT ' '::f32vec;
SELECT '1,2'::f32vec;
SELECT '{1,2}'::f32vec;
SELECT '[]'::f32vec;
SELECT '[ ]'::f32vec;
SELECT '['::f32vec;
SELECT '[1'::f32vec;
SELECT '[1,'::f32vec;
SELECT '[1,]'::f32vec;
SELECT '[,1]'::f32vec;
SELECT '[1,,2]'::f32vec;
SELECT '[1 2]'::f32vec;
SELECT '[1;2]'::f32vec;
SELECT '[one]'::f32vec;
SELECT '[1]]'::f32vec;
SELECT '[1],'::f32vec;
SELECT '[1] [2]'::f32vec;

-- type modifier
SELECT '[1,2,3]'::f32vec(3);
SELECT '[1,2,3]'::f32vec(4);
SELECT '[1]'::f32vec(0);
SELECT '[1]'::f32vec(-1);
SELECT '[1]'::f32vec(16001);
SELECT '[1]'::f32vec(1, 2);
SELECT '[1]'::f32vec('one');
CREATE TABLE f32vec_io (v f32vec(3), any_dim f32vec, big f32vec(16000));
SELECT attname, format_type(atttypid, atttypmod), attstorage
FROM pg_attribute WHERE attrelid = 'f32vec_io'::regclass AND attnum > 0
ORDER BY attnum;
INSERT INTO f32vec_io (v) VALUES ('[1,2]');
INSERT INTO f32vec_io (v) SELECT any_dim FROM (VALUES ('[1,2]'::f32vec)) t (any_dim);
INSERT INTO f32vec_io (v, any_dim) VALUES ('[1,2,3]', '[1]'), (NULL, '[1,2]');
ALTER TABLE f32vec_io ALTER any_dim TYPE f32vec(2);
DELETE FROM f32vec_io WHERE v IS NOT NULL;
ALTER TABLE f32vec_io ALTER any_dim TYPE f32vec(2);
SELECT v, any_dim FROM f32vec_io;
DROP TABLE f32vec_io;

-- arrays of vectors
SELECT ARRAY['[1,2]', '[3]']::f32vec[];
SELECT '{"[1,2]","[3]"}'::f32vec(2)[];

-- the most dimensions
SELECT vector_dims(('[' || repeat('1,', 15999) || '1]')::f32vec);
SELECT ('[' || repeat('1,', 16000) || '1]')::f32vec;
SELECT ('[' || repeat('1,', 16000) || 'x')::f32vec;
SELECT left(('[' || repeat('-1.1754944e-38,', 15999) || '1]')::f32vec::text, 20);

-- one byte, short and long headers, and compressed never
CREATE TABLE f32vec_sizes (v f32vec);
INSERT INTO f32vec_sizes
	SELECT array_fill(1::real, ARRAY[dim])::f32vec
	FROM unnest(ARRAY[1, 29, 30, 31, 499, 2000, 16000]) dim;
SELECT vector_dims(v), pg_column_size(v), v = array_fill(1::real, ARRAY[vector_dims(v)])::f32vec AS same
FROM f32vec_sizes;
DROP TABLE f32vec_sizes;

-- binary form
SELECT f32vec_send('[1,-2.5,0]');
CREATE TABLE f32vec_copy (id int, v f32vec(3));
INSERT INTO f32vec_copy VALUES
	(1, '[1,-2.5,3]'), (2, '[1e-45,3.4028235e38,-0]'), (3, NULL);
\copy f32vec_copy TO PROGRAM 'cat > "$PG_ABS_BUILDDIR/results/f32vec.bin"' (FORMAT binary)
CREATE TABLE f32vec_copied (LIKE f32vec_copy);
\copy f32vec_copied FROM PROGRAM 'cat "$PG_ABS_BUILDDIR/results/f32vec.bin"' (FORMAT binary)
SELECT * FROM f32vec_copied ORDER BY id;
SELECT count(*) FROM f32vec_copy a JOIN f32vec_copied b USING (id)
WHERE f32vec_send(a.v) = f32vec_send(b.v);
\copy f32vec_copy TO PROGRAM 'cat > "$PG_ABS_BUILDDIR/results/f32vec.txt"'
\copy f32vec_copied FROM PROGRAM 'cat "$PG_ABS_BUILDDIR/results/f32vec.txt"'
SELECT id, count(*), count(DISTINCT v) FROM f32vec_copied GROUP BY id ORDER BY id;
DROP TABLE f32vec_copy, f32vec_copied;

-- bad binary input: a file of one field holding the bytes after its length
CREATE TABLE f32vec_recv (v f32vec);
CREATE TABLE f32vec_recv2 (v f32vec(2));
\set VERBOSITY terse
-- no dimension, too many, the most that the wire can say
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\004\000\000\000\000\377\377"' (FORMAT binary)
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\004\076\201\000\000\377\377"' (FORMAT binary)
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\004\377\377\000\000\377\377"' (FORMAT binary)
-- the reserved field is not zero
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\010\000\001\000\007\077\200\000\000\377\377"' (FORMAT binary)
-- which has a sign, as the dimensions do above
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\010\000\001\377\377\077\200\000\000\377\377"' (FORMAT binary)
-- NaN, infinity
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\010\000\001\000\000\177\300\000\000\377\377"' (FORMAT binary)
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\010\000\001\000\000\377\200\000\000\377\377"' (FORMAT binary)
-- fewer elements than announced, more than announced, half a header
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\010\000\002\000\000\077\200\000\000\377\377"' (FORMAT binary)
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\014\000\001\000\000\077\200\000\000\077\200\000\000\377\377"' (FORMAT binary)
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\002\000\001\377\377"' (FORMAT binary)
-- a vector of one dimension, for a column of any and of two
\copy f32vec_recv FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\010\000\001\000\000\077\200\000\000\377\377"' (FORMAT binary)
\copy f32vec_recv2 FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\0\0\0\0\0\0\0\0\000\001\0\0\0\010\000\001\000\000\077\200\000\000\377\377"' (FORMAT binary)
\set VERBOSITY default
SELECT * FROM f32vec_recv;
DROP TABLE f32vec_recv, f32vec_recv2;

-- the classes of the errors
\set VERBOSITY sqlstate
SELECT '[a]'::f32vec;
SELECT '[1'::f32vec;
SELECT '[1]x'::f32vec;
SELECT '[]'::f32vec;
SELECT '[NaN]'::f32vec;
SELECT '[Infinity]'::f32vec;
SELECT '[4e38]'::f32vec;
SELECT '[1]'::f32vec(0);
SELECT '[1]'::f32vec(16001);
SELECT '[1]'::f32vec(1, 1);
SELECT '[1]'::f32vec(2);
SELECT ('[' || repeat('1,', 16000) || '1]')::f32vec;
\set VERBOSITY default
