# HTTPS through a real server: who it is is verified before anything is sent,
# connections are few and kept, and one that ended while idle is no error.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use Nginx;
use Relay;
use StandIn;

plan skip_all => 'needs nginx' unless Nginx::program();

my $braze = StandIn->new;
my $other = StandIn->new;
my $front = Nginx->new(
	$braze->port,
	good => { conf => 'keepalive_requests 10000;' },
	unknown => { certificate => { authority => 'other-ca' } },
	wrong_host => { certificate => { names => 'DNS:braze.example,IP:127.0.0.2' } },
	expired => { certificate => { days => -1 } },
	old_tls => { conf => 'ssl_protocols TLSv1 TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;' },
	http1 => { http2 => 0, conf => 'keepalive_timeout 1h;' },
	idle => { conf => 'keepalive_timeout 100ms;' },
	idle_http1 => { http2 => 0, conf => 'keepalive_timeout 100ms;' },
	few_requests => { conf => 'keepalive_requests 100;' },
	few_streams => { conf => 'http2_max_concurrent_streams 4;' },
	small_bodies => { conf => 'client_max_body_size 4k;' },
	redirect => { location => 'return 308 http://127.0.0.1:' . $other->port . '$request_uri;' });
my $node;

# where curl would go if it obeyed these, nobody listens
{
	my $nobody = 'http://127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();

	local @ENV{qw(http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY)} = ($nobody) x 5;
	$node = braze_node('main', $braze);
}

# the server's options, through ALTER SERVER as an operator would
sub point_to
{
	my ($name, %options) = @_;
	my $host = delete $options{host};
	my $ca_file = delete $options{ca_file} || $front->ca_file;
	my $url = $front->url($name, $host);

	$braze->reset;
	$node->safe_psql('postgres', <<EOS);
DO \$\$
DECLARE
	given name;
BEGIN
	FOR given IN
		SELECT (pg_options_to_table(srvoptions)).option_name FROM pg_foreign_server WHERE srvname = 'braze'
	LOOP
		CONTINUE WHEN given = 'custom_api_endpoint';
		EXECUTE format('ALTER SERVER braze OPTIONS (DROP %I)', given);
	END LOOP;
END
\$\$;
ALTER SERVER braze OPTIONS (SET custom_api_endpoint '$url', ADD ca_file '$ca_file');
EOS
	foreach my $option (sort keys %options)
	{
		$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (ADD $option '$options{$option}')");
	}
	return;
}

sub queue
{
	my ($count, $properties) = @_;

	$properties ||= "jsonb_build_object('seq', n)";
	$node->safe_psql('postgres', <<EOS);
SELECT count(braze_track('u' || n, 'A', $properties)) FROM generate_series(1, $count) n
EOS
	return;
}

# what the status counts of things that went wrong
sub retries
{
	return $node->safe_psql('postgres', "SELECT retries FROM braze_status WHERE destination = 'braze'");
}

sub last_error
{
	return $node->safe_psql('postgres', "SELECT last_error FROM braze_status WHERE destination = 'braze'");
}

# every number once
sub each_once
{
	my ($count, $what) = @_;
	my $seen = $braze->seen;

	is(join(' ', map { "$_*$seen->{$_}" } sort { $a <=> $b } keys %$seen),
		join(' ', map { "$_*1" } 1 .. $count), $what);
	return;
}

sub protocols
{
	my ($name) = @_;
	my %had = map { ("$_->{protocol} $_->{tls} $_->{status}" => 1) } $front->requests($name);

	return join ', ', sort keys %had;
}

sub distinct_connections
{
	my ($name) = @_;
	my %had = map { ($_->{connection} => 1) } $front->requests($name);

	return scalar keys %had;
}

