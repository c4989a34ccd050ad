# The private memory of a backend does not grow with the number of its queries, nor a
# build's with the number of rows that are equal.
#
# VK_MEMORY_QUERIES   how many; the first quarter, at most 1,000, is not counted

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

plan skip_all => 'needs /proc/<pid>/status' unless -r '/proc/self/status';

my $dims = 96;
my $queries = $ENV{VK_MEMORY_QUERIES} // 2800;
my $each = $queries >= 4000 ? 1000 : int($queries / 4);
my $node = start_node('memory');

load_vectors($node, 't', rows => 3000, dims => $dims);
$node->safe_psql('postgres',
	'INSERT INTO t VALUES (0, NULL), '
	  . "(-1, array_fill(0::real, ARRAY[$dims])::f32vec)");
make_indexes($node, 't');

# queries of many kinds, each a statement and transaction of its own
sub mixed_queries
{
	my ($number) = @_;
	my @limits = (1, 10, 100, 1000);
	my @targets = (0.5, 0.95, 1);
	my $sql = "SET enable_seqscan = off;\nPREPARE p(f32vec) AS "
	  . "SELECT id FROM t ORDER BY embedding <=> \$1 LIMIT 5;\n";

	foreach my $i (1 .. $number)
	{
		my $operator = (sort values %VkTest::operator_of)[ $i % 3 ];
		my $limit = $limits[ $i % 4 ];

		$sql .= "SET vkindex.target_recall = $targets[$i % 3];\n" if $i % 50 == 0;
		if ($i % 101 == 0)
		{
			$sql .= "SELECT count(*) FROM (SELECT FROM t ORDER BY embedding $operator random_vector($dims)) s;\n";
		}
		elsif ($i % 37 == 0)
		{
			$sql .= "BEGIN; DECLARE c CURSOR FOR SELECT id FROM t "
			  . "ORDER BY embedding $operator random_vector($dims); FETCH 20 FROM c; ROLLBACK;\n";
		}
		elsif ($i % 41 == 0)
		{
			$sql .= "SELECT id FROM t ORDER BY embedding $operator '[1]' LIMIT 3;\n";
		}
		elsif ($i % 7 == 0)
		{
			$sql .= "EXECUTE p(random_vector($dims));\n";
		}
		else
		{
			$sql .= "SELECT id FROM t ORDER BY embedding $operator "
			  . "(SELECT random_vector($dims)) LIMIT $limit;\n";
		}
	}
	return $sql . "DEALLOCATE p;\n";
}

sub status_kilobytes
{
	my ($pid, $field) = @_;
	my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^$field:\s+(\d+) kB/m;

	return $kilobytes;
}

sub anonymous_kilobytes
{
	my ($pid) = @_;

	return status_kilobytes($pid, 'RssAnon');
}

my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->set_query_timer_restart;
my $pid = $session->query_safe('SELECT pg_backend_pid()');
my $file = $node->basedir . '/queries.sql';
my @used;

append_to_file($file, mixed_queries($each));
foreach my $round (1 .. $queries / $each)
{
	$session->query("\\o /dev/null\n\\i $file\n\\o");
	$session->{stderr} = '';
	push @used, anonymous_kilobytes($pid);
}
note("RssAnon after each $each queries: @used kB");
cmp_ok($used[-1] - $used[0], '<', 1024, 'queries leave less than 1 MB behind');

# inserts and deletes of one session
$session->query_safe("INSERT INTO t SELECT 10000 + i, random_vector($dims) FROM generate_series(1, 500) i");
my $before = anonymous_kilobytes($pid);
foreach my $round (1 .. 20)
{
	$session->query_safe(
		"INSERT INTO t SELECT 10000 + i, random_vector($dims) FROM generate_series(1, 200) i");
}
cmp_ok(anonymous_kilobytes($pid) - $before, '<', 1024, 'inserts leave less than 1 MB behind');

# one statement with many rows does not gather memory either
$before = anonymous_kilobytes($pid);
$session->query_safe("INSERT INTO t SELECT 20000 + i, random_vector($dims) FROM generate_series(1, 5000) i");
cmp_ok(anonymous_kilobytes($pid) - $before, '<', 4096, 'an insert of many rows stays small');

is( $session->query_safe(
		q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name ILIKE '%vkindex%' AND ident IS DISTINCT FROM 'kept'}),
	0,
	'no memory context is left');
$session->quit;

# nine rows of ten are equal: each is as near as all others to the queries of a calibration
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE equal_rows AS
SELECT i AS id, CASE WHEN i % 10 = 0 THEN random_vector(8)
	ELSE array_fill(1::real, ARRAY[8])::f32vec END::f32vec(8) AS embedding
FROM generate_series(1, 200000) i;
SQL
$session = $node->background_psql('postgres');
$session->set_query_timer_restart;
$pid = $session->query_safe('SELECT pg_backend_pid()');
$session->query_safe('SET max_parallel_maintenance_workers = 0; '
	  . 'CREATE INDEX ON equal_rows USING vkivf (embedding f32vec_l2_ops)');
cmp_ok(status_kilobytes($pid, 'VmHWM'), '<', 256 * 1024,
	'a build over equal rows: maintenance_work_mem and shared_buffers, 64 MB each, and as much again');
$session->quit;

table_is_sound($node, 't', [ random_queries(2, $dims, 5) ], 50, 'at the end');
no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
