# Random statements over random schemas: an answer with our indexes is that of
# the sequential plan, whatever was inserted, deleted or vacuumed before.
#
# VK_FUZZ_SEED         another run (a number)
# VK_FUZZ_STATEMENTS   how many statements
# VK_FUZZ_SCHEMA       one schema only, as a failure says

use strict;
use warnings FATAL => 'all';

use List::Util qw(sum0);
use Test::More;
use VkFuzz;
use VkTest;

my $seed = $ENV{VK_FUZZ_SEED} // 1;
my $statements = $ENV{VK_FUZZ_STATEMENTS} // 4000;
my $each = 100;
my @numbers = defined $ENV{VK_FUZZ_SCHEMA} ? ($ENV{VK_FUZZ_SCHEMA}) : (1 .. ($statements + $each - 1) / $each);
my $node = start_node('fuzz', conf => <<'CONF');
shared_buffers = 256MB
max_wal_size = 4GB
fsync = off
log_statement = none
log_min_error_statement = panic
log_min_messages = log
CONF

fuzz_prepare($node);
my $features = fuzz_features($node);
note("seed $seed, $statements statements");
is(join(' ', grep { !$features->{$_} } qw(attributes spheres range_pushdown max_scan_rows prefilter)),
	'', 'there is all that statements are made of');

sub mean { return sum0(@_) / @_; }

my (%seen, %recalls);
my ($run_statements, $errors) = (0, 0);
foreach my $number (@numbers)
{
	my $run = fuzz_schema($node, $features, $seed, $number, $each);

	ok(!@{ $run->{failures} }, "schema $number: $run->{what}");
	if (my @failures = @{ $run->{failures} })
	{
		diag("seed $seed, schema $number; to run it again:\n"
			  . "VK_FUZZ_SEED=$seed VK_FUZZ_SCHEMA=$number make test STAGES=tap TAP=010_fuzz\n");
		diag("$_\n") foreach @failures > 5 ? @failures[ 0 .. 4 ] : @failures;
		diag(scalar(@failures) . ' failures in this schema');
	}
	$seen{$_} += $run->{seen}{$_} foreach keys %{ $run->{seen} };
	push @{ $recalls{$_} }, @{ $run->{recalls}{$_} } foreach keys %{ $run->{recalls} };
	$run_statements += @{ $run->{statements} };
	$errors += $run->{errors};
}

note("$_: $seen{$_}") foreach sort keys %seen;
note("$run_statements statements, $errors with errors on both sides");
cmp_ok($errors, '<=', $run_statements / 20, 'few statements are in error on both sides');
note(sprintf('recall of %s: %.4f over %d', $_, mean(@{ $recalls{$_} }), scalar(@{ $recalls{$_} })))
  foreach sort keys %recalls;
# a longer run meets all of these, many times
foreach my $what (
	'index scan of vkflat', 'index scan of vkivf', 'bitmap scan of vkflat', 'bitmap scan of vkivf',
	'order by', 'distance in the index condition', 'column in the index condition',
	'approximate answer', 'Merge Append', 'BitmapOr')
{
	last if $run_statements < 3000;
	cmp_ok($seen{$what} // 0, '>=', 3, "met: $what");
}
if (my @recalls = map { @$_ } values %recalls)
{
	cmp_ok(mean(@recalls), '>=', 0.95, 'recall at target 0.95 over ' . @recalls . ' answers');
}
no_crash_in_log($node, 'no process died');
$node->stop;
done_testing();
