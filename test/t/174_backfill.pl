# braze_backfill: parts that wait for each other, destinations that do not
# deliver, kills and cancels, and rows that the application has locked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run qw(start finish pump timeout);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $braze = StandIn->new;
my $node = braze_node('main', $braze);
my $call = "CALL braze_backfill('users', 'to_braze', rows_per_part => 400)";

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# a session of its own
sub session
{
	my %session = (in => '', out => '', err => '', sent => 0);

	$session{psql} = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err}, timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

# sends statements, and waits for none of them
sub send_to
{
	my ($session, $sql) = @_;

	$session->{in} .= "$sql;\n\\echo ended " . ++$session->{sent} . "\n";
	pump($session->{psql}) while length $session->{in};
	return;
}

# waits until they have ended; returns the messages since the last time
sub done
{
	my ($session) = @_;

	return said($session, out => qr/^ended $session->{sent}$/m);
}

# waits for an output, or for a message; the same
sub said
{
	my ($session, $where, $pattern) = @_;
	my $messages;

	pump($session->{psql}) until $session->{$where} =~ $pattern || $session->{out} =~ /^ended $session->{sent}$/m;
	$messages = $session->{err};
	$session->{err} = '';
	return $messages;
}

sub end
{
	my ($session) = @_;

	# one whose server has crashed may have ended already
	local $SIG{PIPE} = 'IGNORE';
	$session->{in} .= "\\q\n";
	eval { finish($session->{psql}) };
	return;
}

# the process that backfills, once it is at what the condition says
sub pid_at
{
	my ($where) = @_;
	my $query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND query LIKE 'CALL braze_%' AND state = 'active' AND $where";

	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($query) s") or die "no session where $where";
	return run($query);
}

# kill -9, after which the server recovers
sub crash
{
	my ($pid) = @_;
	my $log = -s $node->logfile;

	kill 'KILL', $pid;
	$node->wait_for_log(qr/database system is ready to accept connections/, $log);
	return;
}

run(<<'EOS');
CREATE TABLE users (id int PRIMARY KEY, plan text);
INSERT INTO users SELECT n, 'old' FROM generate_series(1, 1200) n;
CREATE TRIGGER to_braze AFTER INSERT OR UPDATE ON users FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'traits', 'plan');
-- each call that was queued and committed; one for user 500 waits at the gate
CREATE TABLE queued (id bigint, user_id int, plan text);
CREATE FUNCTION note_queued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.queued VALUES (NEW.id, (NEW.call ->> 'userId')::int, NEW.call #>> '{traits,plan}');
	IF NEW.call ->> 'userId' = '500' THEN
		PERFORM pg_advisory_xact_lock(79174);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE INSERT ON braze_queue FOR EACH ROW EXECUTE FUNCTION note_queued();
EOS

# --- a destination that is paused: one part, a notice, and a wait that holds nothing

run("SELECT braze_pause('braze', 'by us, for lunch')");
my $filler = session();
send_to($filler, $call);
like(said($filler, err => qr/^DETAIL/m), qr/^NOTICE:  400 calls wait for destination "braze": paused: by us, for lunch$/m, 'a notice names the state');
is(run('SELECT count(*) FROM braze_queue'), 400, 'one part is queued while the destination is paused');
my $pid = pid_at('true');
ok($node->poll_query_until('postgres', <<EOS), 'no snapshot, no lock on a table and no transaction id are held meanwhile');
SELECT a.backend_xmin IS NULL AND a.backend_xid IS NULL
	AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'relation')
FROM pg_stat_activity a WHERE a.pid = $pid
EOS
run("SELECT pg_cancel_backend($pid)");
like(done($filler), qr/^ERROR:  canceling statement due to user request/m, 'it can be cancelled');
send_to($filler, $call);
like(said($filler, err => qr/^DETAIL/m), qr/^NOTICE:  the backfill of table public.users goes on after 400 calls\nNOTICE:  2 calls wait for/m, 'a second CALL goes on');
is(run('SELECT count(*) FROM braze_queue'), 400, 'and waits for the part of the first');
run('SELECT pg_cancel_backend(' . pid_at('true') . ')');
done($filler);

