#-------------------------------------------------------------------------
#
# VkFuzzSchema.pm
#	  Random tables, rows and indexes of the fuzzer, and changes to them.
#
# NOTES
#	  Everything is drawn from Perl's rand(), which the caller seeds, and from
#	  the server's random(), which each script seeds: a schema is determined by
#	  its number and the seed of the run.
#
# IDENTIFICATION
#	  test/t/VkFuzzSchema.pm
#
#-------------------------------------------------------------------------
package VkFuzzSchema;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT = qw(between one_in pick pick_some weighted fuzz_functions %operator_of);

our %operator_of = (l2 => '<->', ip => '<#>', cosine => '<=>', l1 => '<+>');

# ------------------------------------------------------------------ chance

sub between
{
	my ($low, $high) = @_;
	return $low + int(rand($high - $low + 1));
}

sub one_in { return rand() * $_[0] < 1; }

sub pick { return $_[ int(rand(@_)) ]; }

# pick_some($n, @list): at most n different ones, in random order
sub pick_some
{
	my ($n, @list) = @_;
	my @picked;

	push @picked, splice(@list, int(rand(@list)), 1) while (@picked < $n && @list);
	return @picked;
}

# weighted(name => weight, ...): one of the names
sub weighted
{
	my @pairs = @_;
	my ($sum, $i) = (0, 0);

	$sum += $pairs[ 2 * $_ + 1 ] foreach 0 .. $#pairs / 2;
	my $left = rand($sum);
	while ($i < @pairs - 2 && ($left -= $pairs[ $i + 1 ]) >= 0)
	{
		$i += 2;
	}
	return $pairs[$i];
}

# ------------------------------------------------------------------- types

