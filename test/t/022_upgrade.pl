# pg_upgrade takes indexes over as they are, copied or linked: they are sound,
# answer as before, and live on.
#
# VK_OLD_BINDIR names the bin directory of an older server (or of the same
# version) that has vkindex installed; without it the test is skipped.

use strict;
use warnings FATAL => 'all';

use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $old_bindir = $ENV{VK_OLD_BINDIR};

plan skip_all => 'VK_OLD_BINDIR does not name the bin directory of an older server with vkindex'
  unless $old_bindir;

sub major_of
{
	my ($bindir) = @_;
	my ($version) = run_command([ "$bindir/pg_config", '--version' ]);

	return $version =~ /(\d+)/ ? $1 : 0;
}

my ($new_bindir) = run_command([ 'pg_config', '--bindir' ]);
my $old_major = major_of($old_bindir);
my $new_major = major_of($new_bindir);

plan skip_all => "the server of VK_OLD_BINDIR is version $old_major, newer than $new_major"
  if $old_major > $new_major;

my $dims = 24;
my @queries = random_queries(4, $dims, 41);

# versions before 18 have no checksums unless asked for, and both must agree
my $old = start_node('old', install_path => dirname($old_bindir),
	extra => $old_major >= 18 ? ['--no-data-checksums'] : []);

load_vectors($old, 't', rows => 2000, dims => $dims);
make_indexes($old, 't');
$old->safe_psql('postgres', <<'SQL');
DELETE FROM t WHERE id % 3 = 0;
VACUUM t;
INSERT INTO t SELECT 3000 + i, random_vector(24) FROM generate_series(1, 100) i;
SQL
table_is_sound($old, 't', \@queries, 30, "version $old_major");

my $definitions = q{SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname};
my $pages = q{SELECT name, vk_page_meta(name::regclass) FROM unnest('{t_flat,t_ivf,t_ip}'::text[]) name};
my $old_definitions = $old->safe_psql('postgres', $definitions);
my $old_pages = $old->safe_psql('postgres', $pages);
$old->stop;

# the linked files are those of the old server, so this comes last
foreach my $mode ('copy', 'link')
{
	my $new = start_node("new_$mode", extension => 0,
		extra => $new_major >= 18 ? ['--no-data-checksums'] : []);
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my $when = "$old_major to $new_major, $mode";

	$new->stop;
	chdir $folder or die "$folder: $!";
	command_ok(
		[
			'pg_upgrade', '--no-sync',
			'--old-datadir', $old->data_dir, '--new-datadir', $new->data_dir,
			'--old-bindir', $old_bindir, '--new-bindir', $new_bindir,
			'--socketdir', $new->host, '--old-port', $old->port, '--new-port', $new->port,
			$mode eq 'link' ? '--link' : ()
		],
		"$when: pg_upgrade");
	$new->start;

	is($new->safe_psql('postgres', $definitions), $old_definitions,
		"$when: indexes have the same definitions");
	is($new->safe_psql('postgres', $pages), $old_pages, "$when: meta pages are the same");
	table_is_sound($new, 't', \@queries, 30, $when);

	$new->safe_psql('postgres', <<'SQL');
INSERT INTO t SELECT 4000 + i, random_vector(24) FROM generate_series(1, 500) i;
DELETE FROM t WHERE id % 5 = 0;
VACUUM t;
SQL
	table_is_sound($new, 't', \@queries, 30, "$when, in use");
	no_crash_in_log($new, "$when: no process died");
	$new->stop;
}
done_testing();
