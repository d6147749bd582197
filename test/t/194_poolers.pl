# The table of doc/clients.md for poolers: what of the settings, the functions and
# prepared statements works behind the real pgbouncer, and what does not.
#
# A pool has a single connection to the server.  A client comes, says what it
# says and goes; the next one has the same connection.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use PgBouncer;
use StandIn;

plan skip_all => 'needs pgbouncer' unless PgBouncer::program();

my $braze = StandIn->new;
my $node = braze_node('main', $braze);
my $version = PgBouncer::version();
my $pooler = PgBouncer->new($node);
note "pgbouncer $version";

# with a second destination, a call has to name its own; the role is for ALTER ROLE
braze_destination($node, 'postgres', 'other', $braze, start => 0);
$node->safe_psql('postgres', <<'EOS');
CREATE ROLE shop_app LOGIN;
GRANT USAGE ON FOREIGN SERVER braze, other TO shop_app;
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users SELECT n, 'name ' || n FROM generate_series(1, 1000) n;
CREATE TRIGGER braze AFTER INSERT OR UPDATE ON users FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'destination', 'braze');
EOS

my $call = q{SELECT braze_track('u1', 'A') > 0};
my $no_destination = qr/segment_braze\.destination/;

# what the next client gets: that of the one before, or nothing
sub next_client
{
	my ($database) = @_;

	return $pooler->safe_psql($database, q{SELECT current_setting('segment_braze.destination')});
}

# a server connection on which nobody has set anything
sub fresh
{
	$pooler->safe_psql('pgbouncer', 'RECONNECT');
	return;
}

foreach my $database ('transaction', 'statement')
{
	my ($out, $err);

	($out, $err) = $pooler->psql($pooler->connstr($database), $call);
	like($err, $no_destination, "$database: without a destination a call is refused");
	is($pooler->safe_psql($database, q{SELECT braze_track('u1', 'A', destination => 'braze') > 0}), 't',
		"$database: the argument");
	is(next_client($database), '', "$database: which stays with nobody");

	# sent in one message, two statements are one transaction
	is($pooler->safe_psql($database, "SET LOCAL segment_braze.destination = 'braze'; $call"), 't',
		"$database: SET LOCAL in the same message");
	is(next_client($database), '', "$database: which ends with it");

	$pooler->safe_psql($database, q{SET segment_braze.destination = 'braze'});
	is(next_client($database), 'braze', "$database: a plain SET is there for the next client");
	fresh();
	is(next_client($database), '', "$database: not on a new connection to the server");

	# ALTER ROLE holds from the next connection to the server on
	my $app = $pooler->connstr($database, 'shop_app');
	($out, $err) = $pooler->psql($app, $call);
	like($err, $no_destination, "$database: a role without a setting");
	$node->safe_psql('postgres', q{ALTER ROLE shop_app SET segment_braze.destination = 'braze'});
	($out, $err) = $pooler->psql($app, $call);
	like($err, $no_destination, "$database: ALTER ROLE changes no connection that there is");
	fresh();
	($out, $err) = $pooler->psql($app, $call);
	is($out, 't', "$database: RECONNECT brings the new value");
	$node->safe_psql('postgres', 'ALTER ROLE shop_app RESET ALL');
	fresh();

	# what names its destination itself
	$braze->reset;
	is($pooler->safe_psql($database, q{UPDATE users SET name = 'new' WHERE id = 1},
			q{INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "track", "userId": "plain", "event": "A"}')},
			q{SELECT braze_flush('1 min')}), 't', "$database: a trigger, and a plain INSERT");
	is_deeply([ sort map { $_->{user} } grep { $_->{user} =~ /^(?:1|plain)$/ } $braze->log ], [ '1', 'plain' ],
		"$database: whose calls are sent");

	# functions that wait, or commit
	is($pooler->safe_psql($database, "SELECT braze_flush('1 min')"), 't', "$database: braze_flush");
	$pooler->safe_psql($database, q{CALL braze_backfill('users', 'braze', rows_per_part => 100, restart => true)});
	is($pooler->safe_psql($database, q{SELECT queued FROM braze_backfills WHERE finished_at IS NOT NULL}), '1000',
		"$database: braze_backfill, which commits part by part");
	braze_flush($node);
	$node->safe_psql('postgres', 'DELETE FROM braze_backfills');
}

is($pooler->safe_psql('transaction', 'BEGIN', q{SET LOCAL segment_braze.destination = 'braze'}, $call,
		q{SELECT count(*) FROM braze_queued()}, 'COMMIT'), "t\n1",
	'transaction: SET LOCAL, and braze_queued, in a transaction of several messages');
