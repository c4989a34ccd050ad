#-------------------------------------------------------------------------
#
# VkDamage.pm
#	  Damages index pages: the format's fields, pages as bytes, random damage.
#
# NOTES
#	  An index is an array of pages, each a string.  Where its fields are is
#	  asked of test/modules/damage.c, which is compiled with the format's own
#	  header.
#
#	  Random damage is drawn from an image of the index, so it is the same for
#	  the same image and seed.  What core itself stores and trusts in a page
#	  header (LSN and checksum) is left alone: data checksums are for that.
#
# IDENTIFICATION
#	  test/t/VkDamage.pm
#
#-------------------------------------------------------------------------
package VkDamage;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use VkTest;

our @EXPORT = qw(damage_prepare damage_field damage_names damage_value pages_of draw_damage damage_sql);

my $page_size = 8192;
my %pack_of = (1 => 'C', 2 => 'S', 4 => 'L', 8 => 'Q');
my (%fields, %kind_name);

# ------------------------------------------------------------- the format

# damage_prepare($node): the SQL functions damage_*, and the fields
sub damage_prepare
{
	my ($node) = @_;
	my $library = build_module('damage');

	$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION damage_fields(OUT of text, OUT name text, OUT at integer, OUT size integer, OUT number integer)
RETURNS SETOF record AS '$library' LANGUAGE C STRICT;
CREATE FUNCTION damage_read(regclass) RETURNS bytea AS '$library' LANGUAGE C STRICT;
CREATE FUNCTION damage_write(regclass, integer, integer, bytea) RETURNS void AS '$library' LANGUAGE C STRICT;
CREATE FUNCTION damage_truncate(regclass, integer) RETURNS void AS '$library' LANGUAGE C STRICT;
CREATE FUNCTION damage_peak_memory() RETURNS bigint AS '$library' LANGUAGE C STRICT;
SQL
	foreach my $line (split /\n/, $node->safe_psql('postgres', 'SELECT * FROM damage_fields()'))
	{
		my ($of, $name, $at, $size, $number) = split /\|/, $line;

		$fields{$of}{$name} = { at => $at, size => $size, number => $number };
	}
	%kind_name = map { $fields{value}{$_}{size} => lc(substr($_, 8)) }
	  grep { /^VK_PAGE_[A-Z]+$/ } keys %{ $fields{value} };
	return;
}

