# Parallel builds: workers take part; a cancel, the end of a worker or an error
# in one leaves nothing behind, in any phase; a killed worker costs the build
# and nothing else; memory stays within its bound.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $dims = 64;
my @queries = random_queries(2, $dims, 43);
my $node = start_node('parallel_build',
	conf => "max_parallel_maintenance_workers = 2\nmax_parallel_workers = 8\n"
	  . "max_worker_processes = 8\nlog_min_messages = debug1\nrestart_after_crash = on");

sub sql
{
	return $node->safe_psql('postgres', shift);
}

sql('CREATE EXTENSION pg_buffercache');
load_vectors($node, 't', rows => 30000, dims => $dims);
sql('ALTER TABLE t SET (autovacuum_enabled = off, parallel_workers = 2)');

# Waits for a build's phase, and then for a worker of it: its process, or null
# where the phase is over before.
sql(<<'SQL');
CREATE FUNCTION worker_in_phase(wanted text, terminate boolean) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	leader integer := wait_for_phase('create_index', wanted);
	worker integer;
BEGIN
	LOOP
		PERFORM pg_stat_clear_snapshot();
		SELECT pid INTO worker FROM pg_stat_activity WHERE leader_pid = leader AND pid <> leader;
		IF worker IS NOT NULL AND terminate THEN
			PERFORM pg_terminate_backend(worker);
		END IF;
		EXIT WHEN worker IS NOT NULL OR NOT EXISTS
			(SELECT FROM pg_stat_progress_create_index WHERE pid = leader AND phase LIKE wanted);
	END LOOP;
	RETURN worker;
END $$;
SQL

my %build = (
	flat => 'CREATE INDEX t_new ON t USING vkflat (embedding f32vec_l2_ops) '
	  . 'WITH (bits = 2, refine = 8)',
	ivf => 'CREATE INDEX t_new ON t USING vkivf (embedding f32vec_cosine_ops) '
	  . 'WITH (lists = 400, bits = 2, refine = 4)');
my %phases = (
	flat => ['assigning rows'],
	ivf => [ 'sampling table', 'computing centroids', 'assigning rows', 'writing index', 'calibrating recall' ]);

foreach my $method (sort keys %build)
{
	sql("$build{$method}; DROP INDEX t_new");
}
my @built = slurp_file($node->logfile) =~ /index "t_new" is built by 3 processes/g;
is(scalar(@built), 2, 'both methods are built by three processes');

# each process sorts within the same share of what all hold in common leaves
my $logged = -s $node->logfile;

sql("SET maintenance_work_mem = '8MB'; SET trace_sort = on; $build{ivf}; DROP INDEX t_new");
my @shares = slurp_file($node->logfile, $logged) =~ /begin tuple sort: .*workMem = (\d+)/g;
cmp_ok(scalar(@shares), '>', 2, 'processes sort, and the leader merges');
is(join(' ', @shares), join(' ', ($shares[0]) x @shares), 'all with as much memory');

# without a worker to be had
sql("SET max_parallel_workers = 0; $build{ivf}");
index_is_sound($node, 't_new', 'a build that finds no worker');
sql('DROP INDEX t_new');

# ---- cancel of the leader, end of a worker

my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->set_query_timer_restart;

my %disturbance = (
	cancel => [ "SELECT wait_for_phase('create_index', '%%: %s', true)", qr/canceling statement/ ],
	'end of a worker' => [ "SELECT worker_in_phase('%%: %s', true)", qr/terminating/ ]);

foreach my $kind (sort keys %disturbance)
{
	my ($hunt, $error) = @{ $disturbance{$kind} };

	foreach my $method (sort keys %build)
	{
		foreach my $phase (@{ $phases{$method} })
		{
			my $name = "$kind of $method while $phase";

			# a phase may be over before, and a worker that has nothing to do
			# meanwhile may be gone: many attempts
			foreach my $attempt (1 .. 60)
			{
				my $hunter = start_sql($node, sprintf($hunt, $phase));

				$session->{stderr} = '';
				$session->query($build{$method});
				finish_sql($hunter);
				last if $session->{stderr} ne '';
				$session->query_safe('DROP INDEX t_new');
			}
			like($session->{stderr}, $error, $name);
			$session->{stderr} = '';
			is(sql("SELECT count(*) FROM pg_class WHERE relname = 't_new'"),
				0, "$name: no index is left");
			nothing_left($node, $name);
			is( $session->query(
					q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name ILIKE '%vkindex%'}),
				0,
				"$name: no memory is left");
		}
	}
}
$session->quit;

# ---- an error of the data, which a worker or the leader meets

sql(<<"SQL");
CREATE TABLE bad (id bigint, embedding real[]) WITH (parallel_workers = 2);
INSERT INTO bad SELECT id, embedding::real[] FROM t LIMIT 10000;
INSERT INTO bad VALUES (0, '{1,2,3}');
SQL
foreach my $method ('vkflat', 'vkivf')
{
	my (undef, undef, $stderr) =
	  $node->psql('postgres', "CREATE INDEX ON bad USING $method ((embedding::f32vec($dims)))");

	like($stderr, qr/expected $dims dimensions, not 3/, "$method: error of a row during a build");
}
nothing_left($node, 'error during a build');
no_crash_in_log($node, 'no process died');

# ---- a worker that is killed

foreach my $phase ('computing centroids', 'assigning rows', 'calibrating recall')
{
	my $build = start_sql($node, $build{ivf});
	my $worker = sql("SELECT worker_in_phase('%: $phase', false)");

	kill 'KILL', $worker if $worker;
	finish_sql($build);
	like($build->{stderr}, qr/server closed the connection|terminating connection/,
		"a worker is killed while $phase");
	wait_until_up($node);
	is(sql("SELECT count(*) FROM pg_class WHERE relname = 't_new'"), 0, 'no index is left');
}
make_indexes($node, 't');
table_is_sound($node, 't', \@queries, 50, 'built after a crash');

# ---- lists that memory does not hold

my (undef, undef, $stderr) = $node->psql('postgres',
	"SET maintenance_work_mem = '1MB'; CREATE INDEX t_new ON t USING vkivf (embedding) WITH (lists = 2000)");
like($stderr, qr/NOTICE:  lists of index "t_new" are made from few rows/, 'a smaller sample, and a notice');
index_is_sound($node, 't_new', 'built from a smaller sample');
sql('DROP INDEX t_new');
(undef, undef, $stderr) = $node->psql('postgres',
	"SET maintenance_work_mem = '1MB'; CREATE INDEX t_new ON t USING vkivf (embedding) WITH (lists = 10000)");
like($stderr, qr/ERROR:  memory required is [0-9]+ MB/, 'even the least does not fit');

$node->stop;
done_testing();
