# Mixes of sessions by pgbench, at length in `make stress`: inserts, deletes,
# updates, queries, VACUUM, builds, list operations.  Every query is compared with
# the sequential plan under its own snapshot, and in the end all indexes are sound.

use strict;
use warnings FATAL => 'all';

use Test::More;
use VkLoad;
use VkTest;

my $cycles = share(1, 10);
my $seconds = share(3, 20);
my $seed = seed();
my $node = start_node('mixes', conf => <<'CONF');
log_statement = none
deadlock_timeout = 100ms
max_wal_size = 4GB
max_prepared_transactions = 20
max_worker_processes = 16
max_parallel_workers = 8
CONF
my %counts = (transactions => 0, mixes => 0);

make_world($node);

sub readers
{
	my ($prefix, $weight, @names) = @_;

	return
	  map { ("${prefix}_read_$_\@$weight" => "SELECT count(*) FROM compare_all('{$_}', false);\n") } @names;
}

# A snapshot that grows old while others write and vacuum, and cursors
my %old = (
	'016_old@2' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT count(*) FROM small;\n\\sleep 150 ms\n"
	  . "SELECT count(*) FROM compare_all('{small_l2,small_cosine}', false);\nCOMMIT;\n",
	'016_cursor@2' => "BEGIN;\nSET LOCAL enable_seqscan = off;\nSET LOCAL enable_sort = off;\n"
	  . "DECLARE c CURSOR FOR SELECT id FROM small ORDER BY embedding <-> random_vector($VkLoad::dims);\n"
	  . "FETCH 5 FROM c;\n\\sleep 50 ms\nFETCH 300 FROM c;\nCOMMIT;\n");

# Many sessions on few rows, all in one place; whatever is deleted comes back
my $near = "array_fill(2::real, ARRAY[$VkLoad::dims])::f32vec + random_vector($VkLoad::dims) "
  . "* array_fill(0.01::real, ARRAY[$VkLoad::dims])::f32vec";
my %churn = (
	'016_near@6' => "INSERT INTO small (kind, embedding) SELECT any_kind(), $near FROM generate_series(1, 30);\n",
	'016_gone@3' => "\\set n random(0, 3)\nDELETE FROM small WHERE id IN "
	  . "(SELECT id FROM small WHERE id % 4 = :n FOR UPDATE SKIP LOCKED);\n",
	'016_move@2' => "\\set n random(0, 40)\nUPDATE small SET embedding = $near WHERE id IN "
	  . "(SELECT id FROM small WHERE id % 41 = :n FOR UPDATE SKIP LOCKED);\n",
	'016_vacuum@1' => "SELECT pg_try_advisory_lock(1)::int AS mine \\gset\n"
	  . "\\if :mine\nVACUUM small;\nSELECT pg_advisory_unlock(1);\n\\endif\n");

# Each: settings of its sessions, its scripts, sessions of the load that run beside
# it.  pgbench waits for the answer when it prepares a statement, and all clients of
# its thread with it: nothing may lock a table exclusively then.
my @mixes = (
	{
		name => 'everything at once',
		protocols => [ 'simple', 'extended' ],
		scripts => { pgbench_scripts('016', 'writer'), readers('016', 1, sort keys %VkLoad::indexes), %old },
		load => { vacuum => 1, ddl => 1 }
	},
	{
		name => 'churn in one place',
		protocols => [ 'simple', 'extended' ],
		scripts => { %churn, %old, readers('016', 2, 'small_l2', 'small_cosine') },
		load => { truncate => 1 }
	},
	{
		name => 'serializable, with parallel scans',
		protocols => [ 'prepared', 'extended' ],
		settings => '-c default_transaction_isolation=serializable -c parallel_setup_cost=0 '
		  . '-c parallel_tuple_cost=0 -c min_parallel_index_scan_size=0 -c min_parallel_table_scan_size=0',
		scripts => { pgbench_scripts('016', 'writer'), readers('016', 4, 'w_l2', 'w_cosine', 'small_cosine') },
		load => { vacuum => 1 }
	});

foreach my $cycle (1 .. $cycles)
{
	foreach my $mix (@mixes)
	{
		my $protocol = $mix->{protocols}[ rand(2) ];
		my $clients = 4 + int(rand(8));
		my $name = "cycle $cycle of $cycles (VK_SEED=$seed): $mix->{name}, $protocol, $clients clients";
		# a file name is used once
		my %scripts = map { my $file = $_; $file =~ s/^016/016_$counts{mixes}/; ($file => $mix->{scripts}{$_}) }
		  keys %{ $mix->{scripts} };
		my @load = start_load($node, %{ $mix->{load} });
		my $before = $node->safe_psql('postgres', 'SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()');

		{
			local $ENV{PGOPTIONS} = $mix->{settings} // '';
			# deadlocks and serialization failures are tried again
			$node->pgbench(
				"--no-vacuum --client=$clients --jobs=2 --time=$seconds --max-tries=0 --protocol=$protocol",
				0, [qr{actually processed}], [qr{^$}], $name, \%scripts);
		}
		is(stop_load($node, \@load), '', "$name: sessions beside it");
		mend_world($node);
		world_is_sound($node, "$name: all is sound", \%counts);
		$counts{mixes}++;
		$counts{transactions} -= $before;
		$counts{transactions} +=
		  $node->safe_psql('postgres', 'SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()');
		progress("$name: $counts{indexes} indexes sound, $counts{comparisons} comparisons");
	}
}

no_crash_in_log($node, 'no process died');
verdict(sprintf(
		'mixes: %d s in %d mixes (VK_SEED=%d), %d transactions, %d indexes checked, %d comparisons in the end of each',
		$counts{mixes} * $seconds, $counts{mixes}, $seed, $counts{transactions}, $counts{indexes}, $counts{comparisons}));
$node->stop;
done_testing();
