# Trees of Debian releases, and running in them.  For scripts that have lib.sh and
# kept.sh, and that run as root.

install_tree_tools() { apt_install debootstrap debian-archive-keyring util-linux; }

# isolated LOG command ...
isolated() {
	local log=$1 status=0
	shift
	unshare --mount --pid --ipc --fork --kill-child --mount-proc -- "$@" </dev/null >"$log" 2>&1 &
	child=$!
	await_child "${log##*/}" "$log" || status=$?
	child=
	return "$status"
}

# make_tree NAME TREE LOG [VERSION]: NAME is a release, or a release and a suite
# (forky+experimental) whose PostgreSQL VERSION the tree is to have.  A release
# newer than debootstrap has none of its scripts.
make_tree() {
	local release=${1%%+*} suite= tree=$2 script=${1%%+*} version=${4:-} mirror
	[ ! -d "$tree" ] || return 0
	[ "$1" = "$release" ] || suite=${1#*+}
	mirror=$(debian_mirror) || return
	[ -e "/usr/share/debootstrap/scripts/$release" ] || script=sid
	say "Making a tree of $1 in $tree"
	rm -rf --one-file-system "$tree.new"
	isolated "$3" \
		debootstrap --variant=minbase "$release" "$tree.new" "$mirror" "$script" || return

	# a chroot starts no services
	printf '#!/bin/sh\nexit 101\n' >"$tree.new/usr/sbin/policy-rc.d"
	chmod 755 "$tree.new/usr/sbin/policy-rc.d"
	# the machine's proxy, and what it knows of its mirror's dates
	apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$tree.new/etc/apt/apt.conf.d/90segment_braze" || true
	if [ -n "$suite" ]; then
		echo "deb $mirror $suite main" >"$tree.new/etc/apt/sources.list.d/$suite.list"
		# nothing but the server, and the libraries that are made with it
		printf '%s\n' "Package: src:postgresql-$version" "Pin: release a=$suite" 'Pin-Priority: 990' \
			>"$tree.new/etc/apt/preferences.d/$suite"
	fi
	mv "$tree.new" "$tree"
}

# At the beginning of what isolated runs: enters $tree, but for the chroot.
# shellcheck disable=SC2016,SC2034
mount_tree='
	mount -t proc proc "$tree/proc"
	mount --rbind /dev "$tree/dev"
	mount -t tmpfs -o mode=1777 shm "$tree/dev/shm"
	for file in resolv.conf hosts; do
		[ ! -e "/etc/$file" ] || cat "/etc/$file" >"$tree/etc/$file"
	done
'
