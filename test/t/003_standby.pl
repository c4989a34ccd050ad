# A streaming standby answers as the primary does and as its own sequential
# plan, also while rows arrive; its functions that only read work; promoted, it
# takes rows.  Replayed pages are compared with the primary's.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use Test::More;
use VkTest;

my $dims = 48;
my @queries = random_queries(4, $dims, 11);
my $primary = start_node(
	'primary',
	allows_streaming => 1,
	conf => "wal_consistency_checking = 'generic'\nwal_keep_size = 256MB\n");

$primary->backup('first');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'first', has_streaming => 1);
$standby->start;

sub same_on_both
{
	my ($name) = @_;

	$primary->wait_for_catchup($standby, 'replay');
	foreach my $index (sort keys %VkTest::operator_of)
	{
		my $operator = $VkTest::operator_of{$index};
		my $sql = join(
			';',
			map {
				"SELECT id, float8send(embedding $operator '$_') FROM t "
				  . "ORDER BY embedding $operator '$_' LIMIT 30"
			} @queries);
		my @there = answer($primary, $sql, 'enable_seqscan = off');
		my @here = answer($standby, $sql, 'enable_seqscan = off');

		is("@here", "@there", "$name: $index answers as on the primary, byte for byte");
	}
	return;
}

# ---- indexes that are built, filled and vacuumed while the standby follows

load_vectors($primary, 't', rows => 2000, dims => $dims);
make_indexes($primary, 't');
make_comparison($primary, "right_$_", 't', $VkTest::operator_of{$_}, 20)
  foreach sort keys %VkTest::operator_of;

same_on_both('after the build');
table_is_sound($standby, 't', \@queries, 30, 'standby after the build');

$primary->safe_psql('postgres',
	"INSERT INTO t SELECT 5000 + i, random_vector($dims) FROM generate_series(1, 1500) i");
$primary->safe_psql('postgres', 'DELETE FROM t WHERE id % 3 = 0');
$primary->safe_psql('postgres', 'VACUUM t');
$primary->safe_psql('postgres',
	"INSERT INTO t SELECT 8000 + i, random_vector($dims) FROM generate_series(1, 700) i");
same_on_both('after inserts and vacuum');
table_is_sound($standby, 't', \@queries, 30, 'standby after inserts and vacuum');

# ---- functions that only read

my @reading = (
	[ 'vk_stats', q{SELECT count(*) FROM vk_stats('t_ivf')}, qr/^1$/ ],
	[ 'vk_check', q{SELECT vk_check('t_flat', true)}, qr/^\s*$/ ],
	[ 'vk_simd', q{SELECT count(*) > 0 FROM vk_simd()}, qr/^t$/ ],
	[ 'vk_centroids', q{SELECT count(*) FROM vk_centroids('t_ivf')}, qr/^10$/ ],
	[ 'vk_recall', q{SELECT count(*) FROM vk_recall('t_ivf', 10, 50)}, qr/^1$/ ],
	[
		'vk_last_scan',
		"SET enable_seqscan = off; SELECT FROM t ORDER BY embedding <-> '$queries[0]' LIMIT 1; "
		  . 'SELECT count(*) FROM vk_last_scan()',
		qr/^1$/m
	]);

foreach my $case (@reading)
{
	my ($function, $sql, $expected) = @$case;
	my ($rc, $stdout, $stderr) = $standby->psql('postgres', $sql);

	is($rc, 0, "$function works on a standby") or diag($stderr);
	like($stdout, $expected, "$function says something there");
}

my ($rc, $stdout, $stderr) = $standby->psql('postgres', 'REINDEX INDEX t_flat');
like($stderr, qr/cannot execute REINDEX (INDEX )?during recovery/, 'a standby refuses to build');

my $unlogged = 'CREATE UNLOGGED TABLE u (v f32vec(3)); CREATE INDEX u_flat ON u USING vkflat (v)';
$primary->safe_psql('postgres', $unlogged);
$primary->wait_for_catchup($standby, 'replay');
($rc, $stdout, $stderr) = $standby->psql('postgres', q{SELECT * FROM vk_stats('u_flat')});
like($stderr, qr/cannot access temporary or unlogged relations during recovery/,
	'nothing is said of an index that a standby has not');

# ---- vk_check there while the primary replaces the lists that it reads

