# With delivery 'at_most_once' nothing is sent twice, whatever ends in the
# middle: a call is in the queue, with Braze, or a dead letter.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze,
	options => "delivery 'at_most_once', max_objects_per_request '10', max_requests_in_flight '4', request_timeout '60 s'");
my $seq = 0;

# calls of that many users, and the numbers that they carry; in one transaction
sub queue
{
	my ($calls, $users) = @_;
	my $first = $seq + 1;

	$users ||= $calls;
	$seq += $calls;
	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n % $users, 'A', jsonb_build_object('seq', n)))
FROM generate_series($first, $seq) n
EOS
	return "$first..$seq";
}

sub numbers
{
	return join ' ', sort { $a <=> $b } @_;
}

sub range
{
	my ($first, $last) = $_[0] =~ /^(\d+)\.\.(\d+)$/;

	return numbers($first .. $last);
}

# the numbers in one of the tables
sub in_table
{
	my ($table, $condition) = @_;

	$condition ||= 'true';
	return $node->safe_psql('postgres', <<EOS);
SELECT coalesce(string_agg(call->'properties'->>'seq', ' ' ORDER BY (call->'properties'->>'seq')::int), '')
FROM $table WHERE $condition
EOS
}

# what Braze has applied: each once, or it says how often
sub applied
{
	my $seen = $braze->seen;

	return join ' ', map { $seen->{$_} == 1 ? $_ : "$_*$seen->{$_}" }
	  sort { $a <=> $b } keys %$seen;
}

# and what it has received, applied or not
sub received_twice
{
	my %count;

	$count{ $_->{object}{properties}{seq} }++
	  foreach grep { $_->{kind} eq 'events' } $braze->log;
	return join ' ', grep { $count{$_} > 1 } sort { $a <=> $b } keys %count;
}

sub status
{
	my ($columns) = @_;

	return $node->safe_psql('postgres', "SELECT $columns FROM braze_status");
}

sub forget
{
	$braze->reset;
	$node->safe_psql('postgres', 'DELETE FROM braze_dead_letters');
	return;
}

# after a start, one request goes alone until it is settled
sub warm_up
{
	$node->safe_psql('postgres', "SELECT braze_track('warm up', 'A')");
	braze_flush($node);
	forget();
	return;
}

sub kill_worker
{
	my ($signal) = @_;
	my $pid = braze_wait_for_worker($node);

	kill $signal, $pid;
	braze_wait_for_worker($node, 'postgres', $pid);
	return;
}

# ----- nothing happens -----

my $range = queue(200, 50);
braze_flush($node);
is(applied(), range($range), 'every call arrives');
is($braze->order->{violations}, 0, 'in order');
is(status('pending, delivered, rejected, dead_letters, ambiguous_calls'), '0|200|0|0|0', 'and nothing is left');

# ----- while requests are under way -----

warm_up();
$braze->hold;
$range = queue(40);
$braze->wait_for_stat('held', 4);
is(in_table('braze_queue'), '', 'what is under way is not in the queue');
is(in_table('braze_dead_letters', q{state = 'in flight' AND attempts = 0 AND http_status IS NULL AND braze_in_flight(id)}),
	range($range), 'it is in the dead letters, in flight');
ok($node->poll_query_until('postgres', 'SELECT pending, oldest_pending IS NOT NULL, in_flight, dead_letters FROM braze_status', '40|t|4|0'),
	'the status takes it for pending');
is($node->safe_psql('postgres', 'SELECT braze_retry()'), 0, 'and braze_retry leaves it alone');
is($node->safe_psql('postgres', "SELECT braze_purge(NULL, 'dead letters')"), 0, 'as does braze_purge');
is($node->safe_psql('postgres', "SELECT braze_flush('0')"), 'f', 'braze_flush does not take it for settled');
is($node->safe_psql('postgres', "SELECT braze_flush('0', 'other')"), 't', 'but for what goes elsewhere');
$braze->release;
braze_flush($node);
is(applied(), range($range), 'it arrives');
is(in_table('braze_dead_letters'), '', 'and leaves the dead letters');

# ----- kills -----

