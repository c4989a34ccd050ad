# A vacuum reads all pages of an index once, by its ring of buffers: what others have
# in shared_buffers stays there.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $node = start_node('vacuum_buffers', conf => "shared_buffers = 64MB\nautovacuum = off");

$node->safe_psql('postgres', 'CREATE EXTENSION pg_buffercache');
load_vectors($node, 't', rows => 20000, dims => 64);
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE t SET (autovacuum_enabled = off);
CREATE INDEX t_flat ON t USING vkflat (embedding) WITH (bits = 8);
CREATE INDEX t_ivf ON t USING vkivf (embedding) WITH (bits = 8, lists = 100, calibrate = 100);
SQL

foreach my $index ('t_flat', 't_ivf')
{
	$node->safe_psql('postgres', "DELETE FROM t WHERE id % 50 = length('$index')");
	$node->restart;
	# the ring of 17 and later is larger than the index
	$node->safe_psql('postgres', <<'SQL');
SELECT set_config(name, '256kB', false) FROM pg_settings WHERE name = 'vacuum_buffer_usage_limit';
VACUUM t;
SQL
	my ($pages, $kept) = split /\|/, $node->safe_psql('postgres', <<"SQL");
SELECT pg_relation_size('$index') / 8192,
	(SELECT count(*) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('$index'))
SQL
	cmp_ok($kept, '<', $pages / 2, "$index: $kept of $pages pages are in shared_buffers");
}
$node->stop;
done_testing();
