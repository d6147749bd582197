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

# Makes copy_everything take a server of the same version that checks its
# assertions, and tells valgrind about its memory contexts.  It is built from
# Debian's source package when it is first needed, and kept.  After make_scratch.
use_assert_server() {
	local mirror release source=$scratch/postgresql apt
	set_cache
	server_root=$cache/assertions
	# valgrind's headers are for the extension's build too
	apt_install bison flex zlib1g-dev valgrind
	[ ! -x "$server_root/usr/lib/postgresql/$version/bin/postgres" ] || return 0
	mirror=$(debian_mirror)
	release=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
	say "Building PostgreSQL $version with assertions, into $server_root"
	mkdir -p "$source/lists/partial" "$source/cache/archives/partial" "$source/root"
	echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$source/sources.list"
	apt="apt-get -qq -o Dir::Etc::SourceList=$source/sources.list -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists=$source/lists -o Dir::Cache=$source/cache -o APT::Sandbox::User=root"
	# Debian's patches stay out: they spread the server over more directories
	(cd "$source" && $apt update && $apt source --download-only "postgresql-$version" &&
		mkdir tree && tar -x -f postgresql-*.orig.tar.* -C tree --strip-components=1) >"$source/log" 2>&1 ||
		{ tail -n 20 "$source/log"; die "no source package of PostgreSQL $version"; }
	[ "$(id -u)" != 0 ] || chown -R postgres "$scratch"
	# shellcheck disable=SC2016
	as_user sh -c 'set -e
		cd "$1/tree"
		./configure --prefix="/usr/lib/postgresql/$2" --enable-cassert --enable-debug --enable-tap-tests \
			--without-readline --without-icu CPPFLAGS=-DUSE_VALGRIND CFLAGS="-O2 -g -fno-omit-frame-pointer"
		nice make -s -j"$(nproc)"
		make -s install DESTDIR="$1/root"
		make -s -C src/test/isolation install DESTDIR="$1/root"' build "$source" "$version" >"$source/log" 2>&1 ||
		{ tail -n 20 "$source/log"; die "PostgreSQL $version does not build"; }
	mkdir -p "$server_root/usr/lib/postgresql"
	mv "$source/root/usr/lib/postgresql/$version" "$server_root/usr/lib/postgresql/"
	rm -rf "$source"
}
