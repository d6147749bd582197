# braze_test says whether a destination works, and what to do if it does not:
# each thing that can be wrong is, once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use Nginx;
use StandIn;

my $all = "alias_calls 'identify', delete_calls 'delete', identifiers 'user_id, anonymous_id'";
my $braze = StandIn->new(key => 'good-key', track_key => 'track-only');
my $node = braze_node('main', $braze, options => $all);
my $nobody = 'http://127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# what => [ok, found, what to do]
sub findings
{
	my ($destination, $sql) = @_;
	my $rows = sql(($sql || '')
		. "SELECT what, coalesce(ok::text, 'open'), coalesce(found, ''), coalesce(what_to_do, '') FROM braze_test('$destination')");

	return map { my ($what, @rest) = split /\|/, $_, -1; ($what => \@rest) } split /\n/, $rows;
}

# the rows with that outcome, without those about settings
sub rows_that_are
{
	my ($outcome, %rows) = @_;
	return join ', ', sort grep { $rows{$_}[0] eq $outcome } keys %rows;
}

sub key
{
	my ($key) = @_;
	sql("ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key '$key')");
	return;
}

braze_wait_for_worker($node);
$node->poll_query_until('postgres', "SELECT state <> '' AND state NOT LIKE '%worker%' FROM braze_status")
  or die 'no worker';