foreach my $how ('SIGKILL of the worker', 'SIGTERM of the worker', 'immediate shutdown')
{
	foreach my $applied (0, 1)
	{
		my $what = "$how, " . ($applied ? 'applied' : 'not applied');

		warm_up();
		$braze->hold(applied => $applied);
		$range = queue(40);
		$braze->wait_for_stat('held', 4);
		if ($how =~ /^(SIG)?(KILL|TERM)/)
		{
			kill_worker($2);
		}
		else
		{
			$node->stop('immediate');
			$node->start;
			braze_wait_for_worker($node);
		}
		$braze->release;
		is(status('pending, dead_letters'), '0|40', "$what: what was under way is a dead letter");
		is(in_table('braze_dead_letters', q{state = 'in flight' AND NOT braze_in_flight(id)}),
			range($range), "$what: it was in flight, and is no more");
		my $before = applied();
		my $next = queue(20, 5);
		braze_flush($node);
		is(received_twice(), '', "$what: nothing is sent twice");
		is($node->safe_psql('postgres', "SELECT sum(braze_retry(id)) FROM braze_dead_letters WHERE state = 'in flight'"), 40, "$what: it can be retried");
		braze_flush($node);
		is(in_table('braze_dead_letters'), '', "$what: the letters are gone then");
		is(applied(), range($range) . ' ' . range($next), "$what: all is there") unless $before ne '';
	}
}

# the deletion of a user takes his letters along, among them its own
warm_up();
$braze->hold;
$range = queue(10);
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', q{SELECT braze_delete_user('gone')});
$braze->wait_for_stat('held', 2);
$braze->release;
braze_flush($node);
is(applied(), range($range), 'what is settled together with a deletion arrives');
is(in_table('braze_dead_letters'), '', 'and neither leaves a letter');

# a second worker's letters do not make those of the first one look under way
warm_up();
$braze->hold;
$range = queue(10);
$braze->wait_for_stat('held', 1);
kill_worker('KILL');
$braze->release;
$node->safe_psql('postgres', "SELECT braze_track('warm up', 'A')");
braze_flush($node);
$braze->hold;
my $later = queue(10);
$braze->wait_for_stat('held', 1);
is(in_table('braze_dead_letters', 'braze_in_flight(id)'), range($later), 'only what the living worker sends is in flight');
is(received_twice(), '', 'nothing is sent twice');
is($node->safe_psql('postgres', 'SELECT braze_retry()'), 10, 'and only what the dead one sent is retried');
$braze->release;
braze_flush($node);
is(numbers(split / /, applied()), numbers(split(/ /, range($range)), split(/ /, range($later))), 'each arrives once');
is(in_table('braze_dead_letters'), '', 'and all has arrived');

# ----- ends that leave it open -----

my %open = (
	'a 500' => [ kind => 'status', status => 500 ],
	'a 503 that was applied' => [ kind => 'status', status => 503, applied => 1 ],
	'a 408' => [ kind => 'status', status => 408 ],
	'no answer' => [ kind => 'close' ],
	'no answer, but applied' => [ kind => 'close', applied => 1 ],
	'half an answer' => [ kind => 'cut' ],
	'an empty answer' => [ kind => 'empty' ],
	'an answer that is no JSON' => [ kind => 'not_json' ],
	'an answer without end' => [ kind => 'huge', bytes => 5000000 ]);
foreach my $what (sort keys %open)
{
	warm_up();
	my $before = status('ambiguous_calls');
	my $fault = $braze->fault(@{ $open{$what} }, count => 1);
	$range = queue(10, 5);
	my $next = queue(5, 5);
	braze_flush($node);
	is($braze->hits($fault), 1, "$what: it came");
	is(received_twice(), '', "$what: nothing is sent twice");
	my $doubt = in_table('braze_dead_letters', "state = 'in doubt' AND reason LIKE 'in doubt, braze_retry may make it count twice: %' AND objects IS NULL AND attempts = 1");
	my %applied = map { $_ => 1 } split / /, applied();
	is(numbers(keys %{ { %applied, map { $_ => 1 } split / /, $doubt } }),
		numbers(split / /, range($range) . ' ' . range($next)), "$what: nothing vanishes");
	my $count = () = $doubt =~ /\d+/g;
	cmp_ok($count, '>', 0, "$what: the letters say that they are in doubt");
	is(status('ambiguous_calls') - $before, $count, "$what: and are counted");
	is($braze->order->{violations}, 0, "$what: in order");
}
is(status('ambiguous_resends, retries'), '0|0', 'nothing was sent again');

