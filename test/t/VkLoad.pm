#-------------------------------------------------------------------------
#
# VkLoad.pm
#	  A world of tables and indexes, a load upon it, and what is right then.
#
# NOTES
#	  The world has every metric, both methods, attribute columns, an index that
#	  grows from nothing, a partial one, and blocks of more pages than one WAL
#	  record may have.  Each index of a table has an operator of its own, so that
#	  the operator of a query says which index answers it.
#
#	  A test that uses this module has two shares: `make test` runs the small
#	  one, `make stress` the large one (VK_STRESS, function share).
#
# IDENTIFICATION
#	  test/t/VkLoad.pm
#
#-------------------------------------------------------------------------
package VkLoad;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use VkTest;

our @EXPORT = qw(
  share
  seed
  progress
  verdict
  draw
  has_tune
  make_functions
  make_world
  mend_world
  world_faults
  world_is_sound
  start_load
  pgbench_scripts
  finish_load
  stop_load
  unexpected_errors
  kill_server
  fingerprint
);

# ------------------------------------------------------------------- the run

# share($in_test, $in_stress)
sub share
{
	my ($in_test, $in_stress) = @_;

	return $ENV{VK_STRESS} ? $in_stress : $in_test;
}

# What the run draws from; VK_SEED repeats its choices, though not its timing.
sub seed
{
	my $seed = $ENV{VK_SEED} // (int(time) ^ $$ << 8) & 0x7fffffff;

	srand($seed);
	note("VK_SEED=$seed");
	return $seed;
}

# `make stress` shows these lines, and the verdicts once more at its end.
sub progress
{
	note('progress: ' . join('', @_));
	return;
}

sub verdict
{
	note('verdict: ' . join('', @_));
	return;
}

# draw([weight, what...], ...): one of them
sub draw
{
	my $left = 0;

	$left += $_->[0] foreach @_;
	$left = rand($left);
	foreach my $choice (@_)
	{
		$left -= $choice->[0];
		return $choice if $left < 0;
	}
	return $_[-1];
}

# Are there list operations to ask for?
my %tune_of;

sub has_tune
{
	my ($node) = @_;

	$tune_of{ $node->name } //=
	  $node->safe_psql('postgres', q{SELECT count(*) FROM pg_proc WHERE proname = 'vk_tune'});
	return $tune_of{ $node->name } > 0;
}

# ----------------------------------------------------------------- the world

our $dims = 24;
our $wide = 2500;

our %tables = (
	w => { dims => $dims, rows => 3000, most => 9000 },
	small => { dims => $dims, rows => 0, most => 7000 },
	wide => { dims => $wide, rows => 60, most => 300 });

# w_l1 and small_l2 have automatic lists: they are flat until they have grown.
our %indexes = (
	w_l2 => 'ON w USING vkflat (embedding f32vec_l2_ops, kind, (id::text))',
	w_cosine => 'ON w USING vkivf (embedding f32vec_cosine_ops, kind) WITH (lists = 12, calibrate = 100)',
	w_ip => 'ON w USING vkivf (embedding f32vec_ip_ops) '
	  . 'WITH (lists = 6, bits = 1, refine = 4, calibrate = 0)',
	w_l1 => 'ON w USING vkivf (embedding f32vec_l1_ops, (id % 5))',
	small_l2 => 'ON small USING vkivf (embedding f32vec_l2_ops, kind)',
	small_cosine => 'ON small USING vkflat (embedding f32vec_cosine_ops) WHERE kind < 6',
	wide_l2 => 'ON wide USING vkflat (embedding f32vec_l2_ops, kind) WITH (bits = 8)',
	wide_ip => 'ON wide USING vkivf (embedding f32vec_ip_ops) WITH (bits = 2, refine = 8)');

# for COPY; a promoted standby reads it too
sub row_file
{
	return "$PostgreSQL::Test::Utils::tmp_check/rows";
}

