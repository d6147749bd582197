# The stand-in Braze itself: as strict as Braze's documentation, its state is
# what was accepted, and each fault is what it says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Test::More;

use StandIn;

my $time = '2026-01-02T03:04:05.678Z';
my $json = JSON::PP->new->utf8->canonical;
my $braze = StandIn->new(key => 'all', track_key => 'track');
my $client = HTTP::Tiny->new(timeout => 120, max_redirect => 0, keep_alive => 0);

# the bytes of a request
sub bytes
{
	my ($path, $body, %header) = @_;
	my %all = (
		'Host' => 'localhost',
		'Content-Type' => 'application/json',
		'Authorization' => 'Bearer all',
		'Content-Length' => length $body,
		%header);

	return "POST $path HTTP/1.1\r\n"
	  . join('', map { "$_: $all{$_}\r\n" } sort keys %all)
	  . "\r\n$body";
}

sub post
{
	my ($path, $body, %header) = @_;
	my $answer = $client->request(
		'POST',
		$braze->url . $path,
		{
			content => ref $body ? $json->encode($body) : $body,
			headers => {
				'content-type' => 'application/json',
				'authorization' => 'Bearer all',
				%header
			}
		});

	$answer->{json} = eval { $json->decode($answer->{content}) };
	return $answer;
}

sub track { return post('/users/track', {@_}); }

sub event
{
	my ($user, $seq, %rest) = @_;
	return {
		external_id => $user,
		name => 'E',
		time => $time,
		properties => { seq => $seq },
		%rest
	};
}

# sends a request and does not wait for its answer
sub start
{
	my ($user, $seq) = @_;
	my $socket = IO::Socket::INET->new(
		PeerAddr => '127.0.0.1',
		PeerPort => $braze->port,
		Timeout => 60) or die "connect: $!";

	print $socket bytes('/users/track', $json->encode({ events => [ event($user, $seq) ] }));
	$socket->flush;
	return $socket;
}

# the status of the answer; undef if the connection ended without one
sub finish
{
	my ($socket) = @_;
	my $text = '';

	IO::Select->new($socket)->can_read(120) or die 'no answer';
	sysread $socket, $text, 65536;
	close $socket;
	return $text =~ m,^HTTP/1\.1 (\d+), ? $1 : undef;
}

sub fault_status
{
	my (%fault) = @_;
	my $answer;

	$braze->fault(count => 1, %fault);
	return track(events => [ event('f', 1) ]);
}

# ---- what is refused as a whole

my $good = $json->encode({ events => [ event('u', 1) ] });

is(post('/users/track', $good)->{status}, 201, 'a good request');
is(post('/users/track', $good, authorization => 'Bearer al')->{status}, 401, 'a wrong key');
is(post('/users/track', $good, authorization => 'all')->{status}, 401, 'no Bearer');
is(post('/users/track', $good, authorization => 'Bearer track')->{status},
	201, 'a key for /users/track alone');
is(post('/users/merge', '{}', authorization => 'Bearer track')->{status},
	403, 'and for nothing else');
is(post('/users/track/', $good)->{status}, 404, 'another path');
is($client->get($braze->url . '/users/track')->{status}, 405, 'not POST');
is(post('/users/track', $good, 'content-type' => 'text/plain')->{status},
	415, 'another content type');
is(post('/users/track', $good, 'content-type' => 'application/json; charset=utf-8')->{status},
	201, 'a content type with a charset');
is(post('/users/track', $good . ' ' x (4_000_001 - length $good))->{status},
	413, 'over 4 MB');
is(post('/users/track', $good . ' ' x (4_000_000 - length $good))->{status}, 201, '4 MB');

foreach my $body (
	'', '{', '[]', '"x"', '{}', '{"events":[]}', '{"events":{}}', '{"events":null}',
	'{"purchases":"x"}', '{"event":[]}', "$good,", "$good {}", '{"events":[],}',
	'{"events":[{"name":"a","name":"b"}]}', '{"events":[NaN]}', '{"events":[01]}',
	'{"events":[1e400]}', '{"events":["\ud800"]}', "{\"events\":[\"\xff\"]}",
	"{\"events\":[\"\xed\xa0\x80\"]}", "{'events':[]}", '{"events":[' . '[' x 2000 . ']' x 2000 . ']}')
{
	my $answer = post('/users/track', $body);

	ok( $answer->{status} == 400 && $answer->{json}{message} && !$answer->{json}{errors},
		'400 that names no object: ' . substr($body, 0, 40) =~ s/[^ -~]/?/gr);
}

