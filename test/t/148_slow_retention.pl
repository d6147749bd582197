# What has expired is deleted in transactions that stay short, whatever a trigger
# does with each row: nothing is sent meanwhile.

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

# one row takes longer than a slice may
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE deleted (transaction bigint, id bigint);
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_sleep(0.1);
	INSERT INTO public.deleted VALUES (txid_current(), OLD.id);
	RETURN OLD;
END $$;
CREATE TRIGGER slow BEFORE DELETE ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION slow();
INSERT INTO braze_dead_letters (destination, call, state, reason, queued_at, failed_at)
SELECT 'braze', '{}', 'rejected', 'for the test', now() - interval '3 days', now() - interval '3 days' FROM generate_series(1, 8);
EOS
$node->append_conf('postgresql.conf', "segment_braze.dead_letter_retention = '1d'");
$node->reload;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM braze_dead_letters'), 'all that has expired is deleted');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), count(DISTINCT transaction) FROM deleted'), '8|8|8',
	'each row in a transaction of its own');

$node->stop;
done_testing();