# a timeout
warm_up();
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET request_timeout '500 ms')");
$braze->fault(kind => 'never', count => 1);
$range = queue(3);
braze_flush($node);
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET request_timeout '60 s')");
is(in_table('braze_dead_letters', "state = 'in doubt'"), range($range), 'a timeout leaves it open');

# while Braze fails, little is risked to find out
warm_up();
$braze->fault(kind => 'status', status => 503, count => 3);
$range = queue(40);
braze_flush($node);
my $doubt = () = in_table('braze_dead_letters') =~ /\d+/g;
cmp_ok($doubt, '<=', 4 * 10, 'the first failures cost what was under way');
is(received_twice(), '', 'nothing is sent twice');

# ----- ends that do not -----

my %sure = (
	'a 429' => [ kind => 'status', status => 429, headers => { 'Retry-After' => '1' } ],
	'a 400' => [ kind => 'refuse' ]);
foreach my $what (sort keys %sure)
{
	warm_up();
	my $fault = $braze->fault(@{ $sure{$what} }, count => 1);
	$range = queue(10, 5);
	braze_flush($node);
	is($braze->hits($fault), 1, "$what: it came");
	is(applied(), range($range), "$what: every call arrives, once");
	is($braze->order->{violations}, 0, "$what: in order");
	is(in_table('braze_dead_letters'), '', "$what: and nothing is left");
}

# objects that Braze refuses are dead letters like any other
warm_up();
$braze->fault(kind => 'errors', user => 'u3', reason => 'not this one');
$node->safe_psql('postgres', <<'EOS');
SELECT count(braze_track('u' || n, 'A', jsonb_build_object('seq', 1000000 + n))) FROM generate_series(1, 5) n
EOS
braze_flush($node);
is(applied(), '1000001 1000002 1000004 1000005', 'what Braze accepts arrives');
is($node->safe_psql('postgres', 'SELECT state, reason, http_status, objects, attempts, retry_id IS NULL FROM braze_dead_letters'),
	'rejected|not this one|201||1|t', 'what it refuses says why');

# refused again: the same letter
$braze->hold;
is($node->safe_psql('postgres', 'SELECT braze_retry()'), 1, 'it is retried');
$braze->wait_for_stat('held', 1);
is($node->safe_psql('postgres', 'SELECT state, reason, braze_in_flight(id) FROM braze_dead_letters'),
	'in flight|not this one|t', 'while it is under way, its letter says so');
is($node->safe_psql('postgres', 'SELECT braze_retry()'), 0, 'and is not retried once more');
$braze->release;
braze_flush($node);
is($node->safe_psql('postgres', 'SELECT state, reason, attempts, retry_id IS NULL FROM braze_dead_letters'),
	'rejected|not this one|2|t', 'refused again, it has the reason');

# a retry that is put back has its old state and reason, and its place
$node->safe_psql('postgres', "UPDATE braze_dead_letters SET state = 'in doubt'");
$braze->clear_faults;
$braze->fault(kind => 'status', status => 401);
$node->safe_psql('postgres', 'SELECT braze_retry()');
braze_wait_for_state($node, 'braze', 'paused: %401%');
braze_wait_for_count($node, 1, 'braze_queue');
is($node->safe_psql('postgres', 'SELECT d.state, d.reason, d.retry_id = q.id, q.dead_letter = d.id FROM braze_dead_letters d, braze_queue q'),
	'in doubt|not this one|t|t', 'a retry that was not sent is what it was before');
is($node->safe_psql('postgres', 'SELECT braze_retry()'), 0, 'and is queued once');
$braze->clear_faults;
$node->safe_psql('postgres', "SELECT braze_start('braze')");
braze_flush($node);
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM braze_queue), (SELECT count(*) FROM braze_dead_letters)'),
	'0|0', 'delivered, it is gone');

# A pause by an answer: all goes back to the queue under its ids, and survives
# there; what was queued later comes later.
warm_up();
$node->safe_psql('postgres', "SELECT braze_pause('braze')");
braze_wait_for_state($node, 'braze', 'paused: %');
$range = queue(60, 10);
my $ids = $node->safe_psql('postgres', "SELECT string_agg(id || ':' || (call->'properties'->>'seq'), ' ' ORDER BY id) FROM braze_queue");
$braze->fault(kind => 'status', status => 401);
$node->safe_psql('postgres', "SELECT braze_start('braze')");
braze_wait_for_state($node, 'braze', 'paused: %401%');
braze_wait_for_count($node, 60, 'braze_queue');
is($node->safe_psql('postgres', "SELECT string_agg(id || ':' || (call->'properties'->>'seq'), ' ' ORDER BY id) FROM braze_queue"),
	$ids, 'what 401 kept from being sent is in the queue as it was');
