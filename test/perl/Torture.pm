# The torture run: writers commit and roll back, Braze fails at random, and
# everything is killed at random, round by round.  The same seed makes the same
# plan; what meets what is left to the machine.
#
#	my $torture = Torture->new(seed => 1);
#	$torture->round for 1 .. 100;
#	$torture->end;
#	is($torture->violations, '', '...');
#	note($torture->figures);
#
# test/torture/setup.sql has what the writers call, oracle.sql what may not be.

package Torture;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run qw(start finish);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use Dice;
use StandIn;

my $directory = abs_path(dirname(__FILE__) . '/../torture');
my ($users, $clients) = (30, 6);

# of each destination; small requests, so that there are many
my ($in_flight, $timeout) = (8, 3);
my $common = "identifiers 'user_id, anonymous_id', alias_calls 'merge', identity_delay '10 ms', request_timeout '$timeout s', max_requests_in_flight '$in_flight'";
my %options = (
	one => "max_objects_per_request '10'",
	two => "changed_attributes_only 'true', max_objects_per_request '10'",
	three => "delivery 'at_most_once'");

# What Braze always refuses, and what it does now and then.  Attributes are left alone: those of several
# calls go as one object, and when that is refused they go again one by one,
# later than what came with them.
my $for_good = 3;
my @faults = (
	[ kind => 'refuse', name => 'Malformed' ],
	[ kind => 'errors', name => 'Poison' ],
	[ kind => 'errors', name => 'poison' ],
	[ kind => 'errors', array => 'events', probability => 0.003 ],
	[ kind => 'errors', array => 'purchases', probability => 0.003 ],
	[ kind => 'status', status => 503, probability => 0.03 ],
	[ kind => 'status', status => 500, probability => 0.02, applied => 1 ],
	[ kind => 'status', status => 429, probability => 0.01, headers => { 'x-ratelimit-retry-after' => '1' } ],
	[ kind => 'status', status => 408, probability => 0.005 ],
	[ kind => 'never', probability => 0.005 ],
	[ kind => 'close', probability => 0.015 ],
	[ kind => 'close', probability => 0.015, applied => 1 ],
	[ kind => 'cut', probability => 0.02 ],
	[ kind => 'broken_json', probability => 0.01 ],
	[ kind => 'not_json', probability => 0.01 ],
	[ kind => 'empty', probability => 0.005 ],
	[ kind => 'huge', probability => 0.002, bytes => 10_000_000 ],
	[ kind => 'slow', probability => 0.2, delay_ms => 40 ],
	[ kind => 'slow', probability => 0.05, delay_ms => 400 ]);

sub new
{
	my ($class, %how) = @_;
	my $self = bless { round => 0, copied => 1_000_000_000, rolled_back => 0, locked => 0, retried => 0, open => [] }, $class;

	srand($how{seed});
	foreach my $name (sort keys %options)
	{
		$self->write_faults($name);
		$self->{standin}{$name} = StandIn->new(ledger => file_of('ledger', $name), faults => file_of('faults', $name));
	}
	$self->{node} = braze_server('torture',
		conf => "wal_writer_delay = 10s\nsegment_braze.max_memory = '4MB'\nmax_worker_processes = 16");
	$self->sql('CREATE EXTENSION segment_braze');
	foreach my $name (sort keys %options)
	{
		braze_destination($self->{node}, 'postgres', $name, $self->{standin}{$name},
			options => "$common, $options{$name}");
	}
	$self->sql(slurp_file("$directory/setup.sql"));
	$self->sql("INSERT INTO users SELECT prefix || n FROM unnest('{u,late,prepared,copied}'::text[]) prefix, generate_series(0, $users - 1) n");
	$self->write_scripts;
	return $self;
}

sub sql
{
	my ($self, $sql) = @_;
	return $self->{node}->safe_psql('postgres', $sql);
}

sub file_of
{
	my ($what, $name) = @_;
	return "$PostgreSQL::Test::Utils::tmp_check/${what}_$name";
}

# it has them from its first request on, and others after each kill
sub write_faults
{
	my ($self, $name) = @_;
	my $json = JSON::PP->new->canonical;
	my $file = file_of('faults', $name);

	unlink $file;
	append_to_file($file, $json->encode({ @$_, seed => dice(1_000_000) }) . "\n") foreach @faults;
	return;
}

