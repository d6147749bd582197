# The REST API key shows up nowhere but at Braze: not in the log, however much
# it says and whatever Braze answers, nor in what a role can see that does not
# own the key, nor in files of the server's but the one that holds the key.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use File::Find;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

my $file_key = 'f11e0000-1111-2222-3333-444455556666';
my $mapped_key = '3a99ed00-1111-2222-3333-444455556666';
my $bad_key = 'wrong999-1111-2222 3333-444455556666';
my $any_key = qr/f11e0000-1111|3a99ed00-1111|wrong999-1111/;

my $braze = StandIn->new(key => $file_key);
my $other = StandIn->new(key => $mapped_key);
my $node = braze_node('main', $braze);
my $key_file = $node->basedir . '/key';

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# says which line has one, and not all the others
sub no_key
{
	my ($text, $what) = @_;
	my ($line) = $text =~ /^(.*(?:$any_key).*)$/m;

	return is($line, undef, $what);
}

sub write_key
{
	my ($content) = @_;

	unlink $key_file;
	append_to_file($key_file, $content);
	chmod 0600, $key_file or die "chmod: $!";
	return;
}

# a statement that has a key in it is in the log only where it is asked for
write_key("$file_key\n");
sql("ALTER USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (DROP rest_api_key, ADD rest_api_key_file '$key_file')");
braze_destination($node, 'postgres', 'other', $other, key => "rest_api_key '$mapped_key'");

# what is said of keys that are wrong does not repeat them
foreach my $options ("rest_api_key '$bad_key'", "rest_api_key_fil '$bad_key'",
	"rest_api_key '$mapped_key', rest_api_key_file '/x'", "rest_api_key_file '$bad_key'")
{
	my ($status, undef, $stderr) = $node->psql('postgres',
		"SET log_min_error_statement = panic; CREATE USER MAPPING FOR PUBLIC SERVER other OPTIONS ($options)");

	is($status, 3, 'a mapping that cannot be is refused');
	no_key($stderr, 'and what was written does not come back');
}

sql('CREATE ROLE sender LOGIN; GRANT USAGE ON FOREIGN SERVER braze, other TO sender');
sql('CREATE ROLE auditor LOGIN; GRANT pg_monitor TO auditor; GRANT USAGE ON FOREIGN SERVER braze, other TO auditor');
sql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO auditor');

# from here on the log says all that it can
$node->append_conf('postgresql.conf', <<'EOC');
log_min_messages = debug5
log_min_error_statement = debug5
log_error_verbosity = verbose
log_statement = all
log_duration = on
log_connections = on
debug_print_plan = on
debug_print_rewritten = on
track_activity_query_size = 16384
segment_braze.nap = '100ms'
EOC
$node->restart;

# Braze, or what is in front of it, repeats the key in its answer
my %echo = map { ($_ => "{\"message\":\"no entry with Bearer $_\",\"errors\":[\"$_\"]}") } $file_key, $mapped_key;

sub deliver
{
	my ($what, %fault) = @_;

	my @pairs = ([ $braze, 'braze', $file_key ], [ $other, 'other', $mapped_key ]);
	my $pauses = ($fault{status} || 0) =~ /^(302|401|403|404)$/;

	foreach my $pair (@pairs)
	{
		my ($stand_in, $destination, $key) = @$pair;

		$stand_in->reset;
		$stand_in->fault(count => 1, %fault,
			$fault{kind} eq 'status' || $fault{kind} eq 'refuse' ? (body => $echo{$key}) : (),
			$fault{kind} eq 'errors' ? (reason => "refused for $key") : (),
			$fault{kind} eq 'status' ? (headers => { 'X-Key' => $key, Location => "https://127.0.0.1/?$key" }) : ())
		  if $fault{kind};
		sql("SET ROLE sender; SELECT braze_track('u1', 'A', destination => '$destination')");
	}
	if ($pauses)
	{
		braze_wait_for_state($node, $_, 'paused: %') foreach 'braze', 'other';
		nowhere_visible($what);
		sql("SELECT braze_start('braze'), braze_start('other')");
	}
	braze_flush($node);
	nowhere_visible($what);
	return;
}