# --- not started: an origin, from which somebody collects

run('DELETE FROM braze_paused');
send_to($filler, $call);
like(said($filler, err => qr/^DETAIL/m), qr/: not started here: start it, or collect it from elsewhere/, 'a destination that is not started');

# --- killed within a part, of which rows are locked and calls are queued

my $app = session();
send_to($app, 'SELECT pg_advisory_lock(79174)');
done($app);
run('DELETE FROM braze_queue');
crash(pid_at("wait_event = 'advisory'"));
end($filler);
end($app);
is(run('SELECT count(*), count(DISTINCT user_id) FROM queued'), '400|400', 'whoever takes a part, the next one begins; after a kill within it nothing of it is there');

# --- rows that others have locked; who has locked one may need the table as well

$braze->hold;
run("SELECT braze_start('braze')");
$app = session();
send_to($app, "BEGIN; UPDATE users SET plan = 'new' WHERE id = 700");
done($app);
$filler = session();
send_to($filler, $call);
pid_at("wait_event_type = 'Lock'");
is(run('SELECT count(DISTINCT user_id) FROM queued'), 799, 'the others of its part are queued');
send_to($app, "UPDATE users SET plan = 'new' WHERE id = 600; ALTER TABLE users ADD COLUMN extra int; COMMIT");
is(done($app), '', 'the application is no victim of a deadlock');

# --- killed while it waits for a row of the last part

send_to($app, "BEGIN; SELECT FROM users WHERE id = 1000 FOR UPDATE");
done($app);
$braze->release;
$node->poll_query_until('postgres', "SELECT after = '{1200}' AND skipped = '{1000}' FROM braze_backfills") or die 'there is no last part';
crash(pid_at("wait_event_type = 'Lock'"));
end($_) foreach $filler, $app;
is(run('SELECT count(DISTINCT user_id) FROM queued'), 1199, 'all but that row are queued');
$filler = session();
send_to($filler, $call);
like(done($filler), qr/^NOTICE:  the backfill through trigger "to_braze" is complete: it has queued 1200 calls$/m, 'the next CALL does what is left');
is(run(<<'EOS'), "600|old,new\n700|new,new", 'each row was queued once, and after what the trigger has queued meanwhile');
SELECT user_id, string_agg(plan, ',' ORDER BY id) FROM queued GROUP BY 1 HAVING count(*) > 1 OR min(plan) <> 'old' ORDER BY 1
EOS
braze_flush($node);
is($braze->user($_)->{attributes}{plan}, $_ == 600 || $_ == 700 ? 'new' : 'old', "Braze has the last value of user $_") foreach 500, 600, 700, 1000, 1200;

# --- down, and up again

$braze->fault(kind => 'status', status => 503);
send_to($filler, $call);
like(said($filler, err => qr/^DETAIL/m), qr/^NOTICE:  400 calls wait for destination "braze": retrying: .*503/m, 'a destination that is down');
is(run('SELECT count(*) FROM braze_queue'), 400, 'has one part in the queue');
$braze->clear_faults;
like(done($filler), qr/ is complete: it has queued 1200 calls$/m, 'and once it is up again all goes on');

# --- the calls of a query, of which a part waits without a snapshot

