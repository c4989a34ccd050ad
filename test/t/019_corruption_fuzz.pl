# Index pages damaged at random: whatever a query, insert, vacuum or check meets,
# it answers or raises "index corrupted"; no crash, no hang, no wild allocation,
# and no error while a query is planned.
#
# VK_DAMAGE_CASES    how many cases
# VK_DAMAGE_SEED     another run (a number)
# VK_DAMAGE_CASE     one case only, as a failure says
# VK_DAMAGE_TIMEOUT  seconds that a statement may take; more where all is slow

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use VkDamage;
use VkTest;

my $seed = $ENV{VK_DAMAGE_SEED} // 1;
my $number = $ENV{VK_DAMAGE_CASES} // 300;
my $timeout = $ENV{VK_DAMAGE_TIMEOUT} // 10;
# kB; a sanitizer keeps what is freed
my $memory_limit = defined $ENV{ASAN_OPTIONS} ? 1_000_000 : 200_000;
my @numbers = defined $ENV{VK_DAMAGE_CASE} ? ($ENV{VK_DAMAGE_CASE}) : (1 .. $number);

my $node = start_node('fuzz', conf => <<'CONF');
max_wal_size = 4GB
log_statement = none
log_min_error_statement = panic
log_min_messages = log
CONF

damage_prepare($node);

# ---- the indexes, of all that pages can hold

my $attributes = ', (id * 3), (nullif(id % 5, 0))';
my $many = join('', map { ", (id + $_)" } 1 .. 12);
my @shapes = (
	{ name => 'flat', operator => '<->', rows => 500, dims => 40,
		index => "vkflat (embedding f32vec_l2_ops$attributes) WITH (bits = 2, refine = 8" },
	{ name => 'ivf', operator => '<=>', rows => 600, dims => 40,
		index => "vkivf (embedding f32vec_cosine_ops$attributes) WITH (lists = 8, bits = 2, refine = 8, calibrate = 100" },
	{ name => 'ivf4', operator => '<->', rows => 600, dims => 24,
		index => 'vkivf (embedding f32vec_l2_ops) WITH (lists = 20, bits = 4, refine = none, calibrate = 0' },
	{ name => 'product', operator => '<#>', rows => 400, dims => 64,
		index => "vkivf (embedding f32vec_ip_ops$attributes) WITH (lists = 6, bits = 1, refine = 4, calibrate = 0" },
	{ name => 'l1', operator => '<+>', rows => 300, dims => 32,
		index => 'vkflat (embedding f32vec_l1_ops) WITH (bits = 8, refine = none' },
	{ name => 'floats', operator => '<->', rows => 300, dims => 8,
		index => 'vkivf (embedding f32vec_l2_ops) WITH (lists = 3, bits = 32, refine = none, calibrate = 0' },
	{ name => 'wide', operator => '<->', rows => 60, dims => 1500,
		index => 'vkivf (embedding f32vec_l2_ops) WITH (lists = 2, bits = 8, refine = none, calibrate = 0' },
	{ name => 'columns', operator => '<->', rows => 200, dims => 12,
		index => "vkivf (embedding f32vec_l2_ops$many) WITH (lists = 3, bits = 1, refine = 8, calibrate = 0" },
	{ name => 'empty', operator => '<->', rows => 200, dims => 16, after => 1,
		index => "vkflat (embedding f32vec_l2_ops$attributes) WITH (bits = 4, refine = 8" },
	{ name => 'grown', operator => '<=>', rows => 400, dims => 48, after => 0.5,
		index => "vkivf (embedding f32vec_cosine_ops$attributes) WITH (lists = 4, bits = 4, refine = none, calibrate = 0" });