is(track(events => [ map { event('m', $_) } 1 .. 75 ])->{status}, 201, '75 objects');
is(track(events => [ map { event('m', $_) } 1 .. 76 ])->{status}, 400, '76 objects');
is( track(
		events => [ map { event('m', $_) } 1 .. 40 ],
		attributes => [ map { { external_id => 'm' } } 1 .. 36 ])->{status},
	400, '76 objects in two arrays');
is(post('/users/delete', { external_ids => [ map { "x$_" } 1 .. 50 ] })->{status},
	200, '50 users to delete');
is(post('/users/delete', { external_ids => [ map { "x$_" } 1 .. 51 ] })->{status},
	400, '51 users to delete');
is(post('/users/delete', { external_ids => ['x'], braze_ids => ['y'] })->{status},
	400, 'two kinds of users to delete');

# ---- what is refused by object

$braze->reset;
my $mixed = track(
	attributes => [ { external_id => 'a', plan => 'pro' }, { plan => 'pro' } ],
	events => [ event('a', 1), event('a', 2, name => '$x'), event('a', 3), 7 ],
	purchases => [ event('a', 4) ]);
is($mixed->{status}, 201, 'some are good');
is($mixed->{json}{message}, 'success', '... which is a success');
is_deeply(
	[ @{ $mixed->{json} }{qw(attributes_processed events_processed purchases_processed)} ],
	[ 1, 2, 0 ], '... and counted');
is_deeply(
	[ map { "$_->{input_array} $_->{index}" } @{ $mixed->{json}{errors} } ],
	[ 'attributes 1', 'events 1', 'events 3', 'purchases 0' ],
	'... the others are named');
my $bad = track(events => [ event('a', 1, time => 'now'), event('', 2) ]);
is($bad->{status}, 400, 'none is good');
is(scalar @{ $bad->{json}{errors} }, 2, '... and each is named');

my $stats = $braze->stats;
is($stats->{requests}, 2, 'requests');
is_deeply($stats->{answers}, { 201 => 1, 400 => 1 }, 'answers');
is($stats->{received}{total}, 9, 'received objects');
is($stats->{accepted}{total}, 3, 'accepted ones');
is($stats->{refused}{total}, 6, 'refused ones');
is_deeply($stats->{objects_per_request}, { min => 2, avg => '4.5', max => 7 },
	'objects per request');
is_deeply(
	[ map { "$_->{request} $_->{kind} $_->{outcome}" } $braze->log ],
	[
		'1 attributes accepted', '1 attributes refused',
		'1 events accepted', '1 events refused',
		'1 events accepted', '1 events refused',
		'1 purchases refused', '2 events refused',
		'2 events refused'
	],
	'the log, in the order in which Braze applies');
is(scalar $braze->log(after => 7), 2, 'the log from an entry on');

# ---- what is accepted: bytes and numbers as they came

$braze->reset;
my $object = '{"external_id":"n", "big":9007199254740993 ,"price":19.990,'
  . '"far":123456789012345678901234567890,"text":"\u00e9 /\/"}';
is(post('/users/track', " {\"attributes\" : [ $object ] } ")->{status}, 201, 'odd spaces');
like($braze->request('GET', 'log')->{content}, qr/"object":\Q$object\E\}\n/,
	'the log has the bytes that came');
like($braze->request('GET', 'users/n')->{content}, qr/"big":9007199254740993,"price":19\.990/,
	'so have the attributes');

# ---- attributes

sub attributes
{
	my (@objects) = @_;
	my $answer = track(attributes => [ map { { external_id => 'p', %$_ } } @objects ]);

	diag($answer->{content}) if $answer->{status} != 201 || $answer->{json}{errors};
	return $braze->user('p')->{attributes};
}

sub same
{
	my ($changes, $expected, $what) = @_;
	my $found = attributes(@$changes);

	is_deeply($found, $expected, $what) or diag($json->encode($found));
	attributes({ map { ($_ => undef) } keys %$found });
	is_deeply($braze->user('p')->{attributes}, {}, '... and null removes them');
	return;
}