# Where REINDEX CONCURRENTLY is broken off it leaves indexes, which TRUNCATE makes valid;
# unless these are dropped the next one does the same with them, and they double.
my $drop_left = q{DO $$ DECLARE name text; BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relname LIKE 'small%%\\_cc%%' AND relkind = 'i' LOOP
		EXECUTE 'DROP INDEX IF EXISTS ' || name;
	END LOOP; END $$};

# What sessions of the load do: [role, weight, statement].  %d becomes a number
# that is another one each time, FILE a file of rows for COPY.  What names vk_tune
# is done where there is such a function.
my $row = "SELECT any_kind(), any_vector($dims)";
our @steps = (
	[ writer => 6, "INSERT INTO w (kind, embedding) $row" ],
	[ writer => 4, "INSERT INTO w (kind, embedding) $row FROM generate_series(1, 40)" ],
	[ writer => 2, "COPY w (kind, embedding) FROM 'FILE'" ],
	[ writer => 2, "BEGIN; INSERT INTO w (kind, embedding) $row FROM generate_series(1, 20); ROLLBACK" ],
	[ writer => 1, "BEGIN; INSERT INTO w (kind, embedding) $row; SAVEPOINT s; "
		  . "INSERT INTO w (kind, embedding) $row FROM generate_series(1, 9); ROLLBACK TO s; COMMIT" ],
	[ writer => 1, "BEGIN; INSERT INTO w (kind, embedding) $row FROM generate_series(1, 5); "
		  . "PREPARE TRANSACTION 'load_%d'; SELECT pg_sleep(0.02); COMMIT PREPARED 'load_%d'" ],
	[ writer => 4, "UPDATE w SET embedding = any_vector($dims) WHERE id %% 97 = %d %% 97" ],
	[ writer => 2, 'UPDATE w SET kind = any_kind() WHERE id %% 89 = %d %% 89' ],
	[ writer => 5, 'DELETE FROM w WHERE id %% 83 = %d %% 83' ],
	[ writer => 3, "INSERT INTO small (kind, embedding) $row FROM generate_series(1, 60)" ],
	[ writer => 1, "COPY small (kind, embedding) FROM 'FILE'" ],
	[ writer => 2, 'UPDATE small SET touched = touched + 1 WHERE id %% 41 = %d %% 41' ],
	[ writer => 2, "UPDATE small SET embedding = any_vector($dims) WHERE id %% 41 = %d %% 41" ],
	[ writer => 1, 'DELETE FROM small WHERE id %% 7 = %d %% 7' ],
	[ writer => 2, "INSERT INTO wide (kind, embedding) SELECT any_kind(), random_vector($wide)" ],
	[ writer => 1, 'DELETE FROM wide WHERE id %% 13 = %d %% 13' ],
	[ vacuum => 4, 'VACUUM w' ],
	[ vacuum => 1, 'VACUUM (PARALLEL 2, INDEX_CLEANUP ON) w' ],
	[ vacuum => 1, 'VACUUM (FREEZE, ANALYZE) w' ],
	[ vacuum => 2, 'VACUUM small' ],
	[ vacuum => 2, 'VACUUM wide' ],
	[ vacuum => 4, q{SELECT vk_tune('w_cosine')} ],
	[ vacuum => 2, q{SELECT vk_tune('w_l1')} ],
	[ vacuum => 2, q{SELECT vk_tune('small_l2')} ],
	[ vacuum => 1, q{SELECT vk_tune('w_l2')} ],
	[ checkpoint => 1, 'CHECKPOINT; SELECT pg_sleep(random() * 0.1)' ],
	[ ddl => 2, 'REINDEX INDEX w_l2' ],
	[ ddl => 2, 'REINDEX INDEX w_cosine' ],
	[ ddl => 3, 'REINDEX INDEX CONCURRENTLY w_cosine' ],
	[ ddl => 2, "$drop_left; REINDEX TABLE CONCURRENTLY small" ],
	[ ddl => 3, "DROP INDEX w_l1; CREATE INDEX w_l1 $indexes{w_l1}" ],
	[ ddl => 3, "DROP INDEX CONCURRENTLY w_ip; CREATE INDEX CONCURRENTLY w_ip $indexes{w_ip}" ],
	[ ddl => 1, 'REINDEX TABLE wide' ],
	[ truncate => 1, 'TRUNCATE small' ],
	[ truncate => 1, 'VACUUM FULL small' ],
	[ truncate => 1, 'CLUSTER small USING small_pkey' ],
	[ reader => 1, q{SELECT pg_catalog.count(*) FROM compare_all(NULL, false)} ]);

