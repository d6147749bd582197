# The stand-in Braze: how it begins and ends, its options, its control API, and
# which requests a fault strikes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use File::Temp;
use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Test::More;

use StandIn;

my $program = $ENV{BRAZE_STANDIN} || "$FindBin::RealBin/../braze/braze-standin";
my $time = '2026-01-02T03:04:05Z';
my $json = JSON::PP->new->utf8->canonical;
my $client = HTTP::Tiny->new(timeout => 120, max_redirect => 0, keep_alive => 0);
my $braze;

sub post
{
	my ($path, $body) = @_;

	return $client->post(
		$braze->url . $path,
		{
			content => ref $body ? $json->encode($body) : $body,
			headers => {
				'content-type' => 'application/json',
				'authorization' => 'Bearer test-key'
			}
		});
}

sub event
{
	my ($user, %properties) = @_;
	return { external_id => $user, name => 'E', time => $time, properties => {%properties} };
}

# the status of a request for these users
sub track
{
	return post('/users/track', { events => [ map { event($_) } @_ ] })->{status};
}

# sends a body, which may be the beginning of one, and waits for no answer
sub start
{
	my ($body, $length) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $braze->port)
	  or die "connect: $!";

	print $socket "POST /users/track HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	  . "Content-Type: application/json\r\nAuthorization: Bearer test-key\r\n"
	  . 'Content-Length: ' . ($length || length $body) . "\r\n\r\n$body";
	$socket->flush;
	return $socket;
}

sub start_for
{
	my ($user) = @_;
	return start($json->encode({ events => [ event($user) ] }));
}

sub is_quiet
{
	my ($socket) = @_;
	return !IO::Select->new($socket)->can_read(0);
}

# all that comes until the connection ends
sub finish
{
	my ($socket) = @_;
	my $text = '';

	while (IO::Select->new($socket)->can_read(120))
	{
		return $text unless sysread $socket, $text, 65536, length $text;
	}
	die 'no answer';
}

sub wait_until_idle
{
	return StandIn::wait_until(sub { $braze->stats->{concurrent} == 0 }, 'no request is under way');
}

# how it ends when it does so by itself
sub status_of
{
	my (@arguments) = @_;
	my $status = system "timeout 60 '$program' @arguments >/dev/null 2>&1";

	return $status & 127 ? "signal $status" : $status >> 8;
}

# ---- how it begins and ends

$braze = StandIn->new(property => 'n', max_body => 500);
is(status_of('--port=' . $braze->port), 1, 'a port that is taken');
is(status_of($_), 2, "no option: $_")
  foreach '--port=x', '--port=65536', '--port=', '--max-objects=-1', '--max-objects=1x', '--other',
  'more', '--tls-cert=x';
is(status_of('--help'), 0, '--help');
is(status_of('--port-file=/nowhere/port'), 1, 'a port file that cannot be written');

is(post('/users/track', { events => [ event('a', x => 'x' x 500) ] })->{status}, 413, 'max_body');
post('/users/track', { events => [ event('a', n => 7, seq => 8) ] });
is_deeply($braze->seen, { 7 => 1 }, 'property');

$braze->hold;
my @waiting = map { start_for("u$_") } 1 .. 3;
push @waiting, start('{"events":', 11);
$braze->wait_for_stat('held', 3);
$braze->wait_for_stat('concurrent', 4);

# the rest of the last request and the signal are there together
kill 'STOP', $braze->pid;
print {$waiting[3]} '[';
$waiting[3]->flush;
kill 'TERM', $braze->pid;
kill 'CONT', $braze->pid;
is($braze->stop, 0, 'a clean end while requests wait and arrive');
is(finish($waiting[0]), '', '... what waits has no answer');
$braze->start;
is_deeply([ $braze->users ], [], 'started again, it knows nobody');
is(track('a'), 201, '... and answers at the same port');
is($braze->stop, 0, '... and ends');

$braze = StandIn->new(log_limit => 0, keep => 0);
post('/users/track', { events => [ event('a', seq => 1) ] });
is_deeply([ [ $braze->log ], $braze->user('a')->{events}, $braze->user('a')->{event_count} ],
	[ [], [], 1 ], 'nothing is kept');
is_deeply($braze->seen, { 1 => 1 }, '... but counted');
is($braze->stop, 0, 'a clean end');

# ---- control

$braze = StandIn->new;
post('/users/track', { attributes => [ { external_id => 'a b/c', x => "\x{e9}" },
	{ user_alias => { alias_name => 'n', alias_label => 'l' }, _update_existing_only => JSON::PP::false } ] });
is($json->decode($braze->ask('GET', 'users/a%20b%2Fc'))->{attributes}{x}, "\x{e9}", 'a user by path');
is_deeply(
	[ $braze->users ],
	[
		{ identifier => 'external_id', value => 'a b/c' },
		{ identifier => 'user_alias', value => 'n', label => 'l' }
	],
	'all users');
