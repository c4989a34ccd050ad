# Batches that several processes share, while rows come, change and go and vacuum
# clears them: each answer is that of the sequential plan under the same
# snapshot.  Workers that are killed, and time that is over, leave nothing.

use strict;
use warnings FATAL => 'all';

use Test::More;
use VkTest;

my $dims = 8;
my $node = start_node('batch_parallel', conf => <<'CONF');
max_worker_processes = 10
max_parallel_workers = 6
max_parallel_workers_per_gather = 2
parallel_setup_cost = 0
parallel_tuple_cost = 0
jit = off
CONF

$node->safe_psql('postgres', 'CREATE EXTENSION pg_buffercache');
load_vectors($node, 't', rows => 4000, dims => $dims);
$node->safe_psql('postgres', <<"SQL");
CREATE INDEX t_flat ON t USING vkflat (embedding);
CREATE SEQUENCE next_id START 10000;
CREATE FUNCTION compare(index regclass) RETURNS void LANGUAGE plpgsql STABLE AS \$\$
DECLARE
	queries f32vec[] := ARRAY(SELECT random_vector($dims) FROM generate_series(1, 60));
	by_index text;
	by_table text;
BEGIN
	SELECT string_agg(distance::text, ' ' ORDER BY n) INTO by_index FROM (
		SELECT distance, row_number() OVER () AS n FROM vk_knn_batch(index, queries, 7, 1)) b;
	SELECT string_agg(d::text, ' ' ORDER BY n, d) INTO by_table
	FROM unnest(queries) WITH ORDINALITY q(q, n), LATERAL (SELECT embedding <-> q AS d FROM t ORDER BY 1 LIMIT 7) s;
	IF by_index IS DISTINCT FROM by_table THEN
		RAISE EXCEPTION 'batch gives %, table %', by_index, by_table;
	END IF;
END \$\$;
ALTER FUNCTION compare SET enable_indexscan = off;
SQL
is( $node->safe_psql('postgres', <<'SQL'), 2, 'workers take part');
DO 'BEGIN PERFORM compare(''t_flat''); END';
SELECT workers FROM vk_last_scan();
SQL

$node->pgbench(
	'--no-vacuum --client=4 --jobs=1 --time=5',
	0,
	[qr{actually processed}],
	[qr{^$}],
	'shared batches beside inserts, deletes, updates and vacuum',
	{
		'027_insert@4' => "INSERT INTO t SELECT nextval('next_id'), random_vector($dims) "
		  . "FROM generate_series(1, (random() * 40)::int);\n",
		'027_delete@2' => "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id > 3000 "
		  . "AND random() < 0.02 LIMIT 30 FOR UPDATE SKIP LOCKED);\n",
		'027_update@2' => "\\set row random(1, 3000)\n"
		  . "UPDATE t SET embedding = random_vector($dims) WHERE id = :row;\n",
		'027_compare@4' => "SELECT compare('t_flat');\n",
		'027_vacuum@1' => "SELECT pg_try_advisory_lock(1)::int AS mine \\gset\n"
		  . "\\if :mine\nVACUUM t;\nSELECT pg_advisory_unlock(1);\n\\endif\n"
	});
index_is_sound($node, 't_flat', 'after the run');

# graphs that take a while
my $graph = "SELECT sum((SELECT count(*) FROM vk_knn_graph('t_flat', 800 + n % 2))) FROM generate_series(1, 100) n";
my ($rc, $out, $error) = $node->psql('postgres', "SET statement_timeout = '100ms'; $graph;");
like($error, qr/canceling statement due to statement timeout/, 'a timeout ends leader and workers');
nothing_left($node, 'after a timeout');

my $session = start_sql($node, "$graph;\nSELECT compare('t_flat');\n");
ok( $node->poll_query_until(
		'postgres', q{SELECT bool_and(queries_done < queries_total) AND max(workers) = 2 FROM vk_progress}),
	'progress is shown');
ok( $node->poll_query_until(
		'postgres', q{SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity
			WHERE backend_type = 'parallel worker'}),
	'a worker is told to end');
like(finish_sql($session), qr/terminating (?:background worker|connection due to administrator command)/,
	'the graphs have an error');
nothing_left($node, 'after the end of a worker');
is($node->safe_psql('postgres', 'SELECT count(*) FROM vk_progress'), 0, 'nothing is in progress');

no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
