# PostgreSQL servers under Patroni, three of them, with etcd, HAProxy and
# pgbouncer, made of the files in test/cluster.
#
#	my $cluster = Patroni->new(directory => ..., bin => ..., programs => {...});
#	$cluster->wait_until_whole;
#	$cluster->freeze($cluster->leader);
#
# It starts no process outside of the directory, and ends none: who made the
# directory ends what works there.

package Patroni;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(usleep);

use StandIn;

my $files = abs_path(dirname(__FILE__) . '/../cluster');

# No two are the same, since all are held until all are known.
sub free_ports
{
	my ($count) = @_;
	my @sockets = map { IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') || croak "no port: $!" } 1 .. $count;

	return map { $_->sockport } @sockets;
}

# scope => the cluster's name, and that of its database; nodes => 2;
# synchronous => 0; parameters => { name => value } for PostgreSQL;
# beside => another cluster, whose etcd it has; pooler => 0: neither HAProxy nor
# pgbouncer
sub new
{
	my ($class, %how) = @_;
	my $self = bless {
		synchronous => 1,
		scope => 'shop',
		nodes => 3,
		pooler => 1,
		http => HTTP::Tiny->new(timeout => 2, proxy => undef),
		%how
	}, $class;
	my @names = map { "node$_" } 1 .. $self->{nodes};
	my @ports = free_ports(4 + 2 * @names);

	mkdir $self->{directory} or croak "$self->{directory}: $!";
	$self->{names} = \@names;
	$self->{port} = { map { $_ => shift @ports } qw(etcd etcd_peer haproxy pgbouncer) };
	$self->{port}{etcd} = $self->{beside}{port}{etcd} if $self->{beside};
	$self->{node}{$_} = { port => shift @ports, api => shift @ports } foreach @names;
	$self->write_node($_) foreach @names;
	$self->start_etcd unless $self->{beside};
	$self->start_patroni($_) foreach @names;
	return $self unless $self->{pooler};
	$self->write_file('userlist.txt', qq("app" "app-secret"\n"postgres" "first-secret"\n));
	$self->write_file('pgbouncer.ini', $self->adapted('pgbouncer.ini', $self->places));
	$self->write_file('haproxy.cfg', $self->adapted('haproxy.cfg', $self->places));
	$self->start_program('haproxy', $self->{programs}{haproxy}, '-f', "$self->{directory}/haproxy.cfg");
	$self->start_pgbouncer;
	return $self;
}

sub write_file
{
	my ($self, $name, $text) = @_;

	open my $file, '>', "$self->{directory}/$name" or croak "$name: $!";
	chmod 0600, $file;
	print $file $text;
	close $file or croak "$name: $!";
	return;
}

# A file of test/cluster, in which each text of the list is replaced by what
# follows it. One that is not there any more would be left as it is, unnoticed.
sub adapted
{
	my ($self, $name, @replacements) = @_;
	my $text = do { local (@ARGV, $/) = "$files/$name"; <> };

	while (my ($from, $to) = splice @replacements, 0, 2)
	{
		$text =~ s/\Q$from\E/$to/g or $name eq 'haproxy.cfg' || $name eq 'pgbouncer.ini' || croak "$name has no $from";
	}
	croak "an address is left in $name:\n$text" if $text =~ /10\.0\.0\./;
	return $text;
}

# where haproxy.cfg and pgbouncer.ini have other machines
sub places
{
	my ($self) = @_;
	my @places = (
		'10.0.0.21:5000' => "127.0.0.1:$self->{port}{haproxy}",
		'host=10.0.0.21 port=5000' => "host=127.0.0.1 port=$self->{port}{haproxy}",
		'listen_addr = 10.0.0.21' => 'listen_addr = 127.0.0.1',
		'listen_port = 6432' => "listen_port = $self->{port}{pgbouncer}\nunix_socket_dir =",
		'/etc/pgbouncer' => $self->{directory},
		'shop =' => "$self->{scope} =");

	foreach my $n (1 .. $self->{nodes})
	{
		my $node = $self->{node}{"node$n"};
		push @places, "10.0.0.$n:5432 check port 8008" => "127.0.0.1:$node->{port} check port $node->{api}";
	}
	return @places;
}

# What takes half a minute in production takes seconds here.
sub write_node
{
	my ($self, $name) = @_;
	my $node = $self->{node}{$name};
	my $home = "$self->{directory}/$name";
	my %parameters = ('segment_braze.restart_delay' => "'1s'",
		# what a killed server leaves of the other kind is outside of its directory
		dynamic_shared_memory_type => 'mmap', %{ $self->{parameters} || {} });

	mkdir $home or croak "$home: $!";
	$self->write_file("$name/key", "key-of-$self->{scope}-$name\n");
	$node->{data} = "$home/data";
	$self->write_file("$name.yml", $self->adapted('patroni.yml',
		'scope: shop' => "scope: $self->{scope}",
		'name: node1' => "name: $name",
		'10.0.0.1:8008' => "127.0.0.1:$node->{api}",
		'10.0.0.1:5432' => "127.0.0.1:$node->{port}",
		'10.0.0.11:2379' => "127.0.0.1:$self->{port}{etcd}",
		'10.0.0.0/24' => '127.0.0.1/32',
		'/var/lib/postgresql/15/shop' => $node->{data},
		'/usr/lib/postgresql/15/bin' => $self->{bin},
		'ttl: 30' => 'ttl: 8',
		'loop_wait: 10' => 'loop_wait: 1',
		'retry_timeout: 10' => 'retry_timeout: 3',
		'synchronous_mode: true' => 'synchronous_mode: ' . ($self->{synchronous} ? 'true' : 'false'),
		"  pg_hba:\n" => "  pgpass: $home/pgpass\n  parameters:\n    unix_socket_directories: $home\n"
		  . join('', map { "    $_: $parameters{$_}\n" } sort keys %parameters) . "  pg_hba:\n"));
	return;
}

# Each has a process group of its own. Returns its process id.
sub start_program
{
	my ($self, $name, @command) = @_;
	my $pid = fork;

	croak "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		setpgrp;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$self->{directory}/$name.log";
		open STDERR, '>&', \*STDOUT;
		chdir $self->{directory};
		{ exec { $command[0] } @command; }
		POSIX::_exit(127);
	}
	$self->{pid}{$name} = $pid;
	return;
}