# The table of a shape, without one vector and with one that has no direction;
# `after` is the share of the rows that is inserted once there is the index.
sub create_sql
{
	my ($shape, $table) = @_;
	my $last = int($shape->{rows} * (1 - ($shape->{after} // 0)));
	my $fill = "INSERT INTO $table SELECT * FROM base_$shape->{name} WHERE id";

	return "CREATE TABLE $table (id integer, embedding f32vec($shape->{dims}));\n"
	  . "$fill <= $last ORDER BY id;\n"
	  . "CREATE INDEX ${table}_vk ON $table USING $shape->{index}, seed = 1);\n"
	  . ($shape->{after} ? "$fill > $last ORDER BY id;\n" : '');
}

foreach my $shape (@shapes)
{
	my ($name, $rows, $dims) = @$shape{qw(name rows dims)};
	my ($first) = random_queries(1, $dims, 3);

	$shape->{query} = $first;
	# before the damage all goes well
	$node->safe_psql('postgres', <<"SQL" . create_sql($shape, "whole_$name"));
SELECT setseed(0.5);
CREATE TABLE base_$name AS
SELECT i AS id, CASE WHEN i % 40 = 0 THEN NULL WHEN i % 40 = 1 THEN array_fill(0::real, ARRAY[$dims])::f32vec
	ELSE (SELECT array_agg((random() * 2 - 1 + (i + j) * 0)::real) FROM generate_series(1, $dims) j)::f32vec
	END AS embedding
FROM generate_series(1, $rows) i;
SQL
	$shape->{pages} = pages_of($node, "whole_${name}_vk");
	$shape->{radius} = $node->safe_psql('postgres',
		"SELECT embedding $shape->{operator} '$first' FROM base_$name ORDER BY 1 OFFSET 20 LIMIT 1");
}

# ---- what is asked of each

my %functions = index_functions($node);
note('functions: ', join(' ', sort keys %functions));

# [ statement, settings beside enable_seqscan ]; those whose name begins with
# "plan" must raise nothing
sub statements
{
	my ($shape, $table, $case) = @_;
	my ($operator, $query, $radius, $dims) = @$shape{qw(operator query radius dims)};
	my $sphere = '<<' . substr($operator, 1, 1) . '>>';
	my $distance = "embedding $operator '$query'";
	my $order = "ORDER BY $distance";
	my $index = "${table}_vk";
	my $rows = $case % 8 == 0 ? 400 : 40;
	my $count = sub { return "SELECT count(*) FROM (SELECT id FROM $table $_[0]) s" };
	my $parallel = join(', ', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_index_scan_size = 0');
	my $where = $shape->{name} eq 'columns' ? 'id + 3 BETWEEN 20 AND 60' : 'id * 3 < 300 AND nullif(id % 5, 0) IN (1, 2)';
	my $null = $shape->{name} eq 'columns' ? 'id + 1 = 7' : 'nullif(id % 5, 0) IS NULL';
	my $values = "CASE WHEN i % 7 = 0 THEN NULL ELSE random_vector($dims) END";
	my @statements = (
		[ 'plan of nearest rows', "EXPLAIN SELECT id FROM $table $order LIMIT 10" ],
		[ 'plan of range', "EXPLAIN SELECT id FROM $table WHERE $distance < $radius" ],
		[ 'plan of filter', "EXPLAIN SELECT id FROM $table WHERE $where $order LIMIT 5" ],
		[ 'nearest rows', $count->("$order LIMIT 10") ],
		[ 'all rows', $count->($order) ],
		[ 'nearest rows, exactly', $count->("$order LIMIT 10"), 'vkindex.target_recall = 1' ],
		[ 'nearest rows, by probes', $count->("$order LIMIT 30"), 'vkindex.probes = 2' ],
		[ 'range', $count->("WHERE $distance < $radius") ],
		[ 'range in order', $count->("WHERE $distance < $radius $order LIMIT 15") ],
		[ 'sphere', $count->("WHERE embedding $sphere vk_sphere('$query', $radius)"), 'enable_bitmapscan = off' ],
		[ 'bitmap', $count->("WHERE embedding $sphere vk_sphere('$query', $radius)"), 'enable_indexscan = off' ],
		[ 'filter in order', $count->("WHERE $where $order LIMIT 20") ],
		[ 'filter', $count->("WHERE $where") ],
		[ 'bitmap of filter', $count->("WHERE $null"), 'enable_indexscan = off' ],
		[ 'filter and range', $count->("WHERE $null AND $distance < $radius") ],
		[ 'condition outside', $count->("WHERE id % 3 = 0 $order LIMIT 10") ],
		[ 'vk_recall', "SELECT vk_recall('$index', 5, 10)" ],
		[ 'vk_explain_refusal', "SELECT * FROM vk_explain_refusal(\$\$SELECT id FROM $table $order LIMIT 10\$\$)" ],
		[ 'vk_check of all', "SELECT vk_check('$index', true)" ]);

	push @statements, [ 'parallel scan', $count->($order), $parallel ] if $case % 8 == 1;
	foreach my $function (sort keys %functions)
	{
		my %calls = (
			index => "SELECT count(*) FROM $function('$index')",
			number => "SELECT count(*) FROM $function('$index', 3)",
			block => "SELECT count(*) FROM generate_series(0, pg_relation_size('$index') / 8192 - 1) b, $function('$index', b)");

		push @statements, [ $function, $calls{ $functions{$function} } ];
	}
	push @statements,
	  [ 'insert', "INSERT INTO $table SELECT 5000 + i, $values FROM generate_series(1, $rows) i" ],
	  [ 'update', "UPDATE $table SET embedding = embedding WHERE id <= 20" ],
	  [ 'delete', "DELETE FROM $table WHERE id % 2 = 0" ],
	  [ 'vacuum', "VACUUM $table" ],
	  [ 'nearest rows afterwards', $count->("$order LIMIT 10") ],
	  [ 'vacuum again', "VACUUM $table" ],
	  [ 'vk_check afterwards', "SELECT vk_check('$index')" ];
	push @statements, [ 'repair', "REINDEX TABLE $table; SELECT vk_check('$index', true)" ] if $case % 16 == 0;
	return @statements;
}

# ---- running

# one case as a psql script; \warn marks what it says
sub case_sql
{
	my ($case) = @_;
	my $shape = $shapes[ $case % @shapes ];
	my @others = map { $_->{pages} } grep { $_ != $shape } @shapes;
	my ($damaged, $what) = draw_damage($seed * 1000003 + $case, $shape->{pages}, \@others);
	my $table = "t$case";
	my $sql = create_sql($shape, $table) . damage_sql("${table}_vk", $shape->{pages}, $damaged);

	# a session that has not seen the index
	$sql .= "\\c\nSET statement_timeout = '${timeout}s';\nSET enable_seqscan = off;\n";
	foreach my $statement (statements($shape, $table, $case))
	{
		my ($name, $text, @settings) = @$statement;
		my @names = map { /^(\S+) =/ } map { split /, / } @settings;

		$sql .= "\\warn statement $name\n";
		$sql .= join('', map { "SET $_;\n" } map { split /, / } @settings);
		$sql .= "$text;\n" . join('', map { "RESET $_;\n" } @names);
	}
	$sql .= "\\warn statement memory\nSELECT 'memory ' || damage_peak_memory();\nDROP TABLE $table;\n";
	return ($sql, "$shape->{name}: $what");
}

# Costs are numbers, whatever the index holds.
sub odd_costs
{
	my ($said) = @_;
	return map { "cost: $_" } grep { /cost=\S*(?:nan|inf)/i } split /\n/, $said;
}

# what may be said: corrupted; a row that is not in the table, by core
my $allowed = qr/^ERROR:  XX00[12]:/;

# or that the vectors are not those that the meta page tells of
my $other_dimensions = qr/^ERROR:  22000: (?:different vector dimensions|expected \d+ dimensions)/;

# or, to who asks for what a page of one kind shows, that it is of another
my $other_kind = qr/^ERROR:  22023: block \d+ of index/;

sub complaints
{
	my ($said) = @_;
	my @wrong;

	foreach my $part (split /^statement /m, $said)
	{
		my ($name, $text) = split /\n/, $part, 2;

		foreach my $line (split /\n/, $text // '')
		{
			$line =~ s/^psql:\S+:\d+: //;
			if ($line =~ /^(?:ERROR|FATAL|PANIC)/)
			{
				next if $name !~ /^(?:plan|repair)/ && $line =~ /$allowed|$other_dimensions/;
				next if $name =~ /^vk_page_/ && $line =~ /$other_kind/;
				push @wrong, "$name: $line";
			}
			push @wrong, "$name: $line" if $line =~ /^(?:server closed|WARNING:  \S+ terminating|connection to server)/;
		}
	}
	return @wrong;
}

# Runs cases until one stays silent for too long or ends the session; returns
# what was said of each, by its number.
sub run_cases
{
	my (%sql) = @_;
	my $script = File::Temp->new;
	my ($stdout, $stderr, $seen) = ('', '', 0);

	print $script "SET client_min_messages = warning;\n";
	print $script "\\warn case $_\n\\echo case $_\n$sql{$_}\\warn end\n" foreach sort { $a <=> $b } keys %sql;
	$script->flush;
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', $script->filename ],
		'<', \undef, '>', \$stdout, '2>', \$stderr,
		my $timer = IPC::Run::timeout(4 * $timeout));
	my $ended = eval {
		while ($run->pumpable)
		{
			$run->pump;
			$timer->start(4 * $timeout) if length($stderr) != $seen;
			$seen = length($stderr);
		}
		$run->finish;
		1;
	};

	if (!$ended)
	{
		$stderr .= "\nFATAL:  no answer\n";
		# a process that waits for itself does not hear anything else
		$node->stop('immediate');
		$run->kill_kill;
	}
	my %said = map { /^(\d+)\n(.*)/s ? ($1 => $2) : () } split /^case /m, $stderr;
	my %answers = map { /^(\d+)\n(.*)/s ? ($1 => $2) : () } split /^case /m, $stdout;
	return (\%said, \%answers);
}

my (%reports, %whats, %peaks);
my @left = @numbers;
my $deaths = 0;

while (@left)
{
	my @batch = splice(@left, 0, 50);
	my %sql;

	foreach my $case (@batch)
	{
		($sql{$case}, $whats{$case}) = case_sql($case);
	}
	my ($said, $answers) = run_cases(%sql);
	my $whole = 1;

	foreach my $case (@batch)
	{
		if (!$whole)
		{
			unshift @left, $case;
			next;
		}
		my $answer = $answers->{$case} // '';
		my @wrong = (complaints($said->{$case} // ''), odd_costs($answer));
		my ($memory) = $answer =~ /^memory (\d+)/m;

		$whole = ($said->{$case} // '') =~ /^end$/m;
		push @wrong, 'the session ended: ' . substr($said->{$case} // 'nothing was said', -300) unless $whole;
		push @wrong, "$memory kB of memory" if ($memory // 0) > $memory_limit;
		$peaks{$case} = $memory // 0;
		$reports{$case} = \@wrong;
	}
	@left = sort { $a <=> $b } @left;
	next if $whole;

	# crashed, or stopped above
	last if ++$deaths > 20;
	$node->start if !-e $node->data_dir . '/postmaster.pid';
	wait_until_up($node);
}

my @failed = grep { @{ $reports{$_} } } sort { $a <=> $b } keys %reports;
my ($most) = sort { $b <=> $a } values %peaks;

is(scalar(keys %reports), scalar(@numbers), 'all cases were run');
ok(!@failed, "seed $seed: each of " . @numbers . ' damaged indexes answers or says that it is corrupted');
foreach my $case (@failed > 40 ? @failed[ 0 .. 39 ] : @failed)
{
	diag("case $case, $whats{$case}; to run it again:\n"
		  . "VK_DAMAGE_SEED=$seed VK_DAMAGE_CASE=$case make test STAGES=tap TAP=019_corruption_fuzz\n"
		  . join("\n", @{ $reports{$case} }) . "\n");
}
diag(@failed . ' cases failed: ' . join(' ', @failed)) if @failed;
note("most memory of a process: $most kB");
no_crash_in_log($node, 'no process died') if $deaths == 0;
is($deaths, 0, 'and no server had to be started again');
$node->stop;
done_testing();
