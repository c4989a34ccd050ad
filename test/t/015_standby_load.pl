# Standbys that follow a primary under load: when it pauses they answer as it
# does, to the last bit, and as their own sequential plans; meanwhile queries
# never lack a row.  One lets the primary know what its queries see
# (hot_standby_feedback), the other cancels queries that are in the way of
# recovery, which is the only error they may meet.  Standbys are killed, and one
# is promoted when the primary is.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(sleep);
use VkLoad;
use VkTest;

my $rounds = share(3, 45);
my $seconds = share(1.5, 10);
my $seed = seed();
my $primary = start_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
log_statement = none
wal_keep_size = 4GB
max_wal_size = 4GB
max_prepared_transactions = 20
CONF

make_world($primary);
$primary->backup('first');

# settings, and SQLSTATEs that its queries may meet
my %standby = (
	feedback => {
		conf => "hot_standby_feedback = on\nmax_standby_streaming_delay = -1\n",
		allowed => []
	},
	conflict => {
		conf => "hot_standby_feedback = off\nmax_standby_streaming_delay = 100ms\n",
		# and what follows in the transaction
		allowed => [ '40001', '25P02' ]
	});

foreach my $name (sort keys %standby)
{
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init_from_backup($primary, 'first', has_streaming => 1);
	# and little to replay after a kill, nor to keep
	$node->append_conf('postgresql.conf',
		$standby{$name}{conf} . "wal_receiver_status_interval = 1s\nmax_wal_size = 1GB\nwal_keep_size = 0\n");
	$node->start;
	$standby{$name}{node} = $node;
}

# A snapshot that grows old: whatever happens, both plans see the same rows.
my $reader = <<'SQL' x 2000;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM w;
SELECT count(*) FROM compare_all(NULL, false);
SELECT pg_sleep(random() * 0.4);
SELECT count(*) FROM compare_all(NULL, false);
COMMIT;
SQL

# A standby's queries take part in turns, since what one lets the primary know of
# keeps rows for both.  Where indexes are built or tables rewritten there are none:
# on a standby a new index of any method lacks what was deleted before it was
# built, and an older transaction uses it nevertheless.
my @kinds = (
	{ readers => 'feedback', load => {} },
	{ readers => 'conflict', load => {} },
	{ load => { ddl => 1, truncate => 1 } });
my %counts = (kills => 0, canceled => 0);

foreach my $round (1 .. $rounds)
{
	my $name = "round $round of $rounds (VK_SEED=$seed)";
	my $kind = $kinds[ ($round - 1) % @kinds ];
	my $reading = $standby{ $kind->{readers} // '' };

	mend_world($primary);

	my @load = start_load($primary, writer => 2, vacuum => 1, checkpoint => 1, %{ $kind->{load} });
	my @readers = $reading ? map { start_sql($reading->{node}, $reader) } 1 .. 3 : ();

	sleep($seconds);
	is(stop_load($reading->{node}, \@readers, @{ $reading->{allowed} }),
		'', "$name: queries on standby $kind->{readers}")
	  if $reading;
	$counts{canceled} += () = map { $_->{stderr} =~ /(?:ERROR|FATAL):  40001: /g } @readers;

	# one of them dies, and has to catch up
	my $victim = $standby{ (sort keys %standby)[ rand(2) ] }{node};
	kill_server($victim);
	sleep(rand(0.5));
	$victim->start;
	$counts{kills}++;

	is(stop_load($primary, \@load), '', "$name: load on the primary");
	mend_world($primary);

	my $there = fingerprint($primary);
	foreach my $standby (values %standby)
	{
		my $node = $standby->{node};

		$primary->wait_for_catchup($node, 'replay');
		is(fingerprint($node), $there, "$name: " . $node->name . ' answers as the primary');
		world_is_sound($node, "$name: " . $node->name . ' is sound', \%counts);
	}
	progress("$name: $counts{indexes} indexes sound, $counts{comparisons} comparisons");
}

# ---- the primary dies under load, and a standby takes its place

my @load = start_load($primary, writer => 2, vacuum => 1);
sleep(0.7);
kill_server($primary);
finish_load(@load);

my $promoted = $standby{feedback}{node};
$promoted->promote;
mend_world($promoted);
world_is_sound($promoted, 'promoted standby', \%counts);
@load = start_load($promoted, writer => 2, vacuum => 1, ddl => 1);
sleep(1);
is(stop_load($promoted, \@load), '', 'load on the promoted standby');
mend_world($promoted);
world_is_sound($promoted, 'promoted standby after a load', \%counts);

foreach my $node (map { $_->{node} } values %standby)
{
	no_crash_in_log($node, $node->name . ': no process died by itself');
	$node->stop;
}
verdict(sprintf(
		'replication: %d rounds of %.1f s with two standbys (VK_SEED=%d), %d standbys killed, 1 promoted, '
		  . '%d indexes checked, %d comparisons, %d queries canceled by recovery',
		$rounds, $seconds, $seed, $counts{kills}, $counts{indexes}, $counts{comparisons}, $counts{canceled}));
done_testing();
