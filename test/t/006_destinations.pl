# Destinations do not hold up one another, come and go while the worker runs,
# and tell their key to nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $one = StandIn->new(key => 'secret-of-one');
my $two = StandIn->new(key => 'secret-of-two');
my $node = braze_server('main', conf => "log_min_messages = debug5");
my $key_file = $node->basedir . '/key';

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub write_key
{
	my ($key, $mode) = @_;

	unlink $key_file;
	append_to_file($key_file, $key);
	chmod $mode, $key_file or die "chmod: $!";
	return;
}

sub queue
{
	my ($destination, $count, $prefix) = @_;

	return run(<<EOS);
SELECT count(braze_track('$prefix' || n, 'A', destination => '$destination'))
FROM generate_series(1, $count) n
EOS
}

sub pending
{
	my ($destination) = @_;
	return run("SELECT pending FROM braze_status WHERE destination = '$destination'");
}

run('CREATE EXTENSION segment_braze');
braze_destination($node, 'postgres', 'one', $one, key => "rest_api_key 'secret-of-one'");
write_key("secret-of-two\n", 0600);
braze_destination($node, 'postgres', 'two', $two, key => "rest_api_key_file '$key_file'");

# each gets what is its own
queue('one', 5, 'of one ');
queue('two', 7, 'of two ');
braze_flush($node);
is($one->accepted, 5, 'calls go to their destination');
is($two->accepted, 7, 'and to no other');

# one is paused
$one->reset;
$two->reset;
run("SELECT braze_pause('one', 'test')");
queue('one', 100, 'a');
queue('two', 100, 'a');
braze_flush($node, 'postgres', 'two');
is($two->accepted, 100, 'a paused destination does not hold up the other');
is(pending('one'), '100', 'and keeps its calls');
run("SELECT braze_start('one')");
braze_flush($node);
is($one->accepted, 100, 'until it is resumed');

# one never answers
$one->reset;
$two->reset;
$one->fault(kind => 'never');
run("ALTER SERVER one OPTIONS (ADD max_requests_in_flight '2')");
queue('one', 1000, 'b');
$one->wait_for_stat('held', 2);
queue('two', 1000, 'b');
braze_flush($node, 'postgres', 'two');
is($two->accepted, 1000, 'one that never answers does not, either');
is(pending('one'), '1000', 'it has settled nothing');

# nor one whose server is away, or fails
$one->stop;
$two->reset;
queue('one', 100, 'c');
queue('two', 100, 'c');
braze_flush($node, 'postgres', 'two');
is($two->accepted, 100, 'nor does one that is away');
$one->start;
braze_flush($node);
is($one->accepted, 1100, 'which gets everything when it is back');

# added while the worker runs
my $three = StandIn->new;
braze_destination($node, 'postgres', 'three', $three);
queue('three', 5, 'a');
braze_flush($node);
is($three->accepted, 5, 'a destination may be added at any time');
run("SELECT braze_pause('three'); DROP SERVER three CASCADE;");
is(run("SELECT count(*) FROM braze_status WHERE destination = 'three'"), '0', 'and dropped');

# dropped, with calls in the queue
$three->reset;
braze_destination($node, 'postgres', 'three', $three);
$three->hold;
queue('three', 5, 'b');
$three->wait_for_stat('held', 1);
run('DROP SERVER three CASCADE');
$three->release(status => 503);
run('INSERT INTO braze_queue (destination, call) '
	  . q{VALUES ('three', '{"type": "track", "userId": "later", "event": "A"}')});
queue('two', 1, 'd');
braze_flush($node, 'postgres', 'two');
is(run("SELECT state LIKE 'no such server%', pending FROM braze_status WHERE destination = 'three'"),
	't|6', 'a dropped server leaves its calls');
is($three->accepted, 0, 'and nothing is sent to it');
braze_destination($node, 'postgres', 'three', $three);
braze_flush($node);
is($three->accepted, 6, 'they are sent when it is there again');
is($three->order->{duplicates}, 0, 'each once');

# another endpoint, while it runs
my $four = StandIn->new;
run("ALTER SERVER three OPTIONS (SET custom_api_endpoint '" . $four->url . "')");
queue('three', 3, 'c');
braze_flush($node);
is($four->accepted, 3, 'ALTER SERVER takes effect at once');

# what may be wrong with a key file: paused with the reason, and nothing else
$two->reset;
my %bad = (
	'could not open' => sub { unlink $key_file },
	'mode' => sub { write_key('secret-of-two', 0644) },
	'group or world access' => sub { write_key('secret-of-two', 0640) },
	'longer than' => sub { write_key('x' x 5000, 0600) },
	'alone' => sub { write_key("secret-of-two and more\n", 0600) },
	'regular file' => sub { unlink $key_file; mkdir $key_file });
foreach my $problem (sort keys %bad)
{
	$bad{$problem}->();
	ok(braze_wait_for_state($node, 'two', "paused: %$problem%"), "bad key file: $problem");
	queue('two', 1, "while $problem ");
	queue('one', 1, "while $problem ");
	braze_flush($node, 'postgres', 'one');
	is($two->accepted, 0, 'nothing is sent without a key');
	rmdir $key_file if -d $key_file;
	write_key('secret-of-two', 0600);
	braze_flush($node);
	is($two->accepted, 1, 'and what has waited is sent with one');
	$two->reset;
}
my $link = "$key_file.link";
symlink $key_file, $link or die "symlink: $!";
run("ALTER USER MAPPING FOR CURRENT_USER SERVER two OPTIONS (SET rest_api_key_file '$link')");
queue('two', 1, 'by a link ');
braze_flush($node);
is($two->accepted, 1, 'a symbolic link will do');
run('DROP USER MAPPING FOR CURRENT_USER SERVER two');
ok(braze_wait_for_state($node, 'two', 'paused: %no user mapping%'), 'no mapping is a reason, too');

# where keys must not be: with one that Braze refuses, so that there are errors
$one->set_key('another');
queue('one', 1, 'refused ');
ok(braze_wait_for_state($node, 'one', 'paused: %'), 'a wrong key pauses');
my $shown = run(<<'EOS');
SELECT s::text FROM braze_status s
UNION ALL SELECT p::text FROM braze_paused p
UNION ALL SELECT c::text FROM braze_counters() c
UNION ALL SELECT a::text FROM pg_stat_activity a WHERE backend_type LIKE 'segment_braze%'
EOS
unlike($shown, qr/secret-of/, 'no view shows a key');
$node->stop;
my $log = slurp_file($node->logfile);
like($log, qr/DEBUG:/, 'the log is at its most talkative');
unlike($log, qr/secret-of/, 'and has no key');

done_testing();
