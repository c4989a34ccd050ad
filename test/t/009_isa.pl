# Indexes and answers are the same, byte for byte, with every instruction set
# that this machine has.

use strict;
use warnings FATAL => 'all';

use Digest::MD5 qw(md5_hex);
use PostgreSQL::Test::Utils;
use Test::More;
use VkTest;

my $node = start_node('isa', conf => "track_io_timing = off\n");
my @isas;

# the names that can be set are the instruction sets to be had
foreach my $isa (qw(ref avx2 avx512 amx neon sve sme))
{
	my ($rc, $stdout, $stderr) = $node->psql('postgres',
		"LOAD 'vkindex'; SET vkindex.simd = $isa; SHOW vkindex.simd");

	if ($rc == 0)
	{
		is($stdout, $isa, "vkindex.simd can be $isa");
		push @isas, $isa;
	}
	else
	{
		like($stderr, qr/invalid value for parameter "vkindex.simd": "$isa"/,
			"vkindex.simd cannot be $isa here");
	}
}
my (undef, undef, $stderr) =
  $node->psql('postgres', "LOAD 'vkindex'; SET vkindex.simd = 'sse9'");
like($stderr, qr/invalid value for parameter "vkindex.simd": "sse9"/, 'unknown name');
ok((grep { $_ eq 'ref' } @isas), 'the reference is there always');

# sizes with whole lines and with tails, codes of every width
my @cases = (
	[ 19, '<->', 'vkflat', 'f32vec_l2_ops', '' ],
	[ 67, '<->', 'vkflat', 'f32vec_l2_ops', 'bits = 1, refine = 4' ],
	[ 67, '<=>', 'vkflat', 'f32vec_cosine_ops', '' ],
	[ 67, '<#>', 'vkflat', 'f32vec_ip_ops', 'bits = 16' ],
	[ 67, '<->', 'vkivf', 'f32vec_l2_ops', 'lists = 12' ],
	[ 130, '<=>', 'vkivf', 'f32vec_cosine_ops', 'lists = 12, bits = 1, refine = 4' ],
	[ 130, '<#>', 'vkivf', 'f32vec_ip_ops', 'lists = 12, bits = 2, refine = 8' ],
	[ 300, '<=>', 'vkivf', 'f32vec_cosine_ops', 'lists = 7, bits = 8' ],
	[ 67, '<+>', 'vkflat', 'f32vec_l1_ops', '' ],
	[ 130, '<+>', 'vkivf', 'f32vec_l1_ops', 'lists = 12' ],
	[ 67, '<->', 'vkflat', 'f16vec_l2_ops', '' ],
	[ 130, '<=>', 'vkivf', 'bf16vec_cosine_ops', 'lists = 12' ],
	[ 67, '<#>', 'vkivf', 'i8vec_ip_ops', 'lists = 12' ]);
# what elements, which are below 1, are multiplied by
my %factor = (f32vec => 1, f16vec => 1, bf16vec => 1, i8vec => 60);

# random queries, with elements of the type
sub type_queries
{
	my ($type, @arguments) = @_;
	my @queries = random_queries(@arguments);

	if ($factor{$type} != 1)
	{
		s/[^\[\],]+/int($& * $factor{$type})/ge foreach @queries;
	}
	return @queries;
}

# bytes of an index but for what WAL and checksums say
sub index_bytes
{
	my ($index) = @_;

	$node->safe_psql('postgres', 'CHECKPOINT');
	my $path = $node->safe_psql('postgres', "SELECT pg_relation_filepath('$index')");
	my @pages = unpack('(a8192)*', slurp_file($node->data_dir . "/$path"));

	return map { md5_hex(substr($_, 10)) } @pages;
}

foreach my $n (0 .. $#cases)
{
	my ($dims, $operator, $method, $class, $options) = @{ $cases[$n] };
	my $type = $class =~ s/_.*//r;
	my $name = "$method, $class, $dims dimensions, " . ($options || 'no options');
	my $with = $options ? "WITH ($options)" : '';
	my (%bytes, %answers);
	my $queries = join(
		';',
		map {
			"SELECT id, float8send(embedding $operator '$_') FROM t$n "
			  . "ORDER BY embedding $operator '$_' LIMIT 50"
		} type_queries($type, 5, $dims, 13));

	foreach my $isa (@isas)
	{
		# a table of its own for each, so that rows have the same places
		$node->safe_psql('postgres',
			"SET client_min_messages = warning; DROP TABLE IF EXISTS t$n");
		load_vectors($node, "t$n", rows => 1500, dims => $dims);
		$node->safe_psql('postgres', <<"SQL") if $type ne 'f32vec';
ALTER TABLE t$n ALTER embedding TYPE $type($dims)
	USING embedding * array_fill($factor{$type}::real, ARRAY[$dims])::f32vec;
SQL
		$node->safe_psql('postgres', <<"SQL");
SET vkindex.simd = $isa;
CREATE INDEX t${n}_vk ON t$n USING $method (embedding $class) $with;
INSERT INTO t$n SELECT 10000 + i, embedding + embedding FROM t$n, generate_series(1, 2) i
	WHERE id <= 60;
SQL
		$bytes{$isa} = join(' ', index_bytes("t${n}_vk"));
		foreach my $target (0.8, 1)
		{
			$answers{$isa} .= join(' ',
				answer($node, $queries, 'enable_seqscan = off', "vkindex.simd = $isa",
					"vkindex.target_recall = $target"));
		}
		index_is_sound($node, "t${n}_vk", "$name: sound, made by $isa");
	}
	foreach my $isa (@isas[ 1 .. $#isas ])
	{
		ok($bytes{$isa} eq $bytes{ $isas[0] }, "$name: $isa and $isas[0] write the same index")
		  or diag(differing_pages($bytes{$isa}, $bytes{ $isas[0] }));
		ok($answers{$isa} eq $answers{ $isas[0] }, "$name: $isa and $isas[0] answer the same");
	}
	# what one has written, the others read
	same_as_sequential($node, "t$n", $operator, [ type_queries($type, 3, $dims, 17) ],
		50, "$name: as the sequential plan");
}

sub differing_pages
{
	my @left = split / /, $_[0];
	my @right = split / /, $_[1];
	my @pages = grep { ($left[$_] // '') ne ($right[$_] // '') } 0 .. $#left;

	return @left . ' and ' . @right . " pages; different: @pages";
}

no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
