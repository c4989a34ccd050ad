# ALTER EXTENSION UPDATE: each version that there is a script for becomes the
# newest one and is then what CREATE EXTENSION makes; and a next version, made
# here, replaces the one in use under sessions and indexes, or not at all.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

chomp(my $scripts = `pg_config --sharedir`);
$scripts .= '/extension';
my $control = "$scripts/vkindex.control";

plan skip_all => "files cannot be added to $scripts" unless -w $scripts && -w $control;

my $node = start_node('update', extension => 0);
my $control_text = slurp_file($control);
my ($version) = $control_text =~ /^default_version\s*=\s*'([^']+)'/m;

# "1.1~test" adds to what there is; the library has nothing that "1.2~test" names
my $next = "$version.1~test";
my $beyond = "$version.2~test";
my %added = (
	"vkindex--$version--$next.sql" => <<'SQL',
CREATE FUNCTION vector_size(f32vec) RETURNS integer
	AS 'MODULE_PATHNAME', 'f32vec_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_size(f32vec) IS 'number of dimensions';
SQL
	"vkindex--$next--$beyond.sql" => <<'SQL');
DROP FUNCTION vector_size(f32vec);
CREATE FUNCTION vk_unheard_of() RETURNS integer AS 'MODULE_PATHNAME' LANGUAGE C;
SQL

sub write_file
{
	my ($path, $text) = @_;

	open(my $file, '>', $path) or die "$path: $!";
	print $file $text;
	close($file) or die "$path: $!";
	return;
}

END
{
	my $status = $?;

	unlink map { "$scripts/$_" } keys %added;
	write_file($control, $control_text) if defined $control_text;
	$? = $status;
}

# ---------------------------------------------------------------------------
# from each version to the newest one
# ---------------------------------------------------------------------------

# All that an extension made: its members with their comments, how each function
# is declared, and what the operator families have.
my $made = <<'SQL';
WITH member AS (
	SELECT classid, objid FROM pg_depend
	WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = '%s'))
SELECT pg_describe_object(classid, objid, 0) || ': ' || COALESCE(obj_description(objid, classid::regclass::name), '')
FROM member
UNION ALL
SELECT concat_ws(' ', p.oid::regprocedure, prorettype::regtype, prosrc, probin, provolatile, proparallel,
	proisstrict, proretset, procost, prorows, prosupport, pg_get_function_arguments(p.oid))
FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
UNION ALL
SELECT pg_describe_object('pg_amop'::regclass, a.oid, 0)
FROM pg_amop a JOIN member ON classid = 'pg_opfamily'::regclass AND objid = amopfamily
UNION ALL
SELECT pg_describe_object('pg_amproc'::regclass, a.oid, 0)
FROM pg_amproc a JOIN member ON classid = 'pg_opfamily'::regclass AND objid = amprocfamily
ORDER BY 1
SQL

# made_by($database, $extension, statements that create it)
sub made_by
{
	my ($database, $extension, @statements) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, join('', map { "$_;\n" } @statements));
	return $node->safe_psql($database, sprintf($made, $extension));
}

# what each needs first
my %needs = (vkindex => [], vkindex_pgvector => [ 'CREATE EXTENSION vector', 'CREATE EXTENSION vkindex' ]);
my $databases = 0;

foreach my $extension (sort keys %needs)
{
	my @needed = @{ $needs{$extension} };
	my $there = $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'");

  SKIP:
	{
		skip "pgvector is not installed", 2 if @needed && !$there;

		my $fresh = made_by('v' . ++$databases, $extension, @needed, "CREATE EXTENSION $extension");
		like($fresh, qr/^operator class \S+ for access method vkivf: \S/m,
			"$extension is seen with what it made");
		my @versions = split /\n/, $node->safe_psql('postgres',
			"SELECT version FROM pg_available_extension_versions WHERE name = '$extension' ORDER BY 1");

		foreach my $old (@versions)
		{
			my $updated = made_by('v' . ++$databases, $extension, @needed,
				"CREATE EXTENSION $extension VERSION '$old'", "ALTER EXTENSION $extension UPDATE");

			is($updated, $fresh, "$extension $old updated is what CREATE EXTENSION makes");
		}
	}
}

