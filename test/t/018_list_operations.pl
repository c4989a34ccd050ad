# A list operation that crashes or fails at each of its points, while rows come and
# go: nothing of it is seen before its commit and all of it after, also on a
# standby; the next operation cleans up.  The situations are an index that has
# grown from nothing, lists that have become too long, lists that are nearly empty,
# a centre list with many lanes of no use, and one that is to become groups.
# `make stress` runs all combinations several times.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use VkLoad;
use VkTest;

my $times = share(1, 4);
my $seed = seed();
my $primary = start_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
log_statement = none
restart_after_crash = on
wal_consistency_checking = 'generic'
wal_keep_size = 4GB
wal_retrieve_retry_interval = 100ms
max_wal_size = 4GB
CONF

if (!has_tune($primary))
{
	$primary->stop;
	plan(skip_all => 'there are no list operations yet');
}

my @points = qw(operation-begun operation-made operation-closed operation-committed operation-stamped
  recycle-begun recycle-centers recycle-pages clean-up-begun clean-up-swept);
my $rows = "SELECT any_kind(), any_vector($VkLoad::dims) FROM generate_series";
my $elsewhere = "SELECT any_kind(), random_vector($VkLoad::dims) + array_fill(4::real, ARRAY[$VkLoad::dims])::f32vec "
  . 'FROM generate_series';

# all upkeep but that of the centre list
my $not_the_centers = <<'SQL';
SET vkindex.test_point = 'regroup-due error';
DO $$
BEGIN
	PERFORM vk_tune('%1$s_ivf');
	RAISE 'the centre list is well';
EXCEPTION WHEN internal_error THEN
END $$
SQL

# What makes an operation necessary: statements, with %s for the table
my %situations = (
	grown => [
		'CREATE INDEX %1$s_ivf ON %1$s USING vkivf (embedding f32vec_l2_ops, kind)',
		"INSERT INTO %1\$s (kind, embedding) $rows(1, 4500)"
	],
	long => [
		"INSERT INTO %1\$s (kind, embedding) $rows(1, 4500)",
		'CREATE INDEX %1$s_ivf ON %1$s USING vkivf (embedding f32vec_l2_ops, kind) WITH (calibrate = 0)',
		"INSERT INTO %1\$s (kind, embedding) $elsewhere(1, 3000)"
	],
	empty => [
		"INSERT INTO %1\$s (kind, embedding) $rows(1, 5000)",
		'CREATE INDEX %1$s_ivf ON %1$s USING vkivf (embedding f32vec_l2_ops, kind) WITH (calibrate = 0)',
		'DELETE FROM %1$s WHERE id %% 10 > 0',
		'VACUUM %1$s'
	],
	ranked => [
		"INSERT INTO %1\$s (kind, embedding) $rows(1, 4500)",
		'CREATE INDEX %1$s_ivf ON %1$s USING vkivf (embedding f32vec_l2_ops, kind) WITH (lists = 200, calibrate = 0)',
		'DELETE FROM %1$s',
		"INSERT INTO %1\$s (kind, embedding) $elsewhere(1, 4500)",
		"\\set ON_ERROR_STOP off\nSET vkindex.test_point = 'regroup-due error';\nVACUUM %1\$s",
		$not_the_centers
	],
	grouped => [
		"INSERT INTO %1\$s (kind, embedding) SELECT any_kind(), random_vector($VkLoad::dims) FROM generate_series(1, 16384)",
		'CREATE INDEX %1$s_ivf ON %1$s USING vkivf (embedding f32vec_l2_ops, kind) WITH (lists = 16384, calibrate = 0)',
		'ALTER INDEX %1$s_ivf SET (lists = 17000)',
		"INSERT INTO %1\$s (kind, embedding) $elsewhere(1, 2500)",
		$not_the_centers
	]);

make_functions($primary);
$primary->backup('first');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'first', has_streaming => 1);
$standby->append_conf('postgresql.conf', "hot_standby_feedback = off\n");
$standby->start;

my %counts = (cases => 0, reached => 0);
my %met;

sub sql
{
	return $primary->safe_psql('postgres', shift);
}

sub sound
{
	my ($table, $name) = @_;

	return world_is_sound($primary, $name, \%counts, ["${table}_ivf"]);
}