# The types of attribute columns: the SQL type, values to draw from, an
# expression for columns of many values, and constants of other types that are
# compared with them.
my @long = map { "'" . ($_ x 900) . "'" } qw(x y);
my %types = (
	bool => { type => 'boolean', values => [qw(true false)] },
	int2 => {
		type => 'smallint',
		values => [qw(-32768 -1 0 1 2 3 32767)],
		many => '(random() * 100)::smallint',
		cross => [qw(1::bigint 40000 -1::integer -99999999999 2.5 2.0)]
	},
	int4 => {
		type => 'integer',
		values => [qw(-2147483648 -7 -1 0 1 2 3 2147483647)],
		many => '(random() * 1000)::integer',
		cross => [qw(2::bigint 3000000000 1::smallint -3000000000 0.5 3::numeric)]
	},
	int8 => {
		type => 'bigint',
		values => [qw(-9223372036854775808 -1 0 1 2 3000000000 9223372036854775807)],
		many => '(random() * 1e12)::bigint',
		cross => [qw(1::smallint 2::integer 1.5)]
	},
	float4 => {
		type => 'real',
		values => [qw('-Infinity' -0.0 0 0.1 1 1e-40 3e38 'Infinity' 'NaN')],
		many => 'random()::real',
		cross => [qw(0.1::float8 0.1 1 1e300::float8 'NaN'::float8)]
	},
	float8 => {
		type => 'double precision',
		values => [qw('-Infinity' -0.0 0 0.1 1 5e-324 1e308 'Infinity' 'NaN')],
		many => 'random()',
		cross => [qw(0.1::real 0.1::numeric 1::integer 'NaN'::real)]
	},
	date => {
		type => 'date',
		values => [qw('-infinity' '1900-01-01' '2024-02-29' '2024-03-01' 'infinity')],
		many => "'2020-01-01'::date + (random() * 2000)::integer",
		cross => [
			"'2024-02-29'::timestamp", "'2024-02-29 12:00'::timestamp",
			"'2024-03-01'::timestamptz", "'infinity'::timestamp"
		]
	},
	timestamp => {
		type => 'timestamp',
		values => [qw('-infinity' '2024-02-29' '2024-02-29T12:00:00.000001' '2030-01-01' 'infinity')],
		many => "'2020-01-01'::timestamp + random() * interval '2000 days'",
		cross => [ "'2024-02-29'::date", "'2024-02-29'::timestamptz", "'infinity'::date" ]
	},
	timestamptz => {
		type => 'timestamptz',
		values => [qw('-infinity' '2024-02-29' '2024-02-29T12:00:00+05' '2030-01-01' 'infinity')],
		many => "'2020-01-01'::timestamptz + random() * interval '2000 days'",
		cross => [ "'2024-02-29'::date", "'2024-02-29 07:00'::timestamp", 'now()' ]
	},
	time => {
		type => 'time',
		values => [qw('00:00' '00:00:00.000001' '12:00' '23:59:59' '24:00')],
		many => "'00:00'::time + random() * interval '20 hours'"
	},
	uuid => {
		type => 'uuid',
		values => [
			qw('00000000-0000-0000-0000-000000000000' '00000000-0000-0000-0000-000000000001'
			  '7fffffff-ffff-ffff-ffff-ffffffffffff' '80000000-0000-0000-8000-000000000000'
			  'ffffffff-ffff-ffff-ffff-ffffffffffff')
		],
		many => 'md5((random() * 300)::integer::text)::uuid'
	},
	oid => {
		type => 'oid',
		values => [qw(0 1 2147483647 2147483648 4294967295)],
		many => '(random() * 300)::integer::oid',
		cross => [qw(1::integer 2::bigint)]
	},
	char => { type => '"char"', values => [ map { "'$_'" } ('', 'a', 'b', 'z', '\\200', '\\377') ] },
	enum => { type => 'mood', values => [qw('sad' 'ok' 'happy')] },
	text => {
		type => 'text',
		values => [ "''", "'a'", "'A'", "'aa'", "'\x{e4}'", "'a '", @long ],
		many => 'md5((random() * 100)::integer::text)',
		cross => [ "'a'::varchar", "'a'::char(3)", "'a'::name" ]
	},
	varchar => {
		type => 'varchar(1000)',
		values => [ "''", "'a'", "'A'", "'aa'", "'a '", @long ],
		many => 'md5((random() * 100)::integer::text)',
		cross => [ "'a'::text", "'a'::char(3)" ]
	},
	bpchar => {
		type => 'char(4)',
		values => [qw('' 'a' 'aa' 'A' 'abcd')],
		cross => [ "'a'::text", "'a'::varchar", "'a  '::char(9)" ]
	},
	numeric => {
		type => 'numeric',
		values => [qw(-1e50 -1 0 0.0 1 1.00 1.5 'NaN' 'Infinity' 1e-30)],
		many => '(random() * 100)::numeric(10, 1)',
		cross => [qw(1::integer 0::bigint 1.5::float8)]
	},
	bytea => { type => 'bytea', values => [ "''", "'\\x00'", "'\\x0000'", "'\\xff'", "'a'" ] },
	nocase => { type => 'text COLLATE nocase', values => [qw('' 'a' 'A' 'aa' 'AA' 'b')] });
# those without an order in our classes
my %unordered = map { $_ => 1 } qw(enum text varchar bpchar numeric bytea nocase);

# ----------------------------------------------------------------- vectors

# The types of vectors: kinds of elements that a type cannot have, and a factor
# for those of the others.
my %vector_types = (
	f32vec => { factor => 1 },
	f16vec => { factor => 1, without => qr/huge|mixed/ },
	bf16vec => { factor => 1 },
	i8vec => { factor => 40, without => qr/huge|mixed/ });