# ---------------------------------------------------------------------------
# the next version, under use
# ---------------------------------------------------------------------------

write_file("$scripts/$_", $added{$_}) foreach keys %added;

my $dims = 12;
my @queries = random_queries(3, $dims, 31);

# a database of an ordinary user's, who also makes the extension
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE guest LOGIN');
$node->safe_psql('postgres', 'GRANT CREATE ON DATABASE postgres TO keeper; GRANT CREATE ON SCHEMA public TO keeper');
my @keeper = (extra_params => [ '-U', 'keeper' ]);
$node->safe_psql('postgres', 'CREATE EXTENSION vkindex', @keeper);
load_vectors($node, 't', rows => 2000, dims => $dims);
make_indexes($node, 't');

sub extension_version
{
	return $node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'vkindex'});
}

sub attempt
{
	my ($sql, @params) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql, @params);

	return $rc == 0 ? '' : $stderr;
}

# a session that is within a scan, and one that inserts
my $nearest = "SELECT id FROM t ORDER BY embedding <-> '$queries[0]'";
my @expected = split /\n/, $node->safe_psql('postgres', "SET enable_indexscan = off; $nearest LIMIT 40");
my $session = $node->background_psql('postgres');

$session->query_safe('SET enable_seqscan = off; SET enable_sort = off');
$session->query_safe("PREPARE nearest AS $nearest LIMIT 40");
$session->query_safe("BEGIN; DECLARE scan CURSOR FOR $nearest");
is($session->query_safe('FETCH 20 FROM scan'), join("\n", @expected[ 0 .. 19 ]), 'a scan is under way');
my $load = start_sql($node, join('',
	map { "INSERT INTO t SELECT 10000 + $_, array_fill(9, ARRAY[$dims])::f32vec; SELECT pg_sleep(0.001);\n" } 1 .. 500));

# who may
like(attempt('ALTER EXTENSION vkindex UPDATE', extra_params => [ '-U', 'guest' ]),
	qr/must be owner of extension vkindex/, 'another user does not update it');
write_file($control, $control_text =~ s/^default_version\s*=.*/default_version = '$next'/mr);
is(extension_version(), $version, 'a new default version changes no database');
is(attempt('ALTER EXTENSION vkindex UPDATE', @keeper), '', 'its owner, no superuser, does');
is(extension_version(), $next, 'it is the next version then');

# what was under way
is($session->query_safe('FETCH 20 FROM scan'), join("\n", @expected[ 20 .. 39 ]), 'the scan goes on');
is($session->query_safe("COMMIT; EXECUTE nearest"), join("\n", @expected), 'a prepared statement runs');
is($session->query_safe(q{SELECT vector_size('[1,2,3]')}), 3, 'the old session has what is new');
is(finish_sql($load), '', 'inserts went on');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), 2500, 'none is lost');
table_is_sound($node, 't', \@queries, 30, 'updated');

# a library that is older than the script: all is as it was
like(attempt("ALTER EXTENSION vkindex UPDATE TO '$beyond'", @keeper),
	qr/could not find function "vk_unheard_of"/, 'a script for a newer library fails');
is(extension_version(), $next, 'and changes no version');
is($node->safe_psql('postgres', q{SELECT vector_size('[1,2,3]')}), 3, 'and no object');
like(attempt("ALTER EXTENSION vkindex UPDATE TO '$version'", @keeper),
	qr/no update path/, 'there is no way back');

$session->quit;
$node->restart;
table_is_sound($node, 't', \@queries, 30, 'updated, restarted');
is(attempt('DROP EXTENSION vkindex CASCADE', @keeper), '', 'its owner drops it');
no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
