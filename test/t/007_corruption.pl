# Damaged index files: every query, insert, vacuum and check of them answers or
# raises "index corrupted" and names the block; none of them crashes or goes on
# for ever; vk_check finds the damage; REINDEX repairs it.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use VkDamage;
use VkTest;

my $dims = 40;
my ($query) = random_queries(1, $dims, 3);
my $page_size = 8192;

# of page.h, found once the server runs: page kinds, and in the page head, on the
# meta page and in the slots where fields are, as damage_field has it
my (%kind, %head, %meta);

sub find_fields
{
	my ($node) = @_;

	damage_prepare($node);
	$kind{$_} = damage_value('VK_PAGE_' . uc($_)) foreach qw(meta map directory block refine rest mean summary);
	$head{$_} = damage_field('head', $_) foreach damage_names('head');
	$head{pd_lower} = damage_field('page', 'pd_lower');
	$meta{$_} = damage_field('meta', $_) foreach damage_names('meta');
	return;
}

# ---- index files as arrays of pages

my @pages;

sub put
{
	my ($block, $field, $value) = @_;

	substr($pages[$block], $field->[0], length(pack($field->[1], 0))) = pack($field->[1], $value);
	return;
}

sub get
{
	my ($block, $field) = @_;
	return unpack($field->[1], substr($pages[$block], $field->[0], 8));
}

# block number of page n of a kind, in the order of the file
sub page_of
{
	my ($name, $n) = @_;
	my @found = grep { get($_, $head{kind}) == $kind{$name} } 0 .. $#pages;

	die "no page $n of kind $name" if $n > $#found;
	return $found[$n];
}

# pages of the first list, in the order of the chain
sub list_page
{
	my ($n) = @_;
	my $block = get(page_of('directory', 0), slot_field(3, 'head'));

	$block = get($block, $head{next}) while $n-- > 0;
	return $block;
}

sub slot_field
{
	my ($number, $name) = @_;
	return damage_field('slot', $name, damage_value('VK_LINE_SIZE') * (1 + $number));
}

# in the first summaries on a page: those of the first list, column by column
sub summary_field
{
	my ($column, $offset, $type) = @_;
	return [ 64 + 320 * $column + $offset, $type ];
}

# in the first block that begins on a page: its TIDs, its head, from byte 256 on
# its attribute values
sub block_field
{
	my ($block, $offset, $type) = @_;
	return [ 64 * get($block, $head{first_head}) + $offset, $type ];
}

sub zero
{
	$pages[ $_[0] ] = "\0" x $page_size;
	return;
}

my $nowhere = 1_000_000;

