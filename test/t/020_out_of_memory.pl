# Memory that runs out at any moment of a build, scan, insert, vacuum or check:
# the statement fails with "out of memory" and nothing else does.
#
# VK_MALLOC_POINTS   at how many moments of each statement; 0: at each

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

plan skip_all => 'a sanitizer has a malloc of its own' if defined $ENV{ASAN_OPTIONS};
plan skip_all => 'libgcov does not look what malloc gives it at the end of a process'
  if ($ENV{VKTEST_CC} // '') =~ /--coverage/;

my $points = $ENV{VK_MALLOC_POINTS} // 12;
my $library = build_module('malloc_failure');
my $most = 1_000_000_000;
my $dims = 48;
my ($query) = random_queries(1, $dims, 3);
my $node;

{
	local $ENV{LD_PRELOAD} = $library;
	$node = start_node('memory', conf => <<'CONF');
max_parallel_maintenance_workers = 0
max_wal_size = 2GB
log_min_messages = fatal
log_min_error_statement = panic
CONF
}
$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION malloc_failure_arm(bigint, boolean) RETURNS void AS '$library' LANGUAGE C STRICT;
CREATE FUNCTION malloc_failure_disarm(boolean) RETURNS bigint AS '$library' LANGUAGE C STRICT;
SQL
is( $node->safe_psql('postgres', "SELECT malloc_failure_arm($most, false); SELECT malloc_failure_disarm(false) < $most"),
	"\nt", 'allocations are counted');
load_vectors($node, 't', rows => 2500, dims => $dims);
$node->safe_psql('postgres',
	"INSERT INTO t VALUES (0, NULL), (-1, array_fill(0::real, ARRAY[$dims])::f32vec)");
make_indexes($node, 't');
$node->safe_psql('postgres', 'ALTER TABLE t SET (vacuum_truncate = off)');

# name => [ statement, what undoes it, settings beside enable_seqscan = off ]
my $nearest = "ORDER BY embedding %s '$query'";
my $flat = sprintf($nearest, '<->');
my $ivf = sprintf($nearest, '<=>');
my $parallel = "SET max_parallel_maintenance_workers = 2; SET min_parallel_table_scan_size = 0;\n"
  . 'ALTER TABLE t SET (parallel_workers = 2)';
my @statements = (
	[ 'nearest rows', "SELECT FROM t $flat LIMIT 10" ],
	[ 'nearest rows of lists', "SELECT FROM t $ivf LIMIT 10" ],
	[ 'all rows', "SELECT FROM t $ivf OFFSET 10000", '', "SET work_mem = '64kB'" ],
	[ 'filter', "SELECT FROM t WHERE (id % 7)::int = 3 $flat LIMIT 10" ],
	[ 'range', "SELECT FROM t WHERE embedding <-> '$query' < 3.5" ],
	[ 'bitmap', "SELECT FROM t WHERE embedding <<->> vk_sphere('$query', 4)", '', 'SET enable_indexscan = off' ],
	[ 'insert', "INSERT INTO t SELECT 9000 + i, random_vector($dims) FROM generate_series(1, 40) i" ],
	[ 'insert of NULL', 'INSERT INTO t VALUES (9999, NULL)' ],
	[ 'vacuum', 'VACUUM t', 'DELETE FROM t WHERE id > 2500' ],
	[ 'vk_check of all', "SELECT vk_check('t_ivf', true)" ],
	[
		'build of vkflat', 'CREATE INDEX t_new ON t USING vkflat (embedding f32vec_l2_ops, (id::text))',
		'DROP INDEX IF EXISTS t_new'
	],
	[
		'build of vkivf', 'CREATE INDEX t_new ON t USING vkivf (embedding f32vec_l2_ops) WITH (lists = 8, bits = 1, refine = 4)',
		'DROP INDEX IF EXISTS t_new'
	],
	[ 'REINDEX', 'REINDEX INDEX t_ip' ],
	[
		'parallel build, in the leader', 'CREATE INDEX t_new ON t USING vkivf (embedding f32vec_l2_ops) WITH (lists = 8)',
		'DROP INDEX IF EXISTS t_new', $parallel
	],
	[
		'parallel build, in a worker', 'CREATE INDEX t_new ON t USING vkivf (embedding f32vec_l2_ops) WITH (lists = 8)',
		'DROP INDEX IF EXISTS t_new', $parallel, 1
	],
	[
		'parallel build of vkflat, in a worker', 'CREATE INDEX t_new ON t USING vkflat (embedding f32vec_l2_ops)',
		'DROP INDEX IF EXISTS t_new', $parallel, 1
	]);

my %functions = index_functions($node);

splice @statements, 9, 0, map { [ $_, "SELECT FROM $_('t_ivf')", "DELETE FROM t WHERE id % 10 = 1 AND id > 100" ] }
  grep { $functions{$_} eq 'index' } sort keys %functions;

# A script that runs a statement once for each n, the n-th allocation failing.
# It tells how many allocations were left; what fails is on stderr.  The commit
# is spared: there core removes files, and cannot go back when it fails.
sub failing_sql
{
	my ($statement, @numbers) = @_;
	my ($name, $text, $undo, $settings, $in_worker) = @$statement;
	my $workers = $in_worker ? 'true' : 'false';
	my $sql = "SET enable_seqscan = off;\n" . ($settings ? "$settings;\n" : '');

	# twice without failures: caches are filled, and allocations counted
	foreach my $n ($most, $most, @numbers)
	{
		$sql .= "\\warn case $n\n" . ($undo ? "$undo;\n" : '');
		$sql .= "BEGIN;\n" if $text !~ /^VACUUM/;
		$sql .= "SELECT malloc_failure_arm($n, $workers) \\g /dev/null\n$text \\g /dev/null\n";
		$sql .= "SELECT malloc_failure_disarm($workers) \\g /dev/null\nCOMMIT;\n" if $text !~ /^VACUUM/;
		$sql .= "SELECT malloc_failure_disarm($workers);\n";
	}
	return $sql . ($undo ? "$undo;\n" : '') . "\\warn end\n";
}

# what failed, by the number of the allocation; and the answers
sub run_failing
{
	my ($statement, @numbers) = @_;
	my $session = start_sql($node, failing_sql($statement, @numbers));
	my $stderr = finish_sql($session);
	my @left = grep { /^\d+$/ } split /\n/, $session->{stdout};
	my @wrong;
	my $failed = 0;

	push @wrong, "the session ended: $stderr" unless $stderr =~ /^end$/m;
	foreach my $part (split /^case /m, $stderr)
	{
		my ($n, $said) = split /\n/, $part, 2;

		foreach my $line (grep { /ERROR:|FATAL:|PANIC:|WARNING:/ } split /\n/, $said // '')
		{
			$line =~ s/^psql:\S+:\d+: //;
			if ($line =~ /^ERROR:  53200: out of memory/)
			{
				$failed++;
			}
			# the transaction is aborted
			elsif ($line !~ /^ERROR:  25P02/)
			{
				push @wrong, "allocation $n: $line";
			}
		}
	}
	return (\@wrong, \@left, $failed);
}

my ($runs, $failures) = (0, 0);
foreach my $statement (@statements)
{
	my ($wrong, $left) = run_failing($statement);
	my $count = $most - ($left->[1] // 0);
	my $step = $points > 0 && $count > $points ? $count / $points : 1;
	# moments at even distances, from the first to the last
	my @numbers = map { 1 + int($_ * $step) } 0 .. int(($count - 1) / $step);
	my $failed;

	is("@$wrong", '', "$statement->[0]: runs without failures, with $count allocations");
	($wrong, $left, $failed) = run_failing($statement, @numbers);
	ok(!@$wrong, "$statement->[0]: " . @numbers . " of $count allocations fail, $failed errors")
	  or diag(join("\n", @$wrong > 10 ? @$wrong[ 0 .. 9 ] : @$wrong));
	$runs += @numbers;
	$failures += $failed;
}
note("$runs runs with a failing allocation, $failures errors");
cmp_ok($failures, '>', $runs / 3, 'many of them fail');

$node->safe_psql('postgres', 'VACUUM t');
table_is_sound($node, 't', [ random_queries(2, $dims, 5) ], 50, 'afterwards');
no_crash_in_log($node, 'no process died');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_buffercache');
# where the removal of a temporary directory was what failed, core leaves it to
# the next start
$node->restart;
nothing_left($node, 'afterwards');
$node->stop;
done_testing();