# Rows that come and go meanwhile
sub writer
{
	my ($table) = @_;

	return start_sql($primary, <<"SQL" x 2000);
INSERT INTO $table (kind, embedding) $rows(1, 3);
DELETE FROM $table WHERE id IN (SELECT id FROM $table WHERE id % 50 = (random() * 49)::int LIMIT 3);
SELECT pg_sleep(0.002);
SQL
}

# An operation that is to stop at a point; true where it got there.  What was
# retired by one is recycled by the next; cleaning up needs something to clean.
sub meets
{
	my ($table, $point, $action, $how) = @_;
	my %before = (
		recycle => "SELECT vk_tune('${table}_ivf'); INSERT INTO $table (kind, embedding) $rows(1, 5);",
		clean => "SET vkindex.test_point = 'operation-made error'; SELECT vk_tune('${table}_ivf');");
	my ($kind) = $point =~ /^([a-z]+)/;

	foreach my $attempt (1 .. 3)
	{
		my ($rc, $out, $err) = $primary->psql('postgres', $before{$kind} // '');

		($rc, $out, $err) = $primary->psql('postgres', "SET vkindex.test_point = '$point $action';\n$how;");
		return 1 if $action eq 'error' && $err =~ /test point "$point" was reached/;
		return 1 if $action eq 'crash' && $rc == 2;
		if ($rc != 0)
		{
			diag($err);
			return 0;
		}
		# it had nothing to do: more rows, elsewhere
		sql("INSERT INTO $table (kind, embedding) $elsewhere(1, 4000)");
	}
	return 0;
}

sub run_case
{
	my ($point, $action, $situation) = @_;
	my $table = 'l' . ++$counts{cases};
	my $how = rand() < 0.5 ? "SELECT vk_tune('${table}_ivf')" : "VACUUM $table";
	my $name = "$action at $point of an index that is $situation, by $how (VK_SEED=$seed)";

	sql("CREATE TABLE $table (id bigserial PRIMARY KEY, kind integer, embedding f32vec($VkLoad::dims)) "
		  . 'WITH (autovacuum_enabled = off)');
	sql(sprintf($_, $table)) foreach @{ $situations{$situation} };

	my $writer = writer($table);
	my $offset = -s $primary->logfile;
	my $reached = meets($table, $point, $action, $how);

	ok($reached, "$name: the point was reached");
	$counts{reached} += $reached;
	$met{$action}++;
	if ($action eq 'crash' && $reached)
	{
		wait_for_restart($primary, $offset);
		finish_load($writer);
		$writer = writer($table);
	}
	sleep(0.1);
	is(stop_load($primary, [$writer]), '', "$name: rows came and went");
	sound($table, "$name: what is left");

	# the next one cleans up, and is as any other
	foreach my $again ("SELECT vk_tune('${table}_ivf')", "INSERT INTO $table (kind, embedding) $rows(1, 300)",
		"VACUUM $table", "SELECT vk_tune('${table}_ivf')")
	{
		sql($again);
	}
	sound($table, "$name: cleaned up");
	$primary->wait_for_catchup($standby, 'replay');
	world_is_sound($standby, "$name: on the standby", \%counts, ["${table}_ivf"]);
	sql("DROP TABLE $table");
	progress("$counts{cases} cases: $name");
	return;
}

# Everything with everything, or in `make test` each point once
my @names = sort keys %situations;
my $turn = int(rand(@names));
my @cases;

foreach my $point (@points)
{
	if ($times > 1)
	{
		foreach my $action ('crash', 'error')
		{
			push @cases, map { [ $point, $action, $_ ] } @names;
		}
	}
	else
	{
		my $action = $point =~ /^operation/ || rand() < 0.5 ? 'crash' : 'error';

		push @cases, [ $point, $action, $names[ $turn++ % @names ] ];
	}
}
foreach my $time (1 .. $times)
{
	run_case(@$_) foreach @cases;
}

unlike(slurp_file($primary->logfile), qr/PANIC:|TRAP:/, 'no process panicked');
verdict(sprintf(
		'list operations: %d points stopped at (VK_SEED=%d; %s), %d indexes checked, %d comparisons',
		$counts{reached}, $seed,
		join(', ', map { "$_ $met{$_}" } sort keys %met),
		$counts{indexes}, $counts{comparisons}));
$standby->stop;
$primary->stop;
done_testing();
