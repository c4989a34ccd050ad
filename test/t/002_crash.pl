# A server that dies while rows are inserted, an index is built or a table is
# vacuumed comes back with indexes that are sound and answer as the table does.
# Every page that recovery rebuilds from WAL is compared with the page as it was
# when the record was written (wal_consistency_checking).

use strict;
use warnings FATAL => 'all';

use Test::More;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);
use VkTest;

my $dims = 40;
my @queries = random_queries(2, $dims, 7);
my $node = start_node('crash', conf => <<'CONF');
restart_after_crash = on
wal_consistency_checking = 'generic'
max_prepared_transactions = 4
checkpoint_timeout = 1h
CONF

sub sql
{
	return $node->safe_psql('postgres', shift);
}

# What a crash looks like: the whole server stops where it is, or one process
# is killed and the postmaster starts anew after recovery.
my %crash = (
	'immediate stop' => sub {
		$node->stop('immediate');
		$node->start;
	},
	'killed backend' => sub {
		my ($pid) = @_;
		my $offset = -s $node->logfile;

		# its session sleeps at its end, to be there; else any other one
		kill 'KILL', idle_backend() unless defined $pid && kill 'KILL', $pid;
		wait_for_restart($node, $offset);
	});

my $idle;

sub idle_backend
{
	$idle = start_sql($node, 'SELECT pg_sleep(60)');
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
	return sql(q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' LIMIT 1});
}

sub writer
{
	my ($statement) = @_;

	return start_sql($node, <<"SQL");
DO \$\$ BEGIN
	FOR i IN 1 .. 1000000 LOOP
		$statement;
		IF i % 5 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END \$\$;
SQL
}

# ---- inserts, deletes and updates, with and without full-page images

load_vectors($node, 't', rows => 1500, dims => $dims);
sql('CREATE SEQUENCE next_id START 10000');
make_indexes($node, 't');

my $insert = "INSERT INTO t SELECT nextval('next_id'), random_vector($dims)";
my $insert_many = "$insert FROM generate_series(1, 40)";
my $update = "UPDATE t SET embedding = random_vector($dims) WHERE id = 1 + i * 7 % 1000";
my $delete = 'DELETE FROM t WHERE id = 1000 + i % 500';

my @rounds = (
	[ 'immediate stop', 'on' ],
	[ 'killed backend', 'on' ],
	[ 'immediate stop', 'off' ],
	[ 'killed backend', 'off' ]);

foreach my $round (@rounds)
{
	my ($how, $images) = @$round;
	my $name = "$how during inserts, full_page_writes $images";

	sql("ALTER SYSTEM SET full_page_writes = $images");
	sql('SELECT pg_reload_conf()');
	sql('CHECKPOINT');

	my $before = sql('SELECT last_value FROM next_id');
	my @sessions = map { writer($_) } ($insert, $insert_many, $update, $delete);

	$node->poll_query_until('postgres', "SELECT last_value > $before + 400 FROM next_id")
	  or die 'no inserts';
	my $pid = sql("SELECT pid FROM pg_stat_activity WHERE query LIKE 'DO%INSERT%' LIMIT 1");
	$crash{$how}->($pid);
	my $errors = finish_sql(@sessions);
	unlike($errors, qr/ERROR/, "$name: no session had an error of its own");
	cmp_ok(sql('SELECT count(*) FROM t WHERE id >= 10000'), '>', 0, "$name: rows are there");
	table_is_sound($node, 't', \@queries, 50, $name);
}

# rows go on into the recovered index
sql("INSERT INTO t SELECT nextval('next_id'), random_vector($dims) FROM generate_series(1, 500)");
table_is_sound($node, 't', \@queries, 50, 'inserts after the crashes');

# ---- a prepared transaction is in the index when it commits after recovery

my ($near) = random_queries(1, $dims, 99);
sql("BEGIN; INSERT INTO t VALUES (1, '$near'); PREPARE TRANSACTION 'crossing'");
$crash{'immediate stop'}->();
sql("COMMIT PREPARED 'crossing'");
foreach my $operator ('<->', '<=>')
{
	is( (answer(
				$node, "SELECT id FROM t ORDER BY embedding $operator '$near' LIMIT 1",
				'enable_seqscan = off', 'vkindex.target_recall = 1'))[0],
		1,
		"row of a prepared transaction is found after recovery by $operator");
}

# ---- vacuum

foreach my $phase ('vacuuming indexes', 'vacuuming heap')
{
	foreach my $how ('immediate stop', 'killed backend')
	{
		my $name = "$how while $phase";

		sql("INSERT INTO t SELECT nextval('next_id'), random_vector($dims) "
			  . 'FROM generate_series(1, 1500)');
		sql('DELETE FROM t WHERE random() < 0.4');
		sql('CHECKPOINT');
		my $session = start_sql($node, <<'SQL');
SET vacuum_cost_delay = '1ms';
SET vacuum_cost_limit = 40;
SET vacuum_cost_page_dirty = 40;
VACUUM t;
SELECT pg_sleep(60);
SQL
		my $pid = wait_for_phase($node, 'vacuum', $phase);
		ok(defined $pid, "$name: the phase was met");
		usleep(5_000);
		$crash{$how}->($pid);
		finish_sql($session);
		table_is_sound($node, 't', \@queries, 50, $name);
	}
}
sql('VACUUM t');
table_is_sound($node, 't', \@queries, 50, 'vacuum after the crashes');

# ---- build

load_vectors($node, 'big', rows => 12000, dims => $dims);
my %build = (
	big_flat => 'CREATE INDEX big_flat ON big USING vkflat (embedding f32vec_l2_ops)',
	big_ivf => 'CREATE INDEX big_ivf ON big USING vkivf (embedding f32vec_cosine_ops) '
	  . 'WITH (lists = 300)');

foreach my $index (sort keys %build)
{
	foreach my $phase ('%assigning rows', '%writing index')
	{
		my $how = $phase =~ /assign/ ? 'immediate stop' : 'killed backend';
		my $name = "$how while $index is built ($phase)";
		my $session = start_sql($node, "$build{$index};\nSELECT pg_sleep(60);\n");
		my $pid = wait_for_phase($node, 'create_index', $phase);

		diag("$name: the phase was over before it was seen") unless defined $pid;
		$crash{$how}->($pid);
		finish_sql($session);

		# the build may have committed just before
		if (sql("SELECT count(*) FROM pg_class WHERE relname = '$index'"))
		{
			index_is_sound($node, $index, "$name: the index was complete");
			sql("DROP INDEX $index");
		}
		else
		{
			pass("$name: no index is left");
		}
	}
	sql($build{$index});
	$crash{'immediate stop'}->();
	index_is_sound($node, $index, "$index is sound after a crash that follows its build");
	same_as_sequential($node, 'big', $index eq 'big_flat' ? '<->' : '<=>', \@queries, 20,
		"$index answers as the sequential plan after a crash that follows its build");

	# the old index stays as it was
	my $session = start_sql($node, "REINDEX INDEX $index;\nSELECT pg_sleep(60);\n");
	my $pid = wait_for_phase($node, 'create_index', '%writing index');
	$crash{'killed backend'}->($pid);
	finish_sql($session);
	index_is_sound($node, $index, "$index is sound after a crash during REINDEX");
}

# ---- unlogged tables come back empty and usable

load_vectors($node, 'u', rows => 500, dims => $dims, options => 'UNLOGGED');
make_indexes($node, 'u');
$crash{'immediate stop'}->();
is(sql('SELECT count(*) FROM u'), 0, 'unlogged table is empty after a crash');
is( scalar answer(
		$node, "SELECT id FROM u ORDER BY embedding <-> '$near' LIMIT 5",
		'enable_seqscan = off'),
	0,
	'its index gives no row');
load_vectors($node, 'u', rows => 300, dims => $dims);
table_is_sound($node, 'u', \@queries, 20, 'unlogged table after a crash');

# ---- wal_level minimal: an index that is new in its transaction is not logged

$node->append_conf('postgresql.conf', "wal_level = minimal\nmax_wal_senders = 0\n");
$node->restart;
foreach my $threshold ('2MB', '0')
{
	my $table = "m$threshold";

	sql(<<"SQL");
SET wal_skip_threshold = '$threshold';
BEGIN;
CREATE TABLE $table (id bigint, embedding f32vec($dims));
INSERT INTO $table SELECT i, random_vector($dims) FROM generate_series(1, 400) i;
CREATE INDEX ${table}_flat ON $table USING vkflat (embedding f32vec_l2_ops);
CREATE INDEX ${table}_ivf ON $table USING vkivf (embedding f32vec_cosine_ops) WITH (lists = 10);
CREATE INDEX ${table}_ip ON $table USING vkivf (embedding f32vec_ip_ops) WITH (lists = 3);
INSERT INTO $table SELECT i, random_vector($dims) FROM generate_series(401, 800) i;
COMMIT;
INSERT INTO $table SELECT i, random_vector($dims) FROM generate_series(801, 900) i;
SQL
	$crash{'immediate stop'}->();
	is(sql("SELECT count(*) FROM $table"), 900, "wal_level minimal, threshold $threshold: rows");
	table_is_sound($node, $table, \@queries, 20, "wal_level minimal, threshold $threshold");
}

$node->stop;
done_testing();
