# What the mapping makes of money, opt-outs and traits of the context is what
# Braze takes: the stand-in refuses what Braze refuses.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new('listed-currencies' => undef);
my $node = braze_node('main', $braze, options => "orders_as 'both', group_calls 'subscription'");

sub deliver
{
	$node->safe_psql('postgres', join '', map { "SELECT braze_enqueue('$_');" } @_);
	ok(braze_flush($node), 'settled');
	return;
}

# a code of today's ISO 4217 that Braze's list lacks is sent; where Braze
# refuses it, that is a dead letter and not money in another currency
deliver(
	'{"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"order_id": "o1", "currency": "BYN", "products": [{"product_id": "p", "price": 5}]}}',
	'{"type": "track", "userId": "u2", "event": "Order Completed", "properties": {"order_id": "o2", "currency": "EUR", "products": [{"product_id": "p", "price": 5}]}}');
is($node->safe_psql('postgres', q{SELECT call ->> 'userId', state FROM braze_dead_letters}), 'u1|rejected',
	'a currency that Braze does not know is a dead letter');
like($node->safe_psql('postgres', 'SELECT reason FROM braze_dead_letters'), qr/currency/, 'which says so');
is(join(' ', sort map { $_->{object}{currency} // $_->{object}{properties}{currency} } $braze->log), 'BYN BYN EUR EUR',
	'none was replaced');
$node->safe_psql('postgres', 'DELETE FROM braze_dead_letters');
$braze->reset;

# amounts below 0, in each call that can have them
deliver(map {
		my $event = $_;
		"{\"type\": \"track\", \"userId\": \"u1\", \"event\": \"$event\", \"properties\": {\"order_id\": \"o\", \"cart_id\": \"c\", \"checkout_id\": \"k\", "
		  . '"total": -30, "tax": -1, "shipping": -2, "subtotal": -3, "discount": -4, '
		  . '"products": [{"product_id": "p1", "price": -15}, {"product_id": "p2", "price": 5, "quantity": -3}, {"product_id": "p3", "price": 1}]}}'
	} 'Cart Updated', 'Checkout Started', 'Order Completed', 'Order Refunded', 'Order Cancelled', 'Product Added');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'Braze takes what becomes of amounts below 0');
is($braze->stats->{refused}{total}, 0, 'and refuses nothing');
$braze->reset;

# an opt-out arrives, whatever it is called
my $news = '4b5be5b2-6c1d-4f0a-8d3c-2f1f0a7c9e11';
deliver("{\"type\": \"group\", \"userId\": \"u3\", \"groupId\": \"$news\", \"traits\": {\"subscription_state\": \"Unsubscribed\"}}",
	'{"type": "identify", "userId": "u4", "context": {"traits": {"email": "a@example.com", "email_subscribe": "opted-in"}}}');
is($braze->user('u3')->{attributes}{subscription_groups}[0]{subscription_state}, 'unsubscribed', 'an opt-out arrives');
is_deeply($braze->user('u4')->{attributes}, { email => 'a@example.com', email_subscribe => 'opted_in' },
	'and traits of the context do');

# one bad address does not cost the others, and the notes name what was left out
deliver('{"type": "identify", "userId": "u5", "traits": {"email": "<a@example.com>", "plan": "pro", "company": {"a.b": 1, "$x": 2, "$y": 3, "c d": 4, "ok": 2}}}');
is_deeply($braze->user('u5')->{attributes}, { plan => 'pro', company => { ok => 2 } }, 'a bad field is left out alone');
ok( $node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM braze_notes WHERE note LIKE 'The keys "$x", "$y", "a.b" and 1 more inside the trait "company" were left out%'}),
	'the note that is counted names them');

$node->stop;
done_testing();