# make_world($node, empty => 1): tables, indexes, and the functions of the load
sub make_world
{
	my ($node, %params) = @_;
	my %rows = map { $_ => $params{empty} ? 0 : $tables{$_}{rows} } keys %tables;
	my $tables = join('', map { <<"SQL" } sort keys %tables);
CREATE TABLE $_ (id bigserial PRIMARY KEY, kind integer, touched integer DEFAULT 0,
	embedding f32vec($tables{$_}{dims})) WITH (autovacuum_enabled = off, fillfactor = 80);
INSERT INTO $_ (kind, embedding)
	SELECT any_kind(), any_vector($tables{$_}{dims}) FROM generate_series(1, $rows{$_});
SQL

	make_functions($node);
	$node->safe_psql('postgres', $tables . <<"SQL");
COPY (SELECT any_kind(), any_vector($dims) FROM generate_series(1, 200)) TO '${\row_file()}';
SQL
	mend_world($node);
	return;
}

# Vectors of the load: few lists take most of them, where those are changes with
# time; some have no distance, some are equal.
#
# compare_index asks an index and the table the same questions under one snapshot
# (its parts are STABLE).  With `must`, a plan without the index is a fault too.
sub make_functions
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION any_kind() RETURNS integer LANGUAGE sql VOLATILE AS
$$ SELECT CASE WHEN random() < 0.05 THEN NULL ELSE (random() * 9)::int END $$;

CREATE FUNCTION drifting_vector(dims integer) RETURNS f32vec LANGUAGE sql VOLATILE AS $$
SELECT random_vector(dims)
	+ array_fill((extract(epoch FROM clock_timestamp())::bigint / 5 % 7 - 3)::real, ARRAY[dims])::f32vec $$;

CREATE FUNCTION any_vector(dims integer) RETURNS f32vec LANGUAGE sql VOLATILE AS $$
SELECT CASE (random() * 16)::int
	WHEN 0 THEN NULL
	WHEN 1 THEN array_fill(0::real, ARRAY[dims])::f32vec
	WHEN 2 THEN array_fill(1::real, ARRAY[dims])::f32vec
	WHEN 3 THEN random_vector(dims) + array_fill(5::real, ARRAY[dims])::f32vec
	WHEN 4 THEN random_vector(dims) * array_fill(0.01::real, ARRAY[dims])::f32vec
	WHEN 5 THEN drifting_vector(dims)
	WHEN 6 THEN drifting_vector(dims)
	WHEN 7 THEN drifting_vector(dims)
	ELSE random_vector(dims) END $$;

CREATE FUNCTION by_index(question text) RETURNS text LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET vkindex.target_recall = 1
AS $$ DECLARE answer text; BEGIN EXECUTE question INTO answer; RETURN answer; END $$;

CREATE FUNCTION by_default(question text) RETURNS text LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off
AS $$ DECLARE answer text; BEGIN EXECUTE question INTO answer; RETURN answer; END $$;

CREATE FUNCTION by_table(question text) RETURNS text LANGUAGE plpgsql STABLE
SET enable_indexscan = off SET enable_bitmapscan = off
AS $$ DECLARE answer text; BEGIN EXECUTE question INTO answer; RETURN answer; END $$;

CREATE FUNCTION plan_of(question text) RETURNS text LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET vkindex.target_recall = 1
AS $$ DECLARE plan json; BEGIN EXECUTE 'EXPLAIN (FORMAT JSON) ' || question INTO plan; RETURN plan::text; END $$;

-- the index, or one that a REINDEX has left which is the same
CREATE FUNCTION plan_uses(plan text, index oid) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT bool_or(plan LIKE '%"' || o.indexrelid::regclass::text || '"%')
	FROM pg_index i JOIN pg_index o USING (indrelid, indclass, indkey) WHERE i.indexrelid = index
