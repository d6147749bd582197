# What the exporters in monitoring/ ask, as a role that has pg_monitor and nothing
# else: every number under its name; what is wrong in a line; nothing on a standby.
# dev/monitoring does the same with real exporters.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $top = "$FindBin::RealBin/../..";
my $braze = StandIn->new;
my $node = braze_node('main', $braze, allows_streaming => 1);

$node->safe_psql('postgres', 'CREATE ROLE exporter LOGIN; GRANT pg_monitor TO exporter; CREATE ROLE nobody LOGIN');

# as the exporter's role; @_: a statement, and where
sub ask
{
	my ($sql, $server, $role) = @_;

	$server ||= $node;
	$role ||= 'exporter';
	my ($status, $out, $err) = $server->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return $status == 0 ? $out : "error: $err";
}

# ----- every number has a query -----

my $yaml = slurp_file("$top/monitoring/segment_braze_postgres_exporter.yml");
my %queries = $yaml =~ /^(\w+):\n  query: \|\n((?:    .*\n)+)/mg;
my %metrics;    # name => [query, column, usage]
foreach my $query (sort keys %queries)
{
	my ($columns) = $yaml =~ /^\Q$query\E:\n  query: \|\n(?:    .*\n)+  metrics:\n((?:    - .*\n)+)/m;
	while ($columns =~ /^    - (\w+): \{usage: (\w+), description: "[^"]+"\}$/mg)
	{
		$metrics{"${query}_$1"} = [ $query, $1, $2 ] if $2 ne 'LABEL';
	}
}

my %documented = slurp_file("$top/doc/monitoring.md") =~ /^\| `(segment_braze_\w+)` \| (gauge|counter|histogram) \|/mg;
is(join("\n", map { "$_ " . lc $metrics{$_}[2] } sort keys %metrics),
	join("\n", map { "$_ $documented{$_}" } sort keys %documented),
	'postgres_exporter gets each number that is documented, as what it is');

# ----- it says what braze_metrics says -----

# "oldest" and "last success" are there as well
$node->safe_psql('postgres', "SELECT braze_track('u' || n, 'Seen') FROM generate_series(1, 10) n");
braze_flush($node);
$braze->fault(kind => 'status', status => 201, applied => 'true', count => 1, body => '{"message": "success"}',
	headers => { 'x-ratelimit-remaining' => '0', 'x-ratelimit-reset' => '600' });
$node->safe_psql('postgres', "SELECT braze_track('u1', 'The last one'); SELECT braze_flush('30 s')");
$node->safe_psql('postgres', "SELECT braze_track('u1', 'Waits')");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM braze_metrics() WHERE name = 'segment_braze_oldest_call_age_seconds'")
  or die 'the call does not wait';

foreach my $name (sort keys %metrics)
{
	my ($query, $column, $usage) = @{ $metrics{$name} };
	my $expected = $usage eq 'HISTOGRAM' ? "${name}_count" : $name;

	$column .= '_count' if $usage eq 'HISTOGRAM';
	# clocks go on
	my $value = $name =~ /_(age|wait)_seconds$/ ? 'count(%s)' : 'sum(%s)';
	is( ask(sprintf("SELECT count(*), $value FROM (%s) q", qq("$column"), $queries{$query})),
		ask(sprintf("SELECT count(*), $value FROM braze_metrics() WHERE name = '$expected'", 'value')),
		$name);
}
foreach my $name ('request_duration_seconds', 'delivery_duration_seconds')
{
	my ($query, $column) = @{ $metrics{"segment_braze_$name"} };

	is( ask(<<EOS), ask(<<EOS), "the buckets of $name");
SELECT unnest($column), unnest(${column}_bucket) FROM ($queries{$query}) q ORDER BY 1
EOS
SELECT (labels ->> 'le')::float8 AS le, value FROM braze_metrics()
WHERE name = 'segment_braze_${name}_bucket' AND labels ->> 'le' <> '+Inf' ORDER BY 1
EOS
}

my ($rows) = slurp_file("$top/monitoring/segment_braze_sql_exporter.yml") =~ /^        query: \|\n((?:          .*\n)+)/m;
my $labels = "'state', 'service', 'kind', 'endpoint', 'status', 'le', 'exact', 'origin_server', 'origin_table'";
is( ask(<<EOS), '0', 'sql_exporter gets the same rows, with all of their labels');
WITH given AS (
	SELECT nullif(destination, ''), metric, (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(to_jsonb(q)) WHERE key IN ($labels) AND value <> '""'), value
	FROM ($rows) q WHERE datname = 'postgres' AND metric !~ '_(age|wait)_seconds'
), wanted AS (
	SELECT destination::text, name, labels, value FROM braze_metrics() WHERE name !~ '_(age|wait)_seconds'
)
SELECT count(*) FROM ((TABLE given EXCEPT TABLE wanted) UNION ALL (TABLE wanted EXCEPT TABLE given)) d
EOS

# ----- nothing but numbers -----

like(ask('SELECT * FROM braze_queue'), qr/permission denied/, 'the role reads no calls');
like(ask('SELECT * FROM braze_dead_letters'), qr/permission denied/, 'no dead letters');
like(ask('SELECT * FROM braze_event_counts'), qr/permission denied/, 'and no activity');
like(ask('SELECT braze_pause(\'braze\')'), qr/permission denied|must be/, 'it pauses nothing');
like(ask('SELECT * FROM braze_metrics()', $node, 'nobody'), qr/permission denied/, 'without pg_monitor there are no numbers');

# ----- what is wrong -----

my $problems = slurp_file("$top/sql/segment_braze_problems.sql");
is(ask($problems), '', 'a call that has just been queued is no problem');
$node->safe_psql('postgres', "SELECT braze_pause('braze')");
ok($node->poll_query_until('postgres', $problems, 'postgres: braze: paused, and calls wait'), 'a pause is');
$node->safe_psql('postgres', 'DELETE FROM braze_queue');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM ($1) p"), 'but not if nothing waits')
  if $problems =~ /^(SELECT.*);$/ms;
$braze->fault(kind => 'status', status => 503);
$node->safe_psql('postgres', <<'EOS');
SELECT braze_start('braze');
INSERT INTO braze_queue (destination, call, queued_at)
VALUES ('braze', '{"type": "track", "userId": "u1", "event": "Late"}', now() - interval '50 minutes');
CREATE SERVER down FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint 'http://127.0.0.1:1');
CREATE USER MAPPING FOR CURRENT_USER SERVER down OPTIONS (rest_api_key 'k');
SELECT braze_start('down');
INSERT INTO braze_queue (destination, call, queued_at)
VALUES ('down', '{"type": "track", "userId": "u1", "event": "Late"}', now() - interval '3000 s');
EOS
ok($node->poll_query_until('postgres', $problems, 'postgres: down: retrying, and nothing was delivered for 50 minutes'),
	'a destination that delivers nothing is, one that has just delivered is not');

# ----- on a standby -----

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
is(ask("SELECT value FROM braze_metrics() WHERE name = 'segment_braze_worker_running'", $standby), '0', 'a standby has no worker');
is(join('', map { ask($queries{$_}, $standby) } sort keys %queries), '', 'which nobody is told');
is(ask($rows, $standby), '', 'by no exporter');
is(ask($problems, $standby), '', 'and is no problem');

done_testing();
