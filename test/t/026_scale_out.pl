#-------------------------------------------------------------------------
#
# 026_scale_out.pl
#	  One table over several servers: postgres_fdw, dblink, and who merges.
#
# NOTES
#	  Two databases are the shards, a third one the coordinator, as on three
#	  servers.  The shards' plans, with the rows that they returned, come from
#	  auto_explain in the server's log; so the test sees what went over the
#	  wire.  The coordinator has all rows once more in a table of its own,
#	  whose sequential plan says what the answers are.
#
# IDENTIFICATION
#	  test/t/026_scale_out.pl
#
#-------------------------------------------------------------------------
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $node = start_node(
	'scale_out',
	conf => <<'CONF',
session_preload_libraries = 'auto_explain'
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
auto_explain.log_timing = off
log_line_prefix = '%d: '
log_statement = all
CONF
);
my ($host, $port) = ($node->host, $node->port);
my @queries = random_queries(4, 16, 7);

sub sql
{
	my ($database, $sql) = @_;
	return $node->safe_psql($database, $sql);
}

# What is logged while the coordinator runs a statement.
sub logged
{
	my ($statement) = @_;
	my $before = -s $node->logfile;

	sql('postgres', $statement);
	return slurp_file($node->logfile, $before);
}

# The plans of the shards meanwhile, one string each.
sub shard_plans
{
	return grep { /^shard\d: LOG: .*plan:/ } split /^(?=\w+: LOG)/m, logged(@_);
}

# ------------------------------------------------------------- the two shards

$node->safe_psql('postgres', 'CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink');
load_vectors($node, 'everything', rows => 4000, dims => 16);
sql('postgres', 'ALTER TABLE everything ADD kind int; UPDATE everything SET kind = id % 10; ANALYZE everything');
foreach my $shard (1, 2)
{
	sql('postgres', "CREATE DATABASE shard$shard");
	# small tables are searched by their indexes all the same
	sql('postgres', "ALTER DATABASE shard$shard SET $_ = off") foreach qw(enable_seqscan enable_sort);
	sql("shard$shard", <<'SQL');
CREATE EXTENSION vkindex;
CREATE TABLE items (id bigint, embedding f32vec(16), kind int);
CREATE INDEX items_flat ON items USING vkflat (embedding, kind);
SQL
	sql('postgres', <<"SQL");
CREATE SERVER shard$shard FOREIGN DATA WRAPPER postgres_fdw
	OPTIONS (host '$host', port '$port', dbname 'shard$shard', extensions 'vkindex');
CREATE USER MAPPING FOR CURRENT_USER SERVER shard$shard;
SQL
}
sql('postgres', <<'SQL');
CREATE TABLE items (id bigint, embedding f32vec(16), kind int) PARTITION BY HASH (id);
CREATE FOREIGN TABLE items_1 PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER 0)
	SERVER shard1 OPTIONS (table_name 'items');
CREATE FOREIGN TABLE items_2 PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER 1)
	SERVER shard2 OPTIONS (table_name 'items');
INSERT INTO items TABLE everything;
SQL
cmp_ok(sql("shard$_", 'SELECT count(*) FROM items'), '>', 1500, "shard $_ has its share of the rows")
  foreach 1, 2;
sql("shard$_", 'ANALYZE items') foreach 1, 2;

# ------------------------------------------- partitions: ORDER BY on the shards

sub nearest_of
{
	my ($table, $query, $limit, $where) = @_;
	my $distance = "embedding <-> '$query'";

	return "SELECT id, $distance FROM $table" . ($where ? " WHERE $where" : '')
	  . " ORDER BY $distance LIMIT $limit";
}

# same_answers($name, $where, $sql_of): rows of the shards and of the own table
sub same_answers
{
	my ($name, $where, $of_shards) = @_;

	foreach my $query (@queries)
	{
		is(sql('postgres', $of_shards->($query)),
			sql('postgres', nearest_of('everything', $query, 10, $where)), $name);
	}
	return;
}

same_answers('partitions on two shards answer as one table', '', sub { nearest_of('items', shift, 10) });

