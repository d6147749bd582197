# The report is one HTML file that is well-formed, has the numbers of the views,
# and shows names as text, whatever they are.

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
my $node = braze_node('main', $braze, options => "changed_attributes_only 'true'");
my $report = $node->config_data('--sharedir') . '/extension/segment_braze_report.sql';
my $hostile = q{<script>document.title = "hit"</script> & 'more'};

sub sql
{
	my ($sql, @variables) = @_;
	return $node->safe_psql('postgres', $sql, @variables);
}

# the page, and what psql says besides
sub page
{
	my (%options) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/report.html';
	my ($out, $err) = ('', '');

	local $ENV{PGOPTIONS} = $options{role} ? "-c role=$options{role}" : '';
	ok(IPC::Run::run([ 'psql', '-X', '-d', $node->connstr('postgres'), @{ $options{arguments} || [] },
				'-f', $report, '-o', $file ], '>', \$out, '2>', \$err), 'psql makes the page');
	is($out . $err, '', 'and says nothing');
	return slurp_file($file);
}

# elements are closed in the order in which they were opened, and nothing but
# tags has a < or > in it
sub is_well_formed
{
	my ($page, $name) = @_;
	my @open;
	my $bad = '';

	$page =~ s/\A<!DOCTYPE html>//;
	$page =~ s{<style>[^<]*</style>}{};
	foreach my $part (split /(<[^<>]*>)/, $page)
	{
		if ($part =~ m{\A<(/?)([a-z0-9]+)(?: [a-zA-Z][a-zA-Z0-9-]*="[^"<>]*")*(/?)>\z})
		{
			my ($closing, $element, $empty) = ($1, $2, $3);

			push @open, $element unless $closing || $empty;
			$bad .= " </$element>" if $closing && (pop(@open) || '') ne $element;
		}
		elsif ($part =~ /[<>]|&(?!(?:amp|lt|gt|quot);)|[\x00-\x08\x0b-\x1f]/)
		{
			$bad .= " $part";
		}
	}
	return is($bad . join(' ', @open), '', $name);
}

my $empty = page();
is_well_formed($empty, 'with nothing to show it is well-formed');

sql(<<EOS);
SELECT braze_track('u' || n % 7, 'Song Played') FROM generate_series(1, 21) n;
SELECT braze_track('u1', \$x\$$hostile\$x\$);
SELECT braze_track('u1', E'tab\\there');
SELECT braze_identify('u' || n, '{"plan": "pro"}') FROM generate_series(1, 5) n;
SELECT braze_track('u1', 'Order Completed', '{"products": [{"product_id": "p1", "price": 19.99, "quantity": 2}]}');
SELECT braze_page('u1', 'Home');
EOS
$braze->fault(kind => 'errors', name => 'Refused', reason => '<b>no</b> such event');
sql(q{SELECT braze_track('u2', 'Refused')});
braze_flush($node);
sql(q{SELECT braze_identify('u' || n, '{"plan": "pro"}') FROM generate_series(1, 5) n});
braze_flush($node);
$node->poll_query_until('postgres', q{SELECT sum(data_points_saved) >= 5 FROM braze_throughput}) or die 'nothing saved';
$node->poll_query_until('postgres', q{SELECT sum(calls) = 1 FROM braze_notes WHERE outcome = 'skip'}) or die 'no note';

my $page = page();
is_well_formed($page, 'it is well-formed');
unlike($page, qr/<script|https?:|\@import|url\(| on[a-z]+=/i, 'it has no script, and needs nothing from elsewhere');
like($page, qr{<td>&lt;script&gt;document\.title = &quot;hit&quot;&lt;/script&gt; &amp; 'more'</td>}, 'a name is text');
like($page, qr{<td>tab here</td>}, 'and has no control characters');

# the numbers of the views
sub row
{
	my ($id, @cells) = @_;
	my ($part) = $page =~ m{id="$id">(.*?)</div>}s;
	my $cells = join '', map { "<td>$_</td>" } @cells;

	return like($part, qr/\Q$cells\E/, "$id: " . join(' ', @cells));
}

row('events', 'braze', 'Song Played', 21, sql(q{SELECT users FROM braze_event_counts WHERE event = 'Song Played'}));
row('status', 'braze', 'running', 0, '', sql('SELECT delivered FROM braze_status'), 1, 1);
row('refused', 'braze', sql('SELECT replace(replace(reason, $$<$$, $$&lt;$$), $$>$$, $$&gt;$$) FROM braze_dead_letters'), 1);
like($page, qr{&lt;b&gt;no&lt;/b&gt; such event}, q{in Braze's words, as text});
like($page, qr{<td>track Refused</td>}, 'and which call that was');
row('notes', 'braze', 'whole call skipped', sql(q{SELECT note FROM braze_notes WHERE outcome = 'skip'}), 1);
row('cost', 'braze', split(/\|/, sql('SELECT sum(requests), sum(objects), sum(data_points), sum(data_points_saved) FROM braze_throughput')));
my %charts = $page =~ m{<figcaption>([^<]*)<span>braze, (?:total|at most) ([^<]*)</span>}g;
is_deeply(\%charts, {
		'Events' => sql('SELECT sum(count) FROM braze_event_counts'),
		'Users with events (estimated)' => sql(q{SELECT braze_count_users(sketch) || ' on a day' FROM braze_activity_users WHERE kind = 'events'}),
		'Revenue' => '39.98 USD',
		'Data points sent' => sql('SELECT sum(data_points) FROM braze_throughput'),
		'Data points saved by changed_attributes_only' => sql('SELECT sum(data_points_saved) FROM braze_throughput'),
	}, 'the charts have the totals of the views');
like($page, qr{<title>\d{4}-\d\d-\d\d: 39\.98</title>}, 'and their bars the numbers of a day');

# what psql sets, and a schema of its own
like(page(arguments => [ '-v', 'days=1', '-v', 'ECHO=none', '-P', 'border=2', '-P', 'null=?' ]),
	qr/the last 1 days/, 'another time span');
is_well_formed(page(arguments => [ '-v', 'days=400' ]), 'a long one');

# who may read some
sql('CREATE ROLE marketing; GRANT SELECT ON braze_event_counts, braze_revenue, braze_throughput TO marketing');
$page = page(role => 'marketing');
is_well_formed($page, 'for a role that may read some of it');
row('events', 'braze', 'Song Played', 21);
like($page, qr/needs SELECT on $_\./, "it says what is missing: $_")
  foreach qw(braze_status braze_dead_letters braze_notes braze_activity_users);
unlike($page, qr/such event/, 'which is not shown');

done_testing();
