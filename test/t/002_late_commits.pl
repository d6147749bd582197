# Ids become visible out of order: a call that commits late is sent all the
# same, every call once, and those of a user in the order of their ids.

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

sub names
{
	return join ' ', map { $_->{name} } $braze->log;
}

# late, with an id below calls that were sent long ago
my $late = $node->background_psql('postgres');
$late->query_safe("BEGIN; SELECT braze_track('u1', 'late');");
$node->safe_psql('postgres', "SELECT braze_track('u2', 'early')");
braze_flush($node);
is(names(), 'early', 'an open transaction holds up nobody');
$late->query_safe('COMMIT;');
braze_flush($node);
is(names(), 'early late', 'a call that commits late is sent');

# some of several late ones are rolled back, and a savepoint's id is never used
my @late = map { $node->background_psql('postgres') } 1 .. 3;
$braze->reset;
foreach my $i (0 .. 2)
{
	$late[$i]->query_safe(<<EOS);
BEGIN;
SELECT braze_track('u$i', 'late $i');
SAVEPOINT s;
SELECT braze_track('u$i', 'rolled back to');
ROLLBACK TO s;
EOS
	$node->safe_psql('postgres', "SELECT braze_track('u$i', 'early')");
}
braze_flush($node);
$late[1]->query_safe('ROLLBACK;');
$late[2]->query_safe('COMMIT;');
braze_flush($node);
$late[0]->query_safe('COMMIT;');
braze_flush($node);
is(names(), 'early early early late 2 late 0', 'in whichever order they commit');
$_->quit foreach $late, @late;

# one that is prepared, while another one that was open with it ends
$late = $node->background_psql('postgres');
my $other = $node->background_psql('postgres');
$braze->reset;
$late->query_safe("BEGIN; SELECT braze_track('u1', 'prepared');");
$other->query_safe("BEGIN; SELECT braze_track('u3', 'other');");
$node->safe_psql('postgres', "SELECT braze_track('u2', 'early')");
braze_flush($node);
$late->query_safe("PREPARE TRANSACTION 'late';");
foreach my $name ('later', 'later still')
{
	$node->safe_psql('postgres', "SELECT braze_track('u2', '$name')");
	braze_flush($node);
}
$other->query_safe('ROLLBACK;');
foreach my $name ('even later', 'last')
{
	$node->safe_psql('postgres', "SELECT braze_track('u2', '$name')");
	braze_flush($node);
}
$node->safe_psql('postgres', "COMMIT PREPARED 'late'");
braze_flush($node);
is(names(), 'early later later still even later last prepared',
	'a prepared transaction keeps its place');
$_->quit foreach $late, $other;

# the worker starts again while one is open
$late = $node->background_psql('postgres');
$braze->reset;
$late->query_safe("BEGIN; SELECT braze_track('u1', 'late');");
$node->safe_psql('postgres', "SELECT braze_track('u2', 'early')");
braze_flush($node);
my $pid = braze_worker_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
braze_wait_for_worker($node, 'postgres', $pid);
$node->safe_psql('postgres', "SELECT braze_track('u2', 'after the start')");
braze_flush($node);
$late->query_safe('COMMIT;');
braze_flush($node);
is(names(), 'early after the start late', 'a new worker finds a late one, too');
$late->quit;

# 16 writers.  A transaction queues up to three calls of a user, numbered in
# the order of their ids because the user's row is locked first; a third of the
# transactions is rolled back, and a third rolls back a part.
$braze->reset;
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE users (id int PRIMARY KEY);
INSERT INTO users SELECT generate_series(0, 99);
CREATE TABLE committed (seq bigint PRIMARY KEY);
CREATE SEQUENCE seq CACHE 1;
CREATE FUNCTION queue(userid int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n bigint := nextval('seq');
BEGIN
	INSERT INTO committed VALUES (n);
	PERFORM braze_track('w' || userid, 'Written', jsonb_build_object('seq', n));
END $$;
EOS
my %script = (
	commit => 'SELECT queue(:user); COMMIT;',
	rollback => 'ROLLBACK;',
	part => 'SAVEPOINT s; SELECT queue(:user); ROLLBACK TO s; SELECT queue(:user); COMMIT;');
my @arguments;
foreach my $name (sort keys %script)
{
	my $file = $node->basedir . "/$name.sql";

	append_to_file($file, <<EOS . join "\n", split /(?<=;) /, $script{$name});
\\set user random(0, 99)
BEGIN;
SELECT FROM users WHERE id = :user FOR UPDATE;
SELECT queue(:user);
EOS
	push @arguments, '-f', $file;
}
$node->command_ok(
	[ 'pgbench', '-n', '-c', '16', '-j', '2', '-t', '150', @arguments, 'postgres' ],
	'16 writers');
braze_flush($node);
my $committed = $node->safe_psql('postgres', 'SELECT seq FROM committed ORDER BY seq');
my $seen = $braze->seen;
is(join("\n", sort { $a <=> $b } keys %$seen),
	$committed, 'what arrived is exactly what was committed');
my $count = keys %$seen;
cmp_ok($count, '>', 1000, 'and that is a lot');
is_deeply(
	$braze->order,
	{ violations => 0, distinct => $count, duplicates => 0, repeats => 0 },
	'each once, and in order per user');
is($braze->stats->{overlaps}, 0, 'no user was in two requests at the same time');
is($node->safe_psql('postgres', 'SELECT count(*) FROM braze_queue'),
	'0', 'the queue is empty');
is(braze_dead_letters($node), '', 'and there are no dead letters');

# the sweep would find what the reader missed, and say so
unlike(slurp_file($node->logfile), qr/far below the last one/, 'the reader has found it all');

$node->stop;
done_testing();