run("SELECT braze_pause('braze', 'again')");
send_to($filler, q{CALL braze_enqueue_rows($$SELECT jsonb_build_object('type', 'track', 'event', 'A', 'userId', n::text) FROM generate_series(2001, 2450) n$$, rows_per_part => 200)});
like(said($filler, err => qr/^DETAIL/m), qr/^NOTICE:  200 calls wait for destination "braze": paused: again$/m, 'the rows of a query are queued in parts as well');
is(run("SELECT count(*), max(call ->> 'userId') FILTER (WHERE id = (SELECT max(id) FROM braze_queue)) FROM braze_queue"), '200|2200', 'in their order');
$pid = pid_at('true');
ok($node->poll_query_until('postgres', "SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $pid"), 'without a snapshot');
run("SELECT braze_start('braze')");
like(done($filler), qr/^NOTICE:  450 calls were queued$/m, 'to the last');
run("SELECT braze_pause('braze', 'again')");
send_to($filler, q{CALL braze_enqueue_rows($$SELECT jsonb_build_object('type', 'track', 'event', 'A', 'userId', n::text) FROM generate_series(2001, 2450) n$$, rows_per_part => 200)});
said($filler, err => qr/^DETAIL/m);
run('SELECT pg_cancel_backend(' . pid_at('true') . ')');
like(done($filler), qr/^ERROR:  canceling statement/m, 'it can be cancelled');
send_to($filler, 'SELECT count(*) FROM pg_cursors');
done($filler);
like($filler->{out}, qr/^0\nended \d+\n\z/m, 'and nothing of it is left in the session');
run("SELECT braze_start('braze')");
braze_flush($node);
end($filler);

# --- live calls do not drown

my $rows = 100_000;
run(<<EOS);
DROP TRIGGER note ON braze_queue;
CREATE TABLE many (id int PRIMARY KEY, plan text);
INSERT INTO many SELECT n, 'old' FROM generate_series(1, $rows) n;
CREATE TRIGGER to_braze AFTER INSERT OR UPDATE ON many FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'identify', 'user_id', 'id', 'traits', 'plan');
ALTER SERVER braze OPTIONS (ADD max_requests_per_second '100');
EOS
braze_flush($node);
$braze->reset;
$filler = session();
send_to($filler, "CALL braze_backfill('many', 'to_braze')");
my @accepted;
until ($filler->{out} =~ /^ended/m)
{
	push @accepted, $braze->accepted('attributes');
	run("SELECT braze_track('live', 'Live', '{\"seq\": $#accepted}')");
	$filler->{psql}->pump_nb;
}
like(done($filler), qr/ is complete: it has queued $rows calls$/m, 'many rows');
end($filler);
braze_flush($node);
my ($most, $live) = (0, 0);
my ($first) = $braze->log(limit => 1);
foreach my $object ($braze->log(user => 'live', limit => scalar @accepted))
{
	# what arrived before it, without the live calls among these
	my $meanwhile = $object->{seq} - $first->{seq} - $live - $accepted[$live];

	$most = $meanwhile if $meanwhile > $most;
	$live++;
}
is($braze->accepted('attributes') . ", $live", "$rows, " . @accepted, 'all of them arrive');
cmp_ok($live, '>=', 10, "$live live calls meanwhile");
cmp_ok($most, '<=', 20000, "at most $most rows arrive between the commit of a live call and its arrival");

# --- a messageId that another transaction has queued is not waited for with rows locked

run(<<'EOS');
ALTER SERVER braze OPTIONS (ADD deduplicate '1 d');
CREATE TABLE events (id int PRIMARY KEY, message text NOT NULL);
INSERT INTO events SELECT n, 'm' || n FROM generate_series(1, 10) n;
CREATE TRIGGER to_braze AFTER INSERT ON events FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'E', 'user_id', 'id', 'message_id', 'message');
EOS
$app = session();
$filler = session();
send_to($app, q{BEGIN; SELECT braze_track('u', 'E', message_id => 'm6')});
done($app);
send_to($filler, "CALL braze_backfill('events', 'to_braze')");
pid_at("wait_event_type = 'Lock'");
send_to($app, "UPDATE events SET message = message WHERE id = 8");
is(done($app), '', 'the application changes a row of the part');
$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM braze_backfills WHERE skipped_done = 5') or die 'rows are not queued one by one';
send_to($app, "COMMIT");
is(done($app), '', 'and commits');
like(done($filler), qr/^NOTICE:  the backfill through trigger "to_braze" is complete: it has queued 9 calls$/m, 'all rows but the duplicate are queued');
end($_) foreach $filler, $app;

$node->stop;
done_testing();