$$;

-- the nearest rows, those of a kind, the number within a radius, and all rows
CREATE FUNCTION questions(index oid, q text) RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE
	source text;
	distance text;
	nearest text := 'SELECT string_agg(d::text, '' '') FROM (SELECT %1$s AS d %2$s ORDER BY %1$s LIMIT %3$s) s';
	radius float8;
BEGIN
	SELECT format('FROM %s WHERE %s', indrelid::regclass, COALESCE(pg_get_expr(indpred, indrelid), 'true')),
		format('embedding OPERATOR(%s.%s) %L::f32vec', nspname, oprname, q)
	INTO source, distance
	FROM pg_index JOIN pg_opclass ON pg_opclass.oid = indclass[0]
	JOIN pg_amop ON amopfamily = opcfamily AND amoppurpose = 'o' AND amoplefttype = amoprighttype
	JOIN pg_operator o ON o.oid = amopopr JOIN pg_namespace n ON n.oid = oprnamespace
	WHERE indexrelid = index;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	RETURN NEXT format(nearest, distance, source, 40);
	RETURN NEXT format(nearest, distance, source || ' AND kind = 3', 20);
	radius := by_table(format('SELECT max(d) FROM (SELECT %s AS d %s ORDER BY 1 LIMIT 30) s WHERE d <> ''NaN''',
							  distance, source));
	RETURN NEXT format('SELECT count(*) || '' '' || sum(id) %s AND %s <= %L::float8', source, distance,
					   COALESCE(radius, 1));
	RETURN NEXT format('SELECT count(*) || '' '' || count(DISTINCT id) || '' '' || sum(id) '
					   'FROM (SELECT id %s ORDER BY %s OFFSET 0) s', source, distance);
END $$;

CREATE FUNCTION differences(index oid, q text, OUT asked integer, OUT fault text) LANGUAGE plpgsql STABLE AS $$
DECLARE
	question text;
	answer text;
	truth text;
BEGIN
	asked := 0;
	FOR question IN SELECT * FROM questions(index, q) LOOP
		answer := by_index(question);
		truth := by_table(question);
		asked := asked + 1;
		IF answer IS DISTINCT FROM truth THEN
			fault := format('index gives %s, table %s, for %s', left(answer, 2000), left(truth, 2000),
							left(question, 2000));
			RETURN;
		END IF;
	END LOOP;
END $$;