# one statement each, as a user would write them
sub write_scripts
{
	my ($self) = @_;
	my $queue = q{SELECT queue((ARRAY['one', 'two', 'three'])[:destination], 'u' || :number, :dice)};
	my %script = (
		flushed => [ 'on', $queue, 'COMMIT' ],
		unflushed => [ 'off', $queue, 'COMMIT' ],
		savepoint => [ 'off', 'SAVEPOINT s', $queue, 'ROLLBACK TO s', $queue, 'COMMIT' ],
		rolled_back => [ 'on', $queue, 'ROLLBACK' ]);

	foreach my $name (sort keys %script)
	{
		my $file = $self->{node}->basedir . "/$name.sql";
		my ($commit, @statements) = @{ $script{$name} };

		append_to_file($file, join '', map { "$_\n" }
			'\set number random(0, ' . ($users - 1) . ')',
			'\set dice random(0, 99)',
			'\set destination random(1, 3)',
			'BEGIN;',
			"SET LOCAL synchronous_commit = $commit;",
			q{SELECT FROM users WHERE name = 'u' || :number FOR UPDATE;},
			map { "$_;" } @statements);
		$self->{scripts}{$name} = $file;
	}
	return;
}

sub start_writers
{
	my ($self) = @_;
	my $seed = dice(1_000_000);
	my @scripts = qw(unflushed savepoint rolled_back);
	local %ENV = braze_environment($self->{node});

	# a commit that flushes takes along what others have not
	push @scripts, qw(flushed flushed flushed) if dice(2);

	$self->{output} = '';
	$self->{writers} = start(
		[ 'pgbench', '-n', '-c', $clients, '-t', 60, '--random-seed', $seed, (map { ('-f', $self->{scripts}{$_}) } @scripts), 'postgres' ],
		'<', \undef, '>&', \$self->{output});
	return;
}

# what they did until they were done, or the server had gone
sub finish_writers
{
	my ($self) = @_;

	finish($self->{writers});
	croak $self->{output} if $self->{output} =~ /ERROR:/;
	while ($self->{output} =~ m{(rolled_back|savepoint)\.sql.*?- (\d+) transactions}gs)
	{
		$self->{rolled_back} += $2;
	}
	return;
}

sub end_transactions
{
	my ($self, $round) = @_;
	local $SIG{PIPE} = 'IGNORE';

	foreach my $open (splice @{ $self->{open} })
	{
		if ($open->{until} > $round)
		{
			push @{ $self->{open} }, $open;
			next;
		}
		# the server that it belonged to may be gone
		eval { $open->{session}->query($open->{end}); };
		eval { $open->{session}->quit; };
	}
	foreach my $gid (split /\n/, $self->sql('SELECT gid FROM pg_prepared_xacts'))
	{
		$self->sql(one_of('COMMIT', 'COMMIT', 'ROLLBACK') . " PREPARED '$gid'");
	}
	return;
}

# some that end one or two rounds later, and rows that COPY brings
sub begin_transaction
{
	my ($self) = @_;
	my $round = $self->{round};
	my ($destination, $number, $dice) = (one_of(sort keys %options), $round % $users, dice(100));
	my $how = dice(5);

	if ($how == 0)
	{
		my $session = $self->{node}->background_psql('postgres', on_error_stop => 0);

		$session->query_safe("BEGIN; SELECT FROM users WHERE name = 'late$number' FOR UPDATE; SELECT queue('$destination', 'late$number', $dice);");
		push @{ $self->{open} }, { session => $session, end => one_of('COMMIT;', 'COMMIT;', 'ROLLBACK;'), until => $round + 1 + dice(2) };
	}
	elsif ($how == 1)
	{
		my $session = $self->{node}->background_psql('postgres', on_error_stop => 0);

		$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
		push @{ $self->{open} }, { session => $session, end => 'COMMIT;', until => $round + 3 };
	}
	elsif ($how == 2)
	{
		$self->sql("BEGIN; SELECT FROM users WHERE name = 'prepared$number' FOR UPDATE; SELECT queue('$destination', 'prepared$number', $dice); PREPARE TRANSACTION 'round $round'");
	}
	elsif ($how == 3)
	{
		$self->copy_rows($destination, "copied$number");
	}
	return;
}

# COPY draws ids, and wakes nobody
sub copy_rows
{
	my ($self, $destination, $who) = @_;
	my (@rows, @committed);

	foreach (1 .. 10)
	{
		my $number = ++$self->{copied};

		push @committed, "('$destination', $number, 'copied', 'Copied', '{$who}', '{event}')";
		push @rows, qq($destination\t{"type": "track", "userId": "$who", "event": "Copied", "timestamp": "2026-01-02T03:04:05Z", )
		  . qq("properties": {"number": $number, "nonce": "copied", "part": "event"}}\n);
	}
	$self->sql("BEGIN; INSERT INTO committed VALUES " . join(', ', @committed)
		. ";\nCOPY braze_queue (destination, call) FROM STDIN;\n" . join('', @rows) . "\\.\nCOMMIT;");
	return;
}

