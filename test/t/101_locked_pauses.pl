# A pause that somebody's lock keeps from being written, or deleted, holds
# nevertheless, and keeps no other destination from being read anew.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze);
braze_destination($node, 'postgres', 'denied', $braze, options => "max_batch_delay '1 ms'");

my $holder = $node->background_psql('postgres');
my $delay = 1;

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub applied
{
	my ($user) = @_;
	return scalar grep { $_->{outcome} eq 'accepted' && $_->{user} eq $user } $braze->log;
}

# a refresh has gone through since: the other destination has its new options
sub refreshed
{
	my ($name) = @_;

	run("ALTER SERVER braze OPTIONS (SET app_identifier '$name')");
	StandIn::wait_until(
		sub {
			run("SELECT braze_track('fine', 'E', '{}', destination => 'braze')");
			return grep { $_->{user} eq 'fine' && $_->{object}{app_id} eq $name } $braze->log;
		},
		'the options of now are used');
	return;
}

sub queue_denied
{
	my ($user) = @_;

	run("SELECT braze_track('$user', 'E', '{}', destination => 'denied')");
	return;
}

run("SELECT braze_track('fine', 'E', '{}', destination => 'braze')");
braze_flush($node);

# the second is what a pause or a start elsewhere holds until it commits
foreach my $lock ('LOCK TABLE braze_paused', "SELECT braze_pause('braze')")
{
	$braze->reset;
	$holder->query_safe("BEGIN; $lock;");
	my $fault = $braze->fault(kind => 'status', status => 401, user => 'd1');
	queue_denied('d1');
	ok($node->poll_query_until('postgres',
		"SELECT state = 'paused' AND reason LIKE '%401%' FROM braze_counters() WHERE destination = 'denied'"),
		"$lock: an answer pauses its destination");
	$braze->clear_faults($fault);
	queue_denied('d2');
	refreshed("a$delay");
	refreshed("b$delay");
	is(applied('d1') + applied('d2'), 0, "$lock: the pause holds, though it cannot be written, and the others go on");
	$holder->query_safe('ROLLBACK;');
	ok(braze_wait_for_count($node, 1, 'braze_paused', "destination = 'denied' AND by_worker"),
		"$lock: it is written down once that is possible");

	# what Braze complained of may have changed
	$holder->query_safe('BEGIN; SELECT FROM braze_paused FOR UPDATE;');
	$delay++;
	run("ALTER SERVER denied OPTIONS (SET max_batch_delay '$delay ms')");
	refreshed("c$delay");
	is(applied('d1') + applied('d2'), 0, "$lock: its row is locked, so that it cannot end");
	$holder->query_safe('COMMIT;');
	ok(braze_flush($node), "$lock: then it ends");
	is(applied('d1') . applied('d2'), '11', "$lock: and each call arrives once");
	is(run('SELECT count(*) FROM braze_paused'), '0', "$lock: no pause is left");
}

# options that change while pauses cannot be read end them when they can be
$braze->reset;
$braze->fault(kind => 'status', status => 401, user => 'd1', count => 1);
queue_denied('d1');
ok(braze_wait_for_count($node, 1, 'braze_paused', "destination = 'denied' AND by_worker"), 'paused and written down');
$holder->query_safe('BEGIN; LOCK TABLE braze_paused;');
$delay++;
run("ALTER SERVER denied OPTIONS (SET max_batch_delay '$delay ms')");
refreshed('while it cannot be read');
is(applied('d1'), 0, 'what it said last counts');
$holder->query_safe('COMMIT;');
ok(braze_flush($node), 'a change that came meanwhile is not forgotten');
is(applied('d1'), 1, 'the call arrives');

# a key that cannot be used is noticed without the table
$holder->query_safe('BEGIN; LOCK TABLE braze_paused;');
run('DROP USER MAPPING FOR CURRENT_USER SERVER denied');
queue_denied('d2');
ok($node->poll_query_until('postgres',
	"SELECT state = 'paused' AND reason LIKE '%user mapping%' FROM braze_counters() WHERE destination = 'denied'"),
	'without a key it is paused');
run("CREATE USER MAPPING FOR CURRENT_USER SERVER denied OPTIONS (rest_api_key 'test-key')");
$holder->query_safe('COMMIT;');
ok(braze_flush($node), 'and goes on with one');
is(applied('d2'), 1, 'its call arrives');

# a start that was taken back is not made of what was read before
$holder->query_safe('BEGIN; LOCK TABLE braze_started IN EXCLUSIVE MODE;');
run(q{INSERT INTO braze_paused (destination, reason) VALUES ('denied', 'by hand')});
ok($node->poll_query_until('postgres',
	"SELECT reason = 'by hand' FROM braze_counters() WHERE destination = 'denied'"),
	'a pause by hand counts while the starts cannot be read');
$holder->query_safe("DELETE FROM braze_started WHERE destination = 'denied'; COMMIT; BEGIN; LOCK TABLE braze_started;");
queue_denied('d3');
run(q{DELETE FROM braze_paused WHERE destination = 'denied'});
ok($node->poll_query_until('postgres',
	"SELECT state = 'paused' AND reason LIKE '%somebody has locked the table braze_started' FROM braze_counters() WHERE destination = 'denied'"),
	'after a pause the start is to be read again');
refreshed('a start that cannot be read');
is(applied('d3'), 0, 'which it cannot be, so that nothing is sent');
$holder->query_safe('COMMIT;');
ok(braze_wait_for_state($node, 'denied', 'not started here: %'), 'it is not started');
braze_start($node, 'postgres', 'denied');
ok(braze_flush($node), 'until somebody does it');
is(applied('d3'), 1, 'then its call arrives');

$holder->quit;
$node->stop;
done_testing();
