# Chances that a seed repeats: srand comes first.

package Dice;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(dice one_of in_turn_at_first);

# a number from 0 to below
sub dice
{
	my ($below) = @_;
	return int rand $below;
}

sub one_of
{
	return $_[ dice(scalar @_) ];
}

# of the rounds, which count from 1, each of the first has another, in their order
sub in_turn_at_first
{
	my ($round, @kinds) = @_;

	return $round <= @kinds ? $kinds[ $round - 1 ] : one_of(@kinds);
}

1;
