# A PostgreSQL server that delivers to a stand-in Braze, for tests.
#
#	my $braze = StandIn->new;
#	my $node = braze_node('main', $braze);
#	braze_flush($node);

package Braze;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use StandIn;

our @EXPORT = qw(
  braze_node braze_server braze_environment braze_destination braze_many_destinations braze_start braze_flush braze_worker_pid braze_freeze_worker
  braze_collector_pid braze_freeze_collector
  braze_wait_for_worker braze_wait_for_state braze_wait_for_count braze_poll_while_restarting
  braze_dead_letters braze_destroy_toast);

# the superuser has this name whoever runs the tests, and they connect as that role
$ENV{PGUSER} = 'postgres';

# an empty server with the library's settings; conf => more of them,
# preload => 0, and what init takes
sub braze_server
{
	my ($name, %options) = @_;
	my $conf = delete $options{conf};
	my $preload = delete $options{preload};
	my $extra = delete $options{extra} || [];
	my $node = PostgreSQL::Test::Cluster->new($name);

	$preload = 1 unless defined $preload;
	$node->init(extra => [ '--encoding=UTF8', '--locale=C', '--username=postgres', @$extra ], %options);
	$node->append_conf('postgresql.conf', <<EOC);
restart_after_crash = on
max_connections = 40
max_prepared_transactions = 10
log_statement = none
EOC
	$node->append_conf('postgresql.conf', <<EOC) if $preload;
shared_preload_libraries = 'segment_braze'
segment_braze.nap = '200ms'
segment_braze.restart_delay = 0
EOC
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	$node->start;
	return $node;
}

# the extension and a server "braze" in the database postgres as well;
# options => 'further options of the server'
sub braze_node
{
	my ($name, $standin, %options) = @_;
	my $more = delete $options{options};
	my $node = braze_server($name, %options);

	$node->safe_psql('postgres', 'CREATE EXTENSION segment_braze');
	braze_destination($node, 'postgres', 'braze', $standin, options => $more);
	return $node;
}

# what a program needs in its environment to connect to the server
sub braze_environment
{
	my ($node) = @_;
	return (%ENV, PGHOST => $node->host, PGPORT => $node->port);
}

# key => that of the mapping, undef: no mapping; start => 0: it is not started
sub braze_destination
{
	my ($node, $database, $name, $standin, %how) = @_;
	my $url = $standin->url;
	my $more = $how{options} ? ", $how{options}" : '';
	my $key = exists $how{key} ? $how{key} : "rest_api_key 'test-key'";

	$node->safe_psql($database, <<EOS);
CREATE SERVER $name FOREIGN DATA WRAPPER segment_braze
	OPTIONS (custom_api_endpoint '$url', app_identifier 'test-app'$more);
EOS
	$node->safe_psql($database, <<EOS) if defined $key;
CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS ($key);
EOS
	braze_start($node, $database, $name) unless exists $how{start} && !$how{start};
	return;
}

# d1 to dN, which are not started
sub braze_many_destinations
{
	my ($node, $database, $count, $standin) = @_;
	my $url = $standin->url;

	$node->safe_psql($database, <<EOS);
DO \$\$
BEGIN
	FOR i IN 1 .. $count LOOP
		EXECUTE format('CREATE SERVER d%s FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint ''$url'', app_identifier ''test-app'')', i);
		EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER d%s OPTIONS (rest_api_key ''test-key'')', i);
	END LOOP;
END \$\$
EOS
	return;
}

# the destination delivers from this database; its name is as SQL has it,
# perhaps in quotes, and the extension may be in any schema
sub braze_start
{
	my ($node, $database, $name) = @_;

	$name =~ s/""/"/g if $name =~ s/^"(.*)"$/$1/;
	$name =~ s/'/''/g;
	$node->safe_psql($database, <<EOS);
SELECT format('SELECT %s.braze_start(%L)', extnamespace::regnamespace, '$name')
FROM pg_extension WHERE extname = 'segment_braze' \\gexec
EOS
	return;
}

