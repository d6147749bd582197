# Whatever Braze answers: each call is delivered, or is a dead letter with the
# reason, or waits for a fault to be mended; and its neighbours are not touched.

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
my $key_file = $node->basedir . '/key';

# one call each of users u1, u2, ..., in one request where that is possible
sub queue
{
	my ($count) = @_;

	$braze->reset;
	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n, 'A', jsonb_build_object('seq', n)))
FROM generate_series(1, $count) n
EOS
	return;
}

# which arrived, and how often where not once
sub seen
{
	my $seen = $braze->seen;

	return join ' ', map { $seen->{$_} == 1 ? $_ : "$_*$seen->{$_}" }
	  sort { $a <=> $b } keys %$seen;
}

# like queue, with a fault that is there before the calls are
sub queue_with_fault
{
	my ($count, %fault) = @_;
	my $also = delete $fault{also};

	$node->safe_psql('postgres', "SELECT braze_pause('braze', 'test')");
	braze_wait_for_state($node, 'braze', 'paused: test');
	queue($count);
	my $id = $braze->fault(%fault);
	$braze->fault(%fault, user => $also) if defined $also;
	$node->safe_psql('postgres', "SELECT braze_start('braze')");
	return $id;
}

sub write_key
{
	my ($key) = @_;

	unlink $key_file;
	append_to_file($key_file, "$key\n");
	chmod 0600, $key_file or die "chmod: $!";
	return;
}

# passing faults: tried again, each call in the end once
my %status = (
	429 => { 'Retry-After' => '1' },
	500 => {},
	503 => {},
	408 => {},
	425 => {});
foreach my $status (sort keys %status)
{
	my $fault = queue_with_fault(3, kind => 'status', status => $status, count => 1,
		headers => $status{$status});

	braze_flush($node);
	is(seen(), '1 2 3', "after a $status each call is sent again, once");
	is($braze->hits($fault), 1, 'the fault struck');
}
ok(braze_wait_for_state($node, 'braze', 'running'), 'the destination runs again');

# Braze says when to come again: not before, whatever the header is called
foreach my $header ('x-ratelimit-retry-after', 'retry-after', 'x-ratelimit-reset')
{
	my $began = time;
	my $fault = queue_with_fault(3, kind => 'status', status => 429, count => 1, headers => { $header => '3' });

	braze_flush($node);
	is($braze->hits($fault), 1, 'the fault struck');
	cmp_ok(time - $began, '>=', 2, "after a 429 with $header nothing is sent before the time it says");
	is(seen(), '1 2 3', 'and then each call once');
}
is($node->safe_psql('postgres', "SELECT last_error <> '', last_error_at IS NOT NULL, retries, ambiguous_resends, ambiguous_calls FROM braze_status"),
	't|t|8|4|12', 'the status shows the last error and counts what was sent again, and where Braze may have accepted it');

# answers that cannot be trusted.  What Braze had applied arrives twice.
my %broken = (
	close => '1 2 3',
	cut => '1*2 2*2 3*2',
	empty => '1*2 2*2 3*2',
	not_json => '1*2 2*2 3*2',
	broken_json => '1*2 2*2 3*2',
	huge => undef);
foreach my $kind (sort keys %broken)
{
	my $fault = queue_with_fault(3, kind => $kind, count => 1);

	braze_flush($node);
	if (defined $broken{$kind})
	{
		is(seen(), $broken{$kind}, "sent again after the fault \"$kind\"");
	}
	else
	{
		like(seen(), qr/^1(\*2)? 2(\*2)? 3(\*2)?$/, "nothing is lost by the fault \"$kind\"");
	}
	is($braze->hits($fault), 1, 'the fault struck');
	is(braze_dead_letters($node), '', 'no call is blamed');
}

# an answer that refuses the first object, in bytes that are no UTF-8
queue_with_fault(3, kind => 'invalid_utf8', count => 1);
braze_flush($node);
is(braze_dead_letters($node), 'u1', 'a refusal in invalid UTF-8 is one all the same');
is( $node->safe_psql('postgres', <<EOS), 't', 'and what is stored of it is valid');
DELETE FROM braze_dead_letters RETURNING convert_from(convert_to(reason, 'UTF8'), 'UTF8') = reason
EOS

# a server that is away for a while
$braze->stop;
$node->safe_psql('postgres', "SELECT braze_track('u1', 'A')");
ok(braze_wait_for_state($node, 'braze', 'retrying'), 'a server that is away is tried again');
$braze->start;
braze_flush($node);
is($braze->accepted, 1, 'until it is there');

# single objects refused
queue_with_fault(10, kind => 'errors', user => 'u4', reason => 'no such thing');
braze_flush($node);
is(seen(), '1 2 3 5 6 7 8 9 10', 'the neighbours of a refused object are delivered once');
is(braze_dead_letters($node), 'u4', 'the refused one is a dead letter');
is($node->safe_psql('postgres',
		"SELECT destination, http_status, reason LIKE '%no such thing%', queued_at <= failed_at, call->>'event' FROM braze_dead_letters"),
	'braze|201|t|t|A', 'with the reason and the status of the answer');

# braze_retry
$braze->clear_faults;
is($node->safe_psql('postgres', "SELECT braze_retry(reason => '%something else%')"),
	'0', 'braze_retry leaves what its arguments do not choose');
is($node->safe_psql('postgres', "SELECT braze_retry(reason => '%no such thing%')"),
	'1', 'and queues again what they do');