is($braze->request('GET', 'users', { email => 'a@b.co' })->{status}, 404, 'no such user');
is($braze->request('GET', 'nothing')->{status}, 404, 'no such command');
is($braze->request('GET', 'reset')->{status}, 404, 'nor with this method');
is($client->post($braze->url . '/_control/faults', { content => '[' })->{status}, 400, 'no JSON');
is($braze->request('POST', 'release', { status => 600 })->{status}, 400, 'no such status');
is($braze->request('POST', 'faults?kind=close&count=1')->{status}, 200, 'parameters in the query');

foreach my $wrong (
	{}, { kind => 'status', status => 199 }, { kind => 'status', status => 600 },
	{ kind => 'status', status => 'x' }, { kind => 'empty', status => 100_000_000 },
	{ kind => 'slow' }, { kind => 'slow', delay_ms => 'soon' }, { kind => 'slow', delay_ms => -1 },
	{ kind => 'close', count => 'many' }, { kind => 'close', count => -2 },
	{ kind => 'close', after => -1 }, { kind => 'close', probability => 2 },
	{ kind => 'close', probability => 'x' }, { kind => 'huge', bytes => -1 },
	{ kind => 'close', user => undef }, { kind => 'status', status => 500, headers => 'x' })
{
	is($braze->request('POST', 'faults', $wrong)->{status}, 400, 'no fault: ' . $json->encode($wrong));
}

# a reset forgets, also what it ends itself
$braze->reset;
$braze->hold;
@waiting = (start_for('a'), start_for('b'));
$braze->wait_for_stat('held', 2);
$braze->reset;
is_deeply([ map { finish($_) } @waiting ], [ '', '' ], 'a reset ends what waits');
wait_until_idle();
is_deeply($braze->stats->{answers}, {}, '... and does not count it');
is($braze->stats->{lost}{total}, 0, '... as lost either');
is(track('a'), 201, '... nor holds any longer');

# ---- which requests a fault strikes

sub pattern
{
	my (%fault) = @_;
	my $id = $braze->fault(kind => 'status', status => 500, %fault);
	my $statuses = join ' ', map { track('a') } 1 .. 12;

	$braze->clear_faults($id);
	return $statuses;
}

is(pattern(after => 2, count => 3), '201 201 500 500 500' . ' 201' x 7, 'after two, three times');
is(pattern(after => 11), '201 ' x 11 . '500', 'after eleven');
is(pattern(count => 0), join(' ', (201) x 12), 'none');
is(pattern(probability => 0), join(' ', (201) x 12), 'never');
is(pattern(probability => 1), join(' ', (500) x 12), 'always');
isnt(pattern(probability => 0.5, seed => 8), pattern(probability => 0.5, seed => 7),
	'another seed strikes others');
is(pattern(path => '/users/merge'), join(' ', (201) x 12), 'another endpoint');
is(pattern(user => 'b'), join(' ', (201) x 12), 'another user');
is(pattern(array => 'attributes'), join(' ', (201) x 12), 'another array');
is(pattern(array => 'events', user => 'a', name => 'E'), join(' ', (500) x 12), 'all conditions');
is(pattern(array => 'events', user => 'a', name => 'F'), join(' ', (201) x 12), 'all but one');

my $first = $braze->fault(kind => 'status', status => 500, count => 1);
my $second = $braze->fault(kind => 'status', status => 503);
is(join(' ', map { track('a') } 1 .. 3), '500 503 503', 'the first one that fits');
is_deeply(
	[ $braze->faults ],
	[
		{ id => $first, kind => 'status', left => 0, hits => 1 },
		{ id => $second, kind => 'status', left => -1, hits => 2 }
	],
	'... and hits are counted');
is($braze->request('DELETE', 'faults?id=999')->{status}, 404, 'no such fault');
$braze->clear_faults;
is(track('a'), 201, 'all are cleared');

$braze->fault(kind => 'status', status => 302, count => 1,
	headers => { Location => 'http://127.0.0.1:1/' });