# ----- what disturbs, and kills nothing -----

sub change_option
{
	my ($self) = @_;
	my $objects = 5 + dice(71);

	$self->sql("ALTER SERVER one OPTIONS (SET max_objects_per_request '$objects')");
	return;
}

sub pause
{
	my ($self) = @_;
	my $name = one_of(sort keys %options);

	$self->sql("SELECT braze_pause('$name', 'torture')");
	braze_wait_for_state($self->{node}, $name, 'paused: torture');
	$self->sql("SELECT braze_start('$name')");
	return;
}

sub change_key
{
	my ($self) = @_;
	my $name = one_of(sort keys %options);
	my $key = 'key-' . dice(1_000_000);

	$self->{standin}{$name}->set_key($key);
	$self->{standin}{$name}{options}{key} = $key;
	$self->sql("ALTER USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (SET rest_api_key '$key')");
	return;
}

# what nobody can pass who writes to the queue; given up if a transaction that
# did so is still open
sub lock_queue
{
	my ($self, $statement) = @_;
	my ($status, $output, $error) = $self->{node}->psql('postgres', "SET lock_timeout = '300ms'; $statement");

	croak $error if $status && $error !~ /lock timeout/;
	$self->{locked}++ unless $status;
	return;
}

# what was refused by chance is accepted now, and poison is refused again
sub retry
{
	my ($self) = @_;

	$self->{retried} += $self->sql("SELECT braze_retry(reason => 'refused on purpose')");
	return;
}

sub recreate_server
{
	my ($self) = @_;

	$self->sql(<<EOS);
BEGIN;
CREATE TEMP TABLE options AS SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'two';
CREATE TEMP TABLE keys AS SELECT umoptions FROM pg_user_mappings WHERE srvname = 'two';
DROP SERVER two CASCADE;
DO \$\$
BEGIN
	EXECUTE (SELECT 'CREATE SERVER two FOREIGN DATA WRAPPER segment_braze OPTIONS (' || string_agg(format('%I %L', option_name, option_value), ', ') || ')'
		FROM options, pg_options_to_table(srvoptions));
	EXECUTE (SELECT 'CREATE USER MAPPING FOR CURRENT_USER SERVER two OPTIONS (' || string_agg(format('%I %L', option_name, option_value), ', ') || ')'
		FROM keys, pg_options_to_table(umoptions));
END \$\$;
COMMIT;
EOS
	return;
}

my @disturbances = (
	\&change_option, \&pause, \&change_key, \&retry,
	sub { $_[0]->lock_queue('BEGIN; LOCK TABLE braze_queue IN SHARE MODE; SELECT pg_sleep(0.1); COMMIT') },
	sub { $_[0]->lock_queue('VACUUM FULL braze_queue') },
	sub { $_[0]->lock_queue('REINDEX TABLE braze_queue') },
	sub { $_[0]->sql('VACUUM braze_queue') },
	sub { $_[0]->sql('CHECKPOINT') },
	\&recreate_server,
	sub { });

# ----- what kills; each returns whether the server is to be started -----

sub process
{
	my ($self, $condition) = @_;
	my ($pid) = split /\n/, $self->sql("SELECT pid FROM pg_stat_activity WHERE $condition");

	return $pid;
}

sub wait_until_gone
{
	my (@pids) = @_;
	return StandIn::wait_until(sub { !kill 0, @pids }, 'the processes are gone');
}

# a process of the server; when it is killed, all of them are
sub kill_process
{
	my ($self, $signal, $condition) = @_;
	my $worker = braze_wait_for_worker($self->{node});
	my $pid = $self->process($condition);

	# a writer may have finished already
	$pid = $worker unless defined $pid;
	$self->mark('before');
	kill $signal, $pid;
	wait_until_gone($pid);
	wait_until_gone($worker) if $signal eq 'KILL';
	return 0;
}

sub stop_server
{
	my ($self, $mode) = @_;

	$self->mark('before');
	$self->{node}->stop($mode);
	return 1;
}

sub kill_postmaster
{
	my ($self) = @_;
	my @pids = split /\n/, $self->sql("SELECT pid FROM pg_stat_activity");
	my ($postmaster) = split /\n/, slurp_file($self->{node}->data_dir . '/postmaster.pid');

	$self->mark('before');
	$self->{node}->kill9;
	wait_until_gone($postmaster, @pids);
	return 1;
}

sub kill_standin
{
	my ($self) = @_;
	my $name = one_of(sort keys %options);
	my $standin = $self->{standin}{$name};

	$self->mark('before');
	$standin->kill9;
	$self->write_faults($name);
	$standin->start;
	return 0;
}

