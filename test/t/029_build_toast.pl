# A build reads rows that were deleted and that somebody saw when it began.  Once
# nobody does their TOAST must stay, though vacuum of the TOAST table waits for no lock
# of the table itself.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $node = start_node('build_toast', conf => "autovacuum = off\nmax_parallel_maintenance_workers = 0");

load_vectors($node, 't', rows => 300, dims => 1000);
$node->safe_psql('postgres', 'ALTER TABLE t SET (autovacuum_enabled = off)');
my $toast = $node->safe_psql('postgres', "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 't'::regclass");
cmp_ok($node->safe_psql('postgres', "SELECT pg_relation_size('$toast')"), '>', 300 * 4000, 'the vectors are in the TOAST table');

foreach my $method ('vkflat', 'vkivf')
{
	my $old = start_sql($node, <<'SQL');
BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t; SELECT pg_advisory_lock(1); SELECT pg_sleep(600);
SQL
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND granted");
	$node->safe_psql('postgres', 'DELETE FROM t WHERE ctid IN (SELECT ctid FROM t LIMIT 100)');
	my $hold = start_sql($node, 'SELECT pg_advisory_lock(8191); SELECT pg_sleep(600);');
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 8191 AND granted");
	my $build = start_sql($node, "SET vkindex.test_point = 'build-row wait'; CREATE INDEX t_$method ON t USING $method (embedding);");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 8191 AND NOT granted");

	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1");
	finish_sql($old);
	my $vacuum = start_sql($node, "VACUUM $toast;");
	ok( $node->poll_query_until(
			'postgres', "SELECT count(*) = 1 FROM pg_locks WHERE relation = '$toast'::regclass AND NOT granted"),
		"$method: a vacuum of the TOAST table waits for the build");
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 8191 AND granted");
	finish_sql($hold);
	is(finish_sql($build), '', "$method: the index is made");
	is(finish_sql($vacuum), '', "$method: and then the TOAST is vacuumed");
	$node->safe_psql('postgres', 'VACUUM t');
	index_is_sound($node, "t_$method", "$method: the index is sound");
}
$node->stop;
done_testing();
