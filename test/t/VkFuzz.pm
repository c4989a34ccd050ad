#-------------------------------------------------------------------------
#
# VkFuzz.pm
#	  Runs the statements of the fuzzer and compares their answers.
#
# NOTES
#	  A schema is two psql scripts: the first makes tables and indexes and says
#	  what there is to search for, the second runs the statements, each as
#	  EXPLAIN, then under its settings, then without our indexes.  Marks in
#	  the output tell them apart.  Both scripts stay in the log directory.
#
# IDENTIFICATION
#	  test/t/VkFuzz.pm
#
#-------------------------------------------------------------------------
package VkFuzz;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use VkFuzzQuery;
use VkFuzzSchema;

our @EXPORT = qw(fuzz_features fuzz_prepare fuzz_schema);

# ---------------------------------------------------------------- features

# what the fuzzer needs to know of the server and of this build
sub fuzz_features
{
	my ($node) = @_;
	my $ask = sub { $node->safe_psql('postgres', "SELECT NULL::f32vec; $_[0]") =~ s/^\s+//r };
	my $has = sub { $ask->("SELECT current_setting('vkindex.$_[0]', true) IS NOT NULL") eq 't' };
	my %features = (
		classes => {
			map { $_ => 1 } split /\n/, $ask->("SELECT opcname FROM pg_opclass c "
				  . "JOIN pg_am m ON m.oid = c.opcmethod WHERE amname = 'vkivf' AND opcname !~ 'vec_' ORDER BY 1")
		},
		attributes => $ask->("SELECT pg_indexam_has_property(oid, 'can_multi_col') FROM pg_am WHERE amname = 'vkivf'") eq 't',
		spheres => $ask->("SELECT to_regtype('vk_sphere_f32vec') IS NOT NULL") eq 't',
		nocase => $ask->("SELECT count(*) FROM pg_collation WHERE collname = 'nocase'") > 0,
		isas => [ split /\n/, $ask->('SELECT unnest(available) FROM vk_simd() WHERE kernel = (SELECT min(kernel) FROM vk_simd())') ]);

	$features{$_} = $has->($_) foreach qw(range_pushdown max_scan_rows prefilter);
	return \%features;
}

sub fuzz_prepare
{
	my ($node) = @_;
	$node->safe_psql('postgres', fuzz_functions());
	return;
}

# ------------------------------------------------------------------ a schema

# fuzz_schema($node, \%features, $seed, $number, $statements)
#
# Runs one schema.  Returns {what, statements, errors, failures => [texts],
# recalls => {kind => [numbers]}, seen => {what happened => how often}}.
sub fuzz_schema
{
	my ($node, $features, $seed, $number, $count) = @_;

	srand($seed * 100_003 + $number);
	my $schema = VkFuzzSchema->new($number, $features);
	my $run = {
		what => $schema->describe,
		schema => $schema,
		statements => [],
		failures => [],
		recalls => {},
		errors => 0,
		seen => {}
	};

	my ($out, $err) = run_script($node, $schema, 'create', $schema->create_sql);
	if ($err =~ /ERROR|FATAL|PANIC|server closed|connection/)
	{
		push @{ $run->{failures} }, "could not create the schema:\n" . $err;
		return $run;
	}
	$schema->take_pool($out);
	my $script = statements_script($run, $count);
	($out, $err) = run_script($node, $schema, 'run', $script);
	judge($run, sections($out), sections($err));
	$node->safe_psql('postgres', "SET client_min_messages = error; DROP SCHEMA $schema->{name} CASCADE")
	  unless $err =~ /server closed|connection/;
	return $run;
}

# run_script($node, $schema, $name, $sql): what psql says on stdout and stderr
sub run_script
{
	my ($node, $schema, $name, $sql) = @_;
	my $file = "$PostgreSQL::Test::Utils::log_path/$schema->{name}_$name";
	my @options = (
		"search_path=$schema->{name},public", 'statement_timeout=60s', 'client_min_messages=warning',
		'max_parallel_workers_per_gather=0', 'timezone=UTC', 'datestyle=ISO');

	utf8::encode($sql);
	append_to_file("$file.sql", $sql);
	local $ENV{PGOPTIONS} = join(' ', map { "-c $_" } @options);
	IPC::Run::run(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
		'<', \undef, '>', "$file.out", '2>', "$file.err");
	return (slurp_file("$file.out"), slurp_file("$file.err"));
}

# ----------------------------------------------------------------- scripts

# Blocks of statements with changes between them, some within transactions.
sub statements_script
{
	my ($run, $count) = @_;
	my $schema = $run->{schema};
	my $query = VkFuzzQuery->new($schema);
	my $sql = '';
	my $some = sub {
		my ($number, $in_transaction) = @_;
		$sql .= statement_script($run, $query->draw($in_transaction)) foreach 1 .. $number;
	};
	my $change = sub { $sql .= "RESET ALL;\n" . mark('change', 0) . $schema->change_sql($_[0]); };

	$some->(between(5, 15), 0);
	while (@{ $run->{statements} } < $count)
	{
		if (one_in(3))
		{
			$sql .= "RESET ALL;\nBEGIN" . pick('', ' ISOLATION LEVEL REPEATABLE READ') . ";\n";
			$change->(1);
			$some->(between(1, 5), 1);
			$sql .= "SAVEPOINT s;\n";
			$change->(1);
			$some->(between(1, 4), 1);
			$sql .= "RESET ALL;\n" . pick('ROLLBACK TO s', 'RELEASE s') . ";\n";
			$some->(between(1, 4), 1);
			$sql .= "RESET ALL;\n" . pick('COMMIT', 'ROLLBACK') . ";\n";
		}
		else
		{
			$change->(0) foreach 1 .. between(1, 2);
		}
		$some->(between(3, 12), 0);
	}
	return $sql . mark('check', 0) . $schema->check_sql . mark('end', 0);
}

sub mark
{
	my ($what, $number) = @_;
	return "\\echo \@$what $number\n\\warn \@$what $number\n";
}

my $without_indexes = "RESET ALL\\; SET enable_indexscan = off\\; SET enable_bitmapscan = off"
  . "\\; SET vkindex.range_pushdown = off";

sub statement_script
{
	my ($run, $statement) = @_;
	my $statements = $run->{statements};
	my $number = @$statements;
	my $settings = join('\\; ', 'RESET ALL', map { "SET $_" } @{ $statement->{settings} });
	my $without = $without_indexes;
	my $line = sub { defined $_[0] && $_[0] ne '' ? "$_[0]\n" : '' };

	$without =~ s/\\; SET vkindex.range.*// unless $run->{schema}{features}{range_pushdown};
	push @$statements, $statement;
	my $sql = mark('plan', $number) . "$settings;\n" . $line->($statement->{before});
	$sql .= 'EXPLAIN (COSTS OFF) ' . ($statement->{explain} // $statement->{sql}) . ";\n";
	$sql .= mark('index', $number) . "$statement->{sql};\n" . $line->($statement->{after});
	$sql .= mark('oracle', $number) . "$without;\n" . $line->($statement->{oracle_before});
	$sql .= "EXPLAIN (COSTS OFF) $statement->{oracle};\n\\echo \@\n"
	  if !$statement->{explain} && $number % 8 == 0;
	$sql .= "$statement->{oracle};\n" . $line->($statement->{oracle_after});
	$sql .= $line->('DEALLOCATE p;') if $statement->{kind} eq 'prepared';
	return $sql . mark('done', $number);
}

# sections($text): what stands after each mark, {what => [text of number...]}
sub sections
{
	my ($text) = @_;
	my %section;
	my @parts = split /^\@(\w+) (\d+)\n/m, $text;

	$section{''}[0] = shift @parts;
	while (my ($what, $number, $part) = splice(@parts, 0, 3))
	{
		$section{$what}[$number] .= $part // '';
	}
	return \%section;
}

# ----------------------------------------------------------------- verdicts

sub judge
{
	my ($run, $out, $err) = @_;
	my $unexpected = join('', map { $_->[0] // '' } @$err{qw(change check end)});

	if ($unexpected =~ /ERROR|FATAL|PANIC|server closed|connection/ && $unexpected !~ /ERROR:  25P02/)
	{
		push @{ $run->{failures} }, "a change or a check failed:\n$unexpected";
	}
	foreach my $number (0 .. $#{ $run->{statements} })
	{
		my $statement = $run->{statements}[$number];
		my %of = (
			number => $number,
			plan => $out->{plan}[$number] // '',
			plan_err => $err->{plan}[$number] // '',
			index => $out->{index}[$number] // '',
			index_err => $err->{index}[$number] // '',
			oracle => $out->{oracle}[$number] // '',
			oracle_err => $err->{oracle}[$number] // '');
		my $why = judge_statement($run, $statement, \%of);

		push @{ $run->{failures} }, failure_text($run, $statement, \%of, $why) if $why;
	}
	push @{ $run->{failures} }, 'the script did not come to its end' unless defined $out->{end};
	return;
}

sub failure_text
{
	my ($run, $statement, $of, $why) = @_;
	my $settings = join('', map { "SET $_;\n" } @{ $statement->{settings} });

	return "statement $of->{number} ($statement->{kind}) of $run->{schema}{name}: $why\n$settings"
	  . shorten(($statement->{before} // '') . "\n$statement->{sql};\n", 3000)
	  . "plan:\n" . shorten($of->{plan} . $of->{plan_err}, 3000)
	  . "with indexes:\n" . shorten($of->{index} . $of->{index_err}, 500)
	  . "without indexes:\n" . shorten($of->{oracle} . $of->{oracle_err}, 500);
}

sub shorten
{
	my ($text, $length) = @_;

	$text =~ s/(\[[-0-9.e]+,[-0-9.e]+,[-0-9.e]+,)[-0-9.e,]{60,}\]/$1...]/g;
	return length($text) > $length ? substr($text, 0, $length) . "...\n" : $text;
}

sub error_of { return $_[0] =~ /(?:ERROR|FATAL|PANIC):  (\w+): (.*)/ ? "$1 $2" : ''; }

# judge_statement: what is wrong with the answer, or undef
sub judge_statement
{
	my ($run, $statement, $of) = @_;
	my $error = error_of($of->{plan_err}) || error_of($of->{index_err});
	my $oracle_error = error_of($of->{oracle_err});

	return 'the connection was lost' if "$of->{plan_err}$of->{index_err}" =~ /server closed|connection to server/;
	if ($error || $oracle_error)
	{
		$run->{errors}++;
		return if $error eq $oracle_error || $error =~ /^25P02/;
		return 'only one of the two plans fails';
	}
	if ($of->{oracle} =~ s/^(.*)^\@\n//ms && (my $plan = $1) =~ /Scan (using|on) \w*(vkflat|vkivf)_/)
	{
		return "the comparison uses an index:\n$plan";
	}
	note_plan($run, $statement, $of->{plan});
	my @index = split /\n/, $of->{index};
	my @oracle = split /\n/, $of->{oracle};
	return approximate_answer($run, $statement, \@index, \@oracle)
	  if may_be_approximate($statement, $of->{plan});
	return exact_answer($statement, \@index, \@oracle);
}

# What the plans did, for the test to see that all was met.
sub note_plan
{
	my ($run, $statement, $plan) = @_;
	my $seen = $run->{seen};

	$seen->{"statement: $statement->{kind}"}++;
	foreach my $scan ($plan =~ /((?:Bitmap )?Index Scan (?:using|on) \w*(?:vkflat|vkivf)_.*\n(?:.*\n){0,3})/g)
	{
		my ($bitmap, $method) = $scan =~ /(Bitmap )?Index Scan (?:using|on) \w*(vkflat|vkivf)_/;
		$seen->{ ($bitmap ? 'bitmap scan of ' : 'index scan of ') . $method }++;
		$seen->{'distance in the index condition'}++ if $scan =~ /Index Cond: .*<<(->|#>|=>|\+>)/;
		$seen->{'column in the index condition'}++ if $scan =~ /Index Cond: .*\ba\d+\b/;
		$seen->{'order by'}++ if $scan =~ /Order By:/;
	}
	$seen->{$_}++ foreach grep { $plan =~ /$_/ } ('BitmapOr', 'BitmapAnd', 'Merge Append', 'Gather', 'Incremental Sort', 'Memoize', 'Custom Scan');
	$seen->{'none of our indexes'}++ unless $plan =~ /Scan (using|on) \w*(vkflat|vkivf)_/;
	return;
}

# May the plan's answer miss rows?  Only vkivf below target 1, and only where
# the user chose it: by ORDER BY, by a sphere or by the setting.
sub may_be_approximate
{
	my ($statement, $plan) = @_;

	return 1 if $statement->{capped};
	return 0 if $statement->{exhaustive} || $plan !~ /Scan (using|on) \w*vkivf_/;
	return $plan =~ /Order By:/ || $statement->{inexact};
}

# ------------------------------------------------------------------ answers

# Rows of an answer by group: {group => [[id, distance, valid], ...]}; the sign
# of a zero does not count, since it does not in a sort.
sub groups
{
	my %groups;

	foreach my $row (@_)
	{
		my ($group, $id, $distance, $valid) = split /\|/, $row, -1;
		$distance = '0' if defined $distance && $distance eq '-0';
		push @{ $groups{$group} }, [ $id, $distance // '', $valid // '' ];
	}
	return \%groups;
}

sub unzeroed { return sort map { s/(^|[|{,])-0(?=$|[|},])/${1}0/gr } @_; }

sub exact_answer
{
	my ($statement, $index, $oracle) = @_;
	my $mode = $statement->{mode};

	return any_rows($statement, $index, $oracle, 1) if $mode eq 'any';
	if ($mode ne 'ordered' || $statement->{total})
	{
		my @left = $statement->{total} ? map { s/\|-0\|/|0|/r } @$index : unzeroed(@$index);
		my @right = $statement->{total} ? map { s/\|-0\|/|0|/r } @$oracle : unzeroed(@$oracle);
		return join("\n", @left) eq join("\n", @right) ? undef : difference(\@left, \@right);
	}

	my ($left, $right) = (groups(@$index), groups(@$oracle));
	foreach my $group (sort keys %{ { %$left, %$right } })
	{
		my $why = same_order($statement, $left->{$group} // [], $right->{$group} // []);
		return "group $group: $why" if $why;
	}
	return;
}

sub difference
{
	my ($left, $right) = @_;
	my (%only);

	$only{$_}++ foreach @$left;
	$only{$_}-- foreach @$right;
	my @extra = grep { $only{$_} > 0 } sort keys %only;
	my @missing = grep { $only{$_} < 0 } sort keys %only;
	return scalar(@$left) . ' rows, not ' . scalar(@$right) . '; ' . scalar(@extra) . ' too many ('
	  . join(' ', @extra[ 0 .. ($#extra > 4 ? 4 : $#extra) ]) . '), ' . scalar(@missing) . ' missing ('
	  . join(' ', @missing[ 0 .. ($#missing > 4 ? 4 : $#missing) ]) . ')';
}

# Distances position by position; ids where no tie leaves a choice.
sub same_order
{
	my ($statement, $left, $right) = @_;
	my @left = map { $_->[1] } @$left;
	my @right = map { $_->[1] } @$right;
	my %ids = map { $_->[0] => 1 } @$left;

	return scalar(@left) . ' rows, not ' . scalar(@right) if @left != @right;
	foreach my $i (0 .. $#left)
	{
		return "distance $left[$i], not $right[$i], at position $i" if $left[$i] ne $right[$i];
	}
	return 'a row comes twice' if keys %ids != @$left;
	my $cut = defined $statement->{limit} && @left >= $statement->{limit} && !$statement->{ties};
	my $certain = sub {
		join(' ', sort map { $_->[0] } grep {
			!($cut && $_->[1] eq $left[-1]) && !($statement->{offset} && $_->[1] eq $left[0])
		} @_);
	};
	return 'other rows at the same distances' if $certain->(@$left) ne $certain->(@$right);
	return;
}

sub any_rows
{
	my ($statement, $index, $oracle, $exact) = @_;
	my %right = map { (split /\|/)[1] => 1 } @$oracle;
	my %left = map { (split /\|/)[1] => 1 } @$index;
	my $enough = $statement->{limit} < @$oracle ? $statement->{limit} : @$oracle;
	my @wrong = grep { !$right{$_} } sort keys %left;

	return 'a row comes twice' if keys %left != @$index;
	return "rows that do not satisfy the condition: @wrong" if @wrong;
	return scalar(@$index) . " rows, not $enough" if $exact && @$index != $enough || @$index > $enough;
	return;
}

# An answer that may miss rows: none is wrong, and there are not too few.
sub approximate_answer
{
	my ($run, $statement, $index, $oracle) = @_;
	my $mode = $statement->{mode};

	$run->{seen}{'approximate answer'}++;
	return if $mode eq 'scalar';
	return any_rows($statement, $index, $oracle, 0) if $mode eq 'any';
	my @invalid = grep { /\|f?$/ } @$index;
	return "rows that do not satisfy the condition: @invalid" if @invalid;
	if ($mode eq 'multiset')
	{
		# an outer join gives a row where it finds none
		my $why = difference([ grep { !/^\d*\|\d*\|\|t$/ } unzeroed(@$index) ], [ unzeroed(@$oracle) ]);
		return $why if $why !~ / 0 too many/;
	}
	my ($left, $right) = (groups(@$index), groups(@$oracle));
	foreach my $group (sort keys %{ { %$left, %$right } })
	{
		my $why = $mode eq 'multiset' ? undef
		  : enough_rows($statement, $left->{$group} // [], $right->{$group} // []);
		return "group $group: $why" if $why;
		push @{ $run->{recalls}{ $statement->{kind} } }, recall($left->{$group} // [], $right->{$group})
		  if recall_counts($run, $statement, $group) && $right->{$group};
	}
	return;
}

# Does a group's recall count?  Where its query vector is like the rows.
sub recall_counts
{
	my ($run, $statement, $group) = @_;

	return 0 if !$statement->{natural} || $statement->{offset} || $statement->{capped};
	return 0 if $statement->{group_is_query} && $group > $run->{schema}{natural};
	return $statement->{target} == 0.95;
}

sub enough_rows
{
	my ($statement, $left, $right) = @_;
	my %ids = map { $_->[0] => 1 } @$left;

	return 'a row comes twice' if keys %ids != @$left;
	return if $statement->{ties} || $statement->{capped};
	return scalar(@$left) . ' rows, not ' . scalar(@$right)
	  if @$left > @$right || @$left < @$right && !$statement->{range};
	return;
}

# share of the rows as near as the last of the true ones
sub recall
{
	my ($left, $right) = @_;
	my %wanted;
	my $found = 0;

	$wanted{ $_->[1] }++ foreach @$right;
	foreach my $row (@$left)
	{
		$found++ if $wanted{ $row->[1] } && $wanted{ $row->[1] }-- > 0;
	}
	return $found / @$right;
}

1;