same([ { a => 1, b => 'x' }, { a => 2 } ], { a => 2, b => 'x' }, 'the later value');
same([ { n => { inc => 2 } }, { n => { inc => -5 } } ], { n => -3 }, 'inc');
same(
	[ { l => [ 'a', 'b' ] }, { l => { add => [ 'b', 'c' ] } }, { l => { remove => ['a'] } } ],
	{ l => [ 'b', 'c' ] },
	'add and remove');
same([ { o => { a => 1, b => { c => 1 } } }, { o => { b => { d => 2 } } } ],
	{ o => { b => { d => 2 } } }, 'an object replaces');
same(
	[
		{ o => { a => 1, b => { c => 1 } } },
		{ o => { b => { d => 2 } }, _merge_objects => JSON::PP::true }
	],
	{ o => { a => 1, b => { c => 1, d => 2 } } },
	'_merge_objects merges');
same(
	[
		{ l => [ { id => 1, v => 'a' }, { id => 2, v => 'b' } ] },
		{ l => { '$add' => [ { id => 3, v => 'c' } ] } },
		{
			l => {
				'$update' => [
					{
						'$identifier_key' => 'id',
						'$identifier_value' => 2,
						'$new_object' => { v => 'B' }
					}
				]
			},
			_merge_objects => JSON::PP::true
		},
		{ l => { '$remove' => [ { '$identifier_key' => 'id', '$identifier_value' => 1 } ] } }
	],
	{ l => [ { id => 2, v => 'B' }, { id => 3, v => 'c' } ] },
	'$add, $update and $remove');
same([ { l => [ 1 .. 600 ] } ], { l => [ 101 .. 600 ] }, 'the newest 500 of an array');
same([ { inc => { inc => 'x' } } ], { inc => { inc => 'x' } }, 'no operator by its type');

my @groups = map {
	{
		subscription_group_id => "00000000-0000-0000-0000-00000000000$_",
		subscription_state => 'subscribed'
	}
} 1, 2;
my $left = { %{ $groups[0] }, subscription_state => 'unsubscribed' };
track(attributes => [ { external_id => 's', subscription_groups => \@groups } ]);
track(attributes => [ { external_id => 's', subscription_groups => [$left] } ]);
is_deeply($braze->user('s')->{attributes}{subscription_groups},
	[ $left, $groups[1] ], 'one state per subscription group');

track(attributes => [ { external_id => 'new', _update_existing_only => JSON::PP::true } ]);
is($braze->user('new'), undef, '_update_existing_only creates nobody');
is(($braze->log)[-1]{outcome}, 'no effect', '... and the log says so');

# ---- who is who

sub alias
{
	my ($name) = @_;
	return { alias_name => $name, alias_label => 'l' };
}

sub by_alias
{
	my ($name) = @_;
	my $answer = $braze->request('GET', 'users', alias($name));

	return $answer->{success} ? decode_json($answer->{content}) : undef;
}

sub anonymous
{
	my ($name, $seq) = @_;
	my $object = event('x', $seq, user_alias => alias($name),
		_update_existing_only => JSON::PP::false);

	delete $object->{external_id};
	return $object;
}

sub identify
{
	my ($user, $name) = @_;
	return post('/users/identify',
		{ aliases_to_identify => [ { external_id => $user, user_alias => alias($name) } ] });
}

$braze->reset;
my $silent = anonymous('a1', 0);
delete $silent->{_update_existing_only};
is(track(events => [$silent])->{status}, 201, 'an alias without _update_existing_only');
is(by_alias('a1'), undef, '... creates nobody');
track(events => [ anonymous('a1', 1), anonymous('a2', 2) ]);
is(by_alias('a1')->{event_count}, 1, '... with false it does');
is(identify('i', 'a1')->{json}{aliases_processed}, 1, 'identify');
is($braze->user('i')->{event_count}, 1, '... makes it the user');
is(by_alias('a1')->{external_id}, 'i', '... who keeps the alias');
identify('i', 'a2');
is($braze->user('i')->{event_count}, 1, 'a second alias of one label is not combined');
is(by_alias('a2')->{event_count}, 1, '... and stays by itself');

my %merge = (
	identifier_to_merge => { user_alias => alias('a2') },
	identifier_to_keep => { external_id => 'i' });