# Everything that is committed is settled afterwards, and the status and the log
# say so: that the worker sees to after its commit, and before it waits.  As long
# as some of it leaves the queue, it takes its time.
sub braze_flush
{
	my ($node, $database, $destination) = @_;
	my $timeout = $PostgreSQL::Test::Utils::timeout_default;
	my $only = defined $destination ? ", '$destination'" : '';
	my $settled = 'f';
	my ($left, $before);

	while ($settled ne 't' && !(defined $before && $left >= $before))
	{
		$before = $left;
		($settled, $left) = split /\n/, $node->safe_psql($database || 'postgres', <<EOS);
SELECT braze_flush('$timeout s'$only);
DO \$\$
BEGIN
	WHILE EXISTS (
		SELECT FROM pg_catalog.pg_stat_activity
		WHERE backend_type = 'segment_braze worker' AND datname = current_database() AND wait_event_type IS DISTINCT FROM 'Extension')
	LOOP
		IF clock_timestamp() > now() + interval '$timeout s' THEN
			RAISE 'the worker never waits';
		END IF;
		PERFORM pg_sleep(0.001), pg_stat_clear_snapshot();
	END LOOP;
END \$\$;
SELECT count(*) FROM braze_queue;
EOS
	}
	croak 'the queue was not settled: '
	  . $node->safe_psql($database || 'postgres', 'SELECT * FROM braze_status')
	  unless $settled eq 't';
	return 1;
}

sub braze_worker_pid
{
	my ($node, $database) = @_;

	$database ||= 'postgres';
	return $node->safe_psql('template1', <<EOS);
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'segment_braze worker' AND datname = '$database'
EOS
}

# SIGSTOP for a process that waits, outside of any transaction; returns its pid.  A
# signal that it has then is seen first of all when it goes on with SIGCONT.
sub freeze
{
	my ($node, $pid) = @_;

	StandIn::wait_until(
		sub {
			my $waits;

			kill 'STOP', $pid;
			$waits = $node->safe_psql('template1',
				"SELECT wait_event_type = 'Extension' AND xact_start IS NULL FROM pg_stat_activity WHERE pid = $pid") eq 't';
			kill 'CONT', $pid unless $waits;
			return $waits;
		},
		'the process waits');
	return $pid;
}

sub braze_freeze_worker
{
	my ($node, $database) = @_;
	return freeze($node, braze_wait_for_worker($node, $database));
}

# the only collector that runs
sub braze_collector_pid
{
	my ($node) = @_;
	my $pid;

	StandIn::wait_until(
		sub {
			$pid = $node->safe_psql('template1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'segment_braze collector'});
			return $pid =~ /^\d+$/;
		},
		'a collector runs');
	return $pid;
}

sub braze_freeze_collector
{
	my ($node) = @_;
	return freeze($node, braze_collector_pid($node));
}

# a psql that finds the server restarting ends before it has read the query
sub braze_poll_while_restarting
{
	my ($node, $database, $query) = @_;
	my $found;

	until (eval { $found = $node->poll_query_until($database, $query); 1 })
	{
		die $@ unless $@ =~ /Broken pipe/;
	}
	return $found;
}

# a worker is there that is none of those
sub braze_wait_for_worker
{
	my ($node, $database, @not) = @_;
	my $not = join ', ', 0, grep { $_ } @not;

	$database ||= 'postgres';
	braze_poll_while_restarting($node, 'template1', <<EOS)
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'segment_braze worker' AND datname = '$database' AND pid NOT IN ($not)
EOS
	  or croak "no worker for $database";
	return braze_worker_pid($node, $database);
}

# state is a pattern for LIKE
sub braze_wait_for_state
{
	my ($node, $destination, $state, $database) = @_;

	return $node->poll_query_until($database || 'postgres', <<EOS);
SELECT state LIKE '$state' FROM braze_status WHERE destination = '$destination'
EOS
}

# rows in a table, or in the part of it that an SQL condition names
sub braze_wait_for_count
{
	my ($node, $count, $table, $condition, $database) = @_;

	$condition ||= 'true';
	return $node->poll_query_until($database || 'postgres',
		"SELECT count(*) = $count FROM $table WHERE $condition");
}

# ids of users in the dead letters, in order
sub braze_dead_letters
{
	my ($node, $database) = @_;

	return $node->safe_psql($database || 'postgres', <<'EOS');
SELECT coalesce(string_agg(call->>'userId', ',' ORDER BY id), '') FROM braze_dead_letters
EOS
}

# SQL that makes the calls unreadable that are stored out of line, those of an
# open transaction as well; it needs the extension pg_surgery
sub braze_destroy_toast
{
	return <<'EOS';
DO $$
DECLARE
	toast regclass = (SELECT reltoastrelid FROM pg_class WHERE oid = 'braze_queue'::regclass);
	gone tid[];
BEGIN
	EXECUTE format('SELECT array_agg(ctid) FROM %s', toast) INTO gone;
	PERFORM heap_force_kill(toast, gone);
END
$$;
EOS
}

1;
