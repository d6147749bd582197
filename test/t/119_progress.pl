# How far the scripts of dev/ are: one line that is written over where somebody
# looks at it, and nothing of it in a file or a pipe; no escape codes in either.

use strict;
use warnings;

use FindBin;
use IPC::Run ();

use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $log = "$PostgreSQL::Test::Utils::tmp_check/progress.log";

plan skip_all => 'needs script(1) and bash'
	if grep { !IPC::Run::run([ 'sh', '-c', "command -v $_" ], '>', \my $found, '2>', \my $error) } 'script', 'bash';

# a run that is over once its line has been seen twice with all that it has, or after far too long
my $seen = "$PostgreSQL::Test::Utils::tmp_check/progress.seen";
my $program = q(echo "ok 1 - a test"; echo "a step"; n=0
	until [ -z "$SEEN" ] || [ "$(tr "\r" "\n" <"$SEEN" | grep -c "1 passed: a step")" -ge 2 ] || [ "$n" -gt 1800 ]; do
		sleep 0.1; n=$((n + 1))
	done);
my $commands = qq(. '$top/dev/lib.sh'; say before; run_shown 'a suite' '$log' sh -c '$program'; say after);

# outcome(terminal?, variable => value ...): what somebody sees
sub outcome
{
	my ($terminal, %variables) = @_;
	local %ENV = (%ENV, TERM => 'xterm', SEEN => '', %variables, SHELL => '/bin/bash', COMMANDS => $commands);
	my @command = $terminal ? ('script', '-q', '-f', '-e', '-c', 'eval "$COMMANDS"', $seen) : ('bash', '-c', $commands);
	my $output = '';

	delete $ENV{NO_COLOR} unless exists $variables{NO_COLOR};
	ok(IPC::Run::run(\@command, '<', '/dev/null', '>', \$output, '2>&1'), 'it runs');
	return $output =~ s/\r\n/\n/gr;
}

my $on_terminal = outcome(1, SEEN => $seen);
like($on_terminal, qr/^before\n\r  a suite: \d+ s/, 'on a terminal a line says how far it is');
like($on_terminal, qr/\r  a suite: \d+ s, 1 passed: a step *\r  a suite: \d+ s, 1 passed: a step *\r/, 'and is written over');
like($on_terminal, qr/\r {78}\rafter\n$/, 'and is gone in the end');

my $without_color = outcome(1, SEEN => $seen, NO_COLOR => '1');
unlike("$on_terminal$without_color", qr/\e/, 'there are no escape codes, with NO_COLOR or without');
like($without_color, qr/\r  a suite: /, 'with it the line is there, too');

is(outcome(1, TERM => 'dumb'), "before\nafter\n", 'a terminal that cannot has nothing of it');
is(outcome(0), "before\nafter\n", 'nor has a pipe');
like(slurp_file($log), qr/^ok 1 - a test\na step\n/, 'the log has what was run');
unlike(slurp_file($log), qr/\r/, 'and nothing else');

done_testing();
