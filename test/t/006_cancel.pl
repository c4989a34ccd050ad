# An error or a cancel in any phase of a build, an insert, a scan or a vacuum
# leaves nothing behind: no files, locks, pins or memory; the session goes on
# and the indexes are sound.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use VkTest;

my $dims = 64;
my @queries = random_queries(2, $dims, 41);
my $node = start_node('cancel');

sub sql
{
	return $node->safe_psql('postgres', shift);
}

sql('CREATE EXTENSION pg_buffercache');
load_vectors($node, 't', rows => 30000, dims => $dims);
sql('ALTER TABLE t SET (autovacuum_enabled = off)');

# ---- builds, canceled in each phase

# A session that lives on over all cancels
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->set_query_timer_restart;
$session->query_safe('SET maintenance_work_mem = \'16MB\'');

# on a busy machine the statement that ends the timeout may come too late itself
sub end_timeout
{
	1 while $session->query('SET statement_timeout = 0; SHOW statement_timeout') ne '0';
	return;
}

my %build = (
	flat => 'CREATE INDEX t_new ON t USING vkflat (embedding f32vec_l2_ops) '
	  . 'WITH (bits = 2, refine = 8)',
	ivf => 'CREATE INDEX t_new ON t USING vkivf (embedding f32vec_cosine_ops) '
	  . 'WITH (lists = 400, bits = 2, refine = 4)');
my %phases = (
	flat => [ 'sampling table', 'assigning rows', 'writing index' ],
	ivf => [
		'sampling table',
		'computing centroids',
		'assigning rows',
		'writing index',
		'calibrating recall'
	]);

foreach my $method (sort keys %build)
{
	foreach my $phase (@{ $phases{$method} })
	{
		my $name = "cancel of $method while $phase";

		# a phase may be over before the cancel arrives (vkflat writes its pages
		# while it assigns rows, so little is left to write): many attempts
		foreach my $attempt (1 .. 60)
		{
			my $hunter =
			  start_sql($node, "SELECT wait_for_phase('create_index', '%: $phase', true)");

			$session->{stderr} = '';
			$session->query($build{$method});
			finish_sql($hunter);
			last if $session->{stderr} ne '';
			$session->query_safe('DROP INDEX t_new');
		}
		like($session->{stderr}, qr/canceling statement due to user request/, $name);
		$session->{stderr} = '';
		is(sql("SELECT count(*) FROM pg_class WHERE relname = 't_new'"),
			0, "$name: no index is left");
		nothing_left($node, $name);
		is( $session->query(
				q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name ILIKE '%vkindex%' AND ident IS DISTINCT FROM 'kept'}),
			0,
			"$name: no memory is left");
	}

	# at any other point of time
	my $canceled = 0;
	foreach my $timeout (map { 2**$_ } 0 .. 9)
	{
		$session->{stderr} = '';
		$session->query("SET statement_timeout = $timeout; $build{$method}; RESET statement_timeout");
		end_timeout();
		$canceled++ if $session->{stderr} =~ /statement timeout/;
		$session->{stderr} = '';
		$session->query_safe(
			'SET client_min_messages = error; DROP INDEX IF EXISTS t_new; RESET client_min_messages');
	}
	cmp_ok($canceled, '>', 2, "$method: timeouts cancel the build");
	nothing_left($node, "timeouts in builds of $method");
}

# CONCURRENTLY leaves an invalid index, as with every method, which goes as usual
my $hunter = start_sql($node, q{SELECT wait_for_phase('create_index', '%assigning rows', true)});
$session->query('CREATE INDEX CONCURRENTLY t_new ON t USING vkivf (embedding f32vec_l2_ops) WITH (lists = 400)');
finish_sql($hunter);
like($session->{stderr}, qr/canceling statement/, 'cancel of CREATE INDEX CONCURRENTLY');
$session->{stderr} = '';
is(sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_new'::regclass"),
	'f', 'the index is invalid');
$session->query_safe('REINDEX INDEX CONCURRENTLY t_new');
index_is_sound($node, 't_new', 'REINDEX CONCURRENTLY repairs it');
$session->query_safe('DROP INDEX t_new');
nothing_left($node, 'cancel of CREATE INDEX CONCURRENTLY');

# an error of the data in the middle of a build
sql(<<"SQL");
CREATE TABLE bad (id bigint, embedding real[]);
INSERT INTO bad SELECT id, embedding::real[] FROM t LIMIT 5000;
INSERT INTO bad VALUES (0, '{1,2,3}');
SQL
foreach my $method ('vkflat', 'vkivf')
{
	my ($rc, $stdout, $stderr) = $node->psql('postgres',
		"CREATE INDEX ON bad USING $method ((embedding::f32vec($dims)))");

	like($stderr, qr/expected $dims dimensions, not 3/, "$method: error of a row during a build");
}
nothing_left($node, 'error during a build');

# ---- inserts, scans, vacuum

sql('DELETE FROM t WHERE id > 8000');
sql('VACUUM t');
make_indexes($node, 't');

