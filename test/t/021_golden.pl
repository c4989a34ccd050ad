# Index files of each format version, as its first release wrote them, are read
# and kept up by the code of today.
#
# test/golden/<version> holds the files and the SQL that makes their table: rows,
# indexes, and changes since.  An index is made from the same rows, and its file
# is replaced by the golden one while the server is down.
#
# VK_GOLDEN_MAKE names a folder to write the files of today to instead
# (test/golden/make).

use strict;
use warnings FATAL => 'all';

use File::Basename;
use IO::Compress::Gzip;
use IO::Uncompress::Gunzip;
use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $page_size = 8192;
my $golden = dirname(__FILE__) . '/../golden';
my %operator = (l2 => '<->', ip => '<#>', cosine => '<=>', l1 => '<+>');

sub run_script
{
	my ($node, $version, $name) = @_;

	$node->safe_psql('postgres', slurp_file("$golden/$version/$name.sql"));
	return;
}

# the table, and indexes as the code of today makes them
sub make_table
{
	my ($node, $version) = @_;

	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS golden; DROP FUNCTION IF EXISTS golden_rows, golden_vector');
	run_script($node, $version, $_) foreach ('rows', 'indexes', 'changes');
	return;
}

# name => [ file, metric ]
sub golden_indexes
{
	my ($node) = @_;

	return map { my ($name, $path, $metric) = split /\|/; $name => [ $node->data_dir . "/$path", $metric ] }
	  split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT c.oid::regclass, pg_relation_filepath(c.oid), (vk_page_meta(c.oid)).metric
FROM pg_class c JOIN pg_index ON indexrelid = c.oid WHERE indrelid = 'golden'::regclass ORDER BY 1
SQL
}

sub write_file
{
	my ($path, $content) = @_;

	open(my $file, '>:raw', $path) or die "$path: $!";
	print {$file} $content;
	close($file) or die "$path: $!";
	return;
}

# Pages as they are kept: no position in the WAL, which other servers have not
# reached, and no checksum.
sub make_images
{
	my ($folder) = @_;
	my $node = start_node('golden');
	my ($version) =
	  slurp_file("$golden/../../src/am/page.h") =~ /^#define VK_FORMAT_VERSION\s+(\d+)/m;

	make_table($node, $version);
	my %index = golden_indexes($node);
	$node->safe_psql('postgres', 'CHECKPOINT');
	$node->stop;
	foreach my $name (sort keys %index)
	{
		my $content = slurp_file($index{$name}[0]);
		my $packed;

		for (my $at = 0; $at < length($content); $at += $page_size)
		{
			substr($content, $at, 10) = "\0" x 10;
		}
		IO::Compress::Gzip::gzip(\$content, \$packed, -Level => 9, -Time => 0, -Minimal => 1)
		  or die $IO::Compress::Gzip::GzipError;
		write_file("$folder/$name.gz", $packed);
		ok(length($content) > 3 * $page_size, "format version $version: $name was written");
	}
	return;
}

sub put_image
{
	my ($path, $version, $name) = @_;
	my $content;

	IO::Uncompress::Gunzip::gunzip("$golden/$version/$name.gz", \$content)
	  or die $IO::Uncompress::Gunzip::GunzipError;
	write_file($path, $content);
	unlink "${path}_fsm";
	return;
}

# distances by the index, alone on the table, and by the table, which must agree
sub answers_agree
{
	my ($node, $name, $metric, $when) = @_;
	my $others = join ', ', grep { $_ ne $name } split /\n/, $node->safe_psql('postgres',
		"SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'golden'::regclass");
	my $begin = "BEGIN; DROP INDEX $others; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off;";
	my $plan = $node->safe_psql('postgres',
		"$begin EXPLAIN (COSTS OFF) SELECT FROM golden ORDER BY embedding $operator{$metric} golden_vector(1) LIMIT 50; ROLLBACK");

	like($plan, qr/Index Scan using $name /, "$when: $name is used");
	my ($rc, $stdout, $stderr) = $node->psql('postgres',
		"$begin SELECT golden_$metric(golden_vector(q)) FROM generate_series(-3, 3) q; ROLLBACK");
	is($rc, 0, "$when: $name answers as the sequential plan") or diag($stderr);
	return;
}

sub indexes_are_well
{
	my ($node, $when, %index) = @_;

	foreach my $name (sort keys %index)
	{
		index_is_sound($node, $name, "$when: $name is sound");
		answers_agree($node, $name, $index{$name}[1], $when);
	}
	return;
}

sub check_version
{
	my ($node, $version) = @_;
	my $when = "format version $version";

	make_table($node, $version);
	my %index = golden_indexes($node);
	my $checksums = $node->safe_psql('postgres', 'SHOW data_checksums');
	$node->stop;
	command_ok([ 'pg_checksums', '--disable', '-D', $node->data_dir ], 'no checksums')
	  if $checksums eq 'on';
	put_image($index{$_}[0], $version, $_) foreach keys %index;
	$node->start;

	is( $node->safe_psql('postgres',
			"SELECT string_agg(DISTINCT (vk_page_meta(indexrelid)).version::text, ',') FROM pg_index WHERE indrelid = 'golden'::regclass"),
		$version, "$when: the files are in place");
	indexes_are_well($node, $when, %index);

	$node->safe_psql('postgres', <<'SQL');
SELECT golden_rows(801, 1200);
DELETE FROM golden WHERE id % 4 = 1;
VACUUM (INDEX_CLEANUP on) golden;
SELECT golden_rows(1201, 1400);
UPDATE golden SET embedding = golden_vector(-id) WHERE id % 10 = 3;
SQL
	indexes_are_well($node, "$when, changed", %index);
	foreach my $name (sort keys %index)
	{
		$node->safe_psql('postgres', "SELECT vk_tune('$name')");
	}
	indexes_are_well($node, "$when, tuned", %index);
	return;
}

if ($ENV{VK_GOLDEN_MAKE})
{
	make_images($ENV{VK_GOLDEN_MAKE});
}
else
{
	my $node = start_node('golden');

	# transaction numbers in the files are of the past
	$node->safe_psql('postgres',
		'DO $$ BEGIN FOR i IN 1 .. 2000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$');
	foreach my $version (sort { $a <=> $b } map { basename($_) } glob("$golden/[0-9]*"))
	{
		make_table($node, $version);
		make_comparison($node, "golden_$_", 'golden', $operator{$_}, 50) foreach keys %operator;
		check_version($node, $version);
		$node->safe_psql('postgres',
			join('', map { "DROP FUNCTION golden_$_, golden_${_}_index, golden_${_}_table;" } keys %operator));
	}
	no_crash_in_log($node, 'no process died');
	$node->stop;
}
done_testing();