$primary->safe_psql('postgres', 'CREATE TABLE signals (id int)');
load_vectors($primary, 'moving', rows => 6000, dims => $dims);
$primary->safe_psql('postgres', 'CREATE INDEX moving_ivf ON moving USING vkivf (embedding)');
$primary->wait_for_catchup($standby, 'replay');
my $holder = start_sql($standby, <<'SQL');
SELECT pg_advisory_lock(8191);
DO $$ BEGIN
	WHILE NOT EXISTS (SELECT FROM signals) LOOP PERFORM pg_sleep(0.05); END LOOP;
END $$;
SQL
$standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory'});
my $check = start_sql($standby, q{SET vkindex.test_point = 'check-begun wait'; SELECT vk_check('moving_ivf')});
$standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});
$primary->safe_psql('postgres',
	"INSERT INTO moving SELECT 10000 + i, random_vector($dims) FROM generate_series(1, 14000) i");
my $freed = 0;
for (1 .. 5)
{
	$freed += $primary->safe_psql('postgres',
		q{SELECT txid_current(); SELECT pages_freed FROM vk_tune('moving_ivf')}) =~ s/.*\n//sr;
}
cmp_ok($freed, '>', 0, 'lists were replaced, and their pages freed');
$primary->safe_psql('postgres',
	"INSERT INTO moving SELECT 30000 + i, random_vector($dims) FROM generate_series(1, 6000) i");
$primary->safe_psql('postgres', 'INSERT INTO signals VALUES (1)');
$primary->wait_for_catchup($standby, 'replay');
is(finish_sql($holder), '', 'the check may go on');
like(finish_sql($check), qr/ERROR:  40001: canceling statement due to conflict with recovery/,
	'it says that the index has changed, not that it is damaged');
is($standby->psql('postgres', q{SELECT vk_check('moving_ivf', true)}), 0, 'a check of what there is now finds nothing');
$primary->safe_psql('postgres', 'DROP TABLE moving, signals, u');

# ---- queries on the standby while rows arrive, change, go and are vacuumed

$standby->append_conf('postgresql.conf', "hot_standby_feedback = on\n");
$standby->reload;

my @writers = map { start_sql($primary, $_) } (
	<<"SQL",
DO \$\$ BEGIN
	FOR i IN 1 .. 400 LOOP
		INSERT INTO t SELECT 20000 + i * 5 + j, random_vector($dims) FROM generate_series(1, 5) j;
		IF i % 7 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END \$\$;
SQL
	<<"SQL",
DO \$\$ BEGIN
	FOR i IN 1 .. 400 LOOP
		UPDATE t SET embedding = random_vector($dims) WHERE id = 1 + i * 4;
		DELETE FROM t WHERE id = 5000 + i;
		COMMIT;
	END LOOP;
END \$\$;
SQL
	"VACUUM t;\nSELECT pg_sleep(0.3);\n" x 6);

my @readers = map { start_sql($standby, <<"SQL") } sort keys %VkTest::operator_of;
DO \$\$
DECLARE
	queries integer := 0;
BEGIN
	WHILE queries < 30 OR pg_last_xact_replay_timestamp() > now() - interval '300 ms' LOOP
		PERFORM right_$_(random_vector($dims));
		queries := queries + 1;
		EXIT WHEN clock_timestamp() > now() + interval '4 s';
	END LOOP;
END \$\$;
SQL

is(finish_sql(@writers), '', 'writers had no error');
is(finish_sql(@readers), '', 'queries on the standby were right all the time');
same_on_both('after concurrent writes');
table_is_sound($standby, 't', \@queries, 30, 'standby after concurrent writes');

# ---- promotion

$standby->promote;
$standby->safe_psql('postgres',
	"INSERT INTO t SELECT 50000 + i, random_vector($dims) FROM generate_series(1, 1000) i");
$standby->safe_psql('postgres', 'DELETE FROM t WHERE id % 4 = 1');
table_is_sound($standby, 't', \@queries, 30, 'promoted standby');
$standby->safe_psql('postgres', 'VACUUM t');
table_is_sound($standby, 't', \@queries, 30, 'promoted standby after vacuum');

no_crash_in_log($_, $_->name . ': no process died') foreach ($primary, $standby);
$standby->stop;
$primary->stop;
done_testing();
