# What the scripts in dev/ share: packages, a private copy of PostgreSQL, a
# scratch directory that goes away with everything that was started in it.
#
# Nothing here touches the system's clusters or its PostgreSQL prefix: the
# prefix is copied, and PostgreSQL relocates itself.

set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# One line that is written over, where somebody looks at it: never into a file
# or a pipe.  It has no escape codes, so NO_COLOR asks for nothing more.
on_terminal() { [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; }
show_progress() { ! on_terminal || printf '\r%-78.78s' "  $*"; }
end_progress() { ! on_terminal || printf '\r%78s\r' ''; }

# show_log LABEL SECONDS LOG: for how long, how many tests have passed by the log,
# and what it ends with
show_log() {
	local passed last
	on_terminal || return 0
	passed=$(grep -cE '^ok |^test .* ok +[0-9]+ ms' "$3" 2>/dev/null || true)
	case $passed in
		'' | 0) passed= ;;
		*) passed=", $passed passed" ;;
	esac
	last=$(tail -n 1 "$3" 2>/dev/null | tr -cd '[:print:]' || true)
	show_progress "$1: $2 s$passed${last:+: $last}"
}

# await_child LABEL LOG: waits for $child, and shows how far it is
await_child() {
	local began=$SECONDS
	while on_terminal && kill -0 "$child" 2>/dev/null; do
		show_log "$1" $((SECONDS - began)) "$2"
		# a shell that waits for a child in the foreground obeys no signal
		sleep 1 &
		wait $! || true
	done
	end_progress
	wait "$child"
}

# run_shown LABEL LOG command ...: a program whose output becomes the log.  In the
# background, since a shell that waits for a child obeys no signal.
run_shown() {
	local label=$1 log=$2 status=0
	shift 2
	env --default-signal=INT "$@" </dev/null >"$log" 2>&1 &
	child=$!
	await_child "$label" "$log" || status=$?
	child=
	return "$status"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null || die "packages are missing: run it as root, or as a user with sudo"
		sudo "$@"
	fi
}

# PostgreSQL refuses to run as root, so root hands everything to postgres, who
# may not be able to enter the directory where the checkout is.
as_user() { "${run_as[@]}" "$@"; }

set_user() {
	run_as=(env -C "$scratch" HOME="$scratch" TMPDIR="$scratch")
	[ "$(id -u)" != 0 ] || run_as=(runuser -u postgres -- "${run_as[@]}")
}

# ---- packages ----

