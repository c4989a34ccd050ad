# Scans that several processes share, while rows come, change and go and vacuum
# clears them: each answer is that of the sequential plan under the same
# snapshot, whether or not workers come, and whether or not the leader scans too.

use strict;
use warnings FATAL => 'all';

use Test::More;
use VkTest;

my $dims = 8;
my $node = start_node('parallel', conf => <<'CONF');
max_worker_processes = 10
max_parallel_workers = 6
parallel_setup_cost = 0
parallel_tuple_cost = 0
min_parallel_table_scan_size = 0
min_parallel_index_scan_size = 0
cpu_tuple_cost = 0
random_page_cost = 0.1
jit = off
CONF

load_vectors($node, 't', rows => 9000, dims => $dims);
$node->safe_psql('postgres', 'CREATE INDEX t_flat ON t USING vkflat (embedding)');
make_comparison($node, 'alone', 't', '<->', 300);
make_comparison($node, 'shared', 't', '<->', 40);
make_comparison($node, 'by_workers', 't', '<->', 40);
$node->safe_psql('postgres', <<'SQL');
ALTER FUNCTION alone_index SET max_parallel_workers_per_gather = 0;
ALTER FUNCTION by_workers_index SET parallel_leader_participation = off;
CREATE SEQUENCE next_id START 10000;
SQL
foreach my $leader ('on', 'off')
{
	like(
		$node->safe_psql('postgres', <<"SQL"), qr/Gather Merge.*Parallel Index Scan/s, "the scan is shared, leader $leader");
SET enable_seqscan = off;
SET enable_sort = off;
SET parallel_leader_participation = $leader;
EXPLAIN SELECT id FROM t ORDER BY embedding <-> '[1,2,3,4,5,6,7,8]' LIMIT 40;
SQL
}

$node->pgbench(
	'--no-vacuum --client=5 --jobs=1 --time=6',
	0,
	[qr{actually processed}],
	[qr{^$}],
	'shared scans beside inserts, deletes, updates and vacuum',
	{
		'011_insert@4' => "INSERT INTO t SELECT nextval('next_id'), random_vector($dims) "
		  . "FROM generate_series(1, (random() * 40)::int);\n",
		'011_delete@2' => "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id > 8000 "
		  . "AND random() < 0.02 LIMIT 30 FOR UPDATE SKIP LOCKED);\n",
		'011_update@2' => "\\set row random(1, 8000)\n"
		  . "UPDATE t SET embedding = random_vector($dims) WHERE id = :row;\n",
		'011_shared@4' => "SELECT shared(random_vector($dims));\n",
		'011_by_workers@4' => "SELECT by_workers(random_vector($dims));\n",
		'011_alone@1' => "SELECT alone(random_vector($dims));\n",
		'011_vacuum@1' => "SELECT pg_try_advisory_lock(1)::int AS mine \\gset\n"
		  . "\\if :mine\nVACUUM t;\nSELECT pg_advisory_unlock(1);\n\\endif\n"
	});
same_as_sequential($node, 't', '<->', [ random_queries(2, $dims, 5) ], 100, 'after the run');
index_is_sound($node, 't_flat', 'after the run');

# scans that end in the middle: by a limit above the Gather, and by a timeout
$node->safe_psql('postgres', <<'SQL');
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM (SELECT FROM t WHERE embedding <-> '[0,0,0,0,0,0,0,0]' < 100 LIMIT 3) s;
SQL
my ($rc, $out, $error) = $node->psql('postgres', <<'SQL');
SET enable_seqscan = off;
SET enable_sort = off;
SET statement_timeout = '50ms';
SELECT count(pg_sleep(0.01)) FROM (SELECT FROM t ORDER BY embedding <-> '[1,2,3,4,5,6,7,8]' OFFSET 0) s;
SQL
like($error, qr/canceling statement due to statement timeout/, 'a timeout ends leader and workers');
ok( $node->poll_query_until(
		'postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'"),
	'no worker is left');

no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
