# A call of which some objects were refused, and options that make other
# objects of it before it is retried: it does not end as if it were sent.

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

$braze->fault(kind => 'errors', name => 'p2', reason => 'no such product');
$node->safe_psql('postgres', <<'EOS');
SELECT braze_track('u1', 'Order Completed',
	'{"order_id": "o1", "products": [{"product_id": "p1", "price": 1}, {"product_id": "p2", "price": 2}]}')
EOS
braze_flush($node);
is($node->safe_psql('postgres', 'SELECT objects FROM braze_dead_letters'), '{2}',
	'one object of two was refused');

$braze->clear_faults;
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (ADD orders_as 'ecommerce')");
$node->safe_psql('postgres', 'SELECT braze_retry()');
braze_flush($node);
like($node->safe_psql('postgres', 'SELECT objects, reason FROM braze_dead_letters'),
	qr/^\{2\}\|.*options were changed/, 'the letter says that there is no such object any more');
is($braze->accepted('events'), 0, 'and nothing else was sent in its place');

$node->safe_psql('postgres', 'UPDATE braze_dead_letters SET objects = NULL');
$node->safe_psql('postgres', 'SELECT braze_retry()');
braze_flush($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0',
	'all of it can be sent');
is($braze->accepted('events'), 1, 'and is');

# an option that puts an event before the purchases: they keep their numbers
$braze->reset;
$braze->fault(kind => 'errors', name => 'p2', reason => 'no such product');
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET orders_as 'purchases')");
$node->safe_psql('postgres', <<'EOS');
SELECT braze_track('u1', 'Order Completed',
	'{"order_id": "o2", "products": [{"product_id": "p1", "price": 1}, {"product_id": "p2", "price": 2}]}')
EOS
braze_flush($node);
$braze->clear_faults;
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET orders_as 'both')");
is($node->safe_psql('postgres', <<'EOS'), 'p2', 'braze_pending would show what is sent');
SELECT string_agg(payload->>'product_id', ' ') FROM braze_dead_letters d, braze_map_queued(d.call, d.destination, d.objects)
EOS
$node->safe_psql('postgres', 'SELECT braze_retry()');
braze_flush($node);
is(join(' ', map { $_->{name} } grep { $_->{outcome} eq 'accepted' } $braze->log), 'p1 p2', 'what was refused is sent, and that alone');

# nothing of a call was accepted: whatever it becomes now is sent
$braze->reset;
$braze->fault(kind => 'errors', name => $_, reason => 'no such product') foreach 'p1', 'p2';
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET orders_as 'purchases')");
$node->safe_psql('postgres', <<'EOS');
SELECT braze_track('u1', 'Order Completed',
	'{"order_id": "o3", "products": [{"product_id": "p1", "price": 1}, {"product_id": "p2", "price": 2}]}')
EOS
braze_flush($node);
is($node->safe_psql('postgres', 'SELECT objects IS NULL FROM braze_dead_letters'), 't', 'all objects are no numbers');
$braze->clear_faults;
$node->safe_psql('postgres', "ALTER SERVER braze OPTIONS (SET orders_as 'ecommerce')");
$node->safe_psql('postgres', 'SELECT braze_retry()');
braze_flush($node);
is(join(' ', map { $_->{name} } grep { $_->{outcome} eq 'accepted' } $braze->log), 'ecommerce.order_placed', 'the event in their place');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'and no letter is left');

$node->stop;
done_testing();