like(finish(start_for('a')), qr{^HTTP/1\.1 302 .*\r\nLocation: http://127\.0\.0\.1:1/\r\n}s,
	'a redirect');
$braze->fault(kind => 'cut', count => 1);
like(finish(start_for('a')), qr/Content-Length: 1000\r\n.*\r\n\{"message":"succ$/s,
	'an answer that is cut in its body');
$braze->fault(kind => 'status', status => 503, delay_ms => 20, count => 1);
is(track('a'), 503, 'a status that comes later');
$braze->fault(kind => 'errors', user => 'a', array => 'attributes', count => 1);
is_deeply(
	$json->decode(post('/users/track', {
		attributes => [ { external_id => 'b' }, { external_id => 'a' } ],
		events => [ event('a') ] })->{content})->{errors},
	[ { type => 'refused on purpose', input_array => 'attributes', index => 1 } ],
	'an object by user and array');

# ---- a request that waits is in nobody's way

$braze->reset;
$braze->fault(kind => 'slow', delay_ms => 86_400_000, applied => JSON::PP::true, count => 1);
$waiting[0] = start_for('a');
$braze->wait_for_stat('delayed', 1);
is($braze->user('a')->{event_count}, 1, 'slow, applied before');
is(track('b'), 201, 'the next one need not wait');
is($braze->stats->{overlaps}, 0, '... with another user');
is(track('a'), 201, '... nor with the same');
is($braze->stats->{overlaps}, 1, '... which is an overlap');
ok(is_quiet($waiting[0]), 'the slow one still waits');
$braze->reset;
is(finish($waiting[0]), '', '... until a reset');

$braze->hold(user => 'a');
$waiting[0] = start_for('a');
$braze->wait_for_stat('held', 1);
is(track('b'), 201, 'who is not held passes');
close $waiting[0];
StandIn::wait_until(sub { $braze->stats->{held} == 0 }, 'the client is seen to be gone');
is($braze->stats->{lost}{events}, 1, 'what a client waited for that is gone is lost');
$braze->release;

$braze->fault(kind => 'huge', count => 1);
$waiting[0] = start_for('a');
sysread $waiting[0], my $part, 100_000;
close $waiting[0];
wait_until_idle();
is(track('a'), 201, 'a client may leave in the middle of an answer');
is($braze->stop, 0, 'a clean end');

# ---- the ledger outlives the process

my $directory = File::Temp->newdir;
my ($ledger, $faults) = ("$directory/ledger", "$directory/faults");

sub ledger
{
	open my $handle, '<', $ledger or die "$ledger: $!";
	return map { $json->decode($_) } <$handle>;
}

# what the lines say, without times and processes
sub told
{
	return join "\n", map {
		my $line = $_;
		join ' ', map { "$_=$line->{$_}" } grep { exists $line->{$_} } qw(line request connection path name outcome status fault complete text)
	} @_;
}

open my $handle, '>', $faults or die "$faults: $!";
print $handle qq({"kind": "errors", "name": "E", "user": "bad"}\n{"kind": "cut", "count": 1, "after": 1}\n);
close $handle;
$braze = StandIn->new(ledger => $ledger, faults => $faults);
track('a', 'bad');
track('a');
$braze->mark('a test was here');
$braze->hold(applied => JSON::PP::true);
$waiting[0] = start_for('b');
$braze->wait_for_stat('held', 1);
$braze->kill9;
like(finish($waiting[0]), qr/^$/, 'kill -9 ends a request under way');
is(told(ledger()), <<'EOS' =~ s/\n$//r, 'what a client may know of is in the ledger, and what was applied');
line=start
line=request request=1 connection=1 path=/users/track
line=object request=1 name=E outcome=accepted
line=object request=1 name=E outcome=refused
line=answer request=1 status=201
line=end request=1 complete=1
line=request request=2 connection=2 path=/users/track
line=object request=2 name=E outcome=accepted
line=answer request=2 status=201 fault=cut
line=end request=2 complete=0
line=mark connection=3 text=a test was here
line=request request=3 connection=4 path=/users/track
line=object request=3 name=E outcome=accepted
EOS

# another life in the same file
$braze->start;
is($braze->stats->{requests}, 0, 'a new life knows nothing of the old one');
$waiting[0] = start('{"events"', 100);
$braze->hold;
$waiting[1] = start_for('a');
$braze->wait_for_stat('held', 1);
is($braze->disconnect, 2, 'all connections end but the one that asks');
is(finish($_), '', '... without an answer') foreach @waiting[ 0, 1 ];
$braze->clear_faults;
is(track('a'), 201, '... and further ones are welcome');
is($braze->stop, 0, 'a clean end');
my @second = ledger();
my $starts = 0;
@second = grep { $starts += $_->{line} eq 'start'; $starts == 2 } @second;
is(scalar(grep { $_->{line} eq 'object' && $_->{outcome} eq 'lost' } @second), 1, 'what waited was not applied');
is(scalar(grep { $_->{line} eq 'end' && !$_->{complete} } @second), 1, '... and its answer not complete');

# a ledger that cannot be written, or faults that are none
foreach my $option ("--ledger=$directory/none/ledger", "--faults=$directory/none", "--faults=$ledger")
{
	my $pid = open(my $output, '-|', "$program $option 2>&1") or die "fork: $!";
	my $said = do { local $/; <$output> };

	close $output;
	ok($? != 0 && $said ne '', "it does not begin with $option");
}

done_testing();
