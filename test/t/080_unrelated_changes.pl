# A pause by an answer of Braze, and the wait that it asked for, end when the
# options or the key of their destination change: not because something else did.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my ($refusing, $limiting, $working) = map { StandIn->new } 1 .. 3;
my $node = braze_node('main', $refusing);
my $pauses = 0;

sub run
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub paused_at
{
	return run('SELECT paused_at FROM braze_paused');
}

# what is queued for another destination is read after all that came before
sub has_looked
{
	run(q{SELECT braze_track('u1', 'A', destination => 'working')});
	return braze_flush($node, 'postgres', 'working');
}

braze_destination($node, 'postgres', 'limited', $limiting);
braze_destination($node, 'postgres', 'working', $working);
run(<<'EOS');
CREATE ROLE somebody;
CREATE FOREIGN DATA WRAPPER another;
CREATE SERVER theirs FOREIGN DATA WRAPPER another;
GRANT USAGE ON FOREIGN SERVER theirs TO somebody;
EOS

$refusing->fault(kind => 'status', status => 401);
$limiting->fault(kind => 'status', status => 429, headers => { 'x-ratelimit-retry-after' => '3600' });
run(<<'EOS');
SELECT braze_track('u1', 'A', destination => 'braze'), braze_track('u1', 'A', destination => 'limited')
EOS
ok(braze_wait_for_state($node, 'braze', 'paused: %401%'), 'Braze has paused one destination');
StandIn::wait_until(sub { $limiting->stats->{answers}{429} }, 'and asked to wait for another');
has_looked();
my $paused_at = paused_at();

my $tables = join "\n", map { "CREATE TEMPORARY TABLE t$_ (i int) ON COMMIT DROP;" } 1 .. 1500;
my $for_sdks = join ', ', map { "ADD $_" } (
	"sdk_endpoint 'https://sdk.example.com'", "web_app_identifier 'web'", "android_app_identifier 'android'",
	"ios_app_identifier 'ios'", "web_sdk_version '5.9'", "safari_website_push_id 'web.com.example'",
	"allow_crawler_activity 'true'", "automatically_send_in_app_messages 'false'", "do_not_load_font_awesome 'true'",
	"enable_html_in_app_messages 'true'", "enable_logging 'true'", "open_in_app_messages_in_new_tab 'true'",
	"open_news_feed_cards_in_new_tab 'true'", "minimum_interval_between_trigger_actions_in_seconds '5'",
	"session_timeout_in_seconds '60'");
my @changes = (
	"a user mapping of another wrapper's server" => <<'EOS',
SET ROLE somebody;
CREATE USER MAPPING FOR somebody SERVER theirs;
DROP USER MAPPING FOR somebody SERVER theirs;
EOS
	'what braze_sdk alone reads' => "ALTER SERVER braze OPTIONS ($for_sdks)",
	'another server of ours' => "ALTER SERVER working OPTIONS (ADD track_all_pages 'true')",
	'the same options again' => <<'EOS',
ALTER SERVER braze OPTIONS (SET app_identifier 'test-app');
ALTER SERVER limited OPTIONS (SET app_identifier 'test-app');
ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'test-key');
EOS
	'so many temporary tables that invalidations are lost' => "BEGIN; $tables COMMIT;");
while (my ($what, $sql) = splice @changes, 0, 2)
{
	run($sql);
	has_looked();
	is(paused_at(), $paused_at, "$what: the pause stays");
	is($refusing->stats->{requests}, 1, 'and nothing is tried');
	is($limiting->stats->{requests}, 1, 'nor before the time that Braze has asked for');
}

# --- what does change ends it, even if nobody can see the pauses at that moment

$refusing->clear_faults;
$refusing->set_key('another-key');
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE braze_paused;');
run("ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (SET rest_api_key 'another-key')");
has_looked();
$session->query_safe('COMMIT;');
$session->quit;
ok(braze_flush($node, 'postgres', 'braze'), 'another key ends the pause');
is(run('SELECT count(*) FROM braze_paused'), '0', 'which is in the table no more');

$limiting->clear_faults;
run("ALTER SERVER limited OPTIONS (ADD track_all_pages 'true')");
ok(braze_flush($node, 'postgres', 'limited'), 'and another option ends the wait');

$node->stop;
done_testing();