# connections that had their first request before others had their last
sub most_at_once
{
	my ($name) = @_;
	my @requests = $front->requests($name);
	my (%first, %last);
	my $open = 0;
	my $most = 0;

	foreach my $i (0 .. $#requests)
	{
		my $connection = $requests[$i]{connection};

		$first{$connection} = $i unless exists $first{$connection};
		$last{$connection} = $i;
	}
	foreach my $i (0 .. $#requests)
	{
		my $connection = $requests[$i]{connection};

		$open++ if $first{$connection} == $i;
		$most = $open if $open > $most;
		$open-- if $last{$connection} == $i;
	}
	return $most;
}

# a server whose certificate is right
point_to('good');
queue(3);
braze_flush($node);
each_once(3, 'with ca_file its authority is trusted');
is(protocols('good'), 'HTTP/2.0 TLSv1.3 201', 'HTTP/2 is what they agree on, and proxies in the environment are not asked');
point_to('good', host => 'localhost');
queue(3);
braze_flush($node);
each_once(3, 'under each name that the certificate has');

# a server that is not what it should be gets nothing, and nothing is lost
my %stranger = (
	unknown => qr/certificate is not accepted: .*issuer/,
	wrong_host => qr/certificate is not accepted: .*127\.0\.0\.1/,
	expired => qr/certificate is not accepted: .*expired/,
	old_tls => qr/no connection over TLS 1\.2 or later: /);
foreach my $name (sort keys %stranger)
{
	point_to($name);
	queue(3);
	ok(braze_wait_for_state($node, 'braze', 'retrying%'), "$name: not delivered");
	like(last_error(), $stranger{$name}, 'the status says why: ' . last_error());
	is($braze->stats->{requests}, 0, 'no request has gone through');
	is(scalar $front->requests($name), 0, 'nor a header with the key to who is there');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'), '3', 'the calls wait');
	point_to('good');
	braze_flush($node);
	each_once(3, 'and are delivered once ALTER SERVER has mended it');
}

# an authority's file that is not there, and comes
my $late_file = $node->basedir . '/late.pem';
point_to('good', ca_file => $late_file);
queue(3);
ok(braze_wait_for_state($node, 'braze', 'retrying%'), 'a ca_file that is not there: not delivered');
like(last_error(), qr/certificate authorities cannot be read: .*\Q$late_file\E/, 'the status names it');
append_to_file($late_file, slurp_file($front->ca_file));
braze_flush($node);
each_once(3, 'delivered when it is there');

# redirects lead nowhere, least of all to where the key would be readable
point_to('redirect');
queue(3);
ok(braze_wait_for_state($node, 'braze', 'paused: HTTP 308%'), 'a redirect pauses');
is($other->stats->{requests}, 0, 'and is not followed');
point_to('good');
braze_flush($node);
each_once(3, 'delivered once ALTER SERVER has mended it');

# many requests, one connection
my $before = distinct_connections('good');
my $retries = retries();
point_to('good', max_objects_per_request => 1, max_requests_in_flight => 50);
queue(1000);
braze_flush($node);
each_once(1000, 'a thousand requests, fifty at a time');
is(distinct_connections('good'), $before, 'on the connection that is there');
point_to('few_streams', max_objects_per_request => 1, max_requests_in_flight => 50);
queue(1000);
braze_flush($node);
each_once(1000, 'where it takes only four at a time, too');
cmp_ok(most_at_once('few_streams'), '<=', 16, 'on a few connections');
point_to('http1', max_objects_per_request => 1, max_requests_in_flight => 5);
$braze->hold;
queue(200);
$braze->wait_for_stat('held', 5);
$braze->release;
braze_flush($node);
each_once(200, 'without HTTP/2');
is(protocols('http1'), 'HTTP/1.1 TLSv1.3 201', 'HTTP/1.1 will do');
cmp_ok(distinct_connections('http1'), '<=', 10, 'and its connections are kept, but for the five that it answered first');
ok(StandIn::wait_until(sub { $front->connections('http1') <= 5 }, 'five connections are left'), 'these were closed');
is(retries(), $retries, 'nothing of that was sent again');

# answers take so long that a request which had to wait for another's connection
# would be out of time; the first requests go before the server has answered once
$braze->fault(kind => 'slow', delay_ms => 2000);
foreach my $delivery ('at_least_once', 'at_most_once')
{
	my $name = $delivery eq 'at_most_once' ? 'good' : 'http1';

	point_to($name, max_objects_per_request => 1, max_requests_in_flight => 100, request_timeout => '8s', delivery => $delivery);
	$braze->fault(kind => 'slow', delay_ms => 2000);
	queue(200);
	braze_flush($node);
	each_once(200, "$delivery: no request's time runs while others have the connections");
}
is(retries(), $retries, 'nothing of that was sent again');
is(braze_dead_letters($node), '', 'or is in doubt');

# a connection that has fallen silent costs the requests on it, and no more
my $relay = Relay->new($front->port('good'));
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET custom_api_endpoint 'https://127.0.0.1:" . $relay->port . "', DROP delivery)");
$braze->reset;
queue(1);
braze_flush($node);
$relay->silence;
queue(2);
ok(braze_flush($node), 'after a request on a silent connection the next has another');
is(join(' ', sort keys %{ $braze->seen }), '1 2', 'and all is delivered');
$retries = retries();

# the server closes what is idle
foreach my $name ('idle', 'idle_http1')
{
	point_to($name);
	foreach my $round (1 .. 3)
	{
		$braze->reset;
		queue(1);
		braze_flush($node);
		each_once(1, "$name: delivered");
		StandIn::wait_until(sub { $front->connections($name) == 0 }, 'the idle connection is closed');
	}
	is(distinct_connections($name), 3, 'each time on a fresh connection');
	is(retries(), $retries, 'and none of it was an error');
}

# it also ends a connection after some requests, in the middle of others
point_to('few_requests', max_objects_per_request => 1, max_requests_in_flight => 50);
queue(1000);
braze_flush($node);
each_once(1000, 'a connection that takes a hundred requests');
cmp_ok(distinct_connections('few_requests'), '>=', 10, 'is followed by others');
cmp_ok(most_at_once('few_requests'), '<=', 16, 'of which few are open at a time');
is(retries(), $retries, 'and none of it was an error');

# the server answers before it has read a body that is too large for it
point_to('small_bodies');
queue(20, <<'EOS');
jsonb_build_object('seq', n, 'of', (
	SELECT jsonb_object_agg('property ' || i, repeat('x', 250)) FROM generate_series(1, 250) i WHERE n % 10 = 0))
EOS
braze_flush($node);
is(braze_dead_letters($node), 'u10,u20', 'an early 413 is halved until the large calls stand alone');
is($node->safe_psql('postgres', 'SELECT DISTINCT http_status FROM braze_dead_letters'), '413', 'and refused');
is(join(' ', sort { $a <=> $b } keys %{ $braze->seen }),
	join(' ', grep { $_ % 10 } 1 .. 20), 'their neighbours are delivered');
is(retries(), $retries, 'and none of it was an error');

$node->stop;
done_testing();