sub start_etcd
{
	my ($self) = @_;
	my ($client, $peer) = map { "http://127.0.0.1:$self->{port}{$_}" } qw(etcd etcd_peer);

	$self->start_program('etcd', $self->{programs}{etcd}, '--enable-v2', '--name', 'etcd', '--data-dir', "$self->{directory}/etcd",
		'--listen-client-urls', $client, '--advertise-client-urls', $client, '--listen-peer-urls', $peer,
		'--initial-advertise-peer-urls', $peer, '--initial-cluster', "etcd=$peer");
	return;
}

sub start_patroni
{
	my ($self, $name) = @_;

	$self->start_program($name, '/usr/bin/python3', $self->{programs}{patroni}, "$self->{directory}/$name.yml");
	return;
}

sub start_pgbouncer
{
	my ($self) = @_;

	$self->start_program('pgbouncer', $self->{programs}{pgbouncer}, "$self->{directory}/pgbouncer.ini");
	return;
}

sub kill_program
{
	my ($self, $name) = @_;
	my $pid = delete $self->{pid}{$name};

	kill 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

# ----- what the cluster says of itself -----

# undef: no node answers
sub members
{
	my ($self) = @_;

	foreach my $name ($self->nodes)
	{
		my $answer = $self->{http}->get("http://127.0.0.1:$self->{node}{$name}{api}/cluster");
		my $members = $answer->{success} && eval { decode_json($answer->{content})->{members} };

		return { map { $_->{name} => $_ } @$members } if $members && @$members;
	}
	return;
}

sub whole
{
	my ($self) = @_;
	my $members = $self->members || {};
	my @names = $self->nodes;
	my ($leader) = grep { $members->{$_} && $members->{$_}{role} eq 'leader' } @names;
	my $timeline;

	$self->{what_is_missing} = join ', ', map { "$_: " . ($members->{$_} ? "$members->{$_}{role} $members->{$_}{state} " . ($members->{$_}{timeline} // '-') : 'none') } @names;
	return 0 unless $leader && $members->{$leader}{state} eq 'running';
	$timeline = $members->{$leader}{timeline} or return 0;
	foreach my $name (grep { $_ ne $leader } @names)
	{
		my $member = $members->{$name};

		return 0 unless $member && $member->{state} =~ /^(running|streaming)$/ && ($member->{timeline} || 0) == $timeline;
	}
	($self->{standby}) = grep { $members->{$_}{role} eq 'sync_standby' } @names;
	return 0 if $self->{synchronous} && !$self->{standby};
	$self->{leader} = $leader;
	$self->{what_is_missing} = 'replication or the worker';
	return ($self->sql($leader, 'postgres', q{SELECT NOT pg_is_in_recovery() AND (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming')}
		. ' >= ' . $#names) // '') eq 't';
}

# all of them are there, and the leader has its standbys
sub wait_until_whole
{
	my ($self) = @_;
	my $deadline = time + ($ENV{PG_TEST_TIMEOUT_DEFAULT} || 180);

	until ($self->whole)
	{
		croak "the cluster $self->{scope} is not whole: $self->{what_is_missing}" if time > $deadline;
		usleep(200_000);
	}
	return $self->{leader};
}

sub wait_for_leader
{
	my ($self, @not) = @_;
	my $leader;

	StandIn::wait_until(sub {
		my $members = $self->members || {};

		($leader) = grep { my $name = $_; $members->{$name}{role} eq 'leader' && $members->{$name}{state} eq 'running' && !grep { $_ eq $name } @not } keys %$members;
		$leader && ($self->sql($leader, 'postgres', 'SELECT NOT pg_is_in_recovery()') // '') eq 't';
	}, "there is another leader than @not");
	return $self->{leader} = $leader;
}

sub leader { return $_[0]{leader}; }
sub standby { return $_[0]{standby}; }
sub nodes { return @{ $_[0]{names} }; }

sub replicas
{
	my ($self) = @_;
	return grep { $_ ne $self->{leader} } $self->nodes;
}

# the nodes that led it, in order, from etcd by way of Patroni
sub history
{
	my ($self) = @_;
	my $answer = $self->{http}->get("http://127.0.0.1:$self->{node}{$self->{leader}}{api}/history");

	return map { $_->[4] } @{ decode_json($answer->{content}) };
}

# undef: it cannot be asked
sub sql
{
	my ($self, $name, $database, @statements) = @_;
	my $sql = join ";\n", @statements;
	my $input = "$self->{directory}/psql.$$";
	my $output;

	local %ENV = (%ENV, PGPASSWORD => 'first-secret', PGCONNECT_TIMEOUT => 3, PGOPTIONS => $self->{options} // '-c statement_timeout=60s');
	open my $file, '>', $input or croak "$input: $!";
	print $file $sql;
	close $file;
	$output = qx($self->{bin}/psql -XAtq -v ON_ERROR_STOP=1 -h 127.0.0.1 -p $self->{node}{$name}{port} -U postgres -d $database -f $input 2>$input.err);
	if ($? != 0)
	{
		$self->{error} = do { local (@ARGV, $/) = "$input.err"; <> };
		return;
	}
	chomp $output;
	return $output;
}

# at the leader; it must work
sub must
{
	my ($self, @statements) = @_;
	my $output = $self->sql($self->{leader}, $self->{scope}, @statements);

	croak $self->{error} unless defined $output;
	return $output;
}

sub patronictl
{
	my ($self, @arguments) = @_;
	my $log = "$self->{directory}/patronictl.log";
	my $pid = fork;

	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $log;
		open STDERR, '>&', \*STDOUT;
		print "patronictl @arguments\n";
		{ exec 'timeout', '60', '/usr/bin/python3', $self->{programs}{patronictl}, '-c', "$self->{directory}/node1.yml", @arguments; }
		POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return $? == 0;
}

# ----- processes -----

# undef: there is none
sub postmaster
{
	my ($self, $name) = @_;

	open my $file, '<', "$self->{node}{$name}{data}/postmaster.pid" or return;
	my $pid = <$file>;
	close $file;
	return $pid && $pid =~ /^(\d+)$/ && kill(0, $1) ? $1 : undef;
}

sub children
{
	my ($parent) = @_;
	my @children;

	foreach my $stat (glob '/proc/[0-9]*/stat')
	{
		open my $file, '<', $stat or next;
		my $line = <$file> // '';
		close $file;
		push @children, $1 if $line =~ /^(\d+) \(.*\) \S (\d+) /s && $2 == $parent;
	}
	return @children;
}

sub wait_until_gone
{
	my (@pids) = @_;
	return StandIn::wait_until(sub { !grep { running($_) } @pids }, "the processes @pids are gone");
}

# a zombie is not, though it can be signalled
sub running
{
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/stat" or return 0;
	my $line = <$file> // '';
	close $file;
	return $line =~ /\) [^ZX] /;
}

# The replicas get nothing more: their WAL receivers are stopped.  These are to
# end before they read what was sent to them.
sub stop_receivers
{
	my ($self) = @_;
	my @receivers;

	foreach my $pid (map { children($self->postmaster($_)) } $self->replicas)
	{
		open my $file, '<', "/proc/$pid/cmdline" or next;
		push @receivers, $pid if (<$file> // '') =~ /walreceiver/;
		close $file;
	}
	kill 'STOP', @receivers;
	return @receivers;
}

sub end_stopped
{
	my (@pids) = @_;

	kill $_, @pids foreach qw(TERM CONT);
	return;
}

# the postmaster at once, and its children with it; with Patroni or without
sub kill_node
{
	my ($self, $name, $and_patroni) = @_;
	my $postmaster = $self->postmaster($name);
	my @children = $postmaster ? children($postmaster) : ();

	$self->kill_program($name) if $and_patroni;
	kill 'KILL', $postmaster if $postmaster;
	wait_until_gone(grep { $_ } $postmaster, @children);
	return;
}

# Patroni first, so that nobody sees the others stand
sub freeze
{
	my ($self, $name) = @_;
	my $postmaster = $self->postmaster($name) or croak "$name does not run";
	my (%stopped, @more);

	kill 'STOP', $self->{pid}{$name}, $postmaster;
	while (@more = grep { !$stopped{$_}++ } children($postmaster))
	{
		kill 'STOP', @more;
	}
	$self->{frozen}{$name} = [ keys %stopped, $postmaster ];
	return;
}

# PostgreSQL alone at first, so that nothing but PostgreSQL itself can keep it
# from going on; Patroni is thawed by the second call
sub thaw_postgres
{
	my ($self, $name) = @_;

	kill 'CONT', @{ $self->{frozen}{$name} };
	return;
}

sub thaw
{
	my ($self, $name) = @_;

	kill 'CONT', @{ delete $self->{frozen}{$name} }, $self->{pid}{$name};
	return;
}

1;
