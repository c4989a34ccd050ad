# What an inserted row adds to the WAL, full-page images aside: at most twice its
# codes plus 110 bytes.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $rows = 2000;
my $node = start_node('insert_wal', conf => <<'CONF');
full_page_writes = off
max_wal_size = 4GB
autovacuum = off
CONF

# The vectors of one table serve all; the first half is there when an index is
# built, the other half is inserted.
load_vectors($node, 'short', rows => 2 * $rows, dims => 128);
load_vectors($node, 'long', rows => 2 * $rows, dims => 768);

sub wal_position
{
	return $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
}

# bytes of generic WAL between two positions, without images of whole pages
sub generic_bytes
{
	my ($from, $to) = @_;
	my ($out, $err) = run_command(
		[
			'pg_waldump', '--stats', '--rmgr=Generic', "--start=$from", "--end=$to",
			'--path=' . $node->data_dir . '/pg_wal'
		]);

	# name, records, percent, bytes, ...
	return $1 if $out =~ /^Generic\s+\d+\s+\(\s*[\d.]+\)\s+(\d+)\s/m;
	die "pg_waldump: $out $err";
}

# bytes of code a row
my %codes = (
	'vkflat, 128 dimensions of 4 bits' => {
		source => 'short', code => 64,
		index => 'vkflat (embedding) WITH (bits = 4, refine = none)'
	},
	'vkivf, 128 dimensions of 4 bits' => {
		source => 'short', code => 64,
		index => 'vkivf (embedding) WITH (lists = 20, bits = 4, refine = none)'
	},
	'vkflat, 768 dimensions of 1 bit, refined' => {
		source => 'long', code => 96 + 12 + 384,
		index => 'vkflat (embedding f32vec_cosine_ops) WITH (bits = 1, refine = 4)'
	},
	'vkivf, 768 dimensions of 1 bit, refined' => {
		source => 'long', code => 96 + 12 + 384,
		index => 'vkivf (embedding f32vec_cosine_ops) WITH (lists = 20, bits = 1, refine = 4)'
	},
	'vkivf, 128 dimensions and attribute columns' => {
		source => 'short', code => 64 + 4 + 8 + 4,
		index => "vkivf (embedding, ((id % 100)::int), id, ((id % 30)::text)) "
		  . "WITH (lists = 20, bits = 4, refine = none)"
	},
	# each row widens the summary of its list
	'vkivf, 128 dimensions and columns of distinct values' => {
		source => 'short', code => 64 + 4 + 4 + 4,
		index => 'vkivf (embedding, (id::int), (hashint8(id)), (hashint8(-id) & 1048575)) '
		  . "WITH (lists = 20, bits = 4, refine = none)"
	});

foreach my $name (sort keys %codes)
{
	my ($source, $code, $index) = @{ $codes{$name} }{qw(source code index)};
	my ($from, $bytes);

	$node->safe_psql('postgres', <<"SQL");
CREATE TABLE t AS SELECT * FROM $source WHERE id <= $rows;
CREATE INDEX t_idx ON t USING $index;
SQL
	$from = wal_position();
	$node->safe_psql('postgres', "INSERT INTO t SELECT * FROM $source WHERE id > $rows");
	$bytes = generic_bytes($from, wal_position()) / $rows;
	note("$name: $bytes bytes a row");
	cmp_ok($bytes, '>', $code, "$name: rows are logged");
	cmp_ok($bytes, '<=', 2 * $code + 110, "$name: no more than twice the code and 110 bytes");
	index_is_sound($node, 't_idx', "$name: sound");
	$node->safe_psql('postgres', 'DROP TABLE t');
}

$node->stop;
done_testing();
