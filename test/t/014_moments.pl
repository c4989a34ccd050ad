# A server that is killed at any moment of a load (rows, VACUUM, builds, list
# operations) comes back with indexes that are sound, have every row of their
# table, and answer as the sequential plan.  8 moments in `make test`, 200 in
# `make stress` (VK_MOMENTS).

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use VkLoad;
use VkTest;

my $moments = $ENV{VK_MOMENTS} // share(8, 200);
my $seed = seed();
my $node = start_node(
	'moments',
	extra => ['--data-checksums'],
	conf => <<'CONF');
restart_after_crash = on
log_statement = none
max_prepared_transactions = 20
checkpoint_timeout = 1h
max_wal_size = 8GB
max_parallel_maintenance_workers = 2
min_parallel_table_scan_size = 0
min_parallel_index_scan_size = 0
include_if_exists = 'moment.conf'
CONF

# ---- ways to die

sub sql
{
	return $node->safe_psql('postgres', shift);
}

# undef while there is none, or it has not written its file yet
sub postmaster
{
	open(my $file, '<', $node->data_dir . '/postmaster.pid') or return undef;
	return (<$file> // '') =~ /^(\d+)$/ ? $1 : undef;
}

# A start that is killed while it recovers, or soon after
sub kill_recovery
{
	my ($before) = @_;

	prepare_start();
	{
		local %ENV = $node->_get_env;
		system_log('pg_ctl', '-W', '-D', $node->data_dir, '-l', $node->logfile, 'start');
	}
	my $pid = $before;
	foreach (1 .. 60_000)
	{
		$pid = postmaster() // $before;
		last if $pid != $before;
		usleep(1_000);
	}
	die 'the server did not start again' if $pid == $before;
	usleep(rand(150_000));
	$node->_update_pid(1);
	kill_server($node);
	return;
}

# One process of the load: the postmaster ends the others and recovers.
sub kill_backend
{
	my $offset = -s $node->logfile;
	my @backends =
	  split /\n/, sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});

	# it may have ended meanwhile
	while (@backends && !kill 'KILL', splice(@backends, rand(@backends), 1)) { }
	if (-s $node->logfile == $offset || slurp_file($node->logfile, $offset) !~ /terminated by signal 9/)
	{
		usleep(200_000);
	}
	return $node->wait_for_log(qr/database system is ready to accept connections/, $offset);
}

# ---- torn pages: what is on disk is half the page of the last checkpoint

my %pages_before;

sub index_files
{
	return map { $node->data_dir . "/$_" }
	  split /\n/, sql(q{SELECT pg_relation_filepath(c.oid) FROM pg_class c JOIN pg_am m ON m.oid = relam
		WHERE amname LIKE 'vk%'});
}

sub remember_pages
{
	%pages_before = map { $_ => slurp_file($_) } index_files();
	return;
}

# Sectors of a page that is not the remembered one become those of the remembered
# one, or zeros where the file was shorter.  A page that was written since the
# checkpoint has its image in WAL.
sub tear_pages
{
	my $torn = 0;

	foreach my $file (grep { -f $_ } sort keys %pages_before)
	{
		open(my $handle, '+<:raw', $file) or die "could not open $file: $!";
		for (my $offset = 0; read($handle, my $page, 8192) == 8192; $offset += 8192)
		{
			my $old = $offset < length($pages_before{$file}) ? substr($pages_before{$file}, $offset, 8192) : "\0" x 8192;

			next if $old eq $page || rand() < 0.3;
			my $mask = draw([ 2, 0x00ff ], [ 2, 0xff00 ], [ 1, 1 + int(rand(65534)) ])->[1];
			foreach my $sector (grep { $mask >> $_ & 1 } 0 .. 15)
			{
				substr($page, 512 * $sector, 512) = substr($old, 512 * $sector, 512);
			}
			seek($handle, $offset, 0);
			print $handle $page;
			seek($handle, $offset + 8192, 0);
			$torn++;
		}
		close($handle) or die "could not write $file: $!";
	}
	return $torn;
}

# ---- one moment

