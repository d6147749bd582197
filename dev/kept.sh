# What takes long to make and is kept for the next run, outside the checkout: the
# trees of dev/matrix, a server with assertions.  For scripts that have lib.sh.

# The first mirror in apt's sources that has this machine's release.
debian_mirror() {
	local release mirror
	release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' |
		awk -v release="$release" '$1 == release && $2 == "main" { print $3; exit }')
	[ -n "$mirror" ] || die "apt's sources have no mirror with the release \"$release\""
	printf '%s' "$mirror"
}

# What takes long to make is kept here, outside the checkout, until --clean.
set_cache() {
	cache=/var/cache/segment_braze
	[ "$(id -u)" = 0 ] || cache=${XDG_CACHE_HOME:-$HOME/.cache}/segment_braze
}

clean_cache() {
	set_cache
	rm -rf --one-file-system "$cache"
	say "Removed $cache"
}

# what the tests need of contrib
modules="postgres_fdw pg_surgery"

# build_server ROOT: builds PostgreSQL with assertions from the sources in
# $scratch/postgresql/tree, unless it was built before, and keeps it in ROOT.  It
# tells valgrind about its memory contexts.
build_server() {
	local root=$1 build=$scratch/postgresql
	say "Building PostgreSQL $version with assertions, into $root"
	[ "$(id -u)" != 0 ] || chown -R postgres "$scratch"
	# shellcheck disable=SC2016
	as_user sh -c 'set -e
		cd "$1/tree"
		./configure --prefix="/usr/lib/postgresql/$2" --enable-cassert --enable-debug --enable-tap-tests \
			--without-readline --without-icu CPPFLAGS=-DUSE_VALGRIND CFLAGS="-O2 -g -fno-omit-frame-pointer"
		nice make -s -j"$(nproc)"
		make -s install DESTDIR="$1/root"
		make -s -C src/test/isolation install DESTDIR="$1/root"
		for module in $3; do
			make -s -C "contrib/$module" install DESTDIR="$1/root"
		done' build "$build" "$version" "$modules" >"$build/log" 2>&1 ||
		{ tail -n 20 "$build/log"; die "PostgreSQL $version does not build"; }
	mkdir -p "$root/usr/lib/postgresql"
	rm -rf "$root/usr/lib/postgresql/$version"
	mv "$build/root/usr/lib/postgresql/$version" "$root/usr/lib/postgresql/"
	rm -rf "$build"
}

# one that was kept from before a module was needed is built again
has_server() {
	local module server=$1/usr/lib/postgresql/$version
	[ -x "$server/bin/postgres" ] || return 1
	for module in $modules; do
		[ -e "$server/share/extension/$module.control" ] || return 1
	done
}

# Makes copy_everything take a server of the same version that checks its
# assertions.  It is built from Debian's source package when it is first needed,
# and kept.  After make_scratch.
use_assert_server() {
	local mirror release source=$scratch/postgresql apt
	set_cache
	server_root=$cache/assertions
	# valgrind's headers are for the extension's build too
	apt_install bison flex zlib1g-dev valgrind
	! has_server "$server_root" || return 0
	mirror=$(debian_mirror)
	release=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
	mkdir -p "$source/lists/partial" "$source/cache/archives/partial" "$source/root"
	echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$source/sources.list"
	apt="apt-get -qq -o Dir::Etc::SourceList=$source/sources.list -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists=$source/lists -o Dir::Cache=$source/cache -o APT::Sandbox::User=root"
	# Debian's patches stay out: they spread the server over more directories
	(cd "$source" && $apt update && $apt source --download-only "postgresql-$version" &&
		mkdir tree && tar -x -f postgresql-*.orig.tar.* -C tree --strip-components=1) >"$source/log" 2>&1 ||
		{ tail -n 20 "$source/log"; die "no source package of PostgreSQL $version"; }
	build_server "$server_root"
}

# source_version DIR: what a source tree of PostgreSQL says of itself, 16.4 or 19rc1
source_version() {
	local full
	full=$(sed -n "s/^PACKAGE_VERSION='\(.*\)'$/\1/p" "$1/configure" 2>/dev/null)
	[ -n "$full" ] || die "$1 is not a source tree of PostgreSQL"
	[ ! -e "$1/src/include/pg_config.h" ] || die "$1 has been configured: \"make distclean\" there first"
	printf '%s' "$full"
}

# set_source_server DIR: makes this script, and those that it calls, take the
# server that build_source_server builds from a source tree.  Before
# install_packages.
set_source_server() {
	local full
	full=$(source_version "$1")
	set_cache
	server_root=$cache/source/$full
	version=${full%%[!0-9]*}
	export SERVER_ROOT=$server_root SERVER_VERSION=$version
}

# build_source_server DIR: after make_scratch
build_source_server() {
	! has_server "$server_root" || return 0
	apt_install bison flex zlib1g-dev valgrind
	mkdir -p "$scratch/postgresql/root" "$scratch/postgresql/tree"
	cp -a "$1/." "$scratch/postgresql/tree"
	build_server "$server_root"
}
