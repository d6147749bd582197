# A workspace whose limit is below 75 objects a request: the size is learned
# from what is refused, shown, and tried again only now and then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $events = 6000;

foreach my $limit (5, 50)
{
	my $braze = StandIn->new('max-objects' => $limit);
	my $node = braze_node("limit$limit", $braze);
	my $state = 'SELECT state FROM braze_status';

	ok($node->poll_query_until('postgres', $state, 'running'), "limit $limit: nothing is known at first");
	$node->safe_psql('postgres',
		"SELECT braze_track('u' || i, 'E', jsonb_build_object('seq', i)) FROM generate_series(1, $events) i");
	ok(braze_flush($node), "$events events are settled");

	my $stats = $braze->stats;
	my $good = $stats->{answers}{201};
	my $bad = $stats->{answers}{400} // 0;

	is($stats->{accepted}{total}, $events, 'each was accepted once');
	is($stats->{refused}{total}, 0, 'and none was refused for it');
	note("$good requests were accepted, $bad refused");
	ok($bad > 0 && $bad < $good / 10, 'few requests were too large');
	like($node->safe_psql('postgres', $state),
		qr/^running: this workspace takes at most \d+ objects in a request, .* max_objects_per_request/,
		'the status says so, and names the option');

	# what is learned is not stored
	$node->restart;
	ok($node->poll_query_until('postgres', $state, 'running'), 'a restart forgets it');

	# with the option nothing is refused
	$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (ADD max_objects_per_request '$limit')");
	$braze->reset;
	$node->safe_psql('postgres',
		"SELECT braze_track('u' || i, 'E', jsonb_build_object('seq', i)) FROM generate_series(1, 500) i");
	ok(braze_flush($node), 'more events are settled');
	is($braze->stats->{answers}{400} // 0, 0, 'none with the option set');
	ok($node->poll_query_until('postgres', $state, 'running'), 'and nothing to be said');
	$node->stop;
}

# Many requests are under way when the first is refused: their calls go back to
# the queue, are taken again, and braze_flush waits for them all the same.
{
	my $braze = StandIn->new('max-objects' => 5);
	my $node = braze_node('once', $braze, options => "delivery 'at_most_once'");

	foreach my $round (1 .. 4)
	{
		# what was learned is forgotten
		$node->restart;
		$braze->reset;
		$node->safe_psql('postgres', q{SELECT braze_track('u', 'E', '{"seq": 0}')});
		ok(braze_flush($node), "round $round: a start is over");
		$braze->fault(kind => 'slow', delay_ms => 300, count => 20);
		$node->safe_psql('postgres',
			"SELECT braze_track('u' || i, 'E', jsonb_build_object('seq', i)) FROM generate_series(1, 1500) i");
		ok(braze_flush($node), '1500 events are settled');

		my $stats = $braze->stats;
		my $bad = $stats->{answers}{400};

		note("$stats->{answers}{201} requests were accepted, $bad refused, $stats->{max_concurrent} at a time");
		is($stats->{accepted}{total}, 1501, 'each was accepted once');
		ok($bad < $stats->{answers}{201} / 2, 'not many requests were too large');
	}
	is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'no call is left behind');
	is($node->safe_psql('postgres', 'SELECT ambiguous_calls FROM braze_status'), '0', 'or in doubt');
	$node->stop;
}

done_testing();