# all is well
key('good-key');
my %rows = findings('braze');
is(rows_that_are('false', %rows), '', 'nothing is wrong');
like($rows{'the worker serves this database'}[1], qr/^running$/, 'the worker runs');
is($rows{$_}[0], 'true', $_)
  foreach ('the worker serves this database', 'delivery is started here', 'the REST API key can be read',
	q{the host's name has an address}, 'a connection is made', 'Braze accepts the key',
	map({ "permission users.$_" } qw(track identify merge delete)), 'time to an answer', 'clock of this machine');
is($rows{'the connection is encrypted'}[0], 'open', 'plain http is a matter of tests');
like($rows{'page and screen calls'}[2], qr/track_named_pages 'true'/, 'page calls are skipped, and how to send them');
like($rows{'time to an answer'}[1], qr/^\d+ ms$/, 'the time is there');

# nothing has changed at Braze, nor here
is($braze->accepted, 0, 'nothing was accepted');
is($braze->stats->{requests}, 4, 'each endpoint was asked once');
is(sql('SELECT count(*) FROM braze_dead_letters'), 0, 'no dead letter');
is(sql('SELECT state, requests, last_error IS NULL FROM braze_status'), 'running|0|t', 'and the status knows nothing of it');

# only what the settings need
sql('ALTER SERVER braze OPTIONS (DROP delete_calls, DROP alias_calls, DROP identifiers)');
$braze->reset;
%rows = findings('braze');
is($braze->stats->{requests}, 1, 'by the default settings one endpoint is needed');
is(join(', ', grep { /^permission/ } sort keys %rows), 'permission users.track', 'and one permission');
sql("ALTER SERVER braze OPTIONS (ADD alias_calls 'merge', ADD delete_calls 'delete')");

# the key
key('track-only');
%rows = findings('braze');
is(rows_that_are('false', %rows), 'permission users.delete, permission users.merge', 'what the key may not');
like($rows{'permission users.merge'}[2], qr/give .* permission users\.merge/, 'and what to do');
is($rows{'Braze accepts the key'}[0], 'true', 'though it is a key');
key('no-such-key');
%rows = findings('braze');
is($rows{'Braze accepts the key'}[0], 'false', 'a key that Braze does not know');
like($rows{'Braze accepts the key'}[1], qr/Invalid API Key/, q{in Braze's words});
is(sql('SELECT state FROM braze_status'), 'running', 'a test pauses nothing');
key("good-key");

# answers that say little
$braze->fault(kind => 'status', status => 503, count => 3);
%rows = findings('braze');
is($rows{'permission users.track'}[0], 'open', 'a 503 says nothing of a permission');
$braze->fault(kind => 'status', status => 429, count => 3, headers => { 'X-RateLimit-Remaining' => '0' });
%rows = findings('braze');
is($rows{'permission users.track'}[0], 'open', 'nor does a 429');
is($rows{q{room in Braze's rate limit}}[0], 'false', 'which leaves no room');
$braze->fault(kind => 'status', status => 404, count => 3);
%rows = findings('braze');
is($rows{'permission users.track'}[0], 'false', 'but a 404 is not from Braze');
$braze->clear_faults;

# paused, not started, off: Braze is asked but in the last case
sql(q{SELECT braze_pause('braze', 'closed today')});
%rows = findings('braze');
is(rows_that_are('false', %rows), 'delivery is started here', 'only the pause is wrong');
like($rows{'delivery is started here'}[1], qr/closed today/, 'and why is said');
sql(q{DELETE FROM braze_paused});
%rows = findings('braze');
is(rows_that_are('false', %rows), 'delivery is started here', 'only the start is missing');
like($rows{'delivery is started here'}[2], qr/braze_start\('braze'\)/, 'and how to start');
sql(q{SELECT braze_start('braze')});
$node->append_conf('postgresql.conf', 'segment_braze.deliver = off');
$node->reload;
$node->poll_query_until('postgres', "SELECT state LIKE 'off%' FROM braze_status") or die 'not off';
StandIn::wait_until(sub { %rows = findings('braze'); ($rows{'Braze answers'} || [])->[0] }, 'the worker is off');
$braze->reset;
%rows = findings('braze');
is($braze->stats->{requests}, 0, 'with delivery off Braze is asked nothing');
like($rows{'Braze answers'}[1], qr/deliver is off/, 'and the row says so');
is($rows{'the worker serves this database'}[0], 'false', 'as does the first');
$node->append_conf('postgresql.conf', 'segment_braze.deliver = on');
$node->reload;
braze_wait_for_state($node, 'braze', 'running');
StandIn::wait_until(sub { %rows = findings('braze'); $rows{'permission users.track'} }, 'the worker is on');

# an open transaction's server is not the worker's, and does not hang
%rows = findings('new', <<EOS);
BEGIN;
CREATE SERVER new FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint '$nobody');
EOS
like($rows{'the REST API key can be read'}[2], qr/^commit/, 'a server that is not committed');

# nobody listens; no such name; a key file that is not there
sql("CREATE SERVER bad FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint '$nobody')");
%rows = findings('bad');
like($rows{'the REST API key can be read'}[1], qr/no user mapping/, 'no key');
sql(q{CREATE USER MAPPING FOR CURRENT_USER SERVER bad OPTIONS (rest_api_key_file '/no/such/file')});
%rows = findings('bad');
like($rows{'the REST API key can be read'}[1], qr/could not open key file/, 'no key file');
sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER bad OPTIONS (DROP rest_api_key_file, ADD rest_api_key 'k')});
%rows = findings('bad');
is(rows_that_are('false', %rows), 'Braze answers, a connection is made, delivery is started here', 'nobody listens');
is($rows{q{the host's name has an address}}[0], 'true', 'the address is one');
sql(q{ALTER SERVER bad OPTIONS (SET custom_api_endpoint 'https://no-such-host.invalid')});
%rows = findings('bad');
is($rows{q{the host's name has an address}}[0], 'false', 'a name without an address');

# at once after CREATE EXTENSION, as README has it
sql('CREATE DATABASE fresh');
is($node->safe_psql('fresh', <<EOS), 'running|1', 'a worker that is on its way is waited for');
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint '${\$braze->url}');
CREATE USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (rest_api_key 'good-key');
SELECT max(found) FILTER (WHERE what LIKE 'the worker%'), count(*) FILTER (WHERE what LIKE 'permission%' AND ok) FROM braze_test('braze');
EOS

# rights
sql('CREATE ROLE tester LOGIN; CREATE ROLE nobody LOGIN; GRANT USAGE ON FOREIGN SERVER braze TO tester');
%rows = findings('braze', 'SET ROLE tester;');
is($rows{'permission users.track'}[0], 'true', 'with USAGE on the server it may be tested');
my (undef, undef, $stderr) = $node->psql('postgres', "SET ROLE nobody; SELECT * FROM braze_test('braze')");
like($stderr, qr/permission denied/, 'and without not');

# a session that is cancelled leaves the place to others
$braze->hold;
my $waiting = $node->background_psql('postgres', on_error_stop => 0);
$waiting->query_until(qr/asking/, "\\echo asking\nSELECT * FROM braze_test('braze');\n");
$braze->wait_for_stat('held', 2);
ok($node->poll_query_until('postgres', 'SELECT count(*) FROM pg_stat_activity WHERE query LIKE $$%braze\_test%$$ AND wait_event IS NOT NULL AND pid <> pg_backend_pid()',
		1), 'it waits');
sql('SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE $$%braze\_test%$$ AND pid <> pg_backend_pid()');
$braze->release;
%rows = findings('braze');
is($rows{'permission users.merge'}[0], 'true', 'the next test has its answers');
$waiting->quit;

# a worker that ends
$braze->hold;
$waiting = $node->background_psql('postgres', on_error_stop => 0);
$waiting->query_until(qr/asking/, "\\echo asking\nSELECT found FROM braze_test('braze') WHERE what = 'Braze answers';\n");
$braze->wait_for_stat('held', 2);
kill 'TERM', braze_worker_pid($node);
like($waiting->query('SELECT 1'), qr/the worker has ended/, 'a worker that ends is told of');
$waiting->quit;
$braze->release;

SKIP:
{
	skip "needs nginx", 5 unless Nginx::program();
	my $front = Nginx->new(
		$braze->port,
		good => {},
		wrong_host => { certificate => { names => 'DNS:braze.example,IP:127.0.0.2' } });

	sql('ALTER SERVER bad OPTIONS (SET custom_api_endpoint ' . "'" . $front->url('good') . "', ADD ca_file '" . $front->ca_file . "')");
	sql(q{ALTER USER MAPPING FOR CURRENT_USER SERVER bad OPTIONS (SET rest_api_key 'good-key')});
	StandIn::wait_until(sub { %rows = findings('bad'); $rows{'permission users.track'} }, 'the worker is back');
	is($rows{'the connection is encrypted'}[0], 'true', 'TLS holds');
	my ($end) = $rows{'the connection is encrypted'}[1] =~ /which ends at (20\d\d-.*)/;
	is(sql("SELECT timestamptz '" . ($end || '-infinity') . "' > now()"), 't', 'until a moment that is to come');
	sql('ALTER SERVER bad OPTIONS (SET custom_api_endpoint ' . "'" . $front->url('wrong_host') . "')");
	%rows = findings('bad');
	is($rows{'the connection is encrypted'}[0], 'false', 'a certificate of another host');
	like($rows{'the connection is encrypted'}[1], qr/certificate is not accepted/, 'is told');
	is($rows{'a connection is made'}[0], 'true', 'the connection was made');
}

# no worker can come
sql('ALTER DATABASE postgres IS_TEMPLATE true');
kill 'TERM', braze_worker_pid($node) || ();
$node->poll_query_until('template1', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'segment_braze worker' AND datname = 'postgres'")
  or die 'there is a worker';
%rows = findings('braze');
like($rows{'the worker serves this database'}[1], qr/template/, 'without a worker the reason is told');
like($rows{'Braze answers'}[1], qr/no worker/, 'and Braze is not asked');

done_testing();
