# Copies of a server under load: pg_basebackup while it runs, recovery to a named
# restore point, and logical replication into a server with indexes and a load of
# its own.  What comes out answers as its tables do.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(sleep);
use VkLoad;
use VkTest;

my $rounds = share(1, 15);
my $seconds = share(1.0, 8);
my $seed = seed();
my $conf = <<'CONF';
log_statement = none
max_wal_size = 4GB
max_prepared_transactions = 20
wal_retrieve_retry_interval = 100ms
CONF
my $source = start_node(
	'source',
	allows_streaming => 'logical',
	has_archiving => 1,
	conf => $conf);
my $subscriber = start_node('subscriber', conf => $conf);
my %counts;

make_world($source);
make_world($subscriber, empty => 1);
$source->safe_psql('postgres', 'CREATE PUBLICATION world FOR TABLE w, small, wide');
my $connection = $source->connstr('postgres') =~ s/'/''/gr;
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION world CONNECTION '$connection' PUBLICATION world");
$subscriber->wait_for_subscription_sync($source, 'world');

# A copy of the source as it was at a restore point
sub restored
{
	my ($backup, $point) = @_;
	my $node = PostgreSQL::Test::Cluster->new("at_$point");

	$node->init_from_backup($source, $backup, has_restoring => 1, standby => 0);
	$node->append_conf('postgresql.conf', <<"CONF");
recovery_target_name = '$point'
recovery_target_action = promote
archive_mode = off
CONF
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery did not end';
	return $node;
}

sub end
{
	my ($node) = @_;

	$node->stop('immediate');
	$node->clean_node;
	return;
}

foreach my $round (1 .. $rounds)
{
	my $name = "round $round of $rounds (VK_SEED=$seed)";
	my @own = start_load($subscriber, vacuum => 1, reader => 1, ddl => $round % 2);
	my @load = start_load($source, writer => 2, vacuum => 1, ddl => 1, truncate => $round % 2);

	# while rows come and go, and indexes
	sleep($seconds);
	$source->backup("backup_$round");
	sleep($seconds);
	is(stop_load($source, \@load), '', "$name: load on the source");
	mend_world($source);

	my $quiet = fingerprint($source);
	$source->safe_psql('postgres', "SELECT pg_create_restore_point('quiet_$round')");

	# the subscriber, whose own sessions end when it has caught up
	$source->wait_for_catchup('world');
	is(stop_load($subscriber, \@own), '', "$name: load on the subscriber");
	is(fingerprint($subscriber, 1), fingerprint($source, 1), "$name: the subscriber has the rows");
	mend_world($subscriber);
	world_is_sound($subscriber, "$name: the subscriber is sound", \%counts);
	$source->wait_for_catchup('world');

	# a point in the middle of the next load
	@load = start_load($source, writer => 2, vacuum => 1, ddl => 1);
	sleep(rand($seconds));
	$source->safe_psql('postgres', "SELECT pg_create_restore_point('busy_$round')");
	sleep(0.2);
	is(stop_load($source, \@load), '', "$name: another load on the source");
	mend_world($source);
	$source->safe_psql('postgres', 'SELECT pg_switch_wal()');

	# as the backup is, without a target
	my $copy = PostgreSQL::Test::Cluster->new("copy_$round");
	$copy->init_from_backup($source, "backup_$round");
	$copy->append_conf('postgresql.conf', "archive_mode = off\n");
	$copy->start;
	mend_world($copy);
	world_is_sound($copy, "$name: a base backup is sound", \%counts);
	end($copy);

	my $at_quiet = restored("backup_$round", "quiet_$round");
	is(fingerprint($at_quiet), $quiet, "$name: the quiet restore point answers as it did");
	world_is_sound($at_quiet, "$name: the quiet restore point is sound", \%counts);
	end($at_quiet);

	my $at_busy = restored("backup_$round", "busy_$round");
	mend_world($at_busy);
	world_is_sound($at_busy, "$name: the busy restore point is sound", \%counts);
	end($at_busy);

	progress("$name: $counts{indexes} indexes sound, $counts{comparisons} comparisons");
}

world_is_sound($source, 'the source is sound', \%counts);
no_crash_in_log($_, $_->name . ': no process died') foreach ($source, $subscriber);
verdict(sprintf(
		'backup: %d rounds (VK_SEED=%d), in each a base backup, two restore points and a subscriber, '
		  . '%d indexes checked, %d comparisons',
		$rounds, $seed, $counts{indexes}, $counts{comparisons}));
$subscriber->stop;
$source->stop;
done_testing();