sub disconnect
{
	my ($self) = @_;

	$self->mark('before');
	$self->{standin}{$_}->disconnect foreach sort keys %options;
	return 0;
}

my @kills = (
	[ 'SIGKILL of the worker', \&kill_process, 'KILL', "backend_type = 'segment_braze worker'" ],
	[ 'SIGTERM of the worker', \&kill_process, 'TERM', "backend_type = 'segment_braze worker'" ],
	[ 'SIGKILL of the postmaster', \&kill_postmaster ],
	[ 'SIGKILL of the stand-in', \&kill_standin ],
	[ 'immediate shutdown', \&stop_server, 'immediate' ],
	[ 'end of all connections', \&disconnect ],
	[ 'SIGKILL of a writer', \&kill_process, 'KILL', "application_name = 'pgbench'" ],
	[ 'SIGTERM of the launcher', \&kill_process, 'TERM', "backend_type = 'segment_braze launcher'" ],
	[ 'fast shutdown', \&stop_server, 'fast' ],
	[ 'SIGKILL of the launcher', \&kill_process, 'KILL', "backend_type = 'segment_braze launcher'" ]);

sub mark
{
	my ($self, $when) = @_;

	$_->mark("$when $self->{round} $self->{what}") foreach values %{ $self->{standin} };
	return;
}

sub accepted
{
	my ($self) = @_;
	my $accepted = 0;

	$accepted += $_->accepted foreach values %{ $self->{standin} };
	return $accepted;
}

sub round
{
	my ($self) = @_;
	my $round = ++$self->{round};
	my ($what, $kill, @arguments) = @{ in_turn_at_first($round, @kills) };
	my ($enough, $disturb) = ($self->accepted + 20 + dice(200), one_of(@disturbances));

	$self->start_writers;
	$self->end_transactions($round);
	$self->begin_transaction;
	StandIn::wait_until(sub { $self->accepted >= $enough }, "$enough objects were accepted");
	$disturb->($self);

	$self->{what} = $what;
	my $down = $kill->($self, @arguments);

	# what a process sent before it died is read before these are answered
	$self->accepted foreach 1 .. 3;
	$self->mark('after');

	$self->finish_writers;
	$self->{node}->start if $down;
	braze_poll_while_restarting($self->{node}, 'template1', 'SELECT true') or croak "no server after $what";
	return;
}

# Braze is well again, all transactions end, and all that is queued is settled.
sub end
{
	my ($self) = @_;

	$self->end_transactions($self->{round} + 10);
	foreach my $name (sort keys %options)
	{
		my $standin = $self->{standin}{$name};

		# poison stays poison
		$standin->clear_faults($_->{id}) foreach grep { $_->{id} > $for_good } $standin->faults;
		$self->sql("SELECT braze_start('$name')");
	}

	# nothing is killed any more, so these are counted, a little later
	$self->sql("SELECT count(*) FROM generate_series(1, 50) i, LATERAL queue_track('$_', 'end.' || i % 20, 'End')")
	  foreach sort keys %options;
	braze_flush($self->{node});
	braze_wait_for_count($self->{node}, scalar keys %options, 'braze_activity', "name = 'End' AND calls = 50");
	$self->sql('CREATE TABLE lines (destination name, position bigint GENERATED ALWAYS AS IDENTITY, entry jsonb)');
	foreach my $name (sort keys %options)
	{
		my $ledger = file_of('ledger', $name);

		$self->sql(<<EOS);
ALTER TABLE lines ALTER destination SET DEFAULT '$name';
COPY lines (entry) FROM '$ledger' (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01');
EOS
	}
	$self->sql("\\set in_flight $in_flight\n\\set timeout ${timeout}000\n" . slurp_file("$directory/oracle.sql"));
	return;
}

# the first of each kind, a line each
sub violations
{
	my ($self) = @_;
	return $self->sql(<<'EOS');
SELECT what || ' (' || destination || '): ' || detail
FROM (SELECT *, row_number() OVER (PARTITION BY what) AS n FROM violations) v WHERE n <= 5 ORDER BY what, n
EOS
}

sub figures
{
	my ($self) = @_;

	return "figures\n" . sprintf("%-50s %8d\n" x 4,
		'rounds, each with a kill', $self->{round},
		'transactions and savepoints rolled back', $self->{rolled_back},
		'locks of the queue against its writers', $self->{locked},
		'dead letters queued again', $self->{retried})
	  . $self->sql("SELECT rpad(what, 50) || ' ' || lpad(figure, 8) FROM figures ORDER BY position");
}

1;