my $canceled = 0;
foreach my $timeout (5, 10, 20, 40, 80, 160)
{
	my (undef, undef, $stderr) = $node->psql('postgres',
		"SET statement_timeout = $timeout; INSERT INTO t SELECT 100000 + i, random_vector($dims) "
		  . 'FROM generate_series(1, 20000) i');
	$canceled++ if $stderr =~ /statement timeout/;
}
is($canceled, 6, 'timeouts cancel inserts');
nothing_left($node, 'timeouts in inserts');
table_is_sound($node, 't', \@queries, 50, 'after canceled inserts');

my %scan = (
	'nearest rows' => 'SELECT id FROM t ORDER BY embedding %s (SELECT random_vector(64)) LIMIT 10',
	'all rows' => 'SELECT count(*) FROM (SELECT id FROM t ORDER BY embedding %s (SELECT random_vector(64))) s',
	'nested loop' => 'SELECT count(*) FROM (SELECT random_vector(64) AS q FROM generate_series(1, 500)) g, '
	  . 'LATERAL (SELECT id FROM t ORDER BY embedding %s g.q LIMIT 7) s');

$session->query_safe('SET enable_seqscan = off');
foreach my $kind (sort keys %scan)
{
	my $errors = 0;

	foreach my $timeout (1 .. 12)
	{
		foreach my $index (sort keys %VkTest::operator_of)
		{
			my $query = sprintf($scan{$kind}, $VkTest::operator_of{$index});

			$session->{stderr} = '';
			$session->query("SET statement_timeout = $timeout");
			$session->query($query);
			$errors++ if $session->{stderr} =~ /statement timeout/;
			end_timeout();
		}
	}
	$session->{stderr} = '';
	cmp_ok($errors, '>', 0, "$kind: timeouts cancel scans") if $kind ne 'nearest rows';
	nothing_left($node, "timeouts in scans for $kind");
	is( $session->query(
			q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name ILIKE '%vkindex%' AND ident IS DISTINCT FROM 'kept'}),
		0,
		"timeouts in scans for $kind: no memory is left");
}

# ---- how soon: within 100 ms, whatever a scan is doing

# Many rows, the portable kernels, and conditions that leave nothing to return:
# statements that would be long within the access method.
sql(<<"SQL");
CREATE TABLE big AS
SELECT t.id * 100 + g AS id, (t.embedding + array_fill((g / 50.0)::real, ARRAY[$dims])::f32vec)::f32vec($dims) AS embedding,
       (t.id % 10)::int AS kind, (t.id + g) % 7 AS day, 'tenant ' || t.id % 10 AS name
FROM t, generate_series(1, 80) g WHERE t.id <= 2500;
ALTER TABLE big SET (autovacuum_enabled = off);
CREATE INDEX big_flat ON big USING vkflat (embedding f32vec_l2_ops, kind, day, name) WITH (bits = 8);
CREATE INDEX big_ivf ON big USING vkivf (embedding f32vec_cosine_ops, kind, day, name)
	WITH (lists = 200, bits = 1, refine = 8, calibrate = 0);
VACUUM ANALYZE big;
SQL

$session->query_safe("SET vkindex.simd = 'ref'; SET work_mem = '1MB'; SET enable_seqscan = off; SET enable_sort = off; SET jit = off");

# milliseconds that a statement goes on after it is to end; undef where it was
# over before
sub late_after_timeout
{
	my ($query, $milliseconds) = @_;

	$session->{stderr} = '';
	$session->query("SET statement_timeout = $milliseconds");
	my $started = time;
	$session->query($query);
	my $took = time - $started;
	my $ended = $session->{stderr} =~ /statement timeout/;
	end_timeout();
	return $ended ? $took * 1000 - $milliseconds : undef;
}

sub late_after_cancel
{
	my ($query, $milliseconds) = @_;
	my $process = $session->query('SELECT pg_backend_pid()');

	$session->{stderr} = '';
	my $canceler = start_sql($node,
		"SELECT pg_sleep($milliseconds / 1000.0); SELECT pg_cancel_backend($process), extract(epoch FROM clock_timestamp())");
	$session->query($query);
	my $ended = time;
	finish_sql($canceler);
	my ($sent) = $canceler->{stdout} =~ /^t\|([0-9.]+)$/m;
	return $session->{stderr} =~ /user request/ ? ($ended - $sent) * 1000 : undef;
}

