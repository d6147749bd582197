# The torture run, in its short form: dev/torture has the long one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Test::More;

use Torture;

my $rounds = $ENV{TORTURE_ROUNDS} || 10;
my $torture = Torture->new(seed => $ENV{TORTURE_SEED} || 1);

$torture->round foreach 1 .. $rounds;
$torture->end;
note($torture->figures);
is($torture->violations, '', "$rounds rounds: nothing lost, nothing else sent, in order, sent again within bounds");
$torture->{node}->stop;
done_testing();