is(next_client('transaction'), '', 'transaction: it ends with it');
my ($out, $err) = $pooler->psql($pooler->connstr('statement'), 'BEGIN', 'COMMIT');
like($err, qr/not allowed/, 'statement: there are no such transactions');
is($pooler->safe_psql('statement', "SELECT braze_track('u1', 'A', destination => 'braze') > 0; SELECT count(*) FROM braze_queued()"),
	"t\n1", 'statement: braze_queued in the same message');

$pooler->safe_psql('session', q{SET segment_braze.destination = 'braze'}, $call);
is(next_client('session'), '', 'session: a plain SET ends with the client');

{
	local $ENV{PGOPTIONS} = '-c segment_braze.destination=braze';
	($out, $err) = $pooler->psql($pooler->connstr('transaction'), $call);
	like($err, qr/unsupported startup parameter/, 'options of a connection string are refused');
}

# ----- prepared statements of the application -----

my $script = $node->basedir . '/track.sql';
append_to_file($script, <<'EOS');
\set n :n + 1
SELECT braze_track('u' || :client_id, 'A', jsonb_build_object('seq', :client_id * 1000000 + :n), destination => 'braze');
EOS

sub pgbench
{
	my ($protocol, $database, $clients, $through) = @_;
	my $output = '';

	IPC::Run::run([
			'pgbench', '-n', '-M', $protocol, '-c', $clients, '-t', 20, '-D', 'n=' . ++$braze->{series} * 1000,
			'-f', $script, ($through || $pooler)->connstr($database)
		], '<', \undef, '>&', \$output);
	return $output =~ m{transactions actually processed: (\d+)/} && $output !~ /ERROR/ ? $1 : $output;
}

sub run_twice
{
	my ($protocol, $database, $through) = @_;

	return join ' ', map { pgbench($protocol, $database, 1, $through) } 1 .. 2;
}

foreach my $database ('transaction', 'statement')
{
	fresh();
	is(run_twice('extended', $database), '20 20', "$database: parameters in the protocol, without a name");
	like(run_twice('prepared', $database), qr/^20 .*already exists/s, "$database: statements with a name, prepared in the protocol")
	  if $version < 1021;
	fresh();
	$pooler->safe_psql($database, q{PREPARE track AS SELECT braze_track($1, 'A', destination => 'braze') > 0}, q{EXECUTE track('u1')});
	($out, $err) = $pooler->psql($pooler->connstr($database), 'PREPARE track AS SELECT 1');
	like($err, qr/already exists/, "$database: PREPARE in SQL is there for the next client");
}
if ($version >= 1021)
{
	my $prepares = PgBouncer->new($node, conf => 'max_prepared_statements = 100');

	is(run_twice('prepared', $_, $prepares), '20 20', "$_: statements with a name, with max_prepared_statements")
	  foreach 'transaction', 'statement';
}

# ----- the order of a user's calls -----

# Each of a client's statements may go over another of five connections.
braze_flush($node);
$braze->reset;
is(pgbench('simple', 'many', 8), 160, 'eight clients share five connections');
cmp_ok($pooler->connections('many'), '>', 1, 'which are several');
braze_flush($node);
is_deeply($braze->order, { violations => 0, distinct => 160, duplicates => 0, repeats => 0 },
	'and the calls of each user are in order');

# ----- a pooler that tracks settings -----

my $tracked = 'track_extra_parameters = segment_braze.destination, segment_braze.on_invalid_call';
if ($version < 1020)
{
	my $older = PgBouncer->new($node, conf => $tracked, starts => 0);

	ok(!eval { $older->start; 1 }, 'an older one does not start with track_extra_parameters');
	like($@, qr/unknown parameter: pgbouncer.track_extra_parameters/, 'as it says');
}
else
{
	$pooler = PgBouncer->new($node, conf => $tracked);
	foreach my $database ('transaction', 'statement')
	{
		my ($mine, $theirs) = map {
			$node->background_psql('postgres', extra_params => [ '-d', $pooler->connstr($database) ])
		} 1 .. 2;

		$mine->query_safe(q{SET segment_braze.destination = 'braze'});
		$theirs->query_safe(q{SET segment_braze.destination = 'other'});
		is($mine->query_safe('SHOW segment_braze.destination'), 'braze', "$database: a plain SET that is tracked stays with its client");
		is($theirs->query_safe('SHOW segment_braze.destination'), 'other', "$database: each has its own");
		is(next_client($database), '', "$database: and the next client none");
		$_->quit foreach $mine, $theirs;

		my $app = $pooler->connstr($database, 'shop_app');
		is(($pooler->psql($app, $call))[0], '', "$database: a role without a setting");
		$node->safe_psql('postgres', q{ALTER ROLE shop_app SET segment_braze.destination = 'braze'});
		fresh();
		is(($pooler->psql($app, $call))[0], 't', "$database: ALTER ROLE, after RECONNECT");
		$node->safe_psql('postgres', 'ALTER ROLE shop_app RESET ALL');
		fresh();
	}
}

done_testing();
