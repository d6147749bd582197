# What an administrator may do to the extension's tables: the status and the
# errors say what is wrong, what helps, and what is not promised any more.

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

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub sql_error
{
	my ($sql) = @_;
	my ($status, $out, $error) = $node->psql('postgres', $sql);

	return $status == 0 ? 'no error' : $error;
}

sub lines
{
	my ($text) = @_;
	return scalar grep { index($_, $text) >= 0 } split /\n/, slurp_file($node->logfile);
}

my @tables = map { "braze_$_" } qw(queue dead_letters paused started messages profiles notes activity_sums activity_users);

# moved: the text is the same for all, and its statement helps
run('CREATE SCHEMA "Else where"');
foreach my $table (@tables)
{
	my $state = qq(no worker: table "$table" was moved from schema "public" to schema "Else where"; run );
	my $repair = qq(ALTER TABLE "Else where".$table SET SCHEMA public);

	run(qq(ALTER TABLE $table SET SCHEMA "Else where"));
	ok($node->poll_query_until('postgres', qq(SELECT braze_worker_state() = '$state$repair')),
		"$table moved: the status says so, and what helps");
	like(sql_error("SELECT braze_track('u1', 'A')"), qr/ERROR:  table "$table" was moved.*HINT:  Run \Q$repair\E\./s,
		"$table moved: so does an error");
	run($repair);
	ok($node->poll_query_until('postgres', 'SELECT braze_worker_state() IS NULL'), "$table is where it was: all is well");
}

