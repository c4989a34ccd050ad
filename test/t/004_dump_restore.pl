# A dump restores tables and indexes with their options, and the restored
# indexes answer as the old ones; so does a base backup taken under inserts.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $dims = 33;
my @queries = random_queries(4, $dims, 23);
my $node = start_node('original', allows_streaming => 1);
my $directory = $node->basedir;

sub sql
{
	my ($database, $sql) = @_;
	return $node->safe_psql($database, $sql);
}

# rows of every kind: zero norm, NULL, equal ones
load_vectors($node, 't', rows => 2500, dims => $dims);
sql('postgres', <<"SQL");
INSERT INTO t SELECT 3000 + i, array_fill(0::real, ARRAY[$dims])::f32vec FROM generate_series(1, 5) i;
INSERT INTO t SELECT 3100 + i, NULL FROM generate_series(1, 5) i;
INSERT INTO t SELECT 3200 + i, embedding FROM t, generate_series(1, 20) i WHERE id = 1;
CREATE INDEX t_flat ON t USING vkflat (embedding f32vec_l2_ops)
	WITH (bits = 2, refine = 8, seed = 7);
CREATE INDEX t_ivf ON t USING vkivf (embedding f32vec_cosine_ops)
	WITH (lists = 12, bits = 2, refine = 4, calibrate = 200, seed = 9);
CREATE INDEX t_ip ON t USING vkivf (embedding f32vec_ip_ops)
	WITH (lists = 6, bits = '16', refine = none, calibrate = 0);
CREATE INDEX t_expression ON t USING vkflat (((embedding + embedding)::f32vec($dims)) f32vec_l2_ops)
	WHERE id < 1000;
CREATE TABLE kept (id bigint, embedding f32vec);
INSERT INTO kept VALUES (1, '[1,-2.5,3e-20]'), (2, '[1]'), (3, NULL);
SQL

# lists whose centres are kept in a table, of a table and of partitions; one of
# these has no rows
sql('postgres', <<"SQL");
CREATE TABLE centers AS SELECT c FROM vk_centroids('t_ivf') c;
CREATE TABLE whole AS SELECT * FROM t;
CREATE INDEX whole_centers ON whole USING vkivf (embedding f32vec_cosine_ops)
	WITH (centroids = 'public.centers', calibrate = 0);
