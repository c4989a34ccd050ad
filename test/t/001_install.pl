# An ordinary user who owns a database installs the extension and removes it,
# nothing of it stays behind, and the library that answers is the version that
# the catalog names.

use strict;
use warnings FATAL => 'all';

use Test::More;
use VkTest;

my $node = start_node('install', extension => 0);

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE vk_owner LOGIN;
CREATE DATABASE vk_owned OWNER vk_owner;
SQL

# objects that belong to no catalog of the system
my $count_own = <<'SQL';
SELECT (SELECT count(*) FROM pg_proc WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_type WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_operator WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_opclass WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_cast WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_am WHERE oid >= 16384)
SQL

sub as_owner
{
	my ($sql) = @_;
	return $node->safe_psql('vk_owned', $sql, extra_params => [ '-U', 'vk_owner' ]);
}

my $before = as_owner($count_own);

as_owner('CREATE EXTENSION vkindex');
is( as_owner("SELECT extversion FROM pg_extension WHERE extname = 'vkindex'"),
	'1.0', 'a database owner who is no superuser creates the extension');
is( as_owner("SELECT trusted FROM pg_available_extension_versions WHERE name = 'vkindex'"),
	't', 'the extension is trusted');
cmp_ok(as_owner($count_own), '>', $before, 'it brings objects of its own');

as_owner('CREATE TABLE t (id int, embedding f32vec(3))');
as_owner(q{INSERT INTO t VALUES (1, '[1,2,3]'), (2, '[4,5,6]')});
is( as_owner(q{SELECT id FROM t ORDER BY embedding <-> '[4,5,7]' LIMIT 1}),
	'2', 'its type and operator work');

my ($rc, $stdout, $stderr) =
  $node->psql('vk_owned', 'DROP EXTENSION vkindex', extra_params => [ '-U', 'vk_owner' ]);
isnt($rc, 0, 'it is not dropped under a table that uses it');
like($stderr, qr/cannot drop extension vkindex because other objects depend on it/,
	'the error says why');

as_owner('DROP TABLE t');
as_owner('DROP EXTENSION vkindex');
is(as_owner($count_own), $before, 'nothing stays behind');

as_owner('CREATE SCHEMA elsewhere');
as_owner('CREATE EXTENSION vkindex SCHEMA elsewhere');
is( as_owner(q{SELECT '[1,2]'::elsewhere.f32vec OPERATOR(elsewhere.<->) '[1,4]'::elsewhere.f32vec}),
	'2', 'it works in a schema outside the search path');

# what a trusted extension makes belongs to the superuser
as_owner('CREATE SCHEMA moved');
$node->safe_psql('vk_owned', 'ALTER EXTENSION vkindex SET SCHEMA moved');
is( as_owner(q{SELECT moved.vector_dims('[1,2]'::moved.f32vec)}),
	'2', 'it can be moved to another schema');

$node->stop;
done_testing();
