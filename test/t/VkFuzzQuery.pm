#-------------------------------------------------------------------------
#
# VkFuzzQuery.pm
#	  Random statements of the fuzzer over a schema of VkFuzzSchema.
#
# NOTES
#	  A statement is a hash:
#
#	  kind, sql		what it is, and its text
#	  oracle		text whose answer is the right one; it may differ from sql
#					where an operator of ours has a plain equivalent
#	  before, after	what both run around it
#	  settings		for sql only
#	  mode			"ordered", "multiset" or "any" (any rows, so many)
#	  limit, offset, ties, total	how an ordered answer was cut; whether ids
#					break ties
#	  range, inexact	it has a condition on the distance; it has a sphere that
#					vkivf may answer at its recall
#	  natural		its query vector is like the rows, so that recall counts
#	  group_is_query	the group is the number of a query vector
#	  target, exhaustive	what vkivf was asked for
#
#	  Rows of an ordered answer are "group|id|distance|valid": groups are
#	  ordered each for itself; valid is the WHERE condition once more, computed
#	  from the row of the table.
#
# IDENTIFICATION
#	  test/t/VkFuzzQuery.pm
#
#-------------------------------------------------------------------------
package VkFuzzQuery;

use strict;
use warnings FATAL => 'all';

use VkFuzzSchema;

# statement kinds and how often each comes
my @kinds = (
	nearest => 34, nearest_total => 3, farthest => 1, range => 14, range_order => 10,
	any_rows => 4, attributes => 6, count => 4, lateral => 4, similarity_join => 4,
	correlated => 4, union_all => 3, cte => 3, subquery => 3, prepared => 8, cursor => 5,
	locked => 3, changed => 3);

# new($schema)
sub new
{
	my ($class, $schema) = @_;
	return bless { schema => $schema, features => $schema->{features} }, $class;
}

# draw($in_transaction): a statement
sub draw
{
	my ($self, $in_transaction) = @_;
	my $kind = $self->{schema}{large} && !one_in(3) ? weighted(nearest => 4, range => 2, range_order => 2, lateral => 1, similarity_join => 1)
	  : weighted(@kinds);

	$self->{in_transaction} = $in_transaction;
	my $method = "draw_$kind";
	my $statement = $self->$method;
	$statement->{kind} = $kind;
	$self->draw_settings($statement);
	return $statement;
}

# ---------------------------------------------------------------- settings

sub draw_settings
{
	my ($self, $statement) = @_;
	my $large = $self->{schema}{large};
	my @settings = @{ weighted_list(
		[] => $large ? 0.5 : 2,
		['enable_seqscan = off'] => 3,
		[ 'enable_seqscan = off', 'enable_sort = off' ] => 6,
		[ 'enable_seqscan = off', 'enable_indexscan = off' ] => 2,
		[ 'enable_seqscan = off', 'enable_bitmapscan = off' ] => 2,
		[ 'enable_seqscan = off', 'random_page_cost = 0', 'cpu_index_tuple_cost = 0' ] => 1) };
	my $features = $self->{features};
	my $target = $large ? pick((0.95) x 6, 1, 0.7) : pick(1, 1, 1, 0.95, 0.5, 0.99);

	push @settings, "vkindex.target_recall = $target";
	$statement->{target} = $target;
	$statement->{exhaustive} = $target == 1;
	if (one_in($large ? 40 : 12))
	{
		push @settings, 'vkindex.probes = ' . pick(1, 2, 5, 1000);
		$statement->{exhaustive} = 0;
		$statement->{natural} = 0;
	}
	if ($features->{range_pushdown})
	{
		my $mode = weighted(exact => 5, approximate => 3, off => 1);
		push @settings, "vkindex.range_pushdown = $mode";
		$statement->{inexact} = 1 if $mode eq 'approximate' && $statement->{range} && !$statement->{dml};
	}
	if ($features->{max_scan_rows} && one_in(60))
	{
		push @settings, 'vkindex.max_scan_rows = ' . pick(1, 20, 300);
		$statement->{capped} = 1;
	}
	push @settings, 'vkindex.prefilter = ' . pick(qw(auto on off)) if $features->{prefilter} && one_in(2);
	push @settings, 'work_mem = ' . pick(64, 256) if one_in(5);
	push @settings, "vkindex.simd = " . pick(@{ $features->{isas} }) if one_in(4);
	push @settings, "enable_$_ = off" foreach grep { one_in(12) } qw(nestloop hashjoin mergejoin memoize material hashagg);
	push @settings, 'plan_cache_mode = ' . pick(qw(force_generic_plan force_generic_plan force_custom_plan auto))
	  if $statement->{kind} eq 'prepared';
	push @settings, 'max_parallel_workers_per_gather = 2', 'min_parallel_table_scan_size = 0',
	  'min_parallel_index_scan_size = 0', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0'
	  if one_in(40);
	push @settings, 'constraint_exclusion = on', 'enable_partition_pruning = off' if one_in(20);
	$statement->{settings} = \@settings;
	return;
}

