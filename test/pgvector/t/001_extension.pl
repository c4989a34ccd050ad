# Who may create vkindex_pgvector, in which schemas it works, and what becomes of it
# when a database is dumped and restored, or when extensions move or go.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('pgvector');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;

sub sql
{
	my ($database, $sql, @options) = @_;
	return $node->safe_psql($database, $sql, @options);
}

sub as_owner
{
	my ($database, $sql) = @_;
	return sql($database, $sql, extra_params => [ '-U', 'owner' ]);
}

# error text of what fails, empty where nothing does
sub failure
{
	my ($database, $sql, $user) = @_;
	my ($rc, undef, $stderr) =
	  $node->psql($database, $sql, extra_params => [ '-U', $user // 'owner' ]);
	return $rc == 0 ? '' : $stderr;
}

sub new_database
{
	my ($database) = @_;
	sql('postgres', "CREATE DATABASE $database OWNER owner");
	return;
}

# Rows in a schema whose types are found by the path, and an index of each kind.
my $load = <<'SQL';
CREATE TABLE items (id int, v vector(16), h halfvec(16), b bit(16));
INSERT INTO items SELECT n, a::vector, a::vector::halfvec, binary_quantize(a::vector)::bit(16) FROM
	(SELECT n, (SELECT array_agg(sin(n * 17.0 + i * (n % 13))) FROM generate_series(1, 16) i) AS a FROM generate_series(1, 600) n) s;
INSERT INTO items VALUES (0);
CREATE INDEX items_v ON items USING vkflat (v);
CREATE INDEX items_cosine ON items USING vkivf (v vector_cosine_ops) WITH (lists = 5);
CREATE INDEX items_half ON items USING vkivf ((v::halfvec(16)) halfvec_l1_ops) WHERE id > 10;
CREATE INDEX items_h ON items USING vkflat (h halfvec_ip_ops);
CREATE INDEX items_b ON items USING vkflat (b bit_jaccard_ops);
SQL

# Distances by the indexes, whichever plan they take.
my $answers = join ';',
  map { "SELECT $_->[0] $_->[1] (SELECT $_->[2] FROM items WHERE id = 7) AS d FROM items $_->[3] ORDER BY 1 LIMIT 20" }
  ([ 'v', '<->', 'v', '' ], [ 'v', '<=>', 'v', '' ], [ 'h', '<#>', 'h', '' ], [ 'b', '<%>', 'b', '' ],
	[ 'v::halfvec(16)', '<+>', 'v::halfvec(16)', 'WHERE id > 10' ],
	[ 'v', '<->', 'v', 'WHERE v <-> (SELECT v FROM items WHERE id = 7) < 3' ],
	[ 'v', '<->', 'v', 'WHERE v <<->> vk_sphere((SELECT v FROM items WHERE id = 7), 3)' ]);

# the same by both kinds of plan, in the end
sub answers_agree
{
	my ($database, $path, $name) = @_;
	my $set = "SET search_path = $path; SET vkindex.target_recall = 1; SET jit = off;";
	my $by_index = sql($database, "$set SET enable_seqscan = off; SET enable_sort = off; $answers");
	my $truth = sql($database,
		"$set SET enable_indexscan = off; SET enable_bitmapscan = off; $answers");
	is($by_index, $truth, "$name: the indexes answer as the sequential plan does");
	is(sql($database,
			"$set SELECT count(vk_check(indexrelid, true)) FROM pg_index WHERE indrelid = 'items'::regclass"),
		5, "$name: the indexes are sound");
	return $by_index;
}

sql('postgres', 'CREATE ROLE owner LOGIN');

# an ordinary owner of a database, where pgvector is there
new_database('owned');
like(failure('owned', 'CREATE EXTENSION vkindex_pgvector'),
	qr/required extension "vkindex" is not installed/, 'what it needs is named');
like(failure('owned', 'CREATE EXTENSION vkindex_pgvector CASCADE'),
	qr/permission denied to create extension "vector"/, 'pgvector itself takes a superuser');
sql('owned', 'CREATE EXTENSION vector');
is(failure('owned', 'CREATE EXTENSION vkindex_pgvector CASCADE'),
	'', 'the owner of a database creates it, and vkindex');
as_owner('owned', "CREATE SCHEMA s; SET search_path = s, public; $load");
my $answers_before = answers_agree('owned', 's, public', 'owner');
like(failure('postgres', 'CREATE EXTENSION vkindex_pgvector CASCADE'),
	qr/permission denied to create extension/, 'nobody else does');

# dump and restore
my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('owned') ], 'dump');
new_database('restored');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ],
	'restore');
