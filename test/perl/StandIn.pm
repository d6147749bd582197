# A stand-in Braze as a child of the test, and what a test asks of it.
#
#	my $braze = StandIn->new;
#	$braze->hold;
#	... CREATE SERVER ... custom_api_endpoint => $braze->url ...
#	$braze->wait_for_stat('held', 1);
#	$braze->release;
#
# Only modules of Perl's core.  It ends with the object, or with the test.

package StandIn;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp;
use HTTP::Tiny;
use JSON::PP;
use Time::HiRes qw(usleep);

use Child;

# another build of it, with the sanitizers say
my $program = $ENV{BRAZE_STANDIN}
  || abs_path(dirname(__FILE__) . '/../braze') . '/braze-standin';
my $limit = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 180;

# options are those of the program: new(track_key => 'k'), new(fast => undef);
# port => to have the port of one that was stopped
sub new
{
	my ($class, %options) = @_;
	my $self = bless {
		directory => File::Temp->newdir,
		http => HTTP::Tiny->new(timeout => $limit, proxy => undef),
		options => {%options},
	}, $class;

	croak "$program is not there: make -C test/braze" unless -x $program;
	$self->start;
	return $self;
}

sub start
{
	my ($self) = @_;
	my $file = "$self->{directory}/port";
	my %options = (port_file => $file, %{ $self->{options} });
	my @arguments = map {
		my $name = $_;
		my $value = $options{$name};
		$name =~ tr/_/-/;
		defined $value ? "--$name=$value" : "--$name";
	} sort keys %options;

	unlink $file;
	$self->{child} = Child->program(undef, $program, @arguments);
	wait_until(
		sub {
			croak "$program ended at once" if $self->{child}->has_ended;
			return -e $file;
		},
		'the stand-in listens');
	open my $handle, '<', $file or croak "$file: $!";
	chomp($self->{port} = <$handle>);
	close $handle;

	# started again, it is where it was
	$self->{options}{port} = $self->{port};
	return;
}

# returns what it ended with, as in $?: 0 is a clean end
sub stop
{
	my ($self) = @_;
	return $self->{child}->end;
}

# at once, as a crash ends it: what it knew is gone, but for its ledger
sub kill9
{
	my ($self) = @_;

	$self->{child}->end('KILL');
	return;
}

sub pid
{
	my ($self) = @_;
	return $self->{child}->pid;
}

# a condition that takes a while; dies when it never comes true
sub wait_until
{
	my ($condition, $what) = @_;
	my $deadline = time + $limit;

	until ($condition->())
	{
		croak "waited $limit s in vain until $what" if time > $deadline;
		usleep(10_000);
	}
	return 1;
}

sub port
{
	my ($self) = @_;
	return $self->{port};
}

sub url
{
	my ($self) = @_;
	return "http://127.0.0.1:$self->{port}";
}

sub request
{
	my ($self, $method, $path, $parameters) = @_;
	my $url = $self->url . "/_control/$path";
	my %content;
	my $answer;

	if ($method eq 'POST')
	{
		%content = (
			content => JSON::PP->new->canonical->encode($parameters || {}),
			headers => { 'Content-Type' => 'application/json' });
	}
	elsif ($parameters && %$parameters)
	{
		$url .= '?' . $self->{http}->www_form_urlencode($parameters);
	}
	$answer = $self->{http}->request($method, $url, \%content);
	return $answer;
}

sub ask
{
	my ($self, $method, $path, $parameters) = @_;
	my $answer = $self->request($method, $path, $parameters);

	croak "$method $path: $answer->{status} $answer->{content}"
	  unless $answer->{success};
	return $answer->{content};
}

sub lines
{
	return map { JSON::PP::decode_json($_) } split /\n/, $_[0];
}

sub stats
{
	my ($self) = @_;
	return decode_json($self->ask('GET', 'stats'));
}

# objects that were received and applied, of one kind or of all
sub accepted
{
	my ($self, $kind) = @_;
	return $self->stats->{accepted}{ $kind || 'total' };
}

# as long as the number grows, it takes its time
sub wait_for_number
{
	my ($number, $least, $what) = @_;
	my $now = $number->();

	while ($now < $least)
	{
		my $before = $now;

		wait_until(sub { ($now = $number->()) > $before }, $what);
	}
	return 1;
}

# waits until a number of the statistics is at least as high
sub wait_for_stat
{
	my ($self, $name, $least) = @_;
	return wait_for_number(sub { $self->stats->{$name} }, $least, "$name at the stand-in is $least");
}

sub wait_for_accepted
{
	my ($self, $least, $kind) = @_;
	return wait_for_number(sub { $self->accepted($kind) }, $least, "$least objects were accepted");
}

# the objects received, in order: user, kind, name, outcome, object, ...
sub log
{
	my ($self, %filter) = @_;
	return lines($self->ask('GET', 'log', {%filter}));
}

# one user's profile by external_id; undef when there is none
sub user
{
	my ($self, $id) = @_;
	my $answer = $self->request('GET', 'users', { external_id => $id });

	return $answer->{success} ? decode_json($answer->{content}) : undef;
}

sub users
{
	my ($self) = @_;
	return lines($self->ask('GET', 'users'));
}

# violations, distinct, duplicates, repeats of the numbered objects
sub order
{
	my ($self, %filter) = @_;
	return decode_json($self->ask('GET', 'order', {%filter}));
}

# number => how often it was applied
sub seen
{
	my ($self, %filter) = @_;
	return { map { split /\t/ } split /\n/, $self->ask('GET', 'seen', {%filter}) };
}

# forgets everything; requests under way end without an answer
sub reset
{
	my ($self) = @_;
	$self->ask('POST', 'reset');
	return;
}

# fault(kind => 'status', status => 503, count => 1); returns its number
sub fault
{
	my ($self, %fault) = @_;
	return decode_json($self->ask('POST', 'faults', {%fault}))->{id};
}

sub faults
{
	my ($self) = @_;
	return @{ decode_json($self->ask('GET', 'faults')) };
}

# how often a fault has struck
sub hits
{
	my ($self, $id) = @_;
	my ($fault) = grep { $_->{id} == $id } $self->faults;

	return $fault->{hits};
}

sub clear_faults
{
	my ($self, @id) = @_;
	$self->ask('DELETE', 'faults', { map { (id => $_) } @id });
	return;
}

sub hold
{
	my ($self, %fault) = @_;
	return decode_json($self->ask('POST', 'hold', {%fault}))->{id};
}

# release(count => 1), release(status => 500); all, and ends the holding
sub release
{
	my ($self, %how) = @_;
	return decode_json($self->ask('POST', 'release', {%how}))->{released};
}

# ends all connections; what is under way has no answer
sub disconnect
{
	my ($self) = @_;
	return decode_json($self->ask('POST', 'disconnect'))->{disconnected};
}

# a line in the ledger
sub mark
{
	my ($self, $text) = @_;
	$self->ask('POST', 'mark', { text => $text });
	return;
}

sub set_key
{
	my ($self, $key) = @_;
	$self->ask('POST', 'keys', { key => $key });
	return;
}

1;