is(post('/users/merge', { merge_updates => [ \%merge ] })->{status}, 202, 'merge');
is($braze->user('i')->{event_count}, 2, '... combines');
is(by_alias('a2'), undef, '... and the other is gone');
track(attributes => [ { external_id => 'j', a => 1, b => 1 }, { external_id => 'i', b => 2 } ]);
post('/users/merge', { merge_updates => [
	{ identifier_to_merge => { external_id => 'j' }, identifier_to_keep => { external_id => 'i' } } ] });
is_deeply($braze->user('i')->{attributes}, { a => 1, b => 2 }, 'the kept value wins');

is( post('/users/alias/new', { user_aliases => [ { external_id => 'i', alias_name => 'k',
		alias_label => 'other' } ] })->{json}{aliases_processed},
	1, 'a new alias');
is_deeply(
	[ sort map { $_->{alias_name} } @{ $braze->user('i')->{user_aliases} } ],
	[ 'a1', 'k' ], '... is the user\'s');
track(events => [ { email => 'ada@example.com', name => 'E', time => $time } ]);
post('/users/identify', { emails_to_identify => [ { external_id => 'i', email => 'ada@example.com',
	prioritization => ['unidentified'] } ] });
is($braze->user('i')->{event_count}, 3, 'identify by email');
is(post('/users/delete', { external_ids => [ 'i', 'nobody' ] })->{json}{deleted}, 1, 'delete');
is($braze->user('i'), undef, '... the user');
is(by_alias('a1'), undef, '... under each name');
is($braze->stats->{users}, 0, '... and nobody is left');

track(purchases => [ { external_id => 'b', product_id => 'p', currency => 'USD', price => 1.5,
	time => $time, quantity => 3 } ]);
is($braze->user('b')->{item_count}, 3, 'a quantity is that many items');

# ---- order

$braze->reset;
track(events => [ event('o', 1), event('o', 3), event('o', 3) ]);
track(events => [ event('o', 3), event('o', 4), event('other', 1) ]);
is_deeply($braze->order,
	{ violations => 0, distinct => 4, duplicates => 1, repeats => 1 }, 'order kept');
track(events => [ event('o', 2) ], attributes => [ { external_id => 'other', seq => 2 } ]);
is($braze->order->{violations}, 1, 'order broken');
is_deeply($braze->order->{example}, { user => 'o', request => 3, value => 2, came_after => 4 },
	'... and where');
is_deeply($braze->seen, { 1 => 2, 2 => 2, 3 => 3, 4 => 1 }, 'what was seen');
track(events => [ event('z', 5, name => '$') ]);
is($braze->seen->{5}, undef, 'what was refused was not seen');
track(events => [ event('z', 5, properties => { other => 5 }) ]);
is_deeply($braze->seen(property => 'other'), { 5 => 1 }, 'another property, from the log');

# ---- faults

$braze->reset;
my $limited = fault_status(
	kind => 'status', status => 429,
	headers => { 'x-ratelimit-retry-after' => '7', 'x-ratelimit-remaining' => 0 });
is($limited->{status}, 429, 'status 429');
is($limited->{headers}{'x-ratelimit-retry-after'}, '7', '... with its headers');
foreach my $status (301, 401, 403, 404, 408, 425, 500, 503)
{
	is(fault_status(kind => 'status', status => $status)->{status}, $status, "status $status");
}
is($braze->accepted, 0, 'a status is not applied');
fault_status(kind => 'status', status => 500, applied => JSON::PP::true);
is($braze->accepted, 1, '... unless it is said to be');
is($braze->stats->{lost}{events}, 9, '... the others are lost');
is(track(events => [ event('f', 1) ])->{status}, 201, 'a fault ends with its count');

is(fault_status(kind => 'refuse', user => 'f')->{json}{errors}, undef, 'refused as a whole');
is(track(events => [ event('g', 1) ])->{status}, 201, '... for a user that is not there: not');
$braze->clear_faults;

sub applied_by
{
	my (%fault) = @_;
	my $before = $braze->accepted;
	my $answer = fault_status(%fault);

	return ($answer, $braze->accepted - $before);
}

