# A process of the test, with which it ends at the latest.
#
#	my $child = Child->program("$directory/stderr", 'nginx', '-c', $file);
#	die if $child->has_ended;
#	$child->end;
#
# Only modules of Perl's core.

package Child;

use strict;
use warnings;

use Carp;
use POSIX ();

# of each process that has some, so that a fork of the test ends none: what ends them
my %running;

# it runs a function that does not return; what ends it is SIGTERM, or signal
sub new
{
	my ($class, $run, %options) = @_;
	my $self = bless { signal => 'TERM', %options }, $class;
	my $pid = fork;

	croak "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		$run->();
		POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	$running{$$}{$pid} = $self->{signal};
	return $self;
}

# it runs a program, whose complaints go to a file, or to those of the test
sub program
{
	my ($class, $complaints, @command) = @_;

	return $class->new(
		sub {
			open STDIN, '<', '/dev/null';
			open STDOUT, '>', '/dev/null';
			open STDERR, '>>', $complaints if defined $complaints;
			{ exec { $command[0] } @command; }
		});
}

sub pid
{
	my ($self) = @_;
	return $self->{pid};
}

# by itself
sub has_ended
{
	my ($self) = @_;

	return 0 unless waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid};
	delete $running{$$}{ $self->{pid} };
	return 1;
}

# returns what it ended with, as in $?: 0 is a clean end; undef if it had ended before
sub end
{
	my ($self, $signal) = @_;
	my $ended;
	local $?;

	return unless delete $running{$$}{ $self->{pid} };
	kill $signal || $self->{signal}, $self->{pid};
	waitpid $self->{pid}, 0;
	$ended = $?;
	return $ended;
}

sub DESTROY
{
	my ($self) = @_;
	local $@;

	$self->end;
	return;
}

# an object may outlive all others
END
{
	local $?;

	foreach my $pid (keys %{ $running{$$} || {} })
	{
		kill $running{$$}{$pid}, $pid;
		waitpid $pid, 0;
		delete $running{$$}{$pid};
	}
}

1;