braze_flush($node);
is(seen(), '1 2 3 4 5 6 7 8 9 10', 'which then arrives');
is(braze_dead_letters($node), '', 'and is a dead letter no more');

# a call of several objects, one of which is refused: only that is sent again
$braze->reset;
$braze->fault(kind => 'errors', name => 'p2', reason => 'no such product');
$node->safe_psql('postgres', <<'EOS');
SELECT braze_track('buyer', 'Completed Order',
	'{"products": [{"product_id": "p1", "price": 1}, {"product_id": "p2", "price": 2}]}')
EOS
braze_flush($node);
is($node->safe_psql('postgres', 'SELECT objects FROM braze_dead_letters'),
	'{2}', 'the dead letter says which object was refused');
$braze->clear_faults;
$node->safe_psql('postgres', 'SELECT braze_retry()');
braze_flush($node);
is(join(' ', map { $_->{name} } grep { $_->{outcome} eq 'accepted' } $braze->log),
	'p1 p2', 'braze_retry sends that alone');

# refused as a whole because of one call, or two
my $refusal = queue_with_fault(40, kind => 'refuse', user => 'u11', also => 'u30');
braze_flush($node);
is(seen(), join(' ', grep { $_ != 11 && $_ != 30 } 1 .. 40),
	'what is refused as a whole is halved until the guilty calls stand alone');
is($node->safe_psql('postgres',
		"SELECT string_agg(call->>'userId', ' ' ORDER BY call->>'userId'), min(http_status) FROM braze_dead_letters"),
	'u11 u30|400', 'and they are dead letters');
cmp_ok($braze->hits($refusal), '<=', 8, 'in a number of steps that grows with the logarithm');
$node->safe_psql('postgres', 'DELETE FROM braze_dead_letters');

# answers that pause: nothing is lost, nothing is blamed
sub paused
{
	my ($what) = @_;

	ok(braze_wait_for_state($node, 'braze', 'paused: %'), "$what pauses");
	ok(braze_wait_for_count($node, 1, 'braze_paused', 'by_worker'), 'braze_paused has it');
	is(seen(), '', 'nothing has arrived');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'), '3', 'and all is kept');
	return;
}

sub resumed
{
	my ($how) = @_;

	braze_flush($node);
	is(seen(), '1 2 3', "it goes on by $how");
	ok(braze_wait_for_state($node, 'braze', 'running'), 'and runs');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_paused'), '0', 'the pause is gone');
	return;
}

foreach my $status (401, 403, 404, 302)
{
	queue_with_fault(3, kind => 'status', status => $status,
		headers => $status == 302 ? { Location => $braze->url . '/elsewhere' } : {});
	paused("a $status");
	like($node->safe_psql('postgres', 'SELECT reason FROM braze_paused'),
		qr/\b$status\b|key|permission|endpoint|redirect/i, 'the reason says why');
	$braze->clear_faults;
	is($node->safe_psql('postgres', "SELECT braze_start('braze')"), 't', 'braze_start finds it paused');
	resumed('braze_start');
}

# whoever sees a pause may end it at once
my $found = 0;
foreach (1 .. 10)
{
	queue_with_fault(1, kind => 'status', status => 401);
	braze_wait_for_state($node, 'braze', 'paused: HTTP 401%');
	$braze->clear_faults;
	$found++ if $node->safe_psql('postgres', "SELECT braze_start('braze')") eq 't';
	braze_flush($node);
}
is($found, 10, 'what braze_status calls paused can be resumed at once');

# a key that Braze does not know, three ways to give the right one
$braze->set_key('another-key');
queue(3);
paused('a wrong key');
$node->safe_psql('postgres',
	"ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'another-key')");
resumed('ALTER USER MAPPING');

write_key('another-key');
$node->safe_psql('postgres', <<EOS);
ALTER USER MAPPING FOR CURRENT_USER SERVER braze
	OPTIONS (DROP rest_api_key, ADD rest_api_key_file '$key_file')
EOS
queue(3);
braze_flush($node);
is(seen(), '1 2 3', 'the key may come from a file');
$braze->set_key('third-key');
queue(3);
paused('a file with an old key');
write_key('third-key');
resumed('a changed key file');

# a pause survives a restart of the server, whoever made it
$braze->set_key('fourth-key');
queue(3);
paused('an old key');
$braze->reset;
$node->restart;
ok(braze_wait_for_state($node, 'braze', 'paused: %401%'), 'the pause survives a restart');
is($braze->stats->{requests}, 0, 'and nothing was tried to find that out');
write_key('fourth-key');
resumed('a key that is right after the restart');
$node->safe_psql('postgres', "SELECT braze_pause('braze', 'campaign review')");
$node->stop('immediate');
$node->start;
queue(3);
braze_wait_for_worker($node);
ok(braze_wait_for_state($node, 'braze', 'paused: campaign review'), 'and so does that of braze_pause');
is($node->safe_psql('postgres', "SELECT braze_flush('100 ms')"), 'f', 'calls wait');
is($braze->accepted, 0, 'and none arrives');
$node->safe_psql('postgres', "SELECT braze_start('braze')");
resumed('braze_start after a restart');
is($node->safe_psql('postgres', "SELECT braze_start('braze')"), 'f', 'braze_start finds nothing paused');
is(braze_dead_letters($node), '', 'no call is a dead letter for any of that');

$node->stop;
done_testing();