# damage_value($name): a constant of the format
sub damage_value
{
	my ($name) = @_;
	return ($fields{value}{$name} // $fields{size}{$name} // die "no value $name")->{size};
}

# where a structure begins on a page
sub start_of
{
	my ($of) = @_;

	return 0 if $of eq 'page';
	return 24 if $of eq 'head';
	return damage_value('VK_PAGE_HEAD_SIZE') if $of eq 'meta';
	return 0;
}

# damage_field($of, $name, $base): [ byte on the page, pack letter ]; base is
# where the structure begins, unless it has one place
sub damage_field
{
	my ($of, $name, $base) = @_;
	my $field = $fields{$of}{$name} // die "no field $name of $of";

	return [ ($base // start_of($of)) + $field->{at}, $pack_of{ $field->{size} } ];
}

# damage_names($of): the fields of a structure
sub damage_names
{
	my ($of) = @_;
	return sort keys %{ $fields{$of} };
}

sub get
{
	my ($page, $field) = @_;
	return unpack($field->[1], substr($page, $field->[0], 8));
}

# pages_of($node, $index): its pages
sub pages_of
{
	my ($node, $index) = @_;
	my $hex = $node->safe_psql('postgres', "SELECT encode(damage_read('$index'), 'hex')");

	return [ unpack("(a$page_size)*", pack('H*', $hex)) ];
}

# ---------------------------------------------------------- random damage

sub pick { return $_[ int(rand(@_)) ]; }

sub kind_of
{
	my ($page) = @_;
	return $kind_name{ get($page, damage_field('head', 'kind')) } // 'none';
}

# a value that somebody could take for a right one, or that is at an edge
sub draw_value
{
	my ($old, $size, $blocks) = @_;
	my $most = $size == 8 ? ~0 : 2**(8 * $size) - 1;
	my @any = (0, 1, 2, 3, $most, $most - 1, $most >> 1, ($most >> 1) + 1,
		$old ^ (1 << int(rand(8 * $size))), int(rand(256)));
	my @next = ($old + 1, $old - 1, $old * 2, $old + 256);
	my @blocks = ($blocks, $blocks - 1, $blocks + 1, int(rand($blocks)), int(rand($blocks)), int(rand($blocks)));
	my @floats = $size == 4
	  ? (0x7F800000, 0xFF800000, 0x7FC00000, 0xBF800000, 0x7F7FFFFF, 1)
	  : $size == 8 ? map { $_ << 48 } (0x7FF0, 0xFFF0, 0x7FF8, 0xBFF0, 0x7FEF)
	  : $size == 2 ? (0x7C00, 0xFC00, 0x7E00) : ();
	my $value = rand() < 0.3 ? pick(@next) : rand() < 0.5 ? pick(@blocks) : pick(@any, @floats);

	return $value < 0 || $value > $most ? $most : $value;
}

# A field of the page, by its kind: [ byte, pack letter, name ]
sub draw_field
{
	my ($pages, $block) = @_;
	my $page = $pages->[$block];
	my $kind = kind_of($page);
	my $line = damage_value('VK_LINE_SIZE');
	my $of = pick('head', 'head', 'page', ('of its kind') x 4);
	my $named = sub {
		my ($of, $base) = @_;
		my $name = pick(damage_names($of));
		my $field = damage_field($of, $name, $base);

		$field->[0] += $fields{$of}{$name}{size} * int(rand($fields{$of}{$name}{number}));
		return [ @$field, "$of.$name" ];
	};
	my $somewhere = sub {
		my ($size, $first, $last) = @_;
		return [ $first + $size * int(rand(($last - $first) / $size)), $pack_of{$size}, "$size bytes" ];
	};

	$of = 'head' if $kind eq 'none' || $kind eq 'free';
	return $named->($of) if $of ne 'of its kind';
	return $named->('meta') if $kind eq 'meta';
	return $somewhere->(4, 64, 64 + 8) if $kind eq 'map';
	if ($kind eq 'directory')
	{
		my $slots = get($pages->[0], damage_field('meta', 'slots'));

		return $named->('slot', $line * (1 + int(rand($slots > 126 ? 126 : $slots))));
	}
	if ($kind eq 'summary')
	{
		return $named->('summary', $line + damage_value('VkSummary') * int(rand(25)));
	}
	if ($kind eq 'block')
	{
		my $head = $line * get($page, damage_field('head', pick('first_head', 'last_head')));

		$head = $line * (1 + int(rand($page_size / $line - 4))) if $head < $line || $head > $page_size - 4 * $line || rand() < 0.1;
		return $named->('block', $head) if rand() < 0.6;
		# TIDs, then the annotation
		return $somewhere->(2, $head, $head + 96) if rand() < 0.5;
		return $somewhere->(pick(2, 4), $head + 128, $head + 256);
	}
	return $somewhere->(pick(2, 4), 64, pick(64 + 60, $page_size));
}

# the ways to damage; each changes the pages and says what it did
my %ways = (
	bits => sub {
		my ($pages, $block) = @_;
		my $number = 1 + int(rand(8));

		foreach (1 .. $number)
		{
			my $at = 10 + int(rand($page_size - 10));
			substr($pages->[$block], $at, 1) ^= chr(1 << int(rand(8)));
		}
		return "$number bits of block $block";
	},
	bytes => sub {
		my ($pages, $block) = @_;
		my $number = 1 + int(rand(64));
		my $at = rand() < 0.5 ? 24 + int(rand(40)) : 10 + int(rand($page_size - 10 - $number));

		substr($pages->[$block], $at, $number) = join('', map { chr(int(rand(256))) } 1 .. $number);
		return "$number bytes at $at of block $block";
	},
	swapped => sub {
		my ($pages, $block) = @_;
		my $other = int(rand(@$pages));

		@$pages[ $block, $other ] = @$pages[ $other, $block ];
		return "blocks $block and $other swapped";
	},
	copied => sub {
		my ($pages, $block) = @_;
		my $other = int(rand(@$pages));

		$pages->[$block] = $pages->[$other];
		return "block $other copied to $block";
	},
	zeroed => sub {
		my ($pages, $block) = @_;

		$pages->[$block] = "\0" x $page_size;
		return "block $block zeroed";
	},
	truncated => sub {
		my ($pages, $block) = @_;

		$#{$pages} = $block - 1;
		return "$block blocks left";
	},
	stranger => sub {
		my ($pages, $block, $others) = @_;
		my $other = pick(@$others);
		my $from = int(rand(@$other));

		$pages->[$block] = $other->[$from];
		return "block $from of another index at $block";
	},
	torn => sub {
		my ($pages, $block, $others) = @_;
		my $at = 512 * (1 + int(rand(15)));
		my $other = pick(@$others, $pages);

		substr($pages->[$block], $at) = substr(pick(@$other, "\0" x $page_size), $at);
		return "block $block torn at $at";
	},
	field => sub {
		my ($pages, $block) = @_;
		my ($at, $letter, $name) = @{ draw_field($pages, $block) };
		my $size = length(pack($letter, 0));
		my $old = get($pages->[$block], [ $at, $letter ]);
		my $new = draw_value($old, $size, scalar(@$pages));

		substr($pages->[$block], $at, $size) = pack($letter, $new);
		return "$name at $at of block $block from $old to $new";
	});
my @ways = (sort(keys %ways), ('field') x 22, ('bytes') x 3, ('bits') x 2);

# draw_damage($seed, \@pages, \@others)
#
# Damaged copy of the pages, and what was done, in words; others are the pages
# of other indexes.  The first pages, which hold the most, are damaged most.
sub draw_damage
{
	my ($seed, $pages, $others) = @_;
	my @damaged = @$pages;
	my @said;

	srand($seed);
	foreach (1 .. pick(1, 1, 1, 2, 3))
	{
		my $before = join('', @damaged);

		do
		{
			my $block = rand() < 0.4 ? pick(0, 0, 1, 2) : int(rand(@damaged));
			my $done = $block > $#damaged ? 'nothing' : $ways{ pick(@ways) }->(\@damaged, $block, $others);

			push @said, $done if join('', @damaged) ne $before || !@damaged;
		} until join('', @damaged) ne $before || !@damaged;
	}
	return (\@damaged, join(', ', @said));
}

# damage_sql($index, \@old, \@new): statements that make old pages the new ones
sub damage_sql
{
	my ($index, $old, $new) = @_;
	my $sql = '';

	foreach my $block (0 .. $#{$new})
	{
		# LSN and checksum stay as they are
		my ($was, $is) = map { substr($_->[$block], 10) } $old, $new;

		next if $was eq $is;
		($was ^ $is) =~ /^(\0*)(.*?)\0*$/s;
		my ($at, $number) = (length($1), length($2));

		$sql .= sprintf("SELECT damage_write('%s', %d, %d, '\\x%s');\n",
			$index, $block, 10 + $at, unpack('H*', substr($is, $at, $number)));
	}
	$sql .= sprintf("SELECT damage_truncate('%s', %d);\n", $index, scalar(@$new)) if @$new < @$old;
	return $sql;
}

1;