is(answers_agree('restored', 's, public', 'restored'), $answers_before, 'restored: the same answers');
is(sql('restored', 'SELECT count(*) FROM pg_indexes WHERE schemaname = \'s\''), 5, 'restored: all indexes');

# each extension in a schema of its own, none of them on the path
new_database('schemas');
sql('schemas', <<'SQL');
CREATE SCHEMA "of vector"; CREATE SCHEMA k; CREATE SCHEMA "P"; CREATE SCHEMA s; CREATE SCHEMA other;
CREATE EXTENSION vector SCHEMA "of vector";
CREATE EXTENSION vkindex SCHEMA k;
CREATE EXTENSION vkindex_pgvector SCHEMA "P";
SQL
my $path = 's, "of vector", k, "P"';
sql('schemas', "SET search_path = $path; $load");
answers_agree('schemas', $path, 'schemas');
sql('schemas', <<'SQL');
CREATE INDEX ON s.items USING vkivf (v "P".vector_l1_ops);
SELECT id FROM s.items ORDER BY v OPERATOR("of vector".<+>) (SELECT v FROM s.items WHERE id = 3) LIMIT 5;
SELECT id FROM s.items WHERE v OPERATOR("P".<<+>>) "P".vk_sphere((SELECT v FROM s.items WHERE id = 3), 1);
DROP INDEX s.items_v_idx;
SQL

# they move
sql('schemas', "ALTER EXTENSION $_ SET SCHEMA other") for ('vector', 'vkindex', 'vkindex_pgvector');
answers_agree('schemas', 's, other', 'moved');
sql('schemas', 'ALTER EXTENSION vector SET SCHEMA "of vector"');
sql('schemas', 'REINDEX TABLE s.items');
answers_agree('schemas', 's, other, "of vector"', 'moved again');

# A schema that somebody has prepared: the scripts, which run with the rights of a
# superuser, must neither call his functions nor take his types and operators.
new_database('prepared');
sql('prepared', 'CREATE EXTENSION vector');
as_owner('prepared', <<'SQL');
CREATE SCHEMA trap;
CREATE TABLE trap.called (what text);
CREATE TYPE trap.vector AS (x int);
CREATE TYPE trap.halfvec AS (x int);
DO $$
DECLARE
	signature text;
