# The steps of doc/managed.md for tables that are replicated, as they stand there:
# a source without the extension, whose role is no superuser, and a delivery node
# that is killed in the middle of 30,000 updates.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $users = 300;
my $updates = 30_000;

# ---- the page ----

my $page = slurp_file("$FindBin::RealBin/../../doc/managed.md");
my ($section) = $page =~ /^## Replicated tables\n(.*?)^## /ms;
my @steps = $section =~ /^```sql\n(.*?)^```$/msg;

is(scalar @steps, 5, 'the page has its five steps');

my $braze = StandIn->new;
my $source = braze_server('source', preload => 0, allows_streaming => 'logical');

if ($source->pg_version < 15)
{
	$source->stop;
	plan skip_all => 'lists of columns need PostgreSQL 15' unless Test::More->builder->current_test;
	done_testing();
	exit;
}

# what a provider's server has: a role that owns the tables, and one that may replicate
$source->safe_psql('postgres', 'CREATE ROLE owner LOGIN');
$source->safe_psql('postgres', 'CREATE ROLE braze_replicator LOGIN REPLICATION');
$source->safe_psql('postgres', 'CREATE DATABASE shop OWNER owner');

sub on_source
{
	return $source->safe_psql('shop', $_[0], extra_params => [ '-U', 'owner' ]);
}

on_source(<<"EOS");
CREATE TABLE users (id int PRIMARY KEY, first_name text, plan text, password_hash text);
INSERT INTO users SELECT n, 'user ' || n, 'free', 'secret' FROM generate_series(1, $users) n;
EOS

my $node = braze_node('node', $braze, conf => "wal_retrieve_retry_interval = '100ms'");

sub on_node
{
	return $node->safe_psql('postgres', $_[0]);
}

# a step, on the server that it names
sub step
{
	my $step = shift @steps;
	my ($host, $port) = ($source->host, $source->port);

	$step =~ s/host=db\.example\.com port=5432 (.*) sslmode=require'/host=$host port=$port $1'/;
	return $step =~ /^-- on the managed server/ ? on_source($step) : on_node($step);
}

sub wait_until_applied
{
	$source->wait_for_catchup('braze');
	return;
}

step();
step();
step();
ok($node->poll_query_until('postgres', $steps[0], 'r'), 'the table is copied');
shift @steps;
is(on_node('SELECT count(*) FROM users'), $users, 'all of it');
is(on_node("SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'password_hash'"), '0', 'but for a column that is not listed');
is(on_node('SELECT count(*) FROM braze_queue') . $braze->stats->{requests}, '00', 'and without a call');

# ---- the traps ----

# enabled, but not as a replica's
on_node('ALTER TABLE users ENABLE TRIGGER to_braze');
on_source(q{UPDATE users SET plan = 'trial' WHERE id = 1});
wait_until_applied();
is(on_node('SELECT plan FROM users WHERE id = 1'), 'trial', 'a change is applied');
is(on_node('SELECT count(*) FROM braze_queue') . $braze->stats->{requests}, '00', 'without REPLICA nothing fires');

# ---- the steps go on ----

step();
braze_flush($node);
is(scalar $braze->users, $users, 'the rows that were there are delivered');
is($braze->user(1)->{attributes}{plan}, 'trial', 'with what was streamed before the trigger fired');

on_source(q{UPDATE users SET password_hash = 'another'});
wait_until_applied();
is(on_node('SELECT count(*) FROM braze_queue'), '0', 'a change of other columns is no call');

# ---- a row that is no call ----

on_source(q{INSERT INTO users VALUES (1001, repeat('x', 2000000), 'free')});
wait_until_applied();
is(on_node('SELECT count(*) FROM braze_dead_letters'), '1', 'a bad row is a dead letter');

on_node("ALTER ROLE CURRENT_USER RESET segment_braze.on_invalid_call");
on_node('ALTER SUBSCRIPTION braze DISABLE');
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%worker'});
on_node('ALTER SUBSCRIPTION braze ENABLE');
my $log = -s $node->logfile;
on_source(q{INSERT INTO users VALUES (1002, repeat('x', 2000000), 'free'), (1003, 'good', 'free')});
ok($node->wait_for_log(qr/ERROR:  call is too large/, $log), 'without the setting it stops the subscription');
is(on_node('SELECT count(*) FROM users WHERE id > 1001'), '0', 'and what comes after it');
on_node("ALTER ROLE CURRENT_USER SET segment_braze.on_invalid_call = 'dead_letter'");
wait_until_applied();
is(on_node('SELECT count(*) FROM braze_dead_letters'), '2', 'until it is set');

# ---- a kill of the node ----

# the other half comes when it is there again
my ($out, $err) = ('', '');
on_source('CREATE TABLE go_on ()');
my $writer = IPC::Run::start([ 'psql', '-X', '-q', '-d', $source->connstr('shop') . ' user=owner', '-c', <<"EOS" ], '>', \$out, '2>', \$err);
DO \$\$
BEGIN
	FOR i IN 1 .. $updates LOOP
		UPDATE users SET plan = 'plan ' || i WHERE id = 1 + i % $users;
		IF i % 20 = 0 THEN
			COMMIT;
		END IF;
		WHILE i = $updates / 2 AND NOT EXISTS (SELECT FROM go_on) LOOP
			PERFORM pg_sleep(0.01);
			COMMIT;
		END LOOP;
	END LOOP;
END
\$\$;
EOS
ok($node->poll_query_until('postgres', q{SELECT coalesce(max(substr(plan, 6)::int), 0) > 3000 FROM users WHERE plan LIKE 'plan %'}),
	'updates are applied');
my @pids = split /\n/, on_node('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
push @pids, (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
$node->kill9;
StandIn::wait_until(sub { !kill 0, @pids }, 'the node is gone');
$node->start;
on_source('INSERT INTO go_on DEFAULT VALUES');
IPC::Run::finish($writer);
is($err, '', 'the updates were made');
wait_until_applied();
braze_flush($node);

my %last;
$last{ 1 + $_ % $users } = "plan $_" foreach $updates - $users + 1 .. $updates;
my @wrong = grep { $braze->user($_)->{attributes}{plan} ne $last{$_} } keys %last;
is(scalar @wrong, 0, "each user's last value is at Braze") or diag "wrong: @wrong[0 .. ($#wrong < 9 ? $#wrong : 9)]";
is(on_node('SELECT count(*) FROM braze_dead_letters'), '2', 'nothing was refused');

on_node('DROP SUBSCRIPTION braze');
$node->stop;
$source->stop;
done_testing();
