#-------------------------------------------------------------------------
#
# 025_citus.pl
#	  A distributed table of Citus: indexes of ours on its shards.
#
# NOTES
#	  A coordinator and two workers.  Skipped where the server does not have
#	  Citus.  What is returned is compared with the same rows in an own table.
#
# IDENTIFICATION
#	  test/t/025_citus.pl
#
#-------------------------------------------------------------------------
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use VkTest;

# beside the programs: as an own build of the server has it, or as Debian does
chomp(my $bindir = `dirname "\$(command -v postgres)"`);
my @places = ("$bindir/../share/extension", glob "$bindir/../../../../share/postgresql/*/extension");

plan skip_all => 'the server does not have Citus' unless grep { -e "$_/citus.control" } @places;

my $conf = "shared_preload_libraries = 'citus'\ncitus.shard_count = 4\nwal_level = logical\n"
  . "citus.node_conninfo = 'sslmode=prefer'\nauto_explain.log_min_duration = -1\n";
my %node = map { $_ => start_node($_, conf => $conf, extension => 0) } qw(coordinator worker1 worker2);
my $sql = sub { return $node{coordinator}->safe_psql('postgres', shift) };

foreach my $name (sort keys %node)
{
	$node{$name}->safe_psql('postgres', 'CREATE EXTENSION citus; CREATE EXTENSION vkindex');
}
$sql->("SELECT citus_set_coordinator_host('" . $node{coordinator}->host . "', " . $node{coordinator}->port . ')');
$sql->("SELECT citus_add_node('" . $_->host . "', " . $_->port . ')') foreach @node{qw(worker1 worker2)};

# ------------------------------------------------------------ a distributed table

$sql->(<<'SQL');
CREATE TABLE everything (id int, kind int, embedding f32vec(16));
SELECT setseed(0.5);
INSERT INTO everything
SELECT n, n % 10, (SELECT array_agg((random() * 2 - 1 + (n + j) * 0)::real) FROM generate_series(1, 16) j)
FROM generate_series(1, 6000) n;
CREATE TABLE items (id int, kind int, embedding f32vec(16));
SELECT create_distributed_table('items', 'id');
INSERT INTO items SELECT * FROM everything;
CREATE INDEX items_flat ON items USING vkflat (embedding, kind);
ANALYZE items;
SQL

foreach my $query (random_queries(5, 16, 3))
{
	foreach my $where ('true', 'kind = 3', "embedding <-> '$query' < 2")
	{
		my $answer = "SELECT id, embedding <-> '$query' AS distance FROM %s WHERE $where ORDER BY distance LIMIT 10";

		is($sql->(sprintf $answer, 'items'), $sql->(sprintf $answer, 'everything'), 'answers of one table');
	}
}

my ($query) = random_queries(1, 16, 5);
my $plan = $sql->(<<"SQL");
SET citus.explain_all_tasks = on;
SET citus.propagate_set_commands = 'local';
BEGIN;
SET LOCAL enable_seqscan = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, embedding <-> '$query' AS distance FROM items ORDER BY distance LIMIT 10;
SQL
is(scalar(() = $plan =~ /LIMIT '?10/g), 4, 'the LIMIT goes to each shard');
is(scalar(() = $plan =~ /Index Scan using items_flat_\d+/g), 4, "each shard answers by its index");

done_testing();