my ($answer, $applied) = applied_by(kind => 'close');
is("$answer->{status} $applied", '599 0', 'close, not applied');
($answer, $applied) = applied_by(kind => 'close', applied => JSON::PP::true);
is("$answer->{status} $applied", '599 1', 'close, applied');
($answer, $applied) = applied_by(kind => 'cut');
is("$answer->{status} $applied", '599 1', 'cut');
($answer, $applied) = applied_by(kind => 'empty');
is("$answer->{status} $applied \"$answer->{content}\"", '200 1 ""', 'empty');
($answer, $applied) = applied_by(kind => 'broken_json');
ok($answer->{status} == 201 && $applied == 1 && !$answer->{json}, 'broken JSON');
($answer, $applied) = applied_by(kind => 'not_json');
ok($answer->{status} == 201 && $applied == 1 && $answer->{content} =~ /^</, 'no JSON');
($answer, $applied) = applied_by(kind => 'invalid_utf8');
ok($answer->{status} == 201 && $applied == 1 && !utf8::decode($answer->{content}), 'no UTF-8');
($answer, $applied) = applied_by(kind => 'huge', bytes => 2_000_000);
ok($answer->{status} == 201 && $applied == 1 && length $answer->{content} == 2_000_000, 'huge');

$braze->fault(kind => 'errors', name => 'Bad', reason => 'no such thing', count => 2);
$answer = track(events => [ map { event('e', $_, name => $_ % 2 ? 'Bad' : 'Good') } 1 .. 6 ]);
is_deeply(
	$answer->{json}{errors},
	[ map { { type => 'no such thing', input_array => 'events', index => $_ } } 0, 2 ],
	'errors of objects, as many as were asked for');

my @struck = map {
	my $id = $braze->fault(kind => 'status', status => 500, probability => 0.5, seed => 7);
	my $pattern = join '', map { track(events => [ event('e', 1) ])->{status} == 500 } 1 .. 40;

	$braze->clear_faults($id);
	$pattern;
} 1, 2;
is($struck[0], $struck[1], 'a seed strikes the same requests');
like($struck[0], qr/^1{5,35}$/, '... some of them');

$braze->fault(kind => 'status', status => 500, after => 1, count => 1, path => '/users/track');
is_deeply([ map { track(events => [ event('e', 1) ])->{status} } 1 .. 3 ],
	[ 201, 500, 201 ], 'after the first');
foreach my $fault ({ kind => 'x' }, { kind => 'status' }, { kind => 'hold', user_id => 'x' })
{
	is($braze->request('POST', 'faults', $fault)->{status}, 400, 'a fault that is none');
}

# the answer alone ends the wait: nothing else wakes the stand-in
is(fault_status(kind => 'slow', delay_ms => 300)->{status}, 201, 'slow');

# ---- hold, and who is under way

$braze->reset;
$braze->hold;
my @waiting = map { start("h$_", $_) } 1 .. 3;
$braze->wait_for_stat('held', 3);
is($braze->accepted, 0, 'held requests are not applied');
is($braze->release(count => 1), 1, 'release of one');
$braze->wait_for_stat('requests', 3);
is($braze->stats->{held}, 2, '... leaves the others');
is($braze->release(count => 1, status => 503), 1, 'release with a status');
is($braze->release, 1, 'release of all');
is_deeply([ sort map { finish($_) } @waiting ], [ 201, 201, 503 ], '... and the answers');
is($braze->accepted, 2, '... are applied but for the one with a status');
is(track(events => [ event('h', 9) ])->{status}, 201, 'nothing is held any more');

$braze->reset;
$braze->hold(applied => JSON::PP::true);
my $first = start('same', 1);
$braze->wait_for_stat('held', 1);
is($braze->accepted, 1, 'held, and applied before');
my $second = start('same', 2);
my $third = start('another', 3);
$braze->wait_for_stat('held', 3);
is($braze->stats->{overlaps}, 1, 'one user in two requests at a time');
$braze->release;
finish($_) foreach $first, $second, $third;

$braze->reset;
$braze->hold;
$first = start('gone', 1);
$braze->wait_for_stat('held', 1);
close $first;
$second = start('gone', 1);
$braze->wait_for_stat('requests', 2);
StandIn::wait_until(sub { $braze->stats->{held} == 1 }, 'one is held');
is($braze->stats->{overlaps}, 0, 'a client that is gone is not under way');
$braze->release;
is(finish($second), 201, 'the second try is answered');
is_deeply($braze->seen, { 1 => 1 }, '... and the first was not applied');

