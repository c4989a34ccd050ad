#-------------------------------------------------------------------------
#
# VkTest.pm
#	  What the TAP tests of vkindex share.
#
# NOTES
#	  The tests run by PostgreSQL's own PostgreSQL::Test::Cluster.  Every
#	  helper that checks something is one test, named by its last argument.
#
# IDENTIFICATION
#	  test/t/VkTest.pm
#
#-------------------------------------------------------------------------
package VkTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  start_node
  load_vectors
  random_queries
  answer
  same_as_sequential
  index_is_sound
);

# start_node($name, conf => "...", extension => 0, init params...)
#
# A running server with the extension in database postgres.  The settings make
# small tests fast and take nothing away from crash tests: what is written is
# still written, only not forced to the disk, which does not fail here.
sub start_node
{
	my ($name, %params) = @_;
	my $conf = delete $params{conf} // '';
	my $extension = delete $params{extension} // 1;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		%params,
		extra => [ '--locale=C.UTF-8', '--encoding=UTF8', @{ $params{extra} // [] } ]);
	$node->append_conf('postgresql.conf', <<"CONF");
shared_buffers = 64MB
maintenance_work_mem = 64MB
max_connections = 40
autovacuum = off
jit = off
$conf
CONF
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION vkindex') if $extension;
	return $node;
}

# load_vectors($node, $table, rows => N, dims => N, seed => 0.5, first => 1,
#			   options => "")
#
# Creates the table (id bigint, embedding f32vec) unless it is there, and adds
# the rows first .. first + rows - 1; the same seed gives the same vectors.
# options stands after CREATE: "UNLOGGED", for one.
sub load_vectors
{
	my ($node, $table, %params) = @_;
	my $first = $params{first} // 1;
	my $last = $first + $params{rows} - 1;
	my $seed = $params{seed} // 0.5;
	my $options = $params{options} // '';

	$node->safe_psql('postgres', <<"SQL");
SET client_min_messages = warning;
CREATE $options TABLE IF NOT EXISTS $table (id bigint, embedding f32vec($params{dims}));
SELECT setseed($seed);
INSERT INTO $table
SELECT i, (SELECT array_agg((random() * 2 - 1 + (i + j) * 0)::real)
           FROM generate_series(1, $params{dims}) j)::f32vec
FROM generate_series($first, $last) i;
SQL
	return;
}

# random_queries($number, $dims, $seed): text forms, the same for a seed
sub random_queries
{
	my ($number, $dims, $seed) = @_;
	my $state = $seed;
	my $next = sub {
		$state = ($state * 1103515245 + 12345) % 2147483648;
		return sprintf('%.5f', $state / 1073741824 - 1);
	};

	return map { '[' . join(',', map { $next->() } 1 .. $dims) . ']' } 1 .. $number;
}

# answer($node, $sql, $setting, ...): rows of a query, each "id|distance",
# under settings of its own
sub answer
{
	my ($node, $sql, @settings) = @_;
	my $set = join('', map { "SET $_;\n" } @settings);

	return split(/\n/, $node->safe_psql('postgres', $set . $sql));
}

sub nearest_sql
{
	my ($table, $operator, $query, $limit) = @_;
	my $distance = "embedding $operator '$query'";

	return "SELECT id, $distance FROM $table ORDER BY $distance LIMIT $limit";
}

# Ids of the rows nearer than the last one; that many of the last distance are
# left out as may be ties.
sub certain_ids
{
	my @rows = map { [ split /\|/, $_, -1 ] } @_;

	return () unless @rows;
	my $last = $rows[-1][1];
	return sort map { $_->[0] } grep { $_->[1] ne $last } @rows;
}

# same_as_sequential($node, $table, $operator, \@queries, $limit, $name)
#
# The index gives, position by position, the distances of the sequential plan
# to the last bit, and the same rows where no tie leaves a choice.
sub same_as_sequential
{
	my ($node, $table, $operator, $queries, $limit, $name) = @_;
	my @by_index = ('enable_seqscan = off', 'enable_sort = off', 'vkindex.target_recall = 1');
	my @by_table = ('enable_indexscan = off', 'enable_bitmapscan = off');

	foreach my $query (@$queries)
	{
		my $sql = nearest_sql($table, $operator, $query, $limit);
		my $plan = join("\n", answer($node, "EXPLAIN (COSTS OFF) $sql", @by_index));

		if ($plan !~ /Index Scan/)
		{
			fail($name);
			diag("no index scan in the plan:\n$plan");
			return 0;
		}

		my @index = answer($node, $sql, @by_index);
		my @table = answer($node, $sql, @by_table);
		my $index_distances = join(' ', map { (split /\|/, $_, -1)[1] } @index);
		my $table_distances = join(' ', map { (split /\|/, $_, -1)[1] } @table);
		my $index_ids = join(' ', certain_ids(@index));
		my $table_ids = join(' ', certain_ids(@table));

		if ($index_distances ne $table_distances || $index_ids ne $table_ids)
		{
			fail($name);
			diag("query $query\nindex: @index\ntable: @table");
			return 0;
		}
	}
	return pass($name);
}

# index_is_sound($node, $index, $name): vk_check finds nothing, and the index
# has every row of its table once
sub index_is_sound
{
	my ($node, $index, $name) = @_;
	my ($rc, $stdout, $stderr) =
	  $node->psql('postgres', "SELECT vk_check('$index', heapallindexed => true)");

	is($rc, 0, $name) or diag("$stdout\n$stderr");
	return $rc == 0;
}

1;