CREATE TABLE parted (id bigint, embedding f32vec($dims)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (3000);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (3000) TO (9000);
INSERT INTO parted SELECT * FROM t WHERE id <= 2500;
CREATE INDEX parted_centers ON parted USING vkivf (embedding f32vec_cosine_ops)
	WITH (centroids = 'public.centers', calibrate = 0);
SQL

# For each index whose lists come from the table: lists, whether each centre of
# the table is that of a list, and rows by list.  Codes of 8 bits are between.
my $kept_lists = <<'SQL';
SELECT i.indexrelid::regclass, s.lists,
	(SELECT max((SELECT min(d <=> c) FROM vk_centroids(i.indexrelid) d)) < 0.001 FROM centers),
	(SELECT string_agg(live::text, ' ' ORDER BY slot) FROM vk_page_slots(i.indexrelid) WHERE kind = 'list')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i', vk_stats(i.indexrelid) s
WHERE c.relname ~ '^(whole_centers|parted_[12])' ORDER BY c.relname
SQL

my $definitions = q{SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname};
my $rows = q{SELECT id, embedding FROM kept ORDER BY id};
my $nulls = q{SELECT count(*), count(embedding) FROM
	(SELECT embedding FROM t ORDER BY embedding <=> '%s') s};

sub answers
{
	my ($database) = @_;
	my $sql = 'SET enable_seqscan = off;';

	foreach my $operator ('<->', '<=>', '<#>')
	{
		$sql .= "SELECT id, embedding $operator '$_' FROM t "
		  . "ORDER BY embedding $operator '$_' LIMIT 40;"
		  foreach @queries;
	}
	return sql($database, $sql);
}

like(sql('postgres', $kept_lists),
	qr/\Aparted_1_embedding_idx\|12\|t\|[\d ]+\nparted_2_embedding_idx\|12\|t\|[\d ]+\nwhole_centers\|12\|t\|[\d ]+\z/,
	'indexes take their lists from a table');

foreach my $format ('plain', 'custom')
{
	my $file = "$directory/dump.$format";
	my $database = "restored_$format";

	$node->command_ok([ 'pg_dump', '--format', $format, '--file', $file, 'postgres' ],
		"pg_dump, $format format");
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-f', $file ]
		: [ 'pg_restore', '--exit-on-error', '-d', $database, $file ],
		"restore, $format format");

	is(sql($database, $definitions), sql('postgres', $definitions),
		"$format: indexes have the same definitions");
	is(sql($database, $rows), sql('postgres', $rows), "$format: vectors are the same");
	is(sql($database, "SELECT options FROM pg_class, array_to_string(reloptions, ' ') options "
			  . "WHERE relname = 't_ivf'"),
		'lists=12 bits=2 refine=4 calibrate=200 seed=9',
		"$format: options are kept");
	is(answers($database), answers('postgres'), "$format: the same answers in the same order");
	is(sql($database, 'SET enable_seqscan = off;' . sprintf($nulls, $queries[0])),
		'2530|2525', "$format: every row comes out, NULL and zero norm included");
	is(sql($database, "SELECT count(*) FROM vk_centroids('t_ivf')"),
		12, "$format: the restored index has as many lists");
	is( sql($database,
			'SELECT string_agg(c::text, E\'\n\' ORDER BY c::text) FROM vk_centroids(\'t_ivf\') c'),
		sql('postgres',
			'SELECT string_agg(c::text, E\'\n\' ORDER BY c::text) FROM vk_centroids(\'t_ivf\') c'),
		"$format: the same seed makes the same lists");
	is(sql($database, $kept_lists), sql('postgres', $kept_lists),
		"$format: lists that a table holds are the same, on partitions too");
	foreach my $index ('t_flat', 't_ivf', 't_ip', 't_expression', 'whole_centers',
		'parted_1_embedding_idx', 'parted_2_embedding_idx', 'parted_3_embedding_idx')
	{
		my ($rc, $stdout, $stderr) = $node->psql($database, "SELECT vk_check('$index', true)");

		is($rc, 0, "$format: $index is sound") or diag($stderr);
	}
}

# a dump of what was restored is the dump
sub dumped
{
	my ($database) = @_;
	my ($stdout) = run_command([ 'pg_dump', '-d', $node->connstr($database) ]);

	# a random key, in recent versions
	$stdout =~ s/^\\(un)?restrict .*$//mg;
	return $stdout;
}
is(dumped('restored_plain'), dumped('postgres'), 'a dump of the restored database is the same');

# ---- base backup while rows arrive

my $writer = start_sql($node, <<"SQL");
DO \$\$ BEGIN
	FOR i IN 1 .. 600 LOOP
		INSERT INTO t SELECT 10000 + i * 5 + j, random_vector($dims) FROM generate_series(1, 5) j;
		COMMIT;
	END LOOP;
END \$\$;
SQL

$node->poll_query_until('postgres', 'SELECT count(*) > 100 FROM t WHERE id > 10000')
  or die 'no inserts';
$node->backup('running');
is(finish_sql($writer), '', 'inserts went on during the backup');

my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'running');
$copy->start;
cmp_ok($copy->safe_psql('postgres', 'SELECT count(*) FROM t'), '>=', 2600,
	'rows from before the backup are in it');
table_is_sound($copy, 't', \@queries, 40, 'base backup');
$copy->safe_psql('postgres',
	"INSERT INTO t SELECT 50000 + i, random_vector($dims) FROM generate_series(1, 300) i");
$copy->safe_psql('postgres', 'DELETE FROM t WHERE id % 2 = 0; ');
$copy->safe_psql('postgres', 'VACUUM t');
table_is_sound($copy, 't', \@queries, 40, 'base backup in use');
table_is_sound($node, 't', \@queries, 40, 'original after its backup');

no_crash_in_log($_, $_->name . ': no process died') foreach ($node, $copy);
$copy->stop;
$node->stop;
done_testing();