-- An error of an index is a fault of it.  Outside quiet times indexes may vanish.
CREATE FUNCTION compare_index(index oid, q text, must boolean, OUT asked integer, OUT fault text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	question text;
BEGIN
	asked := 0;
	IF must THEN
		PERFORM vk_check(index, true);
		FOR question IN SELECT * FROM questions(index, q) LOOP
			-- a range of nothing may be as cheap by another index's column
			IF (question LIKE '%ORDER BY%' OR by_table(question) IS NOT NULL) AND
				NOT plan_uses(plan_of(question), index) THEN
				fault := 'no index scan for ' || left(question, 2000);
				RETURN;
			END IF;
		END LOOP;
	END IF;
	SELECT * INTO asked, fault FROM differences(index, q);
EXCEPTION WHEN OTHERS THEN
	IF must THEN
		fault := SQLSTATE || ': ' || SQLERRM;
	ELSIF SQLSTATE NOT IN ('42704', '42P01', '40P01') THEN
		RAISE;
	END IF;
END $$;

-- all our indexes, or some; where nothing else is to be checked, a fault is an error
CREATE FUNCTION compare_all(wanted text[], must boolean)
RETURNS TABLE (name text, asked integer, fault text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	index oid;
	dims integer;
BEGIN
	FOR index, name, dims IN SELECT c.oid, c.relname, a.atttypmod FROM pg_class c
		JOIN pg_am m ON m.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'embedding'
		WHERE m.amname LIKE 'vk%' AND i.indisvalid AND (wanted IS NULL OR c.relname = ANY (wanted))
		ORDER BY c.relname
	LOOP
		SELECT * INTO asked, fault FROM compare_index(index, random_vector(dims)::text, must);
		IF fault IS NOT NULL AND NOT must THEN
			RAISE EXCEPTION '%: %', name, fault;
		END IF;
		RETURN NEXT;
	END LOOP;
END $$;

-- what two servers with the same data agree on: the answers of each index to fixed
-- questions, exact or not, and the rows
CREATE FUNCTION fingerprint(rows_only boolean) RETURNS TABLE (subject text, value text) LANGUAGE plpgsql STABLE AS $$
DECLARE
	index oid;
	dims integer;
	question text;
BEGIN
	FOREACH subject IN ARRAY ARRAY['small', 'w', 'wide'] LOOP
		EXECUTE format('SELECT count(*) || '' '' || COALESCE(md5(string_agg(concat_ws('' '', id, kind, embedding), '' ''
			ORDER BY id)), '''') FROM %I', subject) INTO value;
		RETURN NEXT;
	END LOOP;
	FOR index, subject, dims IN SELECT c.oid, c.relname, a.atttypmod FROM pg_class c
		JOIN pg_am m ON m.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'embedding'
		WHERE m.amname LIKE 'vk%' AND i.indisvalid AND NOT rows_only
		ORDER BY c.relname
	LOOP
		FOR question IN SELECT * FROM questions(index, (SELECT array_agg((i * i % 17 / 8.5 - 1)::real)
														FROM generate_series(1, dims) i)::f32vec::text) LOOP
			value := md5(concat_ws('/', by_index(question), by_default(question)));
			RETURN NEXT;
		END LOOP;
	END LOOP;
END $$;
SQL
	return;
}

# fingerprint($node, $rows_only)
sub fingerprint
{
	my ($node, $rows_only) = @_;
	my $only = $rows_only ? 'true' : 'false';

	return $node->safe_psql('postgres', "SELECT * FROM fingerprint($only)");
}

# mend_world($node): what a crash or a load leaves is put in order: prepared
# transactions end, half-made indexes go, missing ones come, tables keep their size
sub mend_world
{
	my ($node) = @_;

	foreach my $name (split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts'))
	{
		my $end = rand() < 0.5 ? 'COMMIT' : 'ROLLBACK';
		$node->safe_psql('postgres', "$end PREPARED '$name'");
	}

	# what REINDEX CONCURRENTLY leaves is made valid by TRUNCATE, for one
	my $left = $node->safe_psql('postgres', q{SELECT string_agg(format('DROP INDEX %s;', indexrelid::regclass), ' ')
		FROM pg_index WHERE NOT indisvalid OR indexrelid::regclass::text LIKE '%\_cc%'});
	my $create = join('', map { "CREATE INDEX IF NOT EXISTS $_ $indexes{$_};\n" } sort keys %indexes);
	my $trim = join('',
		map { "DELETE FROM $_ WHERE id % 2 = 0 AND (SELECT count(*) FROM $_) > $tables{$_}{most};\n" }
		  sort keys %tables);

	$node->safe_psql('postgres', "SET client_min_messages = error;\n$left\n$create$trim");
	return;
}

# world_faults($node, $names, \%counts): what is wrong with the indexes, all or
# those named; a string, empty where all is well.  Counts indexes and
# comparisons.  Nothing may change meanwhile.
sub world_faults
{
	my ($node, $names, $counts) = @_;
	my $wanted = defined $names ? "'{" . join(',', @$names) . "}'" : 'NULL';
	my ($rc, $out, $err) = $node->psql('postgres',
		"SELECT name, asked, fault FROM compare_all($wanted, true)");
	my @faults;

	push @faults, $err if $rc != 0;
	foreach my $line (split /\n/, $out)
	{
		my ($name, $asked, $fault) = split /\|/, $line, 3;

		$counts->{indexes}++;
		$counts->{comparisons} += $asked if $asked;
		push @faults, "$name: $fault" if $fault ne '';
	}
	push @faults, 'no index was found' if $out eq '';
	return join("\n", @faults);
}

# world_is_sound($node, $name, \%counts, \@names)
sub world_is_sound
{
	my ($node, $name, $counts, $names) = @_;

	return is(world_faults($node, $names, $counts // {}), '', $name);
}

# ------------------------------------------------------------------ the load

my $number = 0;

# A script of some steps of a role.
sub script
{
	my ($node, $role, $length) = @_;
	my $tune = has_tune($node);
	my @known = map { [ $_->[1], $_->[2] ] }
	  grep { $_->[0] eq $role && ($tune || $_->[2] !~ /vk_tune/) } @steps;
	my $script = '';

	foreach (1 .. $length)
	{
		my $statement = draw(@known)->[1];

		$number++;
		$statement =~ s/%d/$number/g;
		$statement =~ s/%%/%/g;
		$statement =~ s/FILE/row_file()/ge;
		$script .= "$statement;\n";
	}
	return $script;
}

# start_load($node, role => sessions, ...): sessions that run a while (a length of
# scripts may be given as `length`)
sub start_load
{
	my ($node, %roles) = @_;
	my $length = delete $roles{length} // 2000;
	my @sessions;

	foreach my $role (sort keys %roles)
	{
		push @sessions,
		  map { start_sql($node, "SET client_min_messages = error;\n" . script($node, $role, $length)) }
		  1 .. $roles{$role};
	}
	return @sessions;
}

# pgbench_scripts($prefix, $role): the steps of a role as files for pgbench; prepared
# transactions are left out, since their names cannot be parameters
sub pgbench_scripts
{
	my ($prefix, $role) = @_;
	my %scripts;

	foreach my $step (grep { $_->[0] eq $role && $_->[2] !~ /PREPARE/ } @steps)
	{
		my $file = sprintf('%s_%s_%d@%d', $prefix, $role, scalar(keys %scripts), $step->[1]);

		$scripts{$file} = "\\set n random(1, 1000000)\n"
		  . ($step->[2] =~ s/%d/:n/gr =~ s/%%/%/gr =~ s/FILE/row_file()/ger) . ";\n";
	}
	return %scripts;
}

# Sessions of the load meet in ways that PostgreSQL answers by an error: a
# deadlock, an index or a table that another one dropped (also while it waited for
# the lock, where core has no SQLSTATE of its own); or their server is gone.
my %expected = map { $_ => 1 } qw(40P01 42704 42P01 42P07 57P01 57P02 57P03);

sub unexpected_errors
{
	my ($text, @more) = @_;
	my %also = map { $_ => 1 } @more;
	my @errors = $text =~ /(?:ERROR|FATAL|PANIC):  (\w{5}: .*)/g;

	return join("\n", grep { my $state = substr($_, 0, 5); !$expected{$state} && !$also{$state} }
		  grep { !/^XX000: could not open relation with OID/ } @errors);
}

# finish_load(@sessions): waits for them; what they should not have met
sub finish_load
{
	return unexpected_errors(finish_sql(@_));
}

# stop_load($node, \@sessions, @more): ends all sessions; what they should not have
# met, other SQLSTATEs than these
sub stop_load
{
	my ($node, $sessions, @more) = @_;

	# again and again, since one may only be about to connect
	do
	{
		$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});
		sleep(0.05);
		$_->{run}->pumpable && $_->{run}->pump_nb foreach @$sessions;
	} while (grep { $_->{run}->pumpable } @$sessions);
	return unexpected_errors(finish_sql(@$sessions), @more);
}

# kill_server($node): all processes of a server at once; the postmaster is stopped
# first, so that it cannot answer the death of its children
sub kill_server
{
	my ($node) = @_;
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	kill 'STOP', $pid;
	my @children = map { /^\s*(\d+)\s+$pid\s*$/ ? $1 : () } split /\n/, `ps -e -o pid=,ppid=`;
	kill 'KILL', @children if @children;
	$node->kill9;
	# a server does not start beside one whose process is still there
	sleep(0.001) while -e "/proc/$pid";
	return;
}

1;