my $explain = 'EXPLAIN (VERBOSE, COSTS OFF) ';
my $plan = sql('postgres', $explain . nearest_of('items', $queries[0], 10));
like($plan, qr/Merge Append/, 'the coordinator merges');
is(scalar(() = $plan =~ /Remote SQL: SELECT [^\n]* ORDER BY/g), 2, 'each shard sorts');

unlike(
	sql('postgres', 'SET enable_partitionwise_join = on; SET enable_partitionwise_aggregate = on;'
		. $explain . nearest_of('items', $queries[0], 10)),
	qr/LIMIT/, 'the LIMIT of a partitioned table stays here');

# FETCH takes 100 rows a time unless told otherwise
my @plans = shard_plans(nearest_of('items', $queries[0], 10));
is(scalar @plans, 2, 'each shard ran one query');
like($_, qr/Index Scan using items_flat .*actual rows=100(\.00)? /, 'a shard sent 100 rows, by its index')
  foreach @plans;

sql('postgres', "ALTER SERVER shard$_ OPTIONS (ADD fetch_size '10')") foreach 1, 2;
@plans = shard_plans(nearest_of('items', $queries[0], 10));
is(scalar @plans, 2, 'each shard ran one query');
like($_, qr/Index Scan using items_flat .*actual rows=10(\.00)? /, 'with fetch_size 10 a shard sent 10 rows')
  foreach @plans;
same_answers('the same answers with a small fetch_size', '', sub { nearest_of('items', shift, 10) });

# --------------------------------------- conditions and ranges on the shards

@plans = shard_plans(nearest_of('items', $queries[0], 10, 'kind = 3'));
like($_, qr/Index Cond: \(kind = 3\)/, "a shard's index answers the condition") foreach @plans;
same_answers('filtered answers', 'kind = 3', sub { nearest_of('items', shift, 10, 'kind = 3') });

my %range = (
	'a range' => "embedding <-> '$queries[0]' < 2",
	'a sphere' => "embedding <<->> vk_sphere('$queries[0]', 2)");

foreach my $name (sort keys %range)
{
	my $count = 'SELECT count(*), sum(id) FROM %s WHERE ' . $range{$name};

	is(sql('postgres', sprintf $count, 'items'), sql('postgres', sprintf $count, 'everything'),
		"$name: the same rows");
	@plans = shard_plans(sprintf $count, 'items');
	is(scalar(grep { /using items_flat|on items_flat/ } @plans), 2, "$name: by the shards' indexes");
}

# ----------------------------------------------- the LIMIT itself on the shards

# the default before 17, which has 0.2
sql('postgres', "ALTER SERVER shard$_ OPTIONS (ADD fdw_tuple_cost '0.01')") foreach 1, 2;
unlike(sql('postgres', $explain . nearest_of('items_1', $queries[0], 10)),
	qr/LIMIT/, 'with fdw_tuple_cost 0.01 the LIMIT stays here');
sql('postgres', "ALTER SERVER shard$_ OPTIONS (SET fdw_tuple_cost '1', ADD async_capable 'true')") foreach 1, 2;
like(sql('postgres', $explain . nearest_of('items_1', $queries[0], 10)),
	qr/Remote SQL: [^\n]* LIMIT 10/, 'with fdw_tuple_cost 1 the shard has it');

sql('postgres', <<'SQL');
CREATE FUNCTION nearest(query f32vec, k int) RETURNS TABLE (id bigint, distance float8)
LANGUAGE sql STABLE AS $$
	WITH found AS MATERIALIZED (
		(SELECT id, embedding <-> query AS distance FROM items_1 ORDER BY distance LIMIT k)
		UNION ALL
		(SELECT id, embedding <-> query AS distance FROM items_2 ORDER BY distance LIMIT k))
	SELECT * FROM found ORDER BY distance LIMIT k
