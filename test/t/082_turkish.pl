# A database whose LC_CTYPE is Turkish, where I is not the capital of i: the
# names of headers, options and calls are ASCII all the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Braze;
use StandIn;

# an installation without this locale can make it where there are sources of it
my $locales = PostgreSQL::Test::Utils::tempdir;
my @encodings = ([ 'tr_TR.UTF-8', 'UTF-8', 'UTF8' ], [ 'tr_TR.ISO-8859-9', 'ISO-8859-9', 'LATIN5' ]);
foreach my $locale (@encodings)
{
	plan skip_all => 'there is no localedef, or no source of tr_TR'
	  if system("localedef -i tr_TR -f $locale->[1] $locales/$locale->[0] >/dev/null 2>&1") != 0;
}
$ENV{LOCPATH} = $locales;

my $node = braze_server('main');
foreach my $locale (@encodings)
{
	my ($name, undef, $encoding) = @$locale;
	my $database = lc $encoding;
	my $braze = StandIn->new;
	my $url = $braze->url;

	$node->safe_psql('postgres',
		"CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE '$name'");
	$node->safe_psql($database, <<EOS);
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (
	custom_api_endpoint '\U$url\E', identifiers 'USER_ID', orders_as 'BOTH', alias_calls 'SKIP', max_retry_age 'OFF');
CREATE SERVER indonesia FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'id-01');
CREATE USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (rest_api_key 'test-key');
SELECT braze_start('braze');
EOS
	is($node->safe_psql($database, q{SELECT braze_enqueue('{"type": "IDENTIFY", "userId": "u1", "traits": {"plan": "pro"}}', 'braze') IS NOT NULL}),
		't', "$name: a call in capital letters");
	braze_flush($node, $database, 'braze');
	is($braze->accepted('attributes'), 1, 'is one');

	$braze->fault(kind => 'status', status => 429, headers => { 'X-RATELIMIT-RETRY-AFTER' => '3600' });
	$node->safe_psql($database, q{SELECT braze_track('u1', 'A', destination => 'braze')});
	StandIn::wait_until(sub { $braze->stats->{answers}{429} }, 'there is a limit');
	$braze->clear_faults;

	# without the header it would try again within half a second
	is($node->safe_psql($database, q{SELECT braze_flush('5 s', 'braze')}), 'f', 'what is queued then waits');
	is($braze->stats->{requests}, 2, 'a header in capital letters is obeyed');
	is($braze->accepted('events'), 0, 'so nothing is sent');
}

$node->stop;
done_testing();
