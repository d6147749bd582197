# Answers that no honest server would give: the worker's memory stays bounded,
# the calls end as they should, and what is kept of an answer is text that the
# database can store, in whatever encoding it has.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# what an answer may cost the worker, in kB, over what it had before: the
# answer's first megabyte, what is parsed of it, and what malloc keeps
my $limit = 40 * 1024;

my $braze = StandIn->new;
my $node = braze_node('main', $braze, conf => 'restart_after_crash = off');

sub sql
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database || 'postgres', $sql);
}

# the most memory that the process ever had
sub peak
{
	my ($pid) = @_;
	my ($peak) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s*(\d+) kB/m;

	return $peak;
}

# one answer as the fault says, and then honest ones
sub answer
{
	my ($what, %fault) = @_;
	my $pid = braze_wait_for_worker($node);
	my $before;
	my $id;

	$braze->reset;
	sql("SELECT braze_track('u0', 'A')");
	braze_flush($node);
	$before = peak($pid);
	$id = $braze->fault(count => 1, %fault);
	sql("SELECT count(braze_track('u' || n, 'A')) FROM generate_series(1, 50) n");
	($fault{status} || 0) == 401 ? braze_wait_for_state($node, 'braze', 'paused%') : braze_flush($node);
	is($braze->hits($id), 1, "$what: had");
	cmp_ok(peak($pid) - $before, '<', $limit, 'costs a bounded amount of memory');
	is(braze_worker_pid($node), $pid, 'and no process');
	return;
}

sub all_arrived
{
	my %had = map { ($_->{user} => 1) } grep { $_->{outcome} eq 'accepted' } $braze->log;

	is(scalar keys %had, 51, 'every call arrives');
	is(braze_dead_letters($node), '', 'none is blamed');
	return;
}

my $entry = '{"type":"x","input_array":"events","index":0}';

answer('a gigabyte', kind => 'huge');
all_arrived();
answer('eight gigabytes', kind => 'huge', bytes => 2**33);
all_arrived();
foreach my $status (500, 503)
{
	answer("a $status of 900 kB", kind => 'status', status => $status, body => 'x' x 900_000);
	all_arrived();
}
answer('deep nesting', kind => 'status', status => 503, body => '[' x 900_000);
all_arrived();
answer('deep nesting that succeeds', kind => 'status', status => 201, body => '{"a":' x 150_000 . '1' . '}' x 150_000);
all_arrived();
answer('empty objects by the hundred thousand', kind => 'status', status => 201,
	body => '{"message":"success","errors":[' . join(',', ('{}') x 300_000) . ']}');
all_arrived();
answer('headers without end', kind => 'status', status => 503, body => 'x',
	headers => { map { ("X-Header-$_" => 'x' x 4000) } 1 .. 60 });
all_arrived();

# of this one, Braze's errors are believed: there is one of the first object
answer('hundreds of errors about one object', kind => 'status', status => 400,
	body => '{"message":"no","errors":[' . join(',', ($entry) x 700) . ']}');
is(sql('SELECT count(*), min(reason) FROM braze_dead_letters'), '1|x', 'refuse that one, once');
sql('DELETE FROM braze_dead_letters');

answer('a pause with a long reason', kind => 'status', status => 401, body => 'x' x 900_000);
cmp_ok(sql('SELECT max(octet_length(reason)) FROM braze_paused'), '<', 1000, 'of which the beginning is kept');
sql("SELECT braze_start('braze')");
braze_flush($node);
all_arrived();

# text that is none, or is none in the database's encoding, wherever it is kept
my @bodies = (
	"\xff\xfe\xc3\x28 \xe6\x97\xa5\xe6\x9c\xac \xc3\xa9\xed\xa0\x80\xf4\x90\x80\x80 " x 20,
	"{\"message\":\"\xe6\x97\xa5\xe6\x9c\xac \xc3\xa9 \xf0\x9f\x98\x80\"}",
	'x' . "\xe6\x97\xa5" x 200);
my %kept = (
	401 => [ 'braze_paused', 'reason' ],
	503 => [ 'braze_status', 'last_error' ],
	400 => [ 'braze_dead_letters', 'reason' ]);

foreach my $encoding ('UTF8', 'LATIN1', 'EUC_JP')
{
	my $database = lc $encoding;

	sql("CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	sql('CREATE EXTENSION segment_braze', $database);
	braze_destination($node, $database, 'braze', $braze);
	foreach my $status (sort keys %kept)
	{
		my ($table, $column) = @{ $kept{$status} };
		my $valid = 0;

		foreach my $body (@bodies)
		{
			$braze->reset;
			$braze->fault(kind => 'status', status => $status, body => $body, count => 1);
			sql("SELECT braze_track('u1', 'A')", $database);
			$node->poll_query_until($database, "SELECT count(*) = 1 FROM $table WHERE $column LIKE 'HTTP $status%'")
			  or die "nothing in $table";

			# convert_to complains of what is not valid
			$valid++ if sql(<<EOS, $database) eq 't';
SELECT convert_to($column, 'UTF8') IS NOT NULL AND ('$encoding' = 'UTF8' OR $column ~ '^[ -~]*\$')
FROM $table WHERE $column LIKE 'HTTP $status%'
EOS
			sql("SELECT braze_start('braze')", $database);
			sql('DELETE FROM braze_dead_letters', $database);
			braze_flush($node, $database);
		}
		is($valid, scalar @bodies, "$encoding: what $table keeps of a $status is valid");
	}
}
$node->stop;
done_testing();
