# nginx in front of the stand-in Braze: TLS, HTTP/2 and certificates as a real
# server has them, each of its servers on a port of its own.
#
#	my $front = Nginx->new($braze->port,
#		good => { certificate => { names => 'IP:127.0.0.1' } },
#		late => { certificate => { names => 'IP:127.0.0.1', days => -1 } });
#	... custom_api_endpoint => $front->url('good'), ca_file => $front->ca_file
#
# It ends with the object, or with the test.

package Nginx;

use strict;
use warnings;

use Carp;
use File::Temp;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

use Child;
use StandIn;

# the program, undef when there is none; Debian has it where users do not look
sub program
{
	foreach my $file ($ENV{NGINX} || (), map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin')
	{
		return $file if -x $file && !-d $file;
	}
	return;
}

sub new
{
	my ($class, $backend, %servers) = @_;
	my $self = bless { directory => File::Temp->newdir, backend => $backend }, $class;

	$self->make_authority('ca');
	$self->make_authority('other-ca');
	foreach my $name (sort keys %servers)
	{
		$self->{ports}{$name} = PostgreSQL::Test::Cluster::get_free_port();
		$self->make_certificate($name, %{ $servers{$name}{certificate} || {} });
	}
	$self->write_configuration(%servers);
	$self->start;
	return $self;
}

sub openssl
{
	my ($self, @arguments) = @_;

	run_log([ 'openssl', @arguments ]) or croak "openssl @arguments";
	return;
}

my @new_key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes');

sub make_authority
{
	my ($self, $name) = @_;

	$self->openssl('req', '-x509', @new_key, '-days', '2', '-subj', "/CN=$name",
		'-keyout', "$self->{directory}/$name.key", '-out', "$self->{directory}/$name.pem");
	return;
}

# Newer openssl takes no end that is before the start, but any start; older ones
# know no other start than now.
sub validity
{
	my ($days) = @_;
	my $day = 24 * 3600;
	my @times = map { POSIX::strftime('%Y%m%d%H%M%SZ', gmtime $_) } time - 9 * $day, time + $days * $day;

	return ('-not_before', $times[0], '-not_after', $times[1])
	  if `openssl x509 -help 2>&1` =~ /-not_before/;
	return ('-days', $days);
}

# names => 'DNS:localhost,IP:127.0.0.1', authority => 'ca', days => 2; may be
# called again, and counts from the next start
sub make_certificate
{
	my ($self, $name, %how) = @_;
	my $authority = $how{authority} || 'ca';
	my $names = $how{names} || 'DNS:localhost,IP:127.0.0.1';
	my $directory = $self->{directory};

	unlink "$directory/$name.ext";
	append_to_file("$directory/$name.ext", "subjectAltName=$names\n");
	$self->openssl('req', @new_key, '-subj', '/CN=Braze',
		'-keyout', "$directory/$name.key", '-out', "$directory/$name.csr");
	$self->openssl('x509', '-req', '-in', "$directory/$name.csr", '-out', "$directory/$name.crt",
		'-CA', "$directory/$authority.pem", '-CAkey', "$directory/$authority.key", '-CAcreateserial',
		'-extfile', "$directory/$name.ext", validity(defined $how{days} ? $how{days} : 2));
	return;
}

# before 1.19.7 HTTP/2 has settings of its own for how long a connection is kept
sub has_http2_settings
{
	my ($minor, $patch) = `$_[0] -v 2>&1` =~ m{nginx/1\.(\d+)\.(\d+)};

	return defined $minor && ($minor < 19 || $minor == 19 && $patch < 7);
}

sub write_configuration
{
	my ($self, %servers) = @_;
	my $directory = $self->{directory};
	my $file = "$directory/nginx.conf";
	my $has_http2_settings = has_http2_settings(program());
	my $temporary = join "\n\t", map { "${_}_temp_path $directory/$_;" }
	  qw(client_body proxy fastcgi uwsgi scgi);

	append_to_file($file, <<EOC);
daemon off;
master_process off;
pid $directory/nginx.pid;
error_log $directory/error.log info;
events { worker_connections 1024; }
http {
	$temporary
	ssl_protocols TLSv1.2 TLSv1.3;
	client_max_body_size 0;
	proxy_http_version 1.1;
	proxy_read_timeout 1h;
	log_format requests '\$connection \$server_protocol \$ssl_protocol \$status \$request_uri';
EOC
	foreach my $name (sort keys %servers)
	{
		my $protocol = $servers{$name}{http2} // 1 ? 'ssl http2' : 'ssl';
		my $more = $servers{$name}{conf} || '';
		my $location = $servers{$name}{location} || "proxy_pass http://127.0.0.1:$self->{backend};";

		if ($has_http2_settings)
		{
			$more =~ s/keepalive_requests (\w+;)/$& http2_max_requests $1/;
			$more =~ s/keepalive_timeout (\w+;)/$& http2_idle_timeout $1/;
		}
		append_to_file($file, <<EOC);
	server {
		listen 127.0.0.1:$self->{ports}{$name} $protocol;
		ssl_certificate $directory/$name.crt;
		ssl_certificate_key $directory/$name.key;
		access_log $directory/$name.log requests;
		$more
		location / { $location }
	}
EOC
	}
	append_to_file($file, "}\n");
	return;
}

sub start
{
	my ($self) = @_;
	my $directory = $self->{directory};
	my $program = program();
	my @command = ($program, '-p', $directory, '-c', "$directory/nginx.conf");

	# before 1.19.5 it always looks at the system's log first
	push @command, '-e', "$directory/stderr" if `$program -h 2>&1` =~ /^\s+-e /m;
	$self->{child} = Child->program("$directory/stderr", @command);

	# it writes the file once it listens
	StandIn::wait_until(
		sub {
			croak 'nginx ended at once: ' . slurp_file("$directory/stderr") if $self->{child}->has_ended;
			return -s "$directory/nginx.pid";
		},
		'nginx listens');
	return;
}

sub stop
{
	my ($self) = @_;

	$self->{child}->end;
	unlink "$self->{directory}/nginx.pid";
	return;
}

sub ca_file
{
	my ($self, $authority) = @_;
	return "$self->{directory}/" . ($authority || 'ca') . '.pem';
}

sub port
{
	my ($self, $name) = @_;
	return $self->{ports}{$name};
}

sub url
{
	my ($self, $name, $host) = @_;
	return 'https://' . ($host || '127.0.0.1') . ":$self->{ports}{$name}";
}

# the requests that a server had: connection, protocol, tls, status, path
sub requests
{
	my ($self, $name) = @_;
	my @columns = qw(connection protocol tls status path);
	my @requests;

	foreach my $line (split /\n/, slurp_file("$self->{directory}/$name.log"))
	{
		my %request;

		@request{@columns} = split / /, $line;
		push @requests, \%request;
	}
	return @requests;
}

# connections that a server has now, as the kernel sees them
sub connections
{
	my ($self, $name) = @_;
	my $local = sprintf '0100007F:%04X', $self->{ports}{$name};
	my $established = '01';

	return scalar grep {
		my (undef, $address, undef, $state) = split ' ';
		$address eq $local && $state eq $established
	} split /\n/, slurp_file('/proc/net/tcp');
}

1;
