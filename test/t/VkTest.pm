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
use File::Temp;
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  build_module
  index_functions
  start_node
  wait_until_up
  wait_for_restart
  load_vectors
  make_indexes
  random_queries
  answer
  same_as_sequential
  index_is_sound
  table_is_sound
  make_comparison
  start_sql
  finish_sql
  wait_for_phase
  nothing_left
  no_crash_in_log
);

# The three indexes that make_indexes puts on a table, each with an operator of
# its own, so that the operator of a query says which index answers it.
our %operator_of = (flat => '<->', ivf => '<=>', ip => '<#>');

# start_node($name, conf => "...", extension => 0, install_path => "...", init params...)
#
# A running server with the extension in database postgres.  The settings make
# small tests fast and take nothing away from crash tests: what is written is
# still written, only not forced to the disk, which does not fail here.  Who
# replicates from it may be silent for long where the machine is slow.
sub start_node
{
	my ($name, %params) = @_;
	my $conf = delete $params{conf} // '';
	my $extension = delete $params{extension} // 1;
	my $install_path = delete $params{install_path};
	my $node = PostgreSQL::Test::Cluster->new($name,
		defined $install_path ? (install_path => $install_path) : ());

	$node->init(
		%params,
		extra => [ '--locale=C.UTF-8', '--encoding=UTF8', @{ $params{extra} // [] } ]);
	$node->append_conf('postgresql.conf', <<"CONF");
shared_buffers = 64MB
maintenance_work_mem = 64MB
max_connections = 40
autovacuum = off
jit = off
wal_sender_timeout = 0
wal_receiver_timeout = 0
$conf
CONF
	$node->start;
	make_extension($node) if $extension;
	return $node;
}

# wait_until_up($node): true once a server that starts again by itself takes sessions.
# There is no query: a psql that cannot connect may be gone before it is written to,
# which ends a test.
sub wait_until_up
{
	my ($node) = @_;

	return $node->poll_query_until('postgres', undef, '');
}

# wait_for_restart($node, $offset): a process has crashed since the log was as long as
# that.  Its client knows before the postmaster, which takes sessions until then.
sub wait_for_restart
{
	my ($node, $offset) = @_;

	$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
	wait_until_up($node) or die 'the server did not come back';
	return;
}

# The extension, and functions that tests use in SQL.  wait_for_phase looks from
# within the server, since a phase may take less than the start of a psql.
sub make_extension
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION vkindex;

CREATE FUNCTION random_vector(dims integer) RETURNS f32vec LANGUAGE sql VOLATILE AS
$$ SELECT array_agg((random() * 2 - 1)::real)::f32vec FROM generate_series(1, dims) $$;

CREATE FUNCTION wait_for_phase(command text, wanted text, cancel boolean DEFAULT false)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz := clock_timestamp();
	seen boolean := false;
	current record;
BEGIN
	LOOP
		PERFORM pg_stat_clear_snapshot();
		EXECUTE format('SELECT pid, phase FROM pg_stat_progress_%s', command) INTO current;
		IF current.phase LIKE wanted THEN
			IF cancel THEN
				PERFORM pg_cancel_backend(current.pid);
			END IF;
			RETURN current.pid;
		END IF;
		seen := seen OR current.phase IS NOT NULL;
		EXIT WHEN seen AND current.phase IS NULL;
		EXIT WHEN clock_timestamp() > started + CASE WHEN seen THEN interval '30 s'
			ELSE interval '5 s' END;
		PERFORM pg_sleep(0.0002);
	END LOOP;
	RETURN NULL;
END $$;
SQL
	return;
}

# build_module($name, extra arguments of the compiler)
#
# Compiles test/modules/<name>.c, something that tests do inside of a server;
# returns the library's path.
sub build_module
{
	my ($name, @options) = @_;
	my $top = "$FindBin::RealBin/../..";
	my $library = "$PostgreSQL::Test::Utils::tmp_check/$name.so";
	my $config = $ENV{PG_CONFIG} // 'pg_config';

	chomp(my $include = `$config --includedir-server`);
	system_or_bail($ENV{CC} // 'cc', qw(-O1 -g -fPIC -shared), "-I$top/src", '-isystem', $include,
		'-o', $library, "$top/test/modules/$name.c", @options);
	return $library;
}

# index_functions($node): name => what is given, for the functions of the extension that
# take an index ('index'), and with it the number of a block ('block') or another
# number ('number')
sub index_functions
{
	my ($node) = @_;

	return map { split /\|/ } split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT proname, CASE WHEN pronargs - pronargdefaults = 1 THEN 'index'
	WHEN proargtypes[1] = 'bigint'::regtype THEN 'block' ELSE 'number' END
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND extname = 'vkindex'
WHERE proargtypes[0] = 'regclass'::regtype
	AND (pronargs - pronargdefaults = 1
		OR pronargs - pronargdefaults = 2 AND proargtypes[1] IN ('bigint'::regtype, 'integer'::regtype, 'double precision'::regtype))
SQL
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

# make_indexes($node, $table): <table>_flat, <table>_ivf and <table>_ip; few
# lists are enough to make small tables inverted.  Two of them have attribute
# columns, which vk_check compares with the table.
sub make_indexes
{
	my ($node, $table) = @_;

	$node->safe_psql('postgres', <<"SQL");
CREATE INDEX ${table}_flat ON $table
	USING vkflat (embedding f32vec_l2_ops, ((id % 7)::int), (id::text));
CREATE INDEX ${table}_ivf ON $table USING vkivf (embedding f32vec_cosine_ops)
	WITH (lists = 10);
CREATE INDEX ${table}_ip ON $table USING vkivf (embedding f32vec_ip_ops, (id * 3))
	WITH (lists = 5, bits = 1, refine = 4, calibrate = 0);
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

# table_is_sound($node, $table, \@queries, $limit, $name): both checks for the
# three indexes of make_indexes
sub table_is_sound
{
	my ($node, $table, $queries, $limit, $name) = @_;

	foreach my $index (sort keys %operator_of)
	{
		index_is_sound($node, "${table}_$index", "$name: $index is sound");
		same_as_sequential($node, $table, $operator_of{$index}, $queries, $limit,
			"$name: $index answers as the sequential plan");
	}
	return;
}

# make_comparison($node, $function, $table, $operator, $limit)
#
# Creates $function(f32vec), which raises an error unless the index gives the
# distances of the sequential plan, and no row twice.  Its functions are STABLE,
# so that both plans see the snapshot of the calling statement, whatever other
# sessions do meanwhile.
sub make_comparison
{
	my ($node, $function, $table, $operator, $limit) = @_;

	# what both plans have in common
	my $nearest = <<"SQL";
RETURNS TABLE (id bigint, distance float8) LANGUAGE plpgsql STABLE
SET vkindex.target_recall = 1
%s
AS \$\$ BEGIN RETURN QUERY
	SELECT t.id, t.embedding $operator q FROM $table t
	ORDER BY t.embedding $operator q LIMIT $limit;
END \$\$;
SQL

	$node->safe_psql(
		'postgres',
		"CREATE FUNCTION ${function}_index(q f32vec) "
		  . sprintf($nearest, 'SET enable_seqscan = off SET enable_sort = off')
		  . "CREATE FUNCTION ${function}_table(q f32vec) "
		  . sprintf($nearest, 'SET enable_indexscan = off')
		  . <<"SQL");
CREATE FUNCTION $function(q f32vec) RETURNS void LANGUAGE plpgsql STABLE AS \$\$
DECLARE
	by_index text;
	by_table text;
	ids bigint;
	emitted bigint;
BEGIN
	SELECT string_agg(distance::text, ' ' ORDER BY n), count(DISTINCT id), count(*)
	INTO by_index, ids, emitted FROM ${function}_index(q) WITH ORDINALITY r(id, distance, n);
	SELECT string_agg(distance::text, ' ' ORDER BY n)
	INTO by_table FROM ${function}_table(q) WITH ORDINALITY r(id, distance, n);
	IF by_index IS DISTINCT FROM by_table THEN
		RAISE EXCEPTION '$function: index gives %, table %, for %', by_index, by_table, q;
	END IF;
	IF ids <> emitted THEN
		RAISE EXCEPTION '$function: % rows, but % different ones', emitted, ids;
	END IF;
END \$\$;
SQL
	return;
}

# start_sql($node, $sql): a psql that runs a script while the test goes on; it
# reads from a file, since a pipe would have to be fed
sub start_sql
{
	my ($node, $sql) = @_;
	my %session = (stdout => '', stderr => '', script => File::Temp->new);

	print { $session{script} } $sql;
	$session{script}->flush;
	$session{run} = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'),
			'-f', $session{script}->filename
		],
		'<', \undef, '>', \$session{stdout}, '2>', \$session{stderr});
	return \%session;
}

# finish_sql($session, ...): waits for the end of each; returns what they said
# on stderr
sub finish_sql
{
	IPC::Run::finish($_->{run}) foreach @_;
	return join('', map { $_->{stderr} } @_);
}

# wait_for_phase($node, $command, $phase)
#
# Waits until a backend is in a phase (LIKE pattern) that
# pg_stat_progress_<command> shows; returns its process, or undef where none
# comes.  SQL function wait_for_phase(command, phase, cancel => true) cancels it.
sub wait_for_phase
{
	my ($node, $command, $phase) = @_;
	my $found = $node->safe_psql('postgres', "SELECT wait_for_phase('$command', '$phase')");

	return $found eq '' ? undef : $found;
}

# Relation files of the database that belong to no relation (a checkpoint
# removes those of relations that are gone), and temporary files.
sub stray_files
{
	my ($node) = @_;
	my $sql = sub { return $node->safe_psql('postgres', shift) };

	$sql->('CHECKPOINT');
	my %known = map { $_ => 1 } split /\n/,
	  $sql->('SELECT pg_relation_filenode(oid) FROM pg_class WHERE pg_relation_filenode(oid) IS NOT NULL');
	my $directory =
	  $node->data_dir . '/base/' . $sql->('SELECT oid FROM pg_database WHERE datname = current_database()');
	my @files = grep { /^(t?[0-9_]+)/ } slurp_dir($directory);
	my @stray = grep { my ($number) = /^(?:t[0-9]+_)?([0-9]+)/; !$known{$number} } @files;
	my $temporary = $node->data_dir . '/base/pgsql_tmp';

	push @stray, grep { !/^\./ } slurp_dir($temporary) if -d $temporary;
	return join(' ', @stray);
}

# nothing_left($node, $name): no stray file, lock, pin or worker; the database has
# the extension pg_buffercache
sub nothing_left
{
	my ($node, $name) = @_;

	# workers are told to end, and not waited for
	ok( $node->poll_query_until(
			'postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'"),
		"$name: no worker is left");
	is(stray_files($node), '', "$name: no file is left");
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid()
		AND locktype IN ('relation', 'page', 'extend', 'tuple', 'object')}),
		0, "$name: no lock is left");
	is($node->safe_psql('postgres', 'SELECT COALESCE(sum(pinning_backends), 0) FROM pg_buffercache'),
		0, "$name: no pin is left");
	return;
}

# no_crash_in_log($node, $name): no process died
sub no_crash_in_log
{
	my ($node, $name) = @_;
	my @found = grep { /terminated by signal|PANIC:|TRAP:|stuck spinlock/ }
	  split(/\n/, slurp_file($node->logfile));

	is(join("\n", @found), '', $name);
	return;
}

1;
