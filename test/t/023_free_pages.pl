# Pages that upkeep has freed are used again, also after a crash of the server and
# on a standby that was promoted, though changes of the free space map are not in WAL.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $primary = start_node('primary', allows_streaming => 1);

sub free_pages
{
	my ($node) = @_;

	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_freespace('t_ivf') WHERE avail > 0");
}

sub size
{
	my ($node) = @_;

	return $node->safe_psql('postgres', "SELECT pg_relation_size('t_ivf')");
}

# Rows fill free pages, and only these.
sub fill
{
	my ($node, $name) = @_;
	my $before = size($node);
	my $free = free_pages($node);

	$node->safe_psql('postgres', 'INSERT INTO t SELECT * FROM source WHERE id <= 2000');
	cmp_ok(free_pages($node), '<', $free, "$name: free pages are used");
	is(size($node), $before, "$name: the index does not grow");
	index_is_sound($node, 't_ivf', "$name: it is sound");
	return;
}

$primary->safe_psql('postgres', 'CREATE EXTENSION pg_freespacemap');
load_vectors($primary, 'source', rows => 6000, dims => 24);
$primary->safe_psql('postgres', <<'SQL');
CREATE TABLE t AS SELECT * FROM source;
CREATE INDEX t_ivf ON t USING vkivf (embedding) WITH (lists = 50, calibrate = 0);
SQL
$primary->backup('first');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'first', has_streaming => 1);
$standby->start;

# the first retires the lists, the second one recycles them
$primary->safe_psql('postgres', 'CHECKPOINT; DELETE FROM t');
foreach (1 .. 2)
{
	$primary->safe_psql('postgres', 'VACUUM t');
	# has a number, and waits until all that was logged before is on disk
	$primary->safe_psql('postgres', "SELECT pg_logical_emit_message(true, 'test', '')");
}
my $free = free_pages($primary);
cmp_ok($free, '>', 50, 'there are free pages');

$primary->stop('immediate');
$primary->start;
is(free_pages($primary), $free, 'they are known after a crash');

$primary->wait_for_catchup($standby, 'replay');
$standby->promote;
is(free_pages($standby), $free, 'they are known on a standby');
fill($standby, 'the new primary');
fill($primary, 'after a crash');

$standby->stop;
$primary->stop;
done_testing();
