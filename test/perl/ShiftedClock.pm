# Clocks that a test sets for a server and all of its processes.
#
#	my $clock = ShiftedClock->new;
#	my $node = do { local %ENV = $clock->environment; braze_server('main') };
#	$clock->set(wall => -8 * 3600);
#	$clock->set(monotonic => 61);
#
# It needs a C compiler: ShiftedClock->new is undef without one.

package ShiftedClock;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp;

my $source = abs_path(dirname(__FILE__)) . '/shift_clock.c';

sub new
{
	my ($class) = @_;
	my $self = bless { directory => File::Temp->newdir, wall => 0, monotonic => 0 }, $class;
	my $library = "$self->{directory}/shift_clock.so";

	return
	  if system($ENV{CC} || 'cc', '-shared', '-fPIC', '-O1', '-o', $library, $source) != 0;
	$self->{file} = "$self->{directory}/shift";
	$self->{environment} = { LD_PRELOAD => $library, BRAZE_CLOCK_SHIFT => $self->{file} };
	open my $handle, '>:raw', $self->{file} or die "$self->{file}: $!";
	print $handle pack('q2', 0, 0);
	close $handle;
	return $self;
}

# what a program needs in its environment to have these clocks
sub environment
{
	my ($self) = @_;
	return (%ENV, %{ $self->{environment} });
}

# by how many seconds each is ahead; what is not named stays
sub set
{
	my ($self, %shift) = @_;

	%$self = (%$self, %shift);

	# in place: the file is mapped
	open my $handle, '+<:raw', $self->{file} or die "$self->{file}: $!";
	print $handle pack('q2', $self->{wall}, $self->{monotonic});
	close $handle;
	return;
}

1;
