# pgbouncer in front of a server: one database of its own for each way of pooling.
#
#	my $pooler = PgBouncer->new($node, conf => 'track_extra_parameters = ...');
#	$pooler->safe_psql('transaction', 'SELECT 1', 'SELECT 2');
#
# "session", "transaction" and "statement" are the database postgres, each over a
# single connection to the server, so that two clients have the same one in turn;
# "many" pools transactions over several.  It ends with the object, or with the
# test.

package PgBouncer;

use strict;
use warnings;

use Carp;
use File::Temp;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

use Child;
use StandIn;

# the program, undef when there is none; Debian has it where users do not look
sub program
{
	foreach my $file ($ENV{PGBOUNCER} || (), map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin')
	{
		return $file if -x $file && !-d $file;
	}
	return;
}

# as a number: 1.21.0 is 1021
sub version
{
	my $program = program();
	my ($major, $minor) = `$program --version` =~ /^PgBouncer (\d+)\.(\d+)/ or croak "$program has no version";

	return $major * 1000 + $minor;
}

# conf => more settings; starts => 0: it is not started
sub new
{
	my ($class, $node, %options) = @_;
	my $self = bless {
		directory => File::Temp->newdir,
		port => PostgreSQL::Test::Cluster::get_free_port(),
	}, $class;
	my $directory = $self->{directory};
	my $server = 'host=' . $node->host . ' port=' . $node->port . ' dbname=postgres';
	my $conf = $options{conf} || '';

	append_to_file("$directory/users", qq{"postgres" ""\n"shop_app" ""\n});
	append_to_file("$directory/pgbouncer.ini", <<"EOC");
[databases]
session = $server pool_mode=session pool_size=1
transaction = $server pool_mode=transaction pool_size=1
statement = $server pool_mode=statement pool_size=1
many = $server pool_mode=transaction pool_size=5
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $self->{port}
unix_socket_dir =
auth_type = trust
auth_file = $directory/users
admin_users = postgres
pidfile = $directory/pid
$conf
EOC
	$self->start unless exists $options{starts} && !$options{starts};
	return $self;
}

sub start
{
	my ($self) = @_;
	my $directory = $self->{directory};

	$self->{child} = Child->program("$directory/stderr", program(), "$directory/pgbouncer.ini");
	StandIn::wait_until(
		sub {
			croak 'pgbouncer ended at once: ' . slurp_file("$directory/stderr") if $self->{child}->has_ended;
			return eval { $self->safe_psql('transaction', 'SELECT 1'); 1 };
		},
		'pgbouncer serves');
	return;
}

sub connstr
{
	my ($self, $database, $user) = @_;

	return "host=127.0.0.1 port=$self->{port} dbname=$database user=" . ($user || 'postgres');
}

# one session, each statement by itself: standard output and error, and whether all
# of them succeeded
sub psql
{
	my ($self, $connection, @statements) = @_;
	my ($out, $err) = ('', '');

	my $succeeded = IPC::Run::run([
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $connection,
			map { ('-c', $_) } @statements
		], '<', \undef, '>', \$out, '2>', \$err);
	chomp($out, $err);
	return ($out, $err, $succeeded);
}

# the same of one of the databases; dies when that fails
sub safe_psql
{
	my ($self, $database, @statements) = @_;
	my ($out, $err, $succeeded) = $self->psql($self->connstr($database), @statements);

	croak "@statements: $err" unless $succeeded;
	return $out;
}

# to the server, of one of the databases
sub connections
{
	my ($self, $database) = @_;

	return scalar grep { /^S\|[^|]*\|$database\|/ } split /\n/, $self->safe_psql('pgbouncer', 'SHOW SERVERS');
}

1;