BEGIN
	FOREACH signature IN ARRAY ARRAY['replace(text, text, text)', 'replace(text, text, anyelement)', 'quote_ident(name)', 'quote_ident(text)',
		'unnest(text[])', 'to_jsonb(record)', 'to_jsonb(anycompatible)', 'jsonb_each_text(jsonb)', 'coalesce(text, text)',
		'format(text, text)', 'format(text, text, text)', 'format(text, text, text, text)', 'format(text, integer, text, text, text)',
		'jsonb_build_object(text, text, text, text)', 'string_agg(text, text)', 'unnest(integer[])', 'current_schema()', 'set_config(text, text, boolean)'] LOOP
		BEGIN
			EXECUTE 'CREATE FUNCTION trap.' || signature || ' RETURNS text LANGUAGE plpgsql AS ''BEGIN INSERT INTO trap.called VALUES (''''' ||
				split_part(signature, '(', 1) || '''''); RETURN NULL; END''';
		EXCEPTION WHEN others THEN NULL;
		END;
	END LOOP;
END
$$;
CREATE FUNCTION trap.f(public.vector, public.vector) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN INSERT INTO trap.called VALUES (''operator''); RETURN 0; END';
CREATE OPERATOR trap.<-> (LEFTARG = public.vector, RIGHTARG = public.vector, PROCEDURE = trap.f);
CREATE FUNCTION trap.g(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN INSERT INTO trap.called VALUES (''operator''); RETURN NULL; END';
CREATE OPERATOR trap.|| (LEFTARG = text, RIGHTARG = text, PROCEDURE = trap.g);
CREATE FUNCTION trap.e(name, name) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO trap.called VALUES (''operator''); RETURN true; END';
CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, PROCEDURE = trap.e);
CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = text, PROCEDURE = pg_catalog.nameeqtext);
SET search_path = trap, public;
CREATE EXTENSION vkindex_pgvector SCHEMA trap CASCADE;
SQL
is(sql('prepared', 'SELECT count(*) FROM trap.called'), 0, 'prepared schema: nothing of it was called');
is( sql('prepared', <<'SQL'),
SELECT count(*), bool_and(getextension IN ('vector', 'vkindex')) FROM
	(SELECT (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.classid = 'pg_operator'::regclass AND d.objid = amopopr AND d.deptype = 'e') AS getextension
	 FROM pg_amop a JOIN pg_am m ON m.oid = amopmethod JOIN pg_opfamily f ON f.oid = amopfamily JOIN pg_namespace n ON n.oid = opfnamespace
	 WHERE amname IN ('vkflat', 'vkivf') AND amoppurpose = 'o' AND nspname = 'trap') s
SQL
	'60|t', 'prepared schema: the operators are those of the extensions');
is( sql('prepared', <<'SQL'),
SELECT string_agg(DISTINCT opcintype::regtype::text, ' ') FROM pg_opclass c JOIN pg_namespace n ON n.oid = opcnamespace WHERE nspname = 'trap' AND opcname ~ '^(vector|halfvec|bit)_.*_ops'
SQL
	'bit halfvec vector', 'prepared schema: and so are the types');

# what depends goes, and nothing else
like(failure('owned', 'DROP EXTENSION vkindex_pgvector', 'postgres'),
	qr/index s\.items_cosine depends on operator class vector_cosine_ops/s, 'indexes keep it');
like(failure('owned', 'DROP EXTENSION vector', 'postgres'),
	qr/extension vkindex_pgvector depends on extension vector/, 'it keeps pgvector');
sql('owned', 'DROP EXTENSION vector CASCADE');
is(sql('owned', q{SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension WHERE extname ~ '^v'}),
	'vkindex', 'without pgvector only vkindex is left');
is(sql('owned', q{SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 's.items'::regclass AND attnum > 0 AND NOT attisdropped}),
	'id b', 'and columns of other types');
is( sql('owned', 'CREATE TABLE f (v f32vec(2)); INSERT INTO f VALUES (\'[1,2]\'); CREATE INDEX ON f USING vkflat (v); SET enable_seqscan = off; SELECT v FROM f ORDER BY v <-> \'[0,0]\''),
	'[1,2]', 'vkindex goes on');
sql('schemas', 'SET search_path = s, other; DROP EXTENSION vkindex_pgvector CASCADE');
is(sql('schemas', q{SELECT count(*) FROM pg_indexes WHERE schemaname = 's'}), 0, 'without it there are no indexes');
is(sql('schemas', q{SELECT count(v) FROM s.items}), 600, 'and all rows');
sql('schemas', 'CREATE EXTENSION vkindex_pgvector SCHEMA "P"');
sql('schemas', 'SET search_path = s, other, "P", "of vector"; CREATE INDEX ON items USING vkflat (v)');
pass('it can be made again');

$node->stop;
done_testing();