# name => [ damage, methods that have such a page ]
my %damage = (
	'empty file' => sub { @pages = () },
	'truncated file' => sub { splice @pages, 4 },
	'zeroed meta page' => sub { zero(0) },
	'meta page of another kind' => sub { put(0, $head{kind}, $kind{block}) },
	'wrong magic' => sub { put(0, $meta{magic}, 0x12345678) },
	'format version from the future' => sub { put(0, $meta{version}, 99) },
	'no dimensions' => sub { put(0, $meta{dim}, 0) },
	'other dimensions' => sub { put(0, $meta{dim}, 41) },
	'too many dimensions' => sub { put(0, $meta{dim}, 65535) },
	'unknown metric' => sub { put(0, $meta{metric}, 77) },
	'unknown format' => sub { put(0, $meta{format}, 200) },
	'unknown refine code' => sub { put(0, $meta{refine_bits}, 5) },
	'too many slots' => sub { put(0, $meta{slots}, 0xFFFFFFFF) },
	'slots without directory' => sub { put(0, $meta{slots}, 1000) },
	'too many lists' => sub { put(0, $meta{lists}, 500) },
	'too many centres' => sub { put(0, $meta{centers}, 0xFFFFFFFF) },
	'last of all epochs' => sub { put(0, $meta{epoch}, ~0) },
	'mean of a later epoch' => sub { put(0, $meta{coded}, 1000) },
	'fewer rows than none' => sub { put(0, $meta{live_rows}, -1) },
	'open slot without list' => sub { put(0, $meta{open_slot}, 1) },
	'no map' => sub { put(0, $meta{maps}, 0) },
	'map past the end' => sub { put(0, $meta{map}, $nowhere) },
	'map of another kind' => sub { put(0, $meta{map}, 2) },
	'mean past the end' => sub { put(0, $meta{mean_head}, $nowhere) },
	'zeroed mean page' => sub { zero(page_of('mean', 0)) },
	'mean of the wrong size' => sub { put(page_of('mean', 0), $head{count}, 3) },
	'zeroed map page' => sub { zero(1) },
	'directory page past the end' => sub { put(1, [ 64, 'L' ], $nowhere) },
	'zeroed directory page' => sub { zero(2) },
	'directory page of another kind' => sub { put(2, $head{kind}, $kind{map}) },
	'slot past the end' => sub { put(2, slot_field(3, 'head'), $nowhere) },
	'slot of a page of another kind' => sub { put(2, slot_field(3, 'head'), 0) },
	'slot of a page in mid-chain' => sub { put(2, slot_field(3, 'head'), list_page(1)) },
	'slot with another birth epoch' => sub { put(2, slot_field(3, 'born'), 0xFFFF) },
	'tail past the end' => sub { put(2, slot_field(3, 'tail'), $nowhere) },
	'tail of another kind' => sub { put(2, slot_field(3, 'tail'), 0) },
	'rest slot past the end' => sub { put(2, slot_field(2, 'head'), $nowhere) },
	'block page of another kind' => sub { put(list_page(1), $head{kind}, $kind{refine}) },
	'zeroed block page' => sub { zero(list_page(1)) },
	'zeroed first block page' => sub { zero(list_page(0)) },
	'page header of another kind' => sub { put(list_page(0), $head{pd_lower}, 24) },
	'chain that loops' => sub { put(list_page(1), $head{next}, list_page(0)) },
	'page that follows itself' => sub { put(list_page(0), $head{next}, list_page(0)) },
	'tail that follows itself' => sub {
		put(2, slot_field(3, 'tail'), list_page(0));
		put(list_page(0), $head{next}, list_page(0));
	},
	'chain past the end' => sub { put(list_page(0), $head{next}, $nowhere) },
	'chain cut short' => sub { put(list_page(0), $head{next}, 0xFFFFFFFF) },
	'wrong position' => sub { put(list_page(1), $head{position}, 7) },
	'wrong slot' => sub { put(list_page(1), $head{slot}, 4) },
	'wrong birth epoch' => sub { put(list_page(1), $head{born}, 5) },
	'first head past the page' => sub { put(list_page(0), $head{first_head}, 200) },
	'last head past the page' => sub { put(list_page(0), $head{last_head}, 255) },
	'last head before the first' => sub {
		put(list_page(0), $head{first_head}, 20);
		put(list_page(0), $head{last_head}, 1);
	},
	'heads out of step' => sub {
		put(list_page(0), $head{last_head}, get(list_page(0), $head{last_head}) - 1);
	},
	'no last head' => sub { put(list_page(0), $head{last_head}, 0) },
	'255 lanes' => sub { put(list_page(0), block_field(list_page(0), 98, 'C'), 255) },
	'17 lanes' => sub { put(list_page(1), block_field(list_page(1), 98, 'C'), 17) },
	'no lanes' => sub { put(list_page(0), block_field(list_page(0), 98, 'C'), 0) },
	'17 lanes in the open block' => sub {
		my ($page, $block) = list_page(0);

		$page = $block while ($block = get($page, $head{next})) != 0xFFFFFFFF;
		put($page, [ 64 * get($page, $head{last_head}) + 98, 'C' ], 17);
	},
	'page of unknown kind' => sub {
		push @pages, $pages[ list_page(0) ];
		put($#pages, $head{kind}, 0x5699);
	},
	'list of an unused slot' => sub { put(2, slot_field(2, 'born'), 0) },
	'list built elsewhere' => sub { put(2, slot_field(3, 'extent_start'), 1) },
	'row past the end of the table' => sub {
		put(list_page(0), block_field(list_page(0), 2, 'S'), 60000);
	},
	'row far past the end of the table' => sub {
		put(list_page(0), block_field(list_page(0), 6, 'S'), 60000);
	},
	'row number zero' => sub { put(list_page(0), block_field(list_page(0), 4, 'S'), 0) },
	'row number too large' => sub { put(list_page(0), block_field(list_page(0), 4, 'S'), 60000) },
	'row twice' => sub {
		my $page = list_page(0);
		my $first = block_field($page, 0, 'C')->[0];

		substr($pages[$page], $first + 6, 6) = substr($pages[$page], $first, 6);
	},
	'row not alive' => sub { put(list_page(0), block_field(list_page(0), 96, 'S'), 0xFFFE) },
	'zeroed refine page' => sub { zero(page_of('refine', 0)) },
	'refine pages of another kind' => sub {
		foreach my $block (0 .. $#pages)
		{
			put($block, $head{kind}, $kind{block}) if get($block, $head{kind}) == $kind{refine};
		}
	},
	'refine page past the end' => sub { put(list_page(0), $head{refine_page}, $nowhere) },
	'refine page that does not exist' => sub {
		put(list_page(0), $head{refine_page}, 0xFFFFFFFF);
	},
	'refine offset past the page' => sub { put(list_page(0), $head{refine_offset}, 9000) },
	'refine position elsewhere' => sub { put(list_page(0), $head{refine_position}, 3) },
	'zeroed rest page' => sub { zero(page_of('rest', 0)) },
	'rest page with too many rows' => sub { put(page_of('rest', 0), $head{count}, 60000) },
	'rest page that follows itself' => sub {
		my $block = page_of('rest', 0);
		put($block, $head{next}, $block);
	},
	'no attribute columns' => sub { put(0, $meta{attributes}, 0) },
	'another attribute column' => sub { put(0, $meta{attributes}, 3) },
	'too many attribute columns' => sub { put(0, $meta{attributes}, 200) },
	'attribute values of another width' => sub { put(0, $meta{attribute_width}, 16) },
	'zeroed summary page' => sub { zero(page_of('summary', 0)) },
	'summary page of another kind' => sub { put(page_of('summary', 0), $head{kind}, $kind{rest}) },
	'summary page of other lists' => sub { put(page_of('summary', 0), $head{slot}, 4) },
	'summary past the end' => sub { put(2, slot_field(3, 'summary'), $nowhere) },
	'summary on a page of another kind' => sub { put(2, slot_field(3, 'summary'), list_page(0)) },
	'no summary' => sub { put(2, slot_field(3, 'summary'), 0xFFFFFFFF) },
	'summary without high values' => sub {
		put(page_of('summary', 0), summary_field(0, 16, 'Q'), 1);
	},
	'summary without low values' => sub {
		put(page_of('summary', 0), summary_field(1, 12, 'L'), 0x7FFFFFFF);
	},
	'summary without some values' => sub {
		my $page = page_of('summary', 0);

		substr($pages[$page], summary_field(0, 64, 'C')->[0], 256) = "\0" x 256;
	},
	'summary without NULLs' => sub {
		put(page_of('summary', 0), summary_field(1, 32, 'C'), 0);
	},
	'another attribute value' => sub {
		my $value = block_field(list_page(0), 256, 'L');

		put(list_page(0), $value, get(list_page(0), $value) ^ 2);
	},
	'NULL as attribute value' => sub {
		my $nulls = block_field(list_page(0), 104, 'S');

		put(list_page(0), $nulls, get(list_page(0), $nulls) ^ 1);
	});

# damage to the centre list, which vkflat has not
my %center_damage = (
	'centre of no list' => sub {
		my $block = get(2, slot_field(0, 'head'));
		put($block, block_field($block, 2, 'S'), 60000);
	},
	'centre of a rest list' => sub {
		my $block = get(2, slot_field(0, 'head'));
		put($block, block_field($block, 2, 'S'), 1);
	},
	'centre twice' => sub {
		my $block = get(2, slot_field(0, 'head'));
		put($block, block_field($block, 8, 'S'), 3);
	},
	'zeroed centre page' => sub { zero(get(2, slot_field(0, 'head'))) },
	'255 centres' => sub {
		my $block = get(2, slot_field(0, 'head'));
		put($block, block_field($block, 98, 'C'), 255);
	},
	# of the first row: by its scan code behind the TIDs, the head and three other halves
	'dot of another centre' => sub { put(list_page(0), block_field(list_page(0), 224, 'S'), 0x3BFF) },
	'dot of another centre with a refine code' => sub {
		put(get(2, slot_field(3, 'refine_head')), [ 64 + 10, 'S' ], 0x3BFF);
	},
	'centre list past the end' => sub { put(2, slot_field(0, 'head'), $nowhere) });

# nothing that a reader meets, nor anything that vk_check calls an error
my %harmless = ('page that nothing refers to' => sub { push @pages, $pages[ list_page(0) ] });

# Random bytes anywhere but in what the server itself checks.  Flipped bits of
# codes are the business of checksums, so vk_check may find nothing.
my $random_cases = 24;

sub damage_at_random
{
	my ($seed) = @_;

	srand($seed);
	foreach (0 .. rand(6))
	{
		my $block = int(rand(@pages));
		my $first = rand() < 0.5 ? 24 + int(rand(40)) : 64 + int(rand($page_size - 64 - 16));

		substr($pages[$block], $first + $_, 1) = chr(int(rand(256))) foreach 0 .. rand(16);
	}
	return;
}

# ---- one table and index for each case, all damaged while the server is down

my $node = start_node('damaged', conf => "ignore_checksum_failure = on\n");

find_fields($node);
load_vectors($node, 'base', rows => 900, dims => $dims);
$node->safe_psql('postgres', <<"SQL");
INSERT INTO base SELECT 1000 + i, NULL FROM generate_series(1, 5) i;
INSERT INTO base SELECT 2000 + i, array_fill(0::real, ARRAY[$dims])::f32vec FROM generate_series(1, 5) i;

-- everything that vk_page_* show of an index, whatever kind its pages say they are
CREATE FUNCTION show_pages(index regclass) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	name text;
BEGIN
	FOR block IN 0 .. pg_relation_size(index) / 8192 - 1 LOOP
		FOREACH name IN ARRAY '{head,blocks,codes,summaries,entries}'::text[] LOOP
			BEGIN
				EXECUTE format('SELECT count(*) FROM vk_page_%s(\$1, \$2)', name) USING index, block;
			EXCEPTION WHEN index_corrupted OR invalid_parameter_value THEN NULL;
			END;
		END LOOP;
	END LOOP;
	PERFORM vk_page_meta(index);
	PERFORM vk_page_slots(index);
END \$\$;
SQL

my %index = (
	flat => 'USING vkflat (embedding f32vec_l2_ops, (id * 3), (nullif(id % 5, 0))) WITH (bits = 2, refine = 8)',
	ivf => 'USING vkivf (embedding f32vec_cosine_ops, (id * 3), (nullif(id % 5, 0))) '
	  . 'WITH (lists = 2, bits = 2, refine = 8, calibrate = 100)');
my %operator = (flat => '<->', ivf => '<=>');
my @cases;
my $create = '';

foreach my $method ('flat', 'ivf')
{
	my %all = $method eq 'ivf' ? (%damage, %center_damage) : %damage;

	push @cases, { method => $method, name => $_, damage => $all{$_}, found => 1 } foreach sort keys %all;
	push @cases, { method => $method, name => $_, damage => $harmless{$_}, found => 0 }
	  foreach sort keys %harmless;
	foreach my $seed (1 .. $random_cases)
	{
		push @cases,
		  {
			method => $method,
			name => "random bytes $seed",
			damage => sub { damage_at_random($seed) },
			found => 0
		  };
	}
}
foreach my $n (0 .. $#cases)
{
	$cases[$n]{table} = "t$n";
	$create .= "CREATE TABLE t$n AS SELECT * FROM base;\n"
	  . "ALTER TABLE t$n ALTER embedding TYPE f32vec($dims);\n"
	  . "CREATE INDEX t${n}_vk ON t$n $index{$cases[$n]{method}};\n";
}
$node->safe_psql('postgres', $create);

my %file = map { split /\|/ } split /\n/, $node->safe_psql('postgres',
	q{SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relname LIKE 't%\_vk'});
$node->stop;

foreach my $case (@cases)
{
	my $path = $node->data_dir . '/' . $file{"$case->{table}_vk"};
	my $bytes = slurp_file($path);

	@pages = unpack("(a$page_size)*", $bytes);
	$case->{damage}->();
	die "nothing damaged: $case->{name}" if join('', @pages) eq $bytes;
	open my $handle, '>:raw', $path or die "could not open $path: $!";
	print $handle join('', @pages);
	close $handle or die "could not write $path: $!";
}
$node->start;

# ---- what each statement says

my $corrupted = qr/ERROR:  XX002: .*(?:block \d+|version mismatch|not a vkindex index|block number|refers to row)/;

# what vk_check says of rows has their place in the table instead of a block
my $row_error = qr/ERROR:  XX002: row \(\d+,\d+\) of table/;

# a row past the end of the table is found missing by the server itself
my $no_row = qr/ERROR:  XX00[01]: could not (?:read block|open file)/;

# the column has other dimensions than the index says
my $other_dimensions = qr/ERROR:  22000: (?:different vector|expected 41) dimensions/;

sub try_damaged
{
	my ($case) = @_;
	my ($table, $operator) = ($case->{table}, $operator{ $case->{method} });
	my $nearest = "SELECT id FROM $table ORDER BY embedding $operator '$query'";
	my @statements = (
		[ 'plan', "EXPLAIN $nearest LIMIT 10" ],
		[ 'nearest rows', "SELECT count(*) FROM ($nearest LIMIT 10) s" ],
		[ 'all rows', "SELECT count(*) FROM ($nearest) s" ],
		[ 'vk_stats', "SELECT count(*) FROM vk_stats('${table}_vk')" ],
		[ 'vk_centroids', "SELECT count(*) FROM vk_centroids('${table}_vk')" ],
		[ 'vk_page', "SELECT show_pages('${table}_vk')" ],
		[ 'vk_check', "SELECT vk_check('${table}_vk', true)" ],
		[
			'inserts',
			"INSERT INTO $table SELECT 5000 + i, random_vector($dims) FROM generate_series(1, 40) i"
		],
		[ 'insert of NULL', "INSERT INTO $table VALUES (6000, NULL)" ],
		[ 'delete', "DELETE FROM $table WHERE id % 2 = 0" ],
		[ 'vacuum', "VACUUM $table" ],
		[ 'nearest rows afterwards', "SELECT count(*) FROM ($nearest LIMIT 10) s" ]);
	my $session = start_sql($node,
		"SET statement_timeout = '10s';\nSET enable_seqscan = off;\n"
		  . join('', map { "\\warn statement $_->[0]\n$_->[1];\n" } @statements));
	my $stderr = finish_sql($session);
	my @wrong;
	my $found = 0;

	foreach my $part (split /^statement /m, $stderr)
	{
		my ($statement, $said) = split /\n/, $part, 2;

		next unless defined $statement;
		next unless ($said // '') =~ /^(?:psql:\S+:\d+: )?(ERROR|FATAL|PANIC|WARNING:  terminating|server closed)/m;
		$found = 1 if $statement eq 'vk_check' && $said =~ /$corrupted|$row_error/;
		next if $said =~ $corrupted && $statement ne 'plan';
		next if $said =~ $row_error && $statement eq 'vk_check';
		next if $said =~ $other_dimensions && $case->{name} eq 'other dimensions';
		next if $said =~ $no_row && $statement =~ /rows/;
		push @wrong, "$statement: $said";
	}
	push @wrong, 'vk_check found nothing' if $case->{found} && !$found;
	push @wrong, 'session ended early' unless $stderr =~ /statement nearest rows afterwards/;
	return @wrong;
}

# Where all lists are wanted, one that the centre list lacks must not be left out.
my ($lacking) = grep { $_->{name} eq 'centre of no list' } @cases;

foreach my $order ('', "ORDER BY embedding <=> '$query'")
{
	my $session = start_sql($node, <<"SQL");
SET enable_seqscan = off;
SET vkindex.target_recall = 1;
SELECT count(*) FROM (SELECT id FROM $lacking->{table} WHERE embedding <=> '$query' < 3 $order) s;
SQL

	like(finish_sql($session), qr/ERROR:  XX002: index "$lacking->{table}_vk" contains lists without a centroid/,
		'ivf: all rows within a radius' . ($order && ' in order') . ', a list without a centroid');
}

foreach my $case (@cases)
{
	my @wrong = try_damaged($case);

	ok(!@wrong, "$case->{method}: $case->{name}") or diag(join("\n", @wrong));
	last if !wait_until_up($node);
}

# ---- the message of a future version, and the repair

my ($future) = grep { $_->{name} eq 'format version from the future' } @cases;
my (undef, undef, $stderr) =
  $node->psql('postgres', "SELECT vk_check('$future->{table}_vk')");
like($stderr, qr/version mismatch in index "$future->{table}_vk": file version 99, current version 1/,
	'a future version is named');
like($stderr, qr/HINT:  Please REINDEX it\./, 'with a hint');

my $repair = join('', map { "REINDEX INDEX $_->{table}_vk;\n" } @cases);
is(finish_sql(start_sql($node, $repair)), '', 'REINDEX works on each');
my $check = join('', map { "SELECT vk_check('$_->{table}_vk', true);\n" } @cases);
is(finish_sql(start_sql($node, $check)), '', 'and repairs it');

no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
