# A new user's path on a managed server, doc/managed.md: its steps for an outbox in
# plain SQL, word for word, from a server without the extension, whose role is no
# superuser, to a call at the stand-in.

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
my $source = braze_server('source', preload => 0);
my $node = braze_server('node');

# ---- the page ----

like(slurp_file("$top/README.md"), qr{^## Install it\n.*\*\*On a managed server\*\*.*\]\(doc/managed\.md\).*^## Set it up}ms,
	'README leads to the page');
my ($section) = slurp_file("$top/doc/managed.md") =~ /^## An outbox in plain SQL\n(.*?)^## /ms;
my ($path, $after) = split /^Then grant/m, $section;
my @steps = $path =~ /^```(?:sh|sql)\n(.*?)^```$/msg;
my ($trigger) = $after =~ /^```sql\n(.*?)^```$/msg;
my ($grants) = slurp_file("$top/doc/managed.md") =~ /^### Who may queue\n.*?\n((?:    [^\n]*\n)+)/ms;

cmp_ok(scalar @steps, '<', 10, 'the path has less than ten steps');

# what a provider's server has: a role that owns the database, and may create roles
$source->safe_psql('postgres', 'CREATE ROLE master LOGIN CREATEROLE');
$source->safe_psql('postgres', 'CREATE DATABASE shop OWNER master');
$source->safe_psql('shop', 'CREATE TABLE users (id int PRIMARY KEY, first_name text, password_hash text)', extra_params => [ '-U', 'master' ]);
my %connections = (
	SOURCE => $source->connstr('shop') . ' user=master',
	NODE => $node->connstr('postgres'));

# A step is a command, or SQL for one of the two.  What is put in place of the
# page's: the address of the source, the address of Braze, and the key's file.
sub step
{
	my ($step) = @_;
	my ($host, $port, $url) = ($source->host, $source->port, $braze->url);
	my $key = "$PostgreSQL::Test::Utils::tmp_check/braze.key";

	if ($step =~ /^psql /)
	{
		local %ENV = (%ENV, %connections);
		system_or_bail('sh', '-c', $step);
		return;
	}
	$step =~ s/host 'db\.example\.com', port '5432', dbname 'shop', sslmode 'require'/host '$host', port '$port', dbname 'shop'/;
	$step =~ s/datacenter 'US-01'/custom_api_endpoint '$url'/;
	$step =~ s{'/etc/braze\.key'}{'$key'};
	return psql_on($step =~ /^-- on the managed server/ ? 'SOURCE' : 'NODE', $step);
}

sub psql_on
{
	my ($where, $sql) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $connections{$where} ], '<', \$sql, '>', \$out, '2>', \$err)
	  or BAIL_OUT("a step failed: $sql\n$err");
	return $out;
}

append_to_file("$PostgreSQL::Test::Utils::tmp_check/braze.key", 'test-key');
chmod 0600, "$PostgreSQL::Test::Utils::tmp_check/braze.key" or die "chmod: $!";

my $last = '';
$last = step($_) foreach @steps;
like($last, qr/^shop\|/, 'the last step shows the source') or diag $last;
ok(eval { $braze->wait_for_accepted(1); 1 }, 'the call is delivered');
is_deeply([ map { "$_->{user} $_->{name}" } grep { $_->{outcome} eq 'accepted' } $braze->log ], [ 'u1 Song Played' ], 'as it was queued');
ok($source->poll_query_until('shop', 'SELECT count(*) = 0 FROM braze.braze_outbox'), 'and leaves the outbox');
is($source->safe_psql('shop', "SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql'"), '0', 'of a server without extensions');

# ---- an application, and a trigger ----

psql_on('SOURCE', 'CREATE ROLE app LOGIN; GRANT INSERT ON users TO app');
psql_on('SOURCE', $grants);
step($trigger);
$source->safe_psql('shop', q{BEGIN; INSERT INTO users VALUES (7, 'Ada', 'secret'); SELECT braze.braze_track(7, 'Signed Up'); COMMIT},
	extra_params => [ '-U', 'app' ]);
$braze->wait_for_accepted(3);
is_deeply($braze->user(7)->{attributes}, { first_name => 'Ada' }, 'what a trigger queues arrives') or diag explain $braze->user(7);

# ---- what the node has to judge ----

psql_on('SOURCE', q{SET segment_braze.on_invalid_call = dead_letter; SELECT braze.braze_track('u2', NULL), braze.braze_enqueue('7')});
ok(braze_wait_for_count($node, 2, 'braze_dead_letters'), 'invalid calls are dead letters of the node');
is($node->safe_psql('postgres', 'SELECT reason FROM braze_dead_letters ORDER BY id'),
	"The track call has no event; give it the name of one.\nThe call is not a JSON object; a call has at least a type and a userId.", 'with the reasons');

# ---- removal ----

$node->safe_psql('postgres', q{SELECT braze_stop_collecting('shop', 'braze.braze_outbox')});
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM braze_origins'), 'collecting has stopped');
psql_on('SOURCE', 'SELECT braze.braze_drop_client()');
is($source->safe_psql('shop', q{SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal}), '0', 'the client is removed');

$node->stop;
$source->stop;
done_testing();