# all that the extension and the server show, to a superuser at that
sub nowhere_visible
{
	my ($what) = @_;
	my $shown = '';

	foreach my $relation (
		split(/\n/, sql("SELECT oid::regclass FROM pg_class WHERE relname LIKE 'braze%' AND relkind IN ('r', 'v')")),
		'pg_stat_activity', 'pg_settings', 'pg_file_settings', 'pg_prepared_statements', 'pg_foreign_server')
	{
		$shown .= sql("SELECT t::text FROM $relation t");
	}
	no_key($shown, "no table or view shows it: $what");
	return;
}

deliver('delivered');
deliver("a $_", kind => 'status', status => $_) foreach 302, 400, 401, 403, 404, 413, 429, 500, 503;
deliver($_, kind => $_) foreach qw(errors refuse close cut not_json broken_json);

# no answer, no server, no key
$other->fault(kind => 'never', count => 1);
sql("ALTER SERVER other OPTIONS (ADD request_timeout '500 ms')");
sql("SELECT braze_track('u1', 'A', destination => 'other')");
braze_flush($node);
$other->stop;
sql("SELECT braze_track('u1', 'A', destination => 'other')");
braze_wait_for_state($node, 'other', 'retrying%');
nowhere_visible('no server');
$other->start;
braze_flush($node);
foreach my $content ("$bad_key\n", "$file_key\n$file_key\n", $file_key x 200)
{
	write_key($content);
	ok(braze_wait_for_state($node, 'braze', 'paused: key file%'), 'a key file with more than a key in it pauses');
	nowhere_visible('a key file that cannot be used');
}
write_key("$file_key\n");
sql("SELECT braze_track('u1', 'A', destination => 'braze')");
braze_flush($node);
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM braze_queue'), 'all of it has ended');

# who may use the servers, and watch all, does not see what is in the mappings
foreach my $role ('sender', 'auditor')
{
	my $connection = $node->connstr('postgres') . " user=$role";
	my $seen = '';

	foreach my $view ('pg_user_mappings', 'information_schema.user_mapping_options', 'pg_user_mapping',
		'braze_status', 'pg_stat_activity', 'pg_settings', 'pg_foreign_server')
	{
		my ($status, $stdout, $stderr) = $node->psql('postgres', "SELECT t::text FROM $view t", extra_params => [ '-d', $connection ]);

		$seen .= "$stdout$stderr";
	}
	like($seen, qr/custom_api_endpoint/, "$role sees the servers");
	no_key($seen, 'and no key');
}
my ($stdout, $stderr) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') . ' user=auditor' ]);
like($stdout, qr/CREATE USER MAPPING FOR .* SERVER other/, 'pg_dump by a role that may read the tables');
no_key("$stdout$stderr", 'has no key');

# nor is it where other users of the machine could look
my $postmaster = $node->{_pid};
my @pids = ($postmaster, split /\n/, sql('SELECT pid FROM pg_stat_activity'));
my $processes = join "\n", map { slurp_process($_) } @pids;
like($processes, qr/segment_braze worker/, 'the processes have titles');
no_key($processes, 'a key is in no title, argument or environment');

sub slurp_process
{
	my ($pid) = @_;
	my $text = '';

	foreach my $file ("/proc/$pid/cmdline", "/proc/$pid/environ", "/proc/$pid/comm")
	{
		open my $handle, '<', $file or next;
		local $/;
		$text .= <$handle>;
		close $handle;
	}
	return $text;
}

$node->stop;
my $log = slurp_file($node->logfile);
like($log, qr/LOG: .*statement: SET ROLE sender/, 'the log says much');
like($log, qr/DEBUG:/, 'very much');
no_key($log, 'but no key');

# a key that has a file of its own is in no other
my @with_key;
find(
	sub {
		return unless -f $_ && $File::Find::name ne $key_file;
		open my $handle, '<:raw', $_ or return;
		local $/;
		push @with_key, $File::Find::name if index(<$handle> // '', $file_key) >= 0;
		close $handle;
	},
	$node->basedir);
is("@with_key", '', 'and no file of the server has the key that is kept in one');
done_testing();