$braze->fault(kind => 'never');
$first = start('never', 1);
$braze->wait_for_stat('held', 1);
is($braze->release, 0, 'what is never answered is not released');
$braze->reset;
is(finish($first), undef, '... but ends with a reset');
is($braze->stats->{requests}, 0, '... and is forgotten');

$braze->hold;
@waiting = map { start("c$_", $_) } 1 .. 500;
$braze->wait_for_stat('held', 500);
$stats = $braze->stats;
is("$stats->{concurrent} $stats->{max_concurrent}", '500 500', '500 requests at a time');
$braze->release;
is(scalar(grep { finish($_) == 201 } @waiting), 500, '... are all answered');
is($braze->order->{distinct}, 500, '... and applied');

# ---- keys, and the end

$braze->set_key('another');
is(post('/users/track', $good)->{status}, 401, 'the key was changed');
$braze->set_key('all');
$braze->hold;
@waiting = map { start("t$_", $_) } 1 .. 3;
$braze->wait_for_stat('held', 3);
is($braze->stop, 0, 'a clean end while requests are under way');
is_deeply([ map { finish($_) } @waiting ], [ (undef) x 3 ], '... which get no answer');

# ---- what it forgets

$braze = StandIn->new(key => 'all', log_limit => 10, keep => 5, max_objects => 20);
track(events => [ map { event('k', $_) } 1 .. 20 ]);
is(track(events => [ map { event('k', $_) } 1 .. 21 ])->{status}, 400, 'fewer objects allowed');
is_deeply([ map { $_->{object}{properties}{seq} } $braze->log ], [ 11 .. 20 ],
	'the newest of the log');
is_deeply([ map { $_->{properties}{seq} } @{ $braze->user('k')->{events} } ], [ 16 .. 20 ],
	'the newest events of a user');
is($braze->user('k')->{event_count}, 20, '... and how many there were');
is($braze->order->{distinct}, 20, 'the order of all');
is($braze->request('GET', 'order', { property => 'x' })->{status}, 409,
	'another property needs all of the log');
is($braze->stop, 0, 'a clean end');

# ---- fast

$braze = StandIn->new(fast => undef);
my $fast = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $braze->port)
  or die "connect: $!";

# as many answers as asked for, of a connection that stays open
sub answers
{
	my ($socket, $count) = @_;
	my $text = '';

	while ((my @found = $text =~ /\{"message":"success"\}/g) < $count)
	{
		IO::Select->new($socket)->can_read(60) or return "no answer: $text";
		sysread($socket, $text, 65536, length $text) or return "end: $text";
	}
	return $text =~ s/^(HTTP\S+ \d+).*/$1/sr;
}

my $large = bytes('/users/track', 'x' x 300_000);
print $fast $large;
$fast->flush;
is(answers($fast, 1), 'HTTP/1.1 201', 'fast: an answer');
print $fast bytes('/users/track', 'y' x 10) x 5;
$fast->flush;
is(answers($fast, 5), 'HTTP/1.1 201', 'fast: requests in a row');
foreach my $part (split /(?<=\n)/, bytes('/users/track', "a\nb\n"))
{
	print $fast $part;
	$fast->flush;
}
is(answers($fast, 1), 'HTTP/1.1 201', 'fast: a request in pieces');
$stats = $braze->stats;
is("$stats->{requests} $stats->{bytes}", '7 300054', 'fast: requests and bytes');
print $fast bytes('/users/track', '', 'Transfer-Encoding' => 'chunked');
$fast->flush;
is(finish($fast), 411, 'fast: a length is needed');
is($braze->stop, 0, 'fast: a clean end');

$braze = StandIn->new(fast => undef, delay => 100);
@waiting = map { start("d$_", $_) } 1 .. 100;
is(scalar(grep { finish($_) == 201 } @waiting), 100, 'fast: delayed answers');
@waiting = map { start("d$_", $_) } 1 .. 10;
close $_ foreach @waiting;
StandIn::wait_until(sub { $braze->stats->{connections} == 1 }, 'clients are gone');
is($braze->stop, 0, 'fast: a clean end');

done_testing();