my $far = "array_fill(1000::real, ARRAY[$dims])::f32vec";
my %long = (
	'range' => "SELECT count(embedding) FROM big WHERE embedding <-> $far < 1e6",
	'range at the edge' => 'SELECT count(*) FROM big WHERE embedding <=> (SELECT embedding FROM big ORDER BY id LIMIT 1) < '
	  . '(SELECT avg(embedding <=> (SELECT embedding FROM big ORDER BY id LIMIT 1)) FROM big WHERE kind = 1)',
	'range in order' => "SELECT count(*) FROM (SELECT id FROM big WHERE embedding <-> $far < 1e6 ORDER BY embedding <-> $far) s",
	'range of an approximate index, in order' =>
	  "SELECT count(*) FROM (SELECT id FROM big WHERE embedding <=> $far < 1.9 ORDER BY embedding <=> $far) s",
	'range by bitmap' => "SELECT count(*) FROM big WHERE embedding <-> $far < 1e6",
	'similarity join' => 'SELECT count(*) FROM big a, big b WHERE b.embedding <-> a.embedding < 0.5 AND b.kind = a.kind',
	'filters in the index that nothing passes' =>
	  "SELECT count(*) FROM generate_series(1, 10000) g, LATERAL (SELECT id FROM big WHERE kind = 3 AND name = 'tenant 4' "
	  . "ORDER BY embedding <-> array_fill(g::real, ARRAY[$dims])::f32vec LIMIT 10) s",
	'filter of the executor that nothing passes' => "SELECT id FROM big WHERE id < 0 ORDER BY embedding <-> $far LIMIT 10",
	'both filters, approximate index' =>
	  "SELECT id FROM big WHERE kind = 3 AND id < 0 ORDER BY embedding <=> $far LIMIT 10",
	'attributes alone' => 'SELECT count(embedding) FROM big WHERE kind <> 3 AND day < 6',
	'attributes by bitmap' => 'SELECT count(*) FROM big WHERE kind <> 3 AND day < 6',
	'MaxSim of many vectors' =>
	  "SELECT vk_maxsim(x, x) FROM (SELECT array_fill($far, ARRAY[6000]) AS x OFFSET 0) s",
	'vk_explain_refusal' => q{SELECT count(*) FROM generate_series(1, 20000) n, }
	  . q{vk_explain_refusal('SELECT id FROM big WHERE kind = 3 AND embedding <-> embedding < 1 ORDER BY id + ' || n)});

foreach my $kind (sort keys %long)
{
	my $query = $long{$kind};
	my $ended = 0;
	my @late;

	$session->query_safe('SET enable_indexscan = ' . ($kind =~ /bitmap/ ? 'off' : 'on'));
	foreach my $milliseconds (5, 17, 40, 90)
	{
		foreach my $late_after (\&late_after_timeout, \&late_after_cancel)
		{
			# on a busy machine one may be late for other reasons
			my $least;
			foreach my $attempt (1 .. 4)
			{
				my $late = $late_after->($query, $milliseconds);
				$least = $late if defined $late && (!defined $least || $late < $least);
				last if !defined $late || $late <= 100;
			}
			next if !defined $least;
			$ended++;
			push @late, sprintf('%.0f ms after %d', $least, $milliseconds) if $least > 100;
		}
	}
	$session->{stderr} = '';
	cmp_ok($ended, '>', 0, "$kind: it can be ended");
	is("@late", '', "$kind: it ends within 100 ms");
	nothing_left($node, "ends of $kind");
}
$session->query_safe('RESET vkindex.simd; RESET work_mem; RESET enable_sort; RESET enable_indexscan');
sql('DROP TABLE big');

# an error of the executor in the middle of a scan, with the scan open
$session->query_safe('BEGIN');
$session->query_safe("DECLARE c CURSOR FOR SELECT id FROM t ORDER BY embedding <=> '$queries[0]'");
$session->query_safe('FETCH 3 FROM c');
$session->query('SELECT 1 / 0');
$session->{stderr} = '';
$session->query_safe('ROLLBACK');
nothing_left($node, 'error while a cursor is open');

# a busy machine may notice too late that the phase has begun
my $deleted = 0;
foreach my $round (1 .. 4)
{
	foreach my $attempt (1 .. 5)
	{
		sql('DELETE FROM t WHERE id % 20 = ' . $deleted++);
		my $watcher = start_sql($node, q{SELECT wait_for_phase('vacuum', 'vacuuming indexes', true)});

		$session->{stderr} = '';
		$session->query_safe("SET vacuum_cost_delay = '${attempt}ms'; SET vacuum_cost_limit = 20");
		$session->query('VACUUM t');
		finish_sql($watcher);
		last if $session->{stderr} =~ /canceling statement/;
	}
	like($session->{stderr}, qr/canceling statement/, "cancel in vacuum, round $round");
	$session->{stderr} = '';
}
$session->query_safe('RESET vacuum_cost_delay');
nothing_left($node, 'cancel in vacuum');
table_is_sound($node, 't', \@queries, 50, 'after canceled vacuums');
$session->query_safe('VACUUM t');
table_is_sound($node, 't', \@queries, 50, 'after a vacuum that ended');

# vk_check itself gives way
my (undef, undef, $stderr) =
  $node->psql('postgres', "SET statement_timeout = 1; SELECT vk_check('t_ivf', true)");
like($stderr, qr/statement timeout/, 'timeout in vk_check');
nothing_left($node, 'timeout in vk_check');

$session->quit;
no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
