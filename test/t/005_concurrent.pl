# Sessions that insert, delete, update, query and vacuum one table at once: no
# query fails, is short of rows or differs from the sequential plan under its
# own snapshot, and the indexes are sound in the end.

use strict;
use warnings FATAL => 'all';

use Test::More;
use VkTest;

my $dims = 36;
my @queries = random_queries(3, $dims, 31);
my $node = start_node('concurrent', conf => <<'CONF');
deadlock_timeout = 100ms
max_wal_size = 4GB
CONF

load_vectors($node, 't', rows => 2000, dims => $dims);
# so that its indexes are built by several processes
$node->safe_psql('postgres', 'ALTER TABLE t SET (parallel_workers = 2)');
make_indexes($node, 't');
make_comparison($node, "right_$_", 't', $VkTest::operator_of{$_}, 25)
  foreach sort keys %VkTest::operator_of;

# vectors near each other, so that few lists take most of the inserts; equal
# ones; and rows without a distance
$node->safe_psql('postgres', <<"SQL");
CREATE SEQUENCE next_id START 10000;
CREATE FUNCTION any_vector() RETURNS f32vec LANGUAGE sql VOLATILE AS \$\$
SELECT CASE (random() * 20)::int
	WHEN 0 THEN NULL
	WHEN 1 THEN array_fill(0::real, ARRAY[$dims])::f32vec
	WHEN 2 THEN array_fill(1::real, ARRAY[$dims])::f32vec
	WHEN 3 THEN random_vector($dims) + array_fill(5::real, ARRAY[$dims])::f32vec
	ELSE random_vector($dims) END \$\$;
-- a query must never come back with fewer rows than its LIMIT
CREATE FUNCTION enough(q f32vec, n integer) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off AS \$\$
DECLARE
	found bigint;
BEGIN
	SELECT count(*) INTO found FROM (SELECT FROM t ORDER BY embedding <=> q LIMIT n) s;
	IF found <> n THEN
		RAISE EXCEPTION '% rows of %', found, n;
	END IF;
	SELECT count(*) INTO found FROM (SELECT FROM t ORDER BY embedding <-> q LIMIT n) s;
	IF found <> n THEN
		RAISE EXCEPTION '% rows of %', found, n;
	END IF;
END \$\$;
SQL

my %scripts = (
	'005_insert@6' => "INSERT INTO t SELECT nextval('next_id'), any_vector() "
	  . "FROM generate_series(1, (random() * 20)::int);\n",
	'005_rollback@1' => "BEGIN;\nINSERT INTO t SELECT nextval('next_id'), any_vector() "
	  . "FROM generate_series(1, 30);\nROLLBACK;\n",
	'005_delete@3' => "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id > 2000 "
	  . "AND random() < 0.01 LIMIT 30 FOR UPDATE SKIP LOCKED);\n",
	'005_update@2' => "\\set row random(1, 2000)\n"
	  . "UPDATE t SET embedding = any_vector() WHERE id = :row;\n",
	'005_right@6' => join('', map { "SELECT right_$_(random_vector($dims));\n" }
		  sort keys %VkTest::operator_of),
	'005_enough@4' => "\\set n random(1, 1500)\nSELECT enough(random_vector($dims), :n);\n",
	'005_cursor@1' => "BEGIN;\nSET LOCAL enable_seqscan = off;\n"
	  . "DECLARE c CURSOR FOR SELECT id FROM t ORDER BY embedding <=> random_vector($dims);\n"
	  . "FETCH 5 FROM c;\n\\sleep 20 ms\nFETCH 200 FROM c;\nCOMMIT;\n",
	'005_vacuum@1' => "SELECT pg_try_advisory_lock(1)::int AS mine \\gset\n"
	  . "\\if :mine\nVACUUM t;\nSELECT pg_advisory_unlock(1);\n\\endif\n");

# 8 clients, 10 seconds
$node->pgbench(
	'--no-vacuum --client=8 --jobs=2 --time=10',
	0,
	[qr{actually processed}],
	[qr{^$}],
	'inserts, deletes, updates, queries, cursors and vacuum at once',
	\%scripts);

cmp_ok($node->safe_psql('postgres', 'SELECT last_value FROM next_id'),
	'>', 11000, 'rows were inserted');
cmp_ok(
	$node->safe_psql('postgres', "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 't_ivf'"),
	'>', 50, 'queries went through the index');
table_is_sound($node, 't', \@queries, 100, 'after the run');
$node->safe_psql('postgres', 'VACUUM t');
table_is_sound($node, 't', \@queries, 100, 'after a last vacuum');

# an index that starts with nothing grows in all sessions at once
$node->safe_psql('postgres', "CREATE TABLE empty (id bigint, embedding f32vec($dims))");
make_indexes($node, 'empty');
$node->pgbench(
	'--no-vacuum --client=8 --jobs=2 --transactions=30',
	0,
	[qr{actually processed}],
	[qr{^$}],
	'inserts into empty indexes',
	{
		'005_fill' => "INSERT INTO empty SELECT nextval('next_id'), random_vector($dims) "
		  . "FROM generate_series(1, 40);\n"
	});
is($node->safe_psql('postgres', 'SELECT count(*) FROM empty'), 8 * 30 * 40, 'all rows are there');
table_is_sound($node, 'empty', \@queries, 100, 'indexes that grew from nothing');

# writers that meet at an open segment spread over several; one alone fills one
# after the other
sub segments_of
{
	return $node->safe_psql('postgres', "SELECT round(rows / list_avg) FROM vk_stats('$_[0]')");
}
foreach my $clients (1, 8)
{
	my $table = "tails_$clients";

	$node->safe_psql('postgres', "CREATE TABLE $table (id bigint, embedding f32vec($dims))");
	make_indexes($node, $table);
	$node->pgbench(
		"--no-vacuum --client=$clients --jobs=2 --transactions=" . 160 / $clients,
		0,
		[qr{actually processed}],
		[qr{^$}],
		"$clients writers, fewer rows than a segment holds",
		{
			"005_tails_$clients" => "INSERT INTO $table SELECT nextval('next_id'), "
			  . "random_vector($dims) FROM generate_series(1, 20);\n"
		});
	foreach my $method (qw(flat ivf))
	{
		my $segments = segments_of("${table}_$method");

		cmp_ok($segments, $clients == 1 ? '==' : '>', 1,
			"$clients writers open segments of ${table}_$method");
		cmp_ok($segments, '<=', 8, "but only so many of ${table}_$method");
	}
	table_is_sound($node, $table, \@queries, 100, "indexes that $clients writers filled");
}

# CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY while rows come and go
my $indexes = start_sql($node, <<'SQL');
DROP INDEX CONCURRENTLY t_flat;
CREATE INDEX CONCURRENTLY t_flat ON t USING vkflat (embedding f32vec_l2_ops);
REINDEX INDEX CONCURRENTLY t_ivf;
REINDEX INDEX CONCURRENTLY t_ip;
SQL
my %writers = map { s/005/006/r => $scripts{$_} } grep { !/vacuum|right|enough|cursor/ } keys %scripts;
$node->pgbench(
	'--no-vacuum --client=4 --jobs=2 --time=3',
	0,
	[qr{actually processed}],
	[qr{^$}],
	'inserts, deletes and updates while indexes are built',
	\%writers);
is(finish_sql($indexes), '', 'indexes were built concurrently');
table_is_sound($node, 't', \@queries, 100, 'indexes built concurrently');

no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