is(in_table('braze_dead_letters'), '', 'and not in the dead letters');
is($node->safe_psql('postgres', "SELECT braze_flush('0')"), 'f', 'braze_flush waits for it');
kill_worker('KILL');
my $more = queue(20, 10);
$braze->clear_faults;
$node->safe_psql('postgres', "SELECT braze_start('braze')");
braze_flush($node);
is(applied(), range($range) . ' ' . range($more), 'after a kill and the end of the pause every call arrives once');
is($braze->order->{violations}, 0, 'in order');

# nobody listens: the same
warm_up();
$braze->stop;
$range = queue(30, 10);
braze_wait_for_state($node, 'braze', 'retrying%');
braze_wait_for_count($node, 30, 'braze_queue');

# a kill in the middle of another attempt would leave that in flight
$node->safe_psql('postgres', "SELECT braze_pause('braze')");
braze_wait_for_state($node, 'braze', 'paused: %');
braze_wait_for_count($node, 30, 'braze_queue');
kill_worker('KILL');
$braze->start;
$node->safe_psql('postgres', "SELECT braze_start('braze')");
braze_flush($node);
is(applied(), range($range), 'what found nobody is sent later, once');
is($braze->order->{violations}, 0, 'in order');
is(in_table('braze_dead_letters'), '', 'and nothing is left');

# A server that takes connections and never greets: nothing is written to it,
# so when the worker is told to end, nothing is in doubt.
warm_up();
my $deaf = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "listen: $!";
my $port = $deaf->sockport;
my $url = $braze->url;
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET custom_api_endpoint 'https://127.0.0.1:$port')");
$range = queue(10, 10);
$node->poll_query_until('postgres', 'SELECT in_flight > 0 FROM braze_status');
$node->poll_query_until('postgres', 'SELECT count(*) = 10 FROM braze_dead_letters');
my $told = braze_freeze_worker($node);
kill 'TERM', $told;
kill 'CONT', $told;
braze_wait_for_worker($node, 'postgres', $told);
is(in_table('braze_dead_letters', 'NOT braze_in_flight(id)'), '', 'what was not written to a silent server is not in doubt');
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET custom_api_endpoint '$url')");
braze_flush($node);
$node->poll_query_until('postgres', 'SELECT pending = 0 FROM braze_status');
is(applied(), range($range), 'and is sent elsewhere, once');
close $deaf;

# ----- calls of several requests -----

warm_up();
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET max_objects_per_request '2', ADD log_purchase_when_revenue_present 'false')");
my $order = <<'EOS';
SELECT braze_track('u1', 'Order Completed', jsonb_build_object('products', (
	SELECT jsonb_agg(jsonb_build_object('product_id', 'p' || n, 'price', 1, 'seq', %d + n)) FROM generate_series(1, 5) n)))
EOS
$braze->fault(kind => 'status', status => 503, after => 1, count => 1);
$node->safe_psql('postgres', sprintf($order, 2000000));
my $after = queue(2, 1);
braze_flush($node);
is(applied(), range($after) . ' 2000001 2000002 2000005', 'a call in three requests, the second in doubt: the others arrive');
is($node->safe_psql('postgres', 'SELECT objects FROM braze_dead_letters'), '{3,4}', 'and the letter says which objects are in doubt');
$braze->clear_faults;
is($node->safe_psql('postgres', 'SELECT braze_retry()'), 1, 'those alone are retried');
braze_flush($node);
is(applied(), range($after) . ' ' . numbers(2000001 .. 2000005), 'and arrive');

# killed between two of its requests
warm_up();
$braze->hold(after => 1);
$node->safe_psql('postgres', sprintf($order, 3000000));
$braze->wait_for_stat('held', 1);
kill_worker('KILL');
$braze->release;
queue(1);
braze_flush($node);
is($node->safe_psql('postgres', "SELECT state, objects FROM braze_dead_letters"), 'in flight|', 'a call that was sent in part is in flight');
is(received_twice(), '', 'nothing is sent twice');
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET max_objects_per_request '10', DROP log_purchase_when_revenue_present)");