installed() { dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

# The server that is asked for, else the newest that is installed, else the one
# that the release has.  Scripts inherit the first from dev/check and dev/matrix.
pg_version() {
	local newest=${SERVER_VERSION:-}
	[ -n "$newest" ] || newest=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/postgres' 2>/dev/null |
		cut -d/ -f5 | sort -n | tail -n 1)
	if [ -z "$newest" ]; then
		newest=$(apt-cache depends postgresql 2>/dev/null |
			sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
	fi
	printf '%s' "${newest:-15}"
}

apt_install() {
	local missing=() package
	for package in "$@"; do
		installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return
	say "Installing ${missing[*]}"
	if [ -z "${apt_updated:-}" ]; then
		as_root apt-get update -qq
		apt_updated=1
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o DPkg::Lock::Timeout=300 "${missing[@]}" </dev/null >/dev/null
}

# Debian makes and starts a cluster with the first server that is installed,
# unless it is told not to; afterwards its configuration is what it was.
no_cluster=/etc/postgresql-common/createcluster.d/segment_braze.conf

install_server() {
	installed "postgresql-$1" && return
	apt_install postgresql-common
	trap allow_clusters EXIT
	as_root mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
	apt_install "postgresql-$1"
	allow_clusters
	trap - EXIT
}

allow_clusters() {
	as_root rm -f "$no_cluster"
	as_root rmdir --ignore-fail-on-non-empty "${no_cluster%/*}"
}

install_packages() {
	command -v apt-get >/dev/null || die "needs a Debian system (apt-get)"
	if [ -z "$(find /usr/lib/postgresql -name postgres 2>/dev/null)" ]; then
		as_root apt-get update -qq
		apt_updated=1
	fi
	version=$(pg_version)
	if [ -n "$server_root" ]; then
		# for its user
		apt_install postgresql-common
	else
		install_server "$version"
		apt_install "postgresql-server-dev-$version"
	fi
	apt_install gcc make pkg-config git openssl curl perl \
		ca-certificates libcurl4-openssl-dev libjson-c-dev libssl-dev libmicrohttpd-dev libipc-run-perl
}

# find_program NAME sets $NAME to the program of that name and package: nginx for
# the tests of TLS, pgbouncer for those of poolers.  Installed, Debian's package
# would have a service on this machine from then on; so where it is not, it is
# unpacked into scratch.
find_program() {
	local name=$1 directory
	for directory in ${PATH//:/ } /usr/sbin; do
		printf -v "$name" %s "$directory/$name"
		[ ! -x "$directory/$name" ] || return 0
	done
	say "Unpacking $name"
	mkdir "$scratch/$name"
	(
		cd "$scratch/$name"
		apt-cache show "$name" >/dev/null 2>&1 || as_root apt-get update -qq
		apt-get download -qq "$name" >/dev/null 2>&1
		dpkg -x "$name"_*.deb .
		[ -x "usr/sbin/$name" ]
	) || die "there is no $name to be had"
	printf -v "$name" %s "$scratch/$name/usr/sbin/$name"
}

# The libraries that nginx needs are those that curl and git need too.
find_proxies() {
	find_program nginx
	find_program pgbouncer
	mapfile -t libraries < <(apt-cache depends pgbouncer | sed -nE 's/^ *\|?Depends: (lib(event|c-?ares)[^ ]*)$/\1/p')
	apt_install "${libraries[@]}"
}

# Unpacks pg_repack into the copy of PostgreSQL, for the test that rewrites our
# tables with it.  Where the release has none for this version, the test says so
# and is passed over.
add_repack() {
	local package=postgresql-$version-repack
	[ ! -x "$bin/pg_repack" ] || return 0
	apt-cache show "$package" >/dev/null 2>&1 || as_root apt-get update -qq
	apt-cache show "$package" >/dev/null 2>&1 || { say "There is no $package"; return 0; }
	say "Unpacking $package"
	mkdir "$scratch/repack"
	(
		cd "$scratch/repack"
		apt-get download -qq "$package" >/dev/null 2>&1
		dpkg -x "${package}"_*.deb .
		cp -r "usr/lib/postgresql/$version" "$scratch/prefix/usr/lib/postgresql/"
		cp -r "usr/share/postgresql/$version/." "$("$bin/pg_config" --sharedir)/"
	) || say "There is no $package to be had"
}

# ---- a place to work in ----

# Sets scratch; everything in it, and every process that was started in it or
# from it, goes with the script.
make_scratch() {
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/segment_braze.XXXXXX")
	chmod 755 "$scratch"
	set_user
	trap remove_scratch EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# The processes whose program or working directory is in scratch; so a server
# that a test left behind is among them.
scratch_processes() {
	local process
	for process in /proc/[0-9]*; do
		case "$(readlink "$process/exe" "$process/cwd" 2>/dev/null)" in
			*"$scratch"*) echo "${process#/proc/}" ;;
		esac
	done
}

end_scratch_processes() {
	local pidfile processes tries
	while IFS= read -r pidfile; do
		as_user "$bin/pg_ctl" -D "${pidfile%/*}" -m immediate stop >/dev/null 2>&1 || true
	done < <(find "$scratch" -name postmaster.pid -not -path "$scratch/prefix/*")
	for tries in TERM TERM TERM KILL; do
		processes=$(scratch_processes)
		[ -n "$processes" ] || break
		# shellcheck disable=SC2086
		kill -"$tries" $processes 2>/dev/null || true
		sleep 0.5
	done
}

remove_scratch() {
	local status=$?
	trap - EXIT
	trap '' INT TERM
	# what a script waits for in the background
	if [ -n "${child:-}" ]; then
		kill "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	fi
	end_scratch_processes
	rm -rf "$scratch"
	exit "$status"
}

# copy_checkout TO [REVISION]: the tree as git knows it, with what is not
# committed yet; or as it was in a revision.
copy_checkout() {
	if [ -n "${2:-}" ]; then
		git -C "$top" -c safe.directory="$top" archive "$2" | tar -x -C "$1" -f -
	elif git -C "$top" rev-parse >/dev/null 2>&1; then
		(cd "$top" && git -c safe.directory="$top" ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' file; do
				[ -e "$file" ] && printf '%s\0' "$file"
			done | tar -c --null -T - -f -) | tar -x -C "$1" -f -
	else
		cp -a "$top/." "$1"
	fi
}

# where copy_everything finds PostgreSQL, if not where Debian's packages put it
server_root=${SERVER_ROOT:-}

# copy_everything [REVISION]: the checkout, and the prefix.
copy_everything() {
	local prefix=$scratch/prefix
	mkdir -p "$scratch/src" "$prefix/usr/lib/postgresql" "$prefix/usr/share/postgresql"
	copy_checkout "$scratch/src" "${1:-}"
	cp -a "$server_root/usr/lib/postgresql/$version" "$prefix/usr/lib/postgresql/"
	[ -n "$server_root" ] ||
		cp -a "/usr/share/postgresql/$version" "$prefix/usr/share/postgresql/"
	ln -s /usr/include "$prefix/usr/include"
	bin=$prefix/usr/lib/postgresql/$version/bin
	[ "$(id -u)" = 0 ] && chown -R postgres "$scratch"
	return 0
}

# build_extension LOG
build_extension() {
	# shellcheck disable=SC2016
	run_shown build "$1" "${run_as[@]}" sh -c '
		make -s -C "$1" -j"$2" install COPT=-Werror PG_CONFIG="$3" && make -s -C "$1/test/braze"' \
		sh "$scratch/src" "$(nproc)" "$bin/pg_config"
}

# start_cluster NAME [setting ...]: socket in $scratch, no TCP; it trusts who may use the socket
start_cluster() {
	local data=$scratch/$1 setting
	shift
	as_user "$bin/initdb" -D "$data" -A trust -U postgres -E UTF8 --no-sync >"$scratch/initdb.log" 2>&1 ||
		{ cat "$scratch/initdb.log" >&2; die "initdb failed"; }
	for setting in "listen_addresses = ''" "unix_socket_directories = '$scratch'" \
		"unix_socket_permissions = 0700" \
		"port = $port" "shared_preload_libraries = 'segment_braze'" "$@"; do
		echo "$setting" | as_user tee -a "$data/postgresql.conf" >/dev/null
	done
	as_user "$bin/pg_ctl" -D "$data" -l "$data.log" -w start >/dev/null ||
		{ tail -n 20 "$data.log" >&2; die "the server did not start"; }
}
port=5432

stop_cluster() { as_user "$bin/pg_ctl" -D "$scratch/$1" -m fast -w stop >/dev/null; }

# start_stand_in NAME [option ...]: sets url
start_stand_in() {
	local name=$1 tries=0
	shift
	as_user sh -c '"$@" >"$0.log" 2>&1 & echo $! >"$0.pid"' "$scratch/$name" \
		"$scratch/src/test/braze/braze-standin" --port-file="$scratch/$name.port" "$@"
	until [ -s "$scratch/$name.port" ]; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || { cat "$scratch/$name.log" >&2; die "the stand-in did not start"; }
		sleep 0.05
	done
	url=http://127.0.0.1:$(cat "$scratch/$name.port")
}