$$;
SQL
my $nearest = sub { my ($query) = @_; "SELECT * FROM nearest('$query', 10)" };
$plan = sql('postgres', $explain . $nearest->($queries[0]));
is(scalar(() = $plan =~ /Async Foreign Scan/g), 2, 'the shards work at the same time');
is(scalar(() = $plan =~ /Remote SQL: [^\n]* LIMIT/g), 2, 'each has the LIMIT');
@plans = shard_plans($nearest->($queries[0]));
like($_, qr/Limit .*actual rows=10(\.00)? .*\n.*Index Scan using items_flat .*actual rows=10(\.00)? /,
	'each sends its 10 nearest') foreach @plans;
same_answers('answers of the function', '', $nearest);
sql('postgres', 'PREPARE p(f32vec) AS SELECT * FROM nearest($1, 10); SET plan_cache_mode = force_generic_plan;'
  . "EXECUTE p('$queries[0]')");
pass('the function takes parameters');

# ----------------------------------------------------------- the same by dblink

sql('postgres', <<"SQL");
CREATE TABLE shards (name text, connection text);
INSERT INTO shards SELECT 'shard' || n, 'host=$host port=$port dbname=shard' || n
FROM generate_series(1, 2) n;
CREATE FUNCTION nearest_by_dblink(query f32vec, k int) RETURNS TABLE (id bigint, distance float8)
LANGUAGE plpgsql AS \$\$
DECLARE
	shard shards;
	question text := format('SELECT id, embedding <-> %L AS distance FROM items ORDER BY distance LIMIT %s', query, k);
BEGIN
	FOR shard IN SELECT * FROM shards LOOP
		PERFORM dblink_connect(shard.name, shard.connection)
		WHERE shard.name <> ALL (COALESCE(dblink_get_connections(), '{}'));
		PERFORM dblink_send_query(shard.name, question);
	END LOOP;
	RETURN QUERY
		SELECT answer.id, answer.distance
		FROM shards, LATERAL dblink_get_result(shards.name) AS answer(id bigint, distance float8)
		ORDER BY answer.distance LIMIT k;
	-- a connection is free again once it has said that there is no more
	PERFORM * FROM shards, LATERAL dblink_get_result(shards.name) AS rest(id bigint, distance float8);
END \$\$;
SQL
my $by_dblink = sub { my ($query) = @_; "SELECT * FROM nearest_by_dblink('$query', 10)" };
same_answers('answers by dblink', '', $by_dblink);
@plans = shard_plans($by_dblink->($queries[0]) . ';' . $by_dblink->($queries[1]));
is(scalar @plans, 4, 'two calls in one session');
like($_, qr/Limit .*actual rows=10(\.00)? /, 'each sends its 10 nearest') foreach @plans;

# --------------------------------------------- settings, changes, what not to do

sql('postgres', q{ALTER SERVER shard1 OPTIONS (ADD options '-c vkindex.log_scans=on')});
like(logged(nearest_of('items_1', $queries[0], 10)),
	qr/shard1: LOG:  scan of index "items_flat"/, 'settings of ours go along with the connection');

sql('postgres', <<'SQL');
UPDATE items SET kind = 77 WHERE id <= 20;
DELETE FROM items WHERE id BETWEEN 21 AND 40;
INSERT INTO items SELECT id + 10000, embedding, 78 FROM everything WHERE id <= 20;
UPDATE everything SET kind = 77 WHERE id <= 20;
DELETE FROM everything WHERE id BETWEEN 21 AND 40;
INSERT INTO everything SELECT id + 10000, embedding, 78 FROM everything WHERE id <= 20;
SQL
is(sql('postgres', 'SELECT count(*), sum(kind), sum(id) FROM items'),
	sql('postgres', 'SELECT count(*), sum(kind), sum(id) FROM everything'), 'changes go to the shards');
foreach my $shard (1, 2)
{
	is(sql("shard$shard", q{SELECT vk_check('items_flat', true)}), '', "the index of shard $shard is sound");
}

sql('postgres', "ALTER SERVER shard$_ OPTIONS (DROP extensions)") foreach 1, 2;
unlike(sql('postgres', $explain . nearest_of('items', $queries[0], 10)),
	qr/Remote SQL: [^\n]*ORDER BY/, "without extensions 'vkindex' every row comes here");

done_testing();