# How a moment differs from others.  Settings hold from the start of the server,
# that is, from the recovery of the moment before.  With few buffers pages are
# written all the time, with many none: recovery has all to do.  A killed process
# may leave half a page of a write() behind, so that without images of pages in
# WAL the server must be let to end its writes.
my %variant = (
	plain => {},
	checkpoints => { load => { checkpoint => 1 }, conf => 'shared_buffers = 4MB' },
	torn => { conf => "shared_buffers = 4MB\nbgwriter_delay = 10ms", torn => 1 },
	'no images' => { conf => 'full_page_writes = off', how => 'immediate stop' });
my @variants = ([ 3, 'plain' ], [ 3, 'checkpoints' ], [ 3, 'torn' ], [ 1, 'no images' ]);
my @ways = ([ 5, 'server killed' ], [ 2, 'killed again in recovery' ], [ 2, 'backend killed' ]);

my ($current, $next) = ('plain', 'plain');
my (%counts, %ways, %met);

# The settings of the next moment; half of the moments have each page that
# recovery makes compared with the one that was.  Without images in WAL that fails
# on pages of indexes that were dropped later: recovery finds no file, makes one of
# zeros where a record brings a page far from its start, and compares the zeros.
sub prepare_start
{
	my $conf = $variant{$next}{conf} // '';
	my $consistency = $next ne 'no images' && rand() < 0.5 ? 'generic' : '';

	open(my $file, '>', $node->data_dir . '/moment.conf') or die $!;
	print $file "$conf\nwal_consistency_checking = '$consistency'\n";
	close($file);
	return;
}

sub moment
{
	my ($i) = @_;
	my $variant = $variant{$current};
	my $how = $variant->{how} // draw(grep { !$variant->{torn} || $_->[1] ne 'backend killed' } @ways)->[1];
	my $errors = '';

	mend_world($node);
	sql('CHECKPOINT');
	remember_pages() if $variant->{torn};

	my @sessions = start_load($node, writer => 3, vacuum => 1, ddl => 1, reader => 1,
		truncate => rand() < 0.2 ? 1 : 0, %{ $variant->{load} // {} });
	my $delay = 0.05 + rand(share(1.0, 2.5));
	usleep($delay * 1e6);

	my $torn = 0;
	if ($how eq 'backend killed')
	{
		kill_backend();
		$errors = finish_load(@sessions);
	}
	else
	{
		my $pid = postmaster();

		$next = draw(@variants)->[1];
		$how eq 'immediate stop' ? $node->stop('immediate') : kill_server($node);
		$errors = finish_load(@sessions);
		# only now: an end of recovery is a checkpoint
		$torn = tear_pages() if $variant->{torn};
		kill_recovery($pid) if $how eq 'killed again in recovery';
		prepare_start();
		$node->start;
	}

	my $name = sprintf('moment %d of %d (VK_SEED=%d): %s, %s after %.2f s', $i, $moments, $seed, $current, $how, $delay);
	my %now;

	# sessions met no error of their own, and what they left is sound
	my $well = is($errors . world_faults($node, undef, \%now), '', $name);
	$counts{$_} += $now{$_} foreach keys %now;
	$counts{torn} += $torn;
	$ways{$how}++;
	$met{$current}++;
	progress("$name: $now{indexes} indexes sound, $now{comparisons} comparisons, $torn pages torn");
	$current = $next;
	return $well;
}

make_world($node);
$next = draw(@variants)->[1];
# what is broken stays as it is, to be looked at
my $done = 0;
$done++ while $done < $moments && moment($done + 1);

my @redone = slurp_file($node->logfile) =~ /redo starts at/g;
cmp_ok(scalar(@redone), '>', 0, 'recovery had something to do');
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|inconsistent page/, 'no process panicked');

verdict(sprintf(
		'crash: %d moments passed (VK_SEED=%d; %s; %s), %d indexes checked, %d comparisons, %d pages torn, %d recoveries',
		$done, $seed,
		join(', ', map { "$_ $ways{$_}" } sort keys %ways),
		join(', ', map { "$_ $met{$_}" } sort keys %met),
		$counts{indexes}, $counts{comparisons}, $counts{torn}, scalar(@redone)));
$node->stop;
done_testing();
