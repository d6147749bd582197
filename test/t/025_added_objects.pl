# Columns, indexes, constraints and triggers that somebody added to the
# extension's tables: queueing and delivery obey them and go on.

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
my $node = braze_node('main', $braze,
	options => "changed_attributes_only 'true', deduplicate '1 h'");

$node->safe_psql('postgres', <<'EOS');
CREATE TABLE seen (what text, id bigint, by_role name DEFAULT current_user);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
	INSERT INTO seen VALUES (TG_TABLE_NAME, NEW.id);
	RETURN NULL;
END
$$;
CREATE TRIGGER see AFTER INSERT ON braze_queue FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER see AFTER INSERT ON braze_dead_letters FOR EACH ROW EXECUTE FUNCTION see();

ALTER TABLE braze_queue ADD COLUMN writer name NOT NULL DEFAULT session_user,
	ADD CONSTRAINT no_vip CHECK (call ->> 'userId' <> 'vip');
CREATE INDEX queue_by_user ON braze_queue ((call ->> 'userId'));
CREATE INDEX queue_retried ON braze_queue (id) WHERE objects IS NOT NULL;

ALTER TABLE braze_dead_letters ADD COLUMN ticket text DEFAULT 'open';
CREATE INDEX letters_by_user ON braze_dead_letters ((call ->> 'userId'));

ALTER TABLE braze_profiles ADD COLUMN comment text DEFAULT 'none';
CREATE INDEX profiles_by_size ON braze_profiles (length(attributes));

ALTER TABLE braze_paused ADD COLUMN ticket text DEFAULT 'open';
CREATE INDEX paused_by_word ON braze_paused (lower(reason));

ALTER TABLE braze_messages ADD COLUMN comment text DEFAULT 'none';
CREATE INDEX messages_by_day ON braze_messages (date_trunc('day', queued_at AT TIME ZONE 'UTC'));

ALTER TABLE braze_notes ADD COLUMN comment text DEFAULT 'none';
CREATE INDEX notes_by_size ON braze_notes (length(note));

CREATE ROLE app LOGIN;
GRANT USAGE ON FOREIGN SERVER braze TO app;
EOS

# queueing, by a role that has no right to any of it
$braze->hold;
is($node->safe_psql('postgres', <<'EOS', extra_params => [ '-U', 'app' ]), "t\nt", 'calls are queued');
SELECT braze_identify('u1', '{"plan": "pro", "email": 5}', message_id => 'm1') IS NOT NULL;
SELECT braze_track('u2', 'bad', message_id => 'm2') IS NOT NULL;
EOS
is( $node->safe_psql('postgres', <<'EOS'),
SET enable_seqscan = off;
SELECT call ->> 'type', writer FROM braze_queue WHERE call ->> 'userId' = 'u1';
SELECT count(*) FROM braze_queue WHERE objects IS NOT NULL AND id > 0;
SELECT string_agg(what || ' ' || by_role, ', ') FROM seen;
EOS
	"identify|app\n0\nbraze_queue postgres, braze_queue postgres",
	'with defaults, indexes and triggers obeyed');
my ($status, $out, $err) = $node->psql('postgres', "SELECT braze_track('vip', 'e')");
like($err, qr/violates check constraint "no_vip"/, 'and a constraint');

# delivery, with a dead letter, a profile that is written twice, and a note
$braze->fault(kind => 'errors', name => 'bad', reason => 'no such event');
$braze->release;
ok(braze_flush($node), 'what was queued is settled');
is( $node->safe_psql('postgres', <<'EOS'), 'no such event|open', 'the dead letter is indexed');
SET enable_seqscan = off;
SELECT reason, ticket FROM braze_dead_letters WHERE call ->> 'userId' = 'u2';
EOS
is($node->safe_psql('postgres', "SELECT count(*) FROM seen WHERE what = 'braze_dead_letters'"),
	'1', 'and seen by its trigger');

# a retry that is refused again, and one that is not
$node->safe_psql('postgres', "UPDATE braze_dead_letters SET ticket = 'mine'");
$node->safe_psql('postgres', 'SELECT braze_retry()');
ok(braze_flush($node), 'a dead letter is queued again');
is($node->safe_psql('postgres', 'SELECT ticket, attempts FROM braze_dead_letters'), 'mine|2',
	'and refused again, what was added is kept');
$braze->clear_faults;
$node->safe_psql('postgres', 'SELECT braze_retry()');
ok(braze_flush($node), 'it is queued once more');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_dead_letters'), '0', 'and delivered');

$node->safe_psql('postgres', q{SELECT braze_identify('u1', '{"plan": "free"}')});
ok(braze_flush($node), 'a profile is written again');
is($node->safe_psql('postgres', q{SELECT count(*), min(comment) FROM braze_profiles WHERE "user" LIKE '%u1%'}),
	'1|none', 'in one row');
$node->safe_psql('postgres', q{SELECT braze_identify('u1', '{"plan": "free"}')});
ok(braze_flush($node), 'a known attribute is settled');
is($node->safe_psql('postgres', "SELECT unchanged FROM braze_status"), '1', 'and is remembered');
$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM braze_notes')
  or die 'no note was written';

# a pause that the worker writes and ends
$braze->set_key('another-key');
$node->safe_psql('postgres', q{SELECT braze_track('u3', 'e')});
braze_wait_for_state($node, 'braze', 'paused:%');
ok(braze_wait_for_count($node, 1, 'braze_paused', "by_worker AND ticket = 'open'"),
	'the worker pauses');
$node->safe_psql('postgres',
	"ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'another-key')");
ok(braze_flush($node), 'and goes on');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_paused'), '0', 'the pause is over');

unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no process crashed');

$node->stop;
done_testing();