# renamed, also where it has been moved
foreach my $table (@tables)
{
	my $state = qq(no worker: table "$table" was renamed to "An other"; run );
	my $repair = qq(ALTER TABLE public."An other" RENAME TO $table);

	run(qq(ALTER TABLE $table RENAME TO "An other"));
	ok($node->poll_query_until('postgres', qq(SELECT braze_worker_state() = '$state$repair')),
		"$table renamed: the status says so, and what helps");
	like(sql_error("SELECT braze_track('u1', 'A')"), qr/ERROR:  table "$table" was renamed.*HINT:  Run \Q$repair\E\./s,
		"$table renamed: so does an error");
	run($repair);
	ok($node->poll_query_until('postgres', 'SELECT braze_worker_state() IS NULL'), "$table has its name again: all is well");
}
run('ALTER TABLE braze_notes RENAME TO notes; ALTER TABLE notes SET SCHEMA "Else where"');
foreach my $step ('renamed to "notes"', 'moved from schema "public" to schema "Else where"')
{
	ok($node->poll_query_until('postgres', qq(SELECT braze_worker_state() LIKE 'no worker: table "braze_notes" was $step; run %')),
		"renamed and moved: $step");
	run(run('SELECT braze_worker_state()') =~ s/.*; run //r);
}
ok($node->poll_query_until('postgres', 'SELECT braze_worker_state() IS NULL'), 'with both undone all is well');

# while ours has another name, a table of somebody else's gets nothing that was to go there
run(<<'EOS');
CREATE ROLE stranger;
ALTER TABLE braze_dead_letters RENAME TO old_letters;
CREATE TABLE braze_dead_letters (LIKE old_letters INCLUDING ALL);
ALTER TABLE braze_dead_letters OWNER TO stranger;
EOS
like(sql_error(q(SET segment_braze.on_invalid_call = dead_letter; SELECT braze_enqueue('{"userId": "u1"}'))),
	qr/ERROR:  table "braze_dead_letters" was renamed to "old_letters"/, 'a table of that name is not taken for ours');
run('DROP TABLE braze_dead_letters; ALTER TABLE old_letters RENAME TO braze_dead_letters; DROP ROLE stranger');
ok($node->poll_query_until('postgres', 'SELECT braze_worker_state() IS NULL'), 'without it all is well');

# dropped, or made again with fewer columns
run('CREATE TABLE copy (LIKE braze_notes INCLUDING ALL)');
run('ALTER EXTENSION segment_braze DROP TABLE braze_notes; DROP TABLE braze_notes CASCADE');
ok($node->poll_query_until('postgres', q(SELECT braze_worker_state() LIKE 'no worker: table "braze_notes" is missing; run %')),
	'a table that is gone is missing, by the status');
like(sql_error("SELECT braze_track('u1', 'A')"),
	qr/ERROR:  table "braze_notes" is missing.*HINT:  Run ALTER EXTENSION segment_braze ADD TABLE public.braze_notes/s, 'so it is by an error');
run('CREATE TABLE braze_notes (destination text COLLATE "C", outcome text COLLATE "C", note text COLLATE "C", PRIMARY KEY (destination, outcome, note))');
run('ALTER EXTENSION segment_braze ADD TABLE braze_notes');
ok($node->poll_query_until('postgres', q(SELECT braze_worker_state() LIKE 'no worker: table "braze_notes" lacks column "calls"; run %')),
	'one without all its columns says so');
run('ALTER EXTENSION segment_braze DROP TABLE braze_notes; DROP TABLE braze_notes; ALTER TABLE copy RENAME TO braze_notes; ALTER EXTENSION segment_braze ADD TABLE braze_notes');
ok($node->poll_query_until('postgres', 'SELECT braze_worker_state() IS NULL'), 'a table that was made again is used');

# without its key
foreach my $table (@tables)
{
	my $key = run("SELECT conname FROM pg_constraint WHERE conrelid = '$table'::regclass AND contype = 'p'");
	my $state = qq(no worker: table "$table" has no primary key; run );

	run("ALTER TABLE $table DROP CONSTRAINT $key");
	ok($node->poll_query_until('postgres', qq(SELECT braze_worker_state() LIKE '$state%')),
		"$table without its key: the status says so");
	my $repair = run('SELECT braze_worker_state()');
	like($repair, qr/; run ALTER TABLE public\.$table ADD PRIMARY KEY \(.*\)$/, 'and what helps');
	like(sql_error("SELECT braze_track('u1', 'A')"), qr/ERROR:  table "$table" has no primary key/, 'so does an error');
	run($repair =~ s/.*; run //r);
	ok($node->poll_query_until('postgres', 'SELECT braze_worker_state() IS NULL'), "$table with it: all is well");
}
is(lines('is older than its library'), 0, 'nothing was called old');
is(lines('the extension was dropped from'), 0, 'or dropped');
is(lines('nothing is sent from database "postgres": table "braze_queue" has no primary key'), 1, 'the log says it once');
run("SELECT braze_track('u1', 'A')");
braze_flush($node);
is($braze->accepted, 1, 'calls are sent afterwards');

# altered so that no row could be read or written as before, while calls are
# under way: nothing crashes, and the state's own statement repairs it
my @changes = (
	'ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_pkey, ADD PRIMARY KEY (destination, id)',
	'ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_pkey, ADD PRIMARY KEY (queued_at, id)',
	'ALTER TABLE braze_queue ALTER call DROP NOT NULL',
	'ALTER TABLE braze_dead_letters ALTER state DROP NOT NULL',
	'ALTER TABLE braze_profiles ALTER owner TYPE int USING 77');
push @changes, 'ALTER TABLE braze_queue SET ACCESS METHOD heap2' if $node->pg_version >= 15;
run('CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler');
run(q(ALTER SERVER braze OPTIONS (changed_attributes_only 'true')));
$braze->reset;
foreach my $change (@changes)
{
	$braze->hold;
	run(qq(SELECT braze_identify('u' || n, jsonb_build_object('a', \$\$$change\$\$)) FROM generate_series(1, 3) n));
	$braze->wait_for_stat('held', 1);

	# who waits for the lock finds the table altered
	my $owner = $node->background_psql('postgres');
	$owner->query_safe("BEGIN; $change;");
	my $caller = $node->background_psql('postgres', on_error_stop => 0);
	$caller->query_until(qr/asked/, "\\echo asked\nSELECT braze_retry(), braze_identify('u4', '{}');\n");
	$node->poll_query_until('postgres', q(SELECT count(*) > 0 FROM pg_locks WHERE NOT granted))
	  if $change =~ /braze_queue/;
	$owner->query_safe('COMMIT;');
	$owner->quit;
	$braze->release;
	ok($node->poll_query_until('postgres', q(SELECT braze_worker_state() LIKE 'no worker: %table "braze\_%; run ALTER TABLE public.%')), "$change: the status says so");
	$caller->query('');
	like($caller->{stderr}, qr/ERROR: .*table "braze_/, 'and so does an error of one who waited') if $change =~ /braze_queue/;
	$caller->quit;
	run(run('SELECT braze_worker_state()') =~ s/.*; run //r);
	braze_flush($node);
}
is(lines('was terminated by signal'), 0, 'nothing has crashed');
is($braze->order->{violations}, 0, 'each user has got the calls in order');
run(q(ALTER SERVER braze OPTIONS (DROP changed_attributes_only)));

# unlogged
foreach my $table (@tables)
{
	run("ALTER TABLE $table SET UNLOGGED");
	ok(braze_wait_for_state($node, 'braze', "running; after a crash % unlogged: $table (%"), "$table unlogged: the status says what is not promised");
	run("ALTER TABLE $table SET LOGGED");
}
ok(braze_wait_for_state($node, 'braze', 'running'), 'logged again');

# a lock that blocks the worker is in the log, and so is its end
sub wait_for_line
{
	my ($text) = @_;
	return StandIn::wait_until(sub { lines($text) > 0 }, "the log has: $text");
}

$braze->hold;
run("SELECT braze_track('u2', 'A')");
$braze->wait_for_stat('held', 1);
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE braze_queue IN SHARE MODE;');
$braze->release;
ok(wait_for_line('what was answered cannot be settled, and no more is sent'), 'a lock that blocks settling is in the log');
$session->query_safe('ROLLBACK;');
ok(wait_for_line('answers are settled again'), 'and its end');
$session->query_safe('BEGIN; LOCK TABLE braze_queue;');
ok(wait_for_line('the queue of database "postgres" cannot be read'), 'a lock that blocks reading is in the log');
$session->query_safe('ROLLBACK;');
ok(wait_for_line('the queue of database "postgres" is read again'), 'and its end');
$session->quit;
braze_flush($node);
is(lines('what was answered cannot be settled, and no more is sent'), 1, 'it is said once');

$node->stop;
done_testing();