# ----- rows that somebody has locked, or deletes -----

warm_up();
$node->safe_psql('postgres', "SELECT braze_pause('braze')");
braze_wait_for_state($node, 'braze', 'paused: %');
$range = queue(8, 4);
my ($first, $last) = $range =~ /(\d+)\.\.(\d+)/;
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT FROM braze_queue WHERE call->'properties'->>'seq' = '$first' FOR UPDATE;");
$node->safe_psql('postgres', "SELECT braze_start('braze')");
$braze->wait_for_accepted(6);
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM braze_dead_letters');
is(in_table('braze_queue'), numbers($first, $first + 4), 'a locked call waits, with those that would overtake it, and nobody else');
$session->query_safe('COMMIT;');
braze_flush($node);
is(applied(), range($range), 'it goes when the lock is gone');
is($braze->order->{violations}, 0, 'in order');

warm_up();
$node->safe_psql('postgres', "SELECT braze_pause('braze')");
braze_wait_for_state($node, 'braze', 'paused: %');
$range = queue(8, 4);
($first, $last) = $range =~ /(\d+)\.\.(\d+)/;
$session->query_safe("BEGIN; DELETE FROM braze_queue WHERE call->'properties'->>'seq' = '$first';");
$node->safe_psql('postgres', "SELECT braze_start('braze')");
$braze->wait_for_accepted(6);
$session->query_safe('COMMIT;');
$session->quit;
braze_flush($node);
$node->poll_query_until('postgres', 'SELECT pending = 0 FROM braze_status');
is(applied(), numbers($first + 1 .. $last), 'a call that is deleted before it is sent is not sent');
is(in_table('braze_dead_letters'), '', 'nor a dead letter');

# ----- the option and the server change while requests are under way -----

warm_up();
$braze->hold;
$range = queue(10);
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET delivery 'at_least_once')");
$later = queue(10, 10);
$braze->release(count => 1, status => 503);
$braze->release;
braze_flush($node);
is(join(' ', grep { !/\*/ } split / /, applied()), range($range) . ' ' . range($later), 'at least once from now on: all arrive');
is(in_table('braze_dead_letters'), '', 'and nothing is left');

warm_up();
$braze->hold;
$range = queue(10);
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET delivery 'at_most_once')");
$node->safe_psql('postgres', "SELECT braze_track('somebody else', 'A', '{\"seq\": 4000000}')");
$braze->wait_for_stat('held', 2);
is(in_table('braze_dead_letters', "state = 'in flight'"), '4000000', 'at most once from now on');
$braze->release(count => 1, status => 503);
$braze->release;
braze_flush($node);
is(received_twice(), '', 'what was under way is not sent again');
is(in_table('braze_dead_letters', "state = 'in doubt'"), range($range), 'and becomes a dead letter');

warm_up();
$braze->hold;
$range = queue(10);
$braze->wait_for_stat('held', 1);
$node->safe_psql('postgres', 'DROP SERVER braze CASCADE');
braze_wait_for_count($node, 0, 'pg_foreign_server');
$braze->release(status => 503);
$node->poll_query_until('postgres', "SELECT count(*) = 10 FROM braze_dead_letters WHERE state = 'in doubt'");
braze_destination($node, 'postgres', 'braze', $braze, options => "delivery 'at_most_once'");
queue(1);
braze_flush($node);
is(received_twice(), '', 'a server that is dropped and comes back: nothing is sent twice');
is(in_table('braze_dead_letters'), range($range), 'and nothing vanishes');

# what the validator refuses may be in the catalog: at_most_once it is
warm_up();
$node->safe_psql('postgres', <<'EOS');
SET allow_system_table_mods = on;
UPDATE pg_foreign_server SET srvoptions = srvoptions || ARRAY['changed_attributes_only=true'] WHERE srvname = 'braze';
EOS
$node->restart;
$node->safe_psql('postgres', "SELECT braze_identify('u1', '{\"plan\": \"pro\"}')");
braze_flush($node);
$node->safe_psql('postgres', "SELECT braze_identify('u1', '{\"plan\": \"pro\"}')");
braze_flush($node);
is(scalar(grep { $_->{kind} eq 'attributes' } $braze->log), 2, 'changed_attributes_only does nothing then');

$node->stop;
done_testing();