# What every schema uses: elements of vectors of a kind, and helpers.
sub fuzz_functions
{
	return <<'SQL';
CREATE FUNCTION elements(kind text, dims integer, cluster integer) RETURNS real[]
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	scale float8 := CASE kind WHEN 'huge' THEN 1e18 WHEN 'tiny' THEN 1e-30
		WHEN 'mixed' THEN 10 ^ (random() * 50 - 25) ELSE 1 END;
BEGIN
	CASE kind
	WHEN 'zero' THEN
		RETURN array_fill(0::real, ARRAY[dims]);
	WHEN 'constant' THEN
		RETURN array_fill(0.7::real, ARRAY[dims]);
	WHEN 'integers' THEN
		RETURN (SELECT array_agg(floor(random() * 3 - 1)::real) FROM generate_series(1, dims));
	WHEN 'sparse' THEN
		RETURN (SELECT array_agg(CASE WHEN random() < 0.1 THEN random() ELSE 0 END::real)
				FROM generate_series(1, dims));
	WHEN 'clusters' THEN
		RETURN (SELECT array_agg((hashint8extended(cluster * 16384 + i, 7) / 9223372036854775808::float8
					+ random() * 0.3)::real) FROM generate_series(1, dims) i);
	WHEN 'duplicates' THEN
		RETURN (SELECT array_agg((hashint8extended(cluster * 16384 + i, 9) / 9223372036854775808::float8)::real)
				FROM generate_series(1, dims) i);
	ELSE
		RETURN (SELECT array_agg(((random() * 2 - 1) * scale)::real) FROM generate_series(1, dims));
	END CASE;
END $$;
CREATE FUNCTION elements(kind text, dims integer, cluster integer, factor real) RETURNS real[]
LANGUAGE sql VOLATILE AS $$ SELECT array_agg(e * factor) FROM unnest(elements(kind, dims, cluster)) e $$;
-- indexes of partitions say in a plan what they are
CREATE FUNCTION name_partition_indexes(parent regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	child record;
BEGIN
	FOR child IN SELECT inhrelid::regclass AS index, indrelid::regclass AS partition
		FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid WHERE inhparent = parent LOOP
		EXECUTE format('ALTER INDEX %s RENAME TO %I', child.index, parent || '_' || child.partition);
	END LOOP;
END $$;
CREATE TYPE mood AS ENUM ('happy', 'sad', 'ok');
DO $$ BEGIN
	CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
EXCEPTION WHEN feature_not_supported THEN
	RAISE NOTICE 'no ICU';
END $$;
SQL
}

# An SQL expression for the vector of row i, a mixture of kinds; no_null: never
# NULL.
sub vector_sql
{
	my ($self, $no_null) = @_;
	my @kinds = @{ $self->{kinds} };
	my $kind = @kinds == 1 ? "'$kinds[0]'"
	  : '(ARRAY[' . join(', ', map { "'$_'" } @kinds) . "])[1 + floor(random() * random() * "
	  . scalar(@kinds) . ')::integer]';
	my $factor = $vector_types{ $self->{type} }{factor};
	my $vector = "elements($kind, $self->{dims}, i % $self->{clusters}, $factor)::$self->{type}";

	return $self->{null_vectors} && !$no_null
	  ? "CASE WHEN random() >= $self->{null_vectors} THEN $vector END"
	  : $vector;
}

# ------------------------------------------------------------------ schema

# new($number, \%features): draws a schema; large ones are for recall
sub new
{
	my ($class, $number, $features) = @_;
	my $large = $number % 10 == 5;
	my $self = bless {
		number => $number,
		name => "fuzz_$number",
		features => $features,
		large => $large,
		metric => pick('l2', 'l2', 'cosine', 'cosine', 'ip', 'l1'),
		clusters => pick(3, 10, 30),
		type => weighted(f32vec => 4, f16vec => 2, bf16vec => 2, i8vec => 2),
		next_id => 1,
	}, $class;

	$self->{dims} = $large ? between(8, 48)
	  : weighted(1 => 4, 2 => 6, between(3, 31) => 40, between(32, 130) => 40,
		between(131, 300) => 10, 2000 => 2);
	$self->{rows} = $large ? between(5000, 6500)
	  : $self->{dims} > 300 ? between(20, 120)
	  : weighted(between(0, 20) => 8, between(100, 300) => 50, between(300, 1200) => 40);
	# queries that are like the rows: rows, rows moved a little, and others
	$self->{row_queries} = $large ? 15 : 4;
	$self->{natural} = $large ? 60 : 8;
	$self->{kinds} = $large ? [ pick(qw(uniform clusters)) ]
	  : [ map { weighted(uniform => 4, clusters => 5, duplicates => 2, integers => 4, sparse => 2,
			huge => 1, tiny => 1, mixed => 1, zero => 1, constant => 1) } 1 .. between(1, 3) ];
	if (my $without = $vector_types{ $self->{type} }{without})
	{
		s/$without/uniform/ foreach @{ $self->{kinds} };
	}
	$self->{null_vectors} = pick(0, 0.02, 0.2);
	$self->{layout} = weighted(plain => 60, partitioned => 25, inherited => 5, dropped => 10);
	$self->draw_columns;
	$self->draw_vector_expression;
	$self->draw_indexes;
	return $self;
}

sub draw_columns
{
	my ($self) = @_;
	my $number = weighted(0 => 10, 1 => 25, 2 => 30, 3 => 20, 6 => 10, 12 => 2);
	my @names = grep { $_ ne 'nocase' || $self->{features}{nocase} } sort keys %types;

	foreach my $i (1 .. $number)
	{
		my $name = pick(@names);
		my $type = $types{$name};
		my %column = (
			name => "a$i",
			sql => "a$i",
			type_name => $name,
			type => $type->{type},
			ordered => !$unordered{$name},
			values => [ @{ $type->{values} } ],
			cross => [ @{ $type->{cross} // [] } ],
			nulls => pick(0, 0, 0.1, 0.6));

		# few values independent of the vector, one for each cluster, or many
		my $array = "(ARRAY[" . join(', ', @{ $type->{values} }) . "]::" . bare($type->{type}) . '[])';
		my $n = @{ $type->{values} };
		my @ways = ("$array\[1 + floor(random() * $n)::integer]",
			"$array\[1 + (i % $self->{clusters}) % $n]");
		push @ways, $type->{many} if $type->{many};
		$column{value} = pick(@ways);
		$column{value} = "CASE WHEN random() >= $column{nulls} THEN $column{value} END"
		  if $column{nulls};
		push @{ $self->{columns} }, \%column;
	}
	$self->{columns} //= [];
	return;
}

sub bare { return $_[0] =~ s/ COLLATE .*//r; }

# The expression that is indexed and searched by.
sub draw_vector_expression
{
	my ($self) = @_;
	my $with_dims = "$self->{type}($self->{dims})";

	$self->{expression} = 'v';
	$self->{vector_type} = $with_dims;
	if (one_in(8))
	{
		$self->{vector_type} = $self->{type};
		$self->{expression} = pick("(v::$with_dims)", "(l2_normalize(v)::$with_dims)", "((v + v)::$with_dims)");
		$self->{expression} = "(v::$with_dims)" if grep { /huge|mixed|tiny/ } @{ $self->{kinds} };
	}
	return;
}

# Attribute columns that an index may have: columns and expressions of them,
# as far as there are classes for their types.
sub indexable
{
	my ($self) = @_;
	my $classes = $self->{features}{classes};
	my @items;

	return () unless $self->{features}{attributes};
	foreach my $column (@{ $self->{columns} })
	{
		my $class = { varchar => 'text', nocase => 'text', time => 'time' }->{ $column->{type_name} }
		  // $column->{type_name};
		push @items, $column if $classes->{"${class}_ops"};
		push @items, expression_column($column, "($column->{name} % 3)", 'int4', [ 0, 1, 2 ])
		  if $column->{type_name} eq 'int4' && one_in(3) && $classes->{int4_ops};
		push @items, expression_column($column, "(lower($column->{name}))", 'text', [ "'a'", "'aa'", "''" ])
		  if $column->{type_name} eq 'text' && one_in(3) && $classes->{text_ops};
		push @items, expression_column($column, "($column->{name} IS NULL)", 'bool', [ 'true', 'false' ])
		  if one_in(10) && $classes->{bool_ops};
	}
	return @items;
}

sub expression_column
{
	my ($column, $sql, $type, $values) = @_;

	return {
		%$column,
		sql => $sql,
		type_name => $type,
		type => $types{$type}{type},
		ordered => !$unordered{$type},
		values => $values,
		cross => []
	};
}

sub draw_indexes
{
	my ($self) = @_;
	my @items = $self->indexable;
	my $number = $self->{large} ? 1 : between(1, 3);

	$self->{search_columns} = [ @{ $self->{columns} } ];
	foreach my $i (1 .. $number)
	{
		my $method = $self->{large} ? 'vkivf' : pick('vkflat', 'vkflat', 'vkivf', 'vkivf', 'vkivf');
		my $metric = $i == 1 || !one_in(3) ? $self->{metric} : pick(sort keys %operator_of);
		my @attributes = one_in(4) ? () : pick_some(pick(1, 1, 2, 3, 12), @items);
		my %index = (
			name => "${method}_$i",
			method => $method,
			metric => $metric,
			columns => [ map { $_->{sql} } @attributes ]);

		push @{ $self->{search_columns} }, grep { $_->{sql} ne $_->{name} } @attributes;
		$index{options} = $self->draw_options($method, $metric);
		$index{predicate} = $self->draw_predicate if $i > 1 && one_in(3);
		push @{ $self->{indexes} }, \%index;
	}
	push @{ $self->{indexes} },
	  map { { name => "btree_$_->{name}", method => 'btree', columns => [ $_->{name} ] } }
	  pick_some(pick(0, 0, 1, 2), grep { !one_in(3) } @{ $self->{columns} });
	return;
}

sub draw_options
{
	my ($self, $method, $metric) = @_;
	my @options = ("seed = " . between(0, 9));

	if ($metric ne 'l1' && one_in(2))
	{
		my $bits = pick(1, 2, 4, 8, 16, 32);
		my @finer = grep { $_ > $bits } (4, 8);
		push @options, "bits = $bits";
		push @options, 'refine = ' . pick('none', @finer) if one_in(2);
	}
	if ($method eq 'vkivf')
	{
		push @options, 'lists = ' . ($self->{large} ? between(20, 60) : pick(0, 3, 8, 20));
		push @options, 'calibrate = ' . pick(100, 300) if !$self->{large};
	}
	return join(', ', @options);
}

sub draw_predicate
{
	my ($self) = @_;
	my @columns = @{ $self->{columns} };

	return "$self->{expression} IS NOT NULL" if !@columns || one_in(5);
	my $column = pick(@columns);
	return "$column->{name} IS NOT NULL" if one_in(3);
	my $comparison = $column->{ordered} ? pick('=', '<', '>=', '<>') : '=';
	return "$column->{name} $comparison " . constant_of($column);
}

# constant_of($column): one of its values, of its own type
sub constant_of
{
	my ($column) = @_;
	my $value = pick(@{ $column->{values} });

	return $value if $value =~ /^(true|false)$/;
	return ($value =~ /^-/ ? "($value)" : $value) . '::' . bare($column->{type});
}

# ------------------------------------------------------------------ scripts

# create_sql: tables, first rows, indexes; then what queries draw from
sub create_sql
{
	my ($self) = @_;
	my $seed = 1 / (2 + $self->{number});
	my $sql = "CREATE SCHEMA $self->{name};\nSET search_path = $self->{name}, public;\n"
	  . "SELECT setseed($seed) \\g /dev/null\n";

	$sql .= $self->table_sql;
	# some rows come before the indexes, some after
	my $after = $self->{large} ? 0 : one_in(4) ? $self->{rows} : pick(0, 0, int($self->{rows} / 4));
	$sql .= $self->insert_sql($self->{rows} - $after);
	$sql .= $self->index_sql($_) foreach @{ $self->{indexes} };
	$sql .= $self->insert_sql($after) if $after;
	$sql .= "ANALYZE t;\n" unless one_in(10);
	return $sql . $self->query_pool_sql;
}

sub table_sql
{
	my ($self) = @_;
	my @columns = map { "$_->{name} $_->{type}" } @{ $self->{columns} };
	my $vector = "v $self->{vector_type}";
	my $columns = join(', ', 'id bigint', $vector, @columns, 'part integer', 'note integer');
	my $storage = $self->{dims} < 400 && one_in(6) ? "ALTER TABLE t ALTER v SET STORAGE PLAIN;\n" : '';

	if ($self->{layout} eq 'partitioned')
	{
		# one partition has its columns in another order
		my $other = join(', ', 'note integer', reverse(@columns), 'gone integer', $vector,
			'part integer', 'id bigint');
		return "CREATE TABLE t ($columns) PARTITION BY LIST (part);\n"
		  . "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1, 2);\n"
		  . "CREATE TABLE t_2 ($other);\nALTER TABLE t_2 DROP gone;\n"
		  . "ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES IN (3);\n"
		  . "CREATE TABLE t_3 PARTITION OF t DEFAULT;\n";
	}
	if ($self->{layout} eq 'inherited')
	{
		return "CREATE TABLE t ($columns);\nCREATE TABLE t_1 () INHERITS (t);\n$storage";
	}
	if ($self->{layout} eq 'dropped')
	{
		return "CREATE TABLE t (gone text, $columns);\nALTER TABLE t DROP gone;\n$storage";
	}
	return "CREATE TABLE t ($columns);\n$storage";
}

# insert_sql($rows): so many new rows
sub insert_sql
{
	my ($self, $rows) = @_;
	my @columns = @{ $self->{columns} };
	my $first = $self->{next_id};
	my $last = $first + $rows - 1;

	return '' if $rows <= 0;
	$self->{next_id} = $last + 1;
	my $names = join(', ', qw(id v), (map { $_->{name} } @columns), qw(part note));
	my $values = join(', ', 'i', $self->vector_sql, (map { $_->{value} } @columns),
		'1 + i % 4', '0');
	my $insert = sub {
		my ($table, $condition) = @_;
		return "INSERT INTO $table ($names) SELECT $values FROM generate_series($first, $last) i"
		  . ($condition ? " WHERE $condition" : '') . ";\n";
	};
	return $self->{layout} eq 'inherited'
	  ? $insert->('t', 'i % 3 <> 0') . $insert->('t_1', 'i % 3 = 0')
	  : $insert->('t');
}

sub index_sql
{
	my ($self, $index, $how) = @_;
	my @tables = $self->{layout} eq 'inherited' ? qw(t t_1) : qw(t);
	my $sql = '';

	foreach my $table (@tables)
	{
		my @columns = @{ $index->{columns} };
		unshift @columns, "$self->{expression} $self->{type}_$index->{metric}_ops" if $index->{metric};
		$sql .= "CREATE INDEX " . ($how // '') . " $index->{name}" . ($table eq 't' ? '' : "_$table")
		  . " ON $table USING $index->{method} (" . join(', ', @columns) . ')'
		  . ($index->{options} ? " WITH ($index->{options})" : '')
		  . ($index->{predicate} ? " WHERE $index->{predicate}" : '') . ";\n";
	}
	$sql .= "SELECT name_partition_indexes('$index->{name}') \\g /dev/null\n"
	  if $self->{layout} eq 'partitioned';
	return $sql;
}

# Vectors to search for: rows, others like them, zero, a far one, NULL; with
# the distances of rows at some quantiles, and values of the columns.
sub query_pool_sql
{
	my ($self) = @_;
	my $operator = $operator_of{ $self->{metric} };
	my ($type, $dims) = @$self{qw(type dims)};
	my $factor = $vector_types{$type}{factor};
	my $far = $type eq 'i8vec' ? 120 : 1000;
	my @columns = @{ $self->{search_columns} };
	my ($rows, $natural) = @$self{qw(row_queries natural)};
	my $fresh = $self->vector_sql($self->{large});
	my $moved = $rows + int(($natural - $rows) / 2);
	my @special = map { $natural + $_ } 1 .. 3;
	my $sql = <<"SQL";
CREATE TABLE q (n integer, v $type($dims), r float8);
INSERT INTO q SELECT n, (SELECT v FROM t WHERE v IS NOT NULL ORDER BY id % 17, id OFFSET n LIMIT 1), 0
	FROM generate_series(1, $rows) n;
INSERT INTO q SELECT i, (SELECT array_agg(e + (random() - 0.5) * 0.05 * $factor) FROM unnest(v::real[]) e)::$type, 0
	FROM (SELECT $rows + row_number() OVER (ORDER BY id % 31, id) AS i, v FROM t WHERE v IS NOT NULL) s
	WHERE i <= $moved;
INSERT INTO q SELECT i, $fresh, 0 FROM generate_series($moved + 1, $natural) i;
INSERT INTO q VALUES ($special[0], array_fill(0::real, ARRAY[$dims])::$type, 0),
	($special[1], array_fill($far\::real, ARRAY[$dims])::$type, 0), ($special[2], NULL, 0);
CREATE TEMP TABLE quantiles AS SELECT q.n,
	(SELECT percentile_disc(ARRAY[0, 0.002, 0.01, 0.03, 0.1, 0.3, 0.8, 1])
	 WITHIN GROUP (ORDER BY $self->{expression} $operator q.v) FROM t) AS radii FROM q;
UPDATE q SET r = radii[3] FROM quantiles u WHERE u.n = q.n;
CREATE FUNCTION query_vector(n integer) RETURNS $type LANGUAGE plpgsql STABLE AS
	\$\$ BEGIN RETURN (SELECT q.v FROM $self->{name}.q WHERE q.n = query_vector.n); END \$\$;
\\echo \@queries
SELECT n, @{[ $dims <= 300 ? 'v' : "''" ]}, radii FROM q JOIN quantiles USING (n) ORDER BY n;
\\echo \@values
SQL
	# the class of a vector's text is not short: sampled values are
	$sql .= "SELECT $_, format('%L', value) FROM (SELECT DISTINCT $columns[$_]{sql} AS value FROM t "
	  . "WHERE $columns[$_]{sql} IS NOT NULL ORDER BY 1 LIMIT 40) s;\n"
	  foreach grep { $columns[$_]{type_name} !~ /char|text|bytea/ } 0 .. $#columns;
	return $sql;
}

# take_pool($output): what query_pool_sql printed
sub take_pool
{
	my ($self, $output) = @_;
	my ($queries, $values) = $output =~ /^\@queries\n(.*)^\@values\n(.*)/ms;

	foreach my $line (split /\n/, $queries)
	{
		my ($n, $vector, $radii) = split /\|/, $line, -1;
		my @radii = grep { $_ ne 'NULL' } split /,/, $radii =~ tr/{}//dr;
		push @{ $self->{queries} }, { n => $n, vector => $vector, radii => \@radii };
	}
	foreach my $line (split /\n/, $values)
	{
		my ($column, $value) = split /\|/, $line, 2;
		push @{ $self->{search_columns}[$column]{values} }, $value;
	}
	return;
}

# ------------------------------------------------------------------ changes

# change_sql($in_transaction): a random change of rows or indexes
sub change_sql
{
	my ($self, $in_transaction) = @_;
	my @vk = grep { $_->{metric} } @{ $self->{indexes} };
	my ($modulus, $rest) = (between(3, 30), between(0, 2));
	my $some = "WHERE id % $modulus = $rest";
	my %change = (
		insert => sub { $self->insert_sql(between(1, 60)) },
		copies => sub { $self->copies_sql },
		copy => sub { $self->copy_sql },
		new_vectors => sub {
			"UPDATE t SET v = " . ($self->vector_sql =~ s/\bi\b/id::integer/gr) . " $some;\n";
		},
		new_values => sub {
			my $column = pick(@{ $self->{columns} }) // return "UPDATE t SET note = note + 1 $some;\n";
			"UPDATE t SET $column->{name} = " . ($column->{value} =~ s/\bi\b/id::integer/gr) . " $some;\n";
		},
		null_vectors => sub { "UPDATE t SET v = NULL $some AND random() < 0.3;\n" },
		hot => sub { "UPDATE t SET note = note + 1 $some;\n" },
		moved => sub { "UPDATE t SET part = 1 + (part % 4) $some;\n" },
		delete => sub { "DELETE FROM t $some;\n" });
	my %maintenance = (
		vacuum => sub { pick("VACUUM t;\n", "VACUUM t;\n", "VACUUM (FREEZE, ANALYZE) t;\n") },
		vacuum_full => sub { "VACUUM FULL t;\n" },
		reindex => sub { "REINDEX TABLE t;\n" },
		concurrently => sub { 'REINDEX TABLE CONCURRENTLY ' . ($self->{layout} eq 'inherited' ? 't_1' : 't') . ";\n" },
		again => sub {
			my $index = pick(@vk);
			my $how = $self->{layout} eq 'partitioned' ? '' : pick('', 'CONCURRENTLY');
			"DROP INDEX $index->{name}" . ($self->{layout} eq 'inherited' ? ", $index->{name}_t_1" : '')
			  . ";\n" . $self->index_sql($index, $how);
		},
		analyze => sub { "ANALYZE t;\n" },
		truncate => sub { "TRUNCATE t;\n" . $self->insert_sql(between(20, 200)) });
	my %weight = (vacuum => 10, insert => 4, vacuum_full => 1, reindex => 1, concurrently => 1,
		again => 1, truncate => 0.2, null_vectors => 1, moved => 1, copy => 2);
	my @names = sort keys %change;
	push @names, sort keys %maintenance
	  unless $in_transaction || $self->{large} && one_in(2);

	my $name = weighted(map { $_ => $weight{$_} // 2 } @names);
	return ($change{$name} // $maintenance{$name})->();
}

# rows that others are equal to
sub copies_sql
{
	my ($self) = @_;
	my $columns = join(', ', 'v', (map { $_->{name} } @{ $self->{columns} }), qw(part note));
	my $rows = between(1, 40);
	my $first = $self->{next_id};

	$self->{next_id} += $rows;
	return "INSERT INTO t (id, $columns) SELECT $first - 1 + row_number() OVER (), $columns "
	  . "FROM (SELECT * FROM t ORDER BY id % 7, id LIMIT $rows) s;\n";
}

sub copy_sql
{
	my ($self) = @_;
	my $sql = "COPY t (id, v, part) FROM STDIN;\n";
	my $element = sub { return sprintf($self->{type} eq 'i8vec' ? '%d' : '%.4g', (rand(2) - 1) * $vector_types{ $self->{type} }{factor}) };

	return $self->insert_sql(5) if $self->{dims} > 300;
	foreach (1 .. between(1, 12))
	{
		my $vector = one_in(8) ? '\\N'
		  : '[' . join(',', map { pick(0, 1, -1, $element->()) } 1 .. $self->{dims}) . ']';
		$sql .= join("\t", $self->{next_id}++, $vector, between(1, 4)) . "\n";
	}
	return $sql . "\\.\n";
}

# check_sql: each of our indexes is sound, and has every row of its table once
sub check_sql
{
	return <<'SQL';
RESET ALL;
SELECT c.oid::regclass, vk_check(c.oid, true)
FROM pg_class c JOIN pg_am m ON m.oid = c.relam
WHERE m.amname IN ('vkflat', 'vkivf') AND c.relkind = 'i'
	AND c.relnamespace = current_schema::regnamespace ORDER BY c.oid;
SQL
}

sub describe
{
	my ($self) = @_;

	return "$self->{rows} rows of $self->{type}($self->{dims}), $self->{layout}, $self->{metric}, "
	  . join('+', @{ $self->{kinds} }) . ', ' . scalar(@{ $self->{columns} }) . ' columns, '
	  . join(' ', map { $_->{method} } grep { $_->{metric} } @{ $self->{indexes} });
}

1;