sub weighted_list
{
	my @pairs = @_;
	my @lists = map { $pairs[ 2 * $_ ] } 0 .. $#pairs / 2;
	return $lists[ weighted(map { $_ => $pairs[ 2 * $_ + 1 ] } 0 .. $#lists) ];
}

# ---------------------------------------------------------------- searches

# A vector to search for, and the distance to it.
sub draw_search
{
	my ($self, %params) = @_;
	my $schema = $self->{schema};
	my @queries = @{ $schema->{queries} };
	my $query = one_in(6) && !$schema->{large} ? pick(@queries) : pick(@queries[ 0 .. $schema->{natural} - 1 ]);
	my @indexes = grep { $_->{metric} } @{ $schema->{indexes} };
	my $metric = one_in(12) ? pick(sort keys %operator_of) : pick(@indexes)->{metric};
	my %search = (
		query => $query,
		natural => $schema->{large} && $query->{n} <= $schema->{natural},
		operator => $operator_of{$metric},
		known => $metric eq $schema->{metric},
		expression => $params{alias} ? aliased($schema->{expression}, $params{alias}) : $schema->{expression});

	$search{vector} = $params{vector} // $self->vector_text($query);
	$search{distance} = "$search{expression} $search{operator} $search{vector}";
	$search{distance} = "$search{vector} $search{operator} $search{expression}" if one_in(10);
	return \%search;
}

sub aliased
{
	my ($sql, $alias) = @_;
	return $sql =~ s/\bv\b/$alias.v/gr;
}

sub vector_text
{
	my ($self, $query) = @_;
	my $n = $query->{n};
	my $literal = "'$query->{vector}'";

	return "query_vector($n)" if one_in($self->{schema}{large} ? 50 : 10);
	return "(SELECT v FROM q WHERE n = $n)" if one_in(6) || $self->{schema}{dims} > 300;
	return "NULL::$self->{schema}{type}" if $query->{vector} eq '';
	return one_in(3) ? "$literal\::$self->{schema}{type}" : $literal;
}

# A radius: most are distances of rows.
sub draw_radius
{
	my ($self, $search) = @_;
	my @radii = $search->{known} ? @{ $search->{query}{radii} } : ();
	my $radius = @radii && !one_in(10) ? pick(@radii) : pick(-1, 0, 0.5, 1, 3, 1e30);

	return pick("'NaN'", "'Infinity'", "'-Infinity'", '-1', 'NULL', "'-0'") . '::float8' if one_in(15);
	$radius = "'$radius'" if $radius =~ /[IN]/;
	return "(SELECT $radius\::float8)" if one_in(12);
	return "($radius * (1 + now()::date - now()::date))" if one_in(15) && $radius !~ /'/;
	return $radius if $radius =~ /^-?[0-9.e-]+$/ && one_in(3);
	return "$radius\::real" if $radius =~ /^\d{1,6}(\.\d+)?$/ && one_in(6);
	return "$radius\::float8" if one_in(2);
	return "'" . ($radius =~ tr/'//dr) . "'";
}

# ---------------------------------------------------------------- conditions

sub condition { return { sql => $_[0], oracle => $_[0], @_[ 1 .. $#_ ] }; }

# A condition on the distance, as a plain comparison or by a sphere.
sub range_condition
{
	my ($self, $search) = @_;
	my $radius = $self->draw_radius($search);
	my $other = $self->draw_radius($search);
	my $distance = $search->{distance};

	return $self->sphere_condition($search, $radius) if $self->{features}{spheres} && one_in(2.5);
	my @forms = (
		"$distance < $radius", "$distance < $radius", "$distance <= $radius", "$distance <= $radius",
		"$radius > $distance", "$radius >= $distance", "$distance BETWEEN $other AND $radius",
		"($distance < $radius AND $distance >= $other)", "($distance < $radius AND $distance < $other)",
		"$distance >= $radius", "$distance = $radius", "NOT ($distance >= $radius)");
	return condition(pick(@forms[ 0 .. 5 ], @forms), range => 1);
}

sub sphere_condition
{
	my ($self, $search, $radius) = @_;
	my ($expression, $vector, $operator) = @$search{qw(expression vector operator)};
	my ($equal, $plain) = @{ pick([ '', '<' ], [ '=', '<=' ]) };
	my $exact = pick('', ', true', ', false');
	my $type = $self->{schema}{type};

	$vector .= "::$type" if $vector =~ /^'/;
	my $sphere = one_in(10) ? "ROW($vector, $radius, " . ($exact =~ /true/ ? 'true' : 'false') . ")::vk_sphere_$type"
	  : "vk_sphere($vector, $radius$exact)";
	return {
		sql => "$expression <$operator>$equal $sphere",
		oracle => "$expression $operator $vector $plain $radius",
		range => 1,
		inexact => $exact !~ /true/
	};
}

# A condition on a column.
sub column_condition
{
	my ($self, $alias) = @_;
	my @columns = @{ $self->{schema}{search_columns} };

	return condition(pick('part = 2', 'part <> 3', 'note = 0', 'id % 3 = 1', "$self->{schema}{expression} IS NOT NULL",
			"$self->{schema}{expression} IS NULL", 'id < 200')) if !@columns || one_in(8);
	my $column = pick(@columns);
	my $name = $column->{sql};
	my $constant = sub {
		my @cross = @{ $column->{cross} };
		return @cross && one_in(3) ? pick(@cross) : VkFuzzSchema::constant_of($column);
	};
	my $own = sub { VkFuzzSchema::constant_of($column) };
	my $type = VkFuzzSchema::bare($column->{type}) =~ s/\(.*//r;
	my @forms = (
		sub { "$name = " . $constant->() },
		sub { "$name = " . $constant->() },
		sub { $constant->() . " = $name" },
		sub { "$name <> " . $constant->() },
		sub { "$name IN (" . join(', ', map { $own->() } 1 .. between(1, 4)) . ')' },
		sub { "$name = ANY (ARRAY[" . join(', ', (map { $own->() } 0 .. between(0, 3)), (one_in(4) ? 'NULL' : ())) . "]::$type\[])" },
		sub { "$name IS NULL" },
		sub { "$name IS NOT NULL" });
	push @forms, map { my $sign = $_; sub { "$name $sign " . $constant->() } } qw(< <= > >= < <= > >=)
	  if $column->{type_name} !~ /bool|enum/ && ($column->{ordered} || one_in(2));
	push @forms, sub { "$name BETWEEN " . $own->() . ' AND ' . $own->() }, sub { "$name < ANY (ARRAY[" . $own->() . ', ' . $own->() . "])" },
	  sub { "$name > " . $constant->() . " AND $name <= " . $constant->() }
	  if $column->{ordered};
	push @forms, map { my $form = $_; sub { sprintf($form, $name) } }
	  ('%s', 'NOT %s', '%s IS TRUE', '%s IS NOT TRUE', '%s IS FALSE', '%s IS UNKNOWN', '%s = true')
	  if $column->{type_name} eq 'bool';
	push @forms, sub { "$name COLLATE \"C\" = " . $own->() }
	  if $column->{type_name} =~ /^(text|varchar|nocase)$/ && one_in(2);
	push @forms, sub { "$name NOT IN (" . join(', ', (map { $own->() } 0 .. between(0, 3)), (one_in(8) ? 'NULL' : ())) . ')' };
	push @forms, sub { "$name <> ALL ('{}')" } if one_in(10);
	return condition(pick(@forms)->());
}

# The conditions of a statement: one {sql, oracle, range, inexact}.  range: how
# many must be on the distance.
sub draw_where
{
	my ($self, $search, $ranges, $columns) = @_;
	my @conditions = map { $self->range_condition($search) } 1 .. $ranges;
	my @predicates = map { $_->{predicate} // () } @{ $self->{schema}{indexes} };

	push @conditions, $self->column_condition foreach 1 .. ($columns // weighted(0 => 4, 1 => 5, 2 => 3, 3 => 1));
	push @conditions, condition(pick(@predicates)) if @predicates && one_in(2);
	push @conditions, $self->alternatives($search) if one_in($ranges ? 8 : 25);
	push @conditions, $self->range_condition($self->draw_search) if $ranges && one_in(12);
	return all_of(@conditions);
}

sub joined
{
	my ($word, @conditions) = @_;
	my %all = (range => 0, inexact => 0);

	foreach my $text (qw(sql oracle))
	{
		$all{$text} = join(" $word ", map { "($_->{$text})" } @conditions);
	}
	foreach my $flag (qw(range inexact))
	{
		$all{$flag} = 1 if grep { $_->{$flag} } @conditions;
	}
	return \%all;
}

sub all_of { return @_ ? joined('AND', @_) : condition('true', range => 0, inexact => 0); }

# an OR of ranges, spheres and columns
sub alternatives
{
	my ($self, $search) = @_;
	my @choices = ($self->range_condition($search));

	push @choices, one_in(2) ? $self->range_condition($self->draw_search) : $self->column_condition
	  foreach 1 .. between(1, 2);
	return joined('OR', @choices);
}

# ---------------------------------------------------------------- statements

# both($format, $where, ...): the text with the conditions, and with the
# oracle's; %W is their place
sub both
{
	my ($text, $where, @more) = @_;

	return (
		sql => $text =~ s/%W/$where->{sql}/gr,
		oracle => $text =~ s/%W/$where->{oracle}/gr,
		range => $where->{range},
		inexact => $where->{inexact},
		@more);
}

# a LIMIT clause: (text, limit, offset, ties)
sub draw_limit
{
	my ($self) = @_;
	my $limit = weighted(1 => 3, 2 => 2, 5 => 3, 10 => 8, between(11, 60) => 4, 100 => 2, 100000 => 1, 0 => 0.3);
	my $offset = one_in($self->{schema}{large} ? 20 : 5) ? pick(1, 3, 10, 50) : 0;
	my $ties = one_in(8);
	my $text = $ties ? "FETCH FIRST $limit ROWS WITH TIES" : one_in(6) ? "FETCH NEXT $limit ROWS ONLY"
	  : one_in(10) ? "LIMIT (SELECT $limit)" : "LIMIT $limit";

	return ('', undef, 0, 0) if one_in($self->{schema}{large} ? 40 : 12);
	return (($offset ? "OFFSET $offset ROWS " : '') . $text, $limit, $offset, $ties) if $ties;
	return ($offset ? "OFFSET $offset $text" : $text, $limit, $offset, $ties);
}

sub ordered
{
	my ($self, $search, $where, $order) = @_;
	my ($text, $limit, $offset, $ties) = $self->draw_limit;
	my $distance = $search->{distance};
	my $valid = one_in(2) ? '(%W)' : 'true';

	return {
		both("SELECT 0, id, $distance, $valid FROM t WHERE %W ORDER BY "
			  . sprintf($order // '%s', $distance) . " $text", $where),
		mode => 'ordered',
		limit => $limit,
		offset => $offset,
		ties => $ties,
		natural => $search->{natural}
	};
}

sub draw_nearest
{
	my ($self) = @_;
	my $search = $self->draw_search;
	return $self->ordered($search, $self->draw_where($search, 0));
}

# ties broken by id
sub draw_nearest_total
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my $statement = $self->ordered($search, $self->draw_where($search, one_in(3) ? 1 : 0), '%s, id');
	$statement->{total} = 1;
	return $statement;
}

sub draw_farthest
{
	my ($self) = @_;
	my $search = $self->draw_search;
	return $self->ordered($search, $self->draw_where($search, 0), pick('%s DESC', '%s NULLS FIRST'));
}

sub draw_range_order
{
	my ($self) = @_;
	my $search = $self->draw_search;
	return $self->ordered($search, $self->draw_where($search, one_in(4) ? 2 : 1));
}

sub draw_range
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my $where = one_in(6) ? $self->alternatives($search) : $self->draw_where($search, one_in(5) ? 2 : 1);

	return {
		both("SELECT 0, id, $search->{distance}, (%W) FROM t WHERE %W", $where),
		mode => 'multiset',
		natural => $search->{natural}
	};
}

# so many rows, whichever
sub draw_any_rows
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my $where = $self->draw_where($search, 1);
	my $limit = pick(1, 5, 20, 1000);
	my %text = both("SELECT 0, id, 0, (%W) FROM t WHERE %W", $where);

	$text{sql} .= " LIMIT $limit";
	return { %text, mode => 'any', limit => $limit };
}

sub draw_attributes
{
	my ($self) = @_;
	my $where = all_of(map { $self->column_condition } 1 .. between(1, 3));
	return { both('SELECT 0, id, 0, true FROM t WHERE %W', $where), mode => 'multiset' };
}

sub draw_count
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my $what = pick('count(*)', 'count(id)', "min($search->{distance})", "max($search->{distance})", 'min(id)');
	return { both("SELECT $what FROM t WHERE %W", $self->draw_where($search, one_in(4) ? 0 : 1)), mode => 'scalar' };
}

# the nearest of several vectors
sub draw_lateral
{
	my ($self) = @_;
	my $search = $self->draw_search(vector => 'o.v');
	my $where = $self->draw_where($search, one_in(5) ? 1 : 0, between(0, 1));
	my $limit = pick(1, 3, 10, 40);
	my $join = pick('CROSS JOIN LATERAL', 'LEFT JOIN LATERAL');
	my $on = $join =~ /LEFT/ ? 'ON true' : '';

	# without any condition it is searched in batches
	my $other = pick('', ' AND id <> o.n');

	return {
		both("SELECT o.n, s.id, s.d, true FROM q o $join (SELECT id, $search->{distance} AS d FROM t "
			  . "WHERE %W$other ORDER BY $search->{distance} LIMIT $limit) s $on", $where),
		mode => 'ordered',
		limit => $limit,
		natural => $search->{natural},
		group_is_query => 1
	};
}

sub draw_similarity_join
{
	my ($self) = @_;
	my $search = $self->draw_search(vector => 'o.v', alias => 't');
	my $exact = pick('', ', true');
	my %form = $self->{features}{spheres} && !one_in(4)
	  ? (sql => "$search->{expression} <$search->{operator}> vk_sphere(o.v, o.r$exact)", inexact => !$exact)
	  : (sql => "$search->{expression} $search->{operator} o.v < o.r", inexact => 0);
	my $where = all_of({ %form, oracle => "$search->{expression} $search->{operator} o.v < o.r", range => 1 },
		one_in(3) ? condition('t.id % 2 = 0') : ());
	my $outer = one_in(3) ? '(SELECT id::integer AS n, v, (SELECT r FROM q WHERE n = 1) AS r FROM t WHERE id <= 12) o' : 'q o';

	# near the rows of two tables
	my $second = one_in(5) ? " JOIN q p ON $search->{expression} $search->{operator} p.v < " . pick('p.r', 'o.r') . ' AND p.n < 6' : '';

	return { both("SELECT o.n, t.id, $search->{expression} $search->{operator} o.v, true FROM $outer "
		  . pick('JOIN t ON %W', 'LEFT JOIN t ON %W', 'RIGHT JOIN t ON %W',
			'CROSS JOIN LATERAL (SELECT * FROM t WHERE %W ORDER BY t.id OFFSET 0) t') . $second, $where), mode => 'multiset',
		natural => $search->{natural} && $outer eq 'q o' && $second eq '', group_is_query => 1 };
}

sub draw_correlated
{
	my ($self) = @_;
	my $search = $self->draw_search(vector => 'o.v', alias => 't');
	my $distance = $search->{distance};
	my $radius = 'o.r';
	my $condition = one_in(2) ? 'true' : 't.id % 2 = 0';
	my $query = pick(
		"(SELECT $distance FROM t WHERE $condition ORDER BY $distance LIMIT 1)",
		"ARRAY(SELECT $distance FROM t WHERE $condition ORDER BY $distance LIMIT 5)",
		"EXISTS (SELECT FROM t WHERE $distance <= $radius AND $condition)",
		"(SELECT count(*) FROM t WHERE $distance < $radius AND $condition)",
		"(SELECT max(d) FROM (SELECT $distance AS d FROM t WHERE $condition ORDER BY $distance LIMIT 7) s)");
	return { both("SELECT o.n, $query FROM q o", condition('true', range => scalar($query =~ /o\.r/), inexact => 0)), mode => 'scalar' };
}

sub draw_union_all
{
	my ($self) = @_;
	my (@sql, @oracle);
	my $limit = pick(1, 5, 20);
	my %flags = (range => 0, inexact => 0);

	foreach my $group (0 .. between(1, 2))
	{
		my $search = $self->draw_search;
		my $where = $self->draw_where($search, one_in(4) ? 1 : 0);
		my %text = both("(SELECT $group, id, $search->{distance}, true FROM t WHERE %W "
			  . "ORDER BY $search->{distance} LIMIT $limit)", $where);
		push @sql, $text{sql};
		push @oracle, $text{oracle};
		$flags{$_} ||= $where->{$_} foreach qw(range inexact);
	}
	return { sql => join(' UNION ALL ', @sql), oracle => join(' UNION ALL ', @oracle), %flags, mode => 'ordered', limit => $limit };
}

sub draw_cte
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my $limit = pick(1, 10, 30);
	my $materialized = pick('', 'MATERIALIZED', 'NOT MATERIALIZED');

	return {
		both("WITH c AS $materialized (SELECT id, $search->{distance} AS d FROM t WHERE %W "
			  . "ORDER BY $search->{distance} LIMIT $limit) SELECT 0, id, d, true FROM c",
			$self->draw_where($search, one_in(4) ? 1 : 0)),
		mode => 'ordered',
		limit => $limit,
		natural => $search->{natural}
	};
}

# conditions and limits outside of a subquery
sub draw_subquery
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my $limit = pick(3, 12, 40);
	my $inner = one_in(3) ? 'OFFSET 0' : '';

	return {
		both("SELECT 0, id, d, true FROM (SELECT *, $search->{distance} AS d FROM t WHERE %W "
			  . "ORDER BY $search->{distance} $inner) s WHERE id % 2 = 0 LIMIT $limit",
			$self->draw_where($search, one_in(4) ? 1 : 0)),
		mode => 'ordered',
		limit => $limit
	};
}

# a prepared statement executed with several parameters
sub draw_prepared
{
	my ($self) = @_;
	my $search = $self->draw_search(vector => '$1');
	my $range = one_in(2);
	my $sphere = $range && $self->{features}{spheres} && one_in(2);
	my $condition = $range ? condition("$search->{distance} < \$2", range => 1) : condition('($2 IS NULL OR true)');
	my $limit = pick(1, 7, 25);
	my $cut = one_in(3) ? '' : 'LIMIT $3';

	$condition = { sql => "$search->{expression} <$search->{operator}> vk_sphere(\$1, \$2, \$4 = 1)",
		oracle => "$search->{expression} $search->{operator} \$1 < \$2", range => 1, inexact => 1 } if $sphere;
	my %text = both("SELECT \$4, id, $search->{distance}, true FROM t WHERE %W ORDER BY $search->{distance} $cut",
		all_of($condition, one_in(2) ? $self->column_condition : ()));
	my @calls = map {
		my $query = pick(@{ $self->{schema}{queries} });
		"EXECUTE p((SELECT v FROM q WHERE n = $query->{n}), "
		  . (one_in(10) ? 'NULL' : "(SELECT r FROM q WHERE n = $query->{n})") . ", $limit, $_)"
	} 1 .. between(1, 3);
	# parameters cannot be subqueries: psql interpolates what it has read
	my $set = '';
	my $n = 0;
	foreach my $call (@calls)
	{
		$n++;
		$call =~ s/\(SELECT v FROM q WHERE n = (\d+)\)/:v$n/;
		$set .= "SELECT coalesce(quote_literal(v), 'NULL') AS v$n, coalesce(quote_literal(r), 'NULL') AS r$n FROM q WHERE n = $1 \\gset\n";
		$call =~ s/\(SELECT r FROM q WHERE n = (\d+)\)/:r$n/;
	}
	my $types = "$self->{schema}{type}, float8, bigint, integer";
	return {
		%text,
		sql => join(";\n", @calls),
		oracle => join(";\n", @calls),
		explain => join(";\nEXPLAIN (COSTS OFF) ", @calls),
		before => "${set}PREPARE p($types) AS $text{sql};",
		oracle_before => "PREPARE p($types) AS $text{oracle};",
		after => 'DEALLOCATE p;',
		mode => 'ordered',
		limit => $cut ? $limit : undef
	};
}

sub draw_cursor
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my %text = both("SELECT 0, id, $search->{distance}, true FROM t WHERE %W ORDER BY $search->{distance}",
		$self->draw_where($search, one_in(4) ? 1 : 0));
	my @fetches = map { pick(1, 3, 10, 40) } 1 .. between(1, 5);
	my $limit = 0;
	my $hold = one_in(4) && !$self->{in_transaction};

	$limit += $_ foreach @fetches;
	my $declare = 'DECLARE c ' . ($hold ? 'CURSOR WITH HOLD FOR ' : pick('CURSOR FOR ', 'NO SCROLL CURSOR FOR ', 'SCROLL CURSOR FOR '));
	my $sql = "$declare$text{sql};\n" . join(";\n", map { "FETCH $_ FROM c" } @fetches) . ";\nCLOSE c";
	return {
		%text,
		sql => $sql,
		explain => "$declare$text{sql}",
		before => $self->{in_transaction} || $hold ? '' : 'BEGIN;',
		after => $self->{in_transaction} || $hold ? '' : 'COMMIT;',
		oracle => "$text{oracle} LIMIT $limit",
		mode => 'ordered',
		limit => $limit
	};
}

sub draw_locked
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my $limit = pick(1, 5, 20);

	return {
		both("SELECT 0, id, $search->{distance}, true FROM t WHERE %W ORDER BY $search->{distance} LIMIT $limit "
			  . pick('FOR UPDATE', 'FOR SHARE', 'FOR NO KEY UPDATE SKIP LOCKED'),
			$self->draw_where($search, one_in(4) ? 1 : 0)),
		mode => 'ordered',
		limit => $limit,
		natural => $search->{natural}
	};
}

# what a DELETE or an UPDATE by distance finds
sub draw_changed
{
	my ($self) = @_;
	my $search = $self->draw_search;
	my ($begin, $end) = $self->{in_transaction} ? ('SAVEPOINT changed;', 'ROLLBACK TO changed;') : ('BEGIN;', 'ROLLBACK;');

	return {
		both(pick('DELETE FROM t', 'UPDATE t SET note = note + 1', 'UPDATE t SET v = v')
			  . ' WHERE %W RETURNING 0, id, 0, true', $self->draw_where($search, 1)),
		before => $begin,
		after => $end,
		oracle_before => $begin,
		oracle_after => $end,
		dml => 1,
		mode => 'multiset'
	};
}

1;
