# What the hosts' root file system is made of: another content of this file makes another image.
# Sourced by `lab`; uses its variables.
# shellcheck shell=bash

# What is on a host before relais: a small Debian server with PostgreSQL and Asterisk, and what the
# package of relais depends on or recommends, as the hosts have no archive to fetch it from.
packages() {
  local p="systemd systemd-sysv dbus ifupdown iproute2 iputils-ping iputils-arping nftables conntrack
           openssh-server openssh-client rsync zstd sqlite3 sudo procps psmisc curl wget ca-certificates
           netbase tcpdump bash-completion init-system-helpers util-linux bsdextrautils gnupg less
           chrony cron logrotate socat jq fence-agents ipmitool"
  case $LAB_SUITE in
    bookworm) p+=" postgresql-15 postgresql-client" ;;
    trixie)   p+=" postgresql-17 postgresql-client" ;;
    *)        p+=" postgresql postgresql-client" ;;
  esac
  [ "$LAB_ASTERISK" = 0 ] || p+=" asterisk sip-tester"
  echo $p $LAB_EXTRA_PKGS   # unquoted: one blank between two words
}

# Also in the hosts' own archive, so that a service package can be reinstalled or upgraded there.
served_packages() {
  [ "$LAB_ASTERISK" = 0 ] || echo asterisk asterisk-config asterisk-modules
}

# The archives that this machine's apt already uses, so that no host is named here.
apt_site() {   # SUITE-SUFFIX ("" or "-security")
  local codename
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  # shellcheck disable=SC2016  # apt replaces these, not the shell
  apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null |
    awk -v want="$codename$1" '$2 == want && !found { print $1; found = 1 }'
}

make_tree() {
  local out=$1 log=$LAB_CACHE/build.log pkgs tmp served mirror security
  command -v mmdebstrap >/dev/null ||
    die "Cannot build the hosts as mmdebstrap is missing: run packaging/toolchain/setup.sh lab"
  mirror=${LAB_MIRROR:-$(apt_site '')}; security=${LAB_SECURITY:-$(apt_site -security)}
  [ -n "$mirror" ] || die "Cannot find a Debian mirror as apt has none: set LAB_MIRROR and LAB_SECURITY"
  pkgs=$(packages | tr -s ' \n' ',,'); pkgs=${pkgs%,}; served=$(served_packages)
  # The mirror may be a snapshot whose Release files have expired: check-valid-until=no.
  local o='[check-valid-until=no]' src=()
  src+=("deb $o $mirror $LAB_SUITE main")
  case $LAB_SUITE in
    bookworm|trixie) src+=("deb $o ${security:-$mirror-security} $LAB_SUITE-security main") ;;
  esac
  tmp=$(mktemp -d "$LAB_CACHE/tmp.XXXXXX"); : > "$tmp/pref"
  if [ "$LAB_ASTERISK" != 0 ] && { [ "$LAB_SUITE" = bookworm ] || [ "$LAB_SUITE" = trixie ]; }; then
    # Neither bookworm nor trixie has Asterisk. Bullseye's (16.28) installs on both;
    # the pin lets nothing else of bullseye in than what only bullseye has.
    src+=("deb $o $mirror bullseye main"
          "deb $o ${security:-$mirror-security} bullseye-security main")
    printf 'Package: *\nPin: release n=bullseye*\nPin-Priority: 100\n' > "$tmp/pref"
  fi
  say "Building the hosts' file system from Debian $LAB_SUITE, about a minute (log: $log)"
  # shellcheck disable=SC2016  # $1 is the hook's
  TMPDIR=$tmp build_step mmdebstrap --mode=root --variant=minbase --format=directory --include="$pkgs" \
    --setup-hook="mkdir -p \"\$1\"/etc/apt/preferences.d && cp '$tmp/pref' \"\$1\"/etc/apt/preferences.d/lab.pref" \
    --customize-hook='mkdir -p "$1/srv/lab-repo"' \
    --customize-hook="[ -z '$served' ] || chroot \"\$1\" sh -c 'cd /srv/lab-repo && apt-get download $served'" \
    --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    "$LAB_SUITE" "$out" "${src[@]}" >"$log" 2>&1 </dev/null ||
      { tail -n 20 "$log" >&2; die "Cannot build the hosts' file system: see $log"; }
  rm -f "$out/etc/dpkg/dpkg.cfg.d/99mmdebstrap"   # a .deb under test is unpacked whole
  customize "$out"
  rm -rf "$tmp"
}

# The part of the build that runs on the unpacked tree, $1.
customize() {
  local r=$1 u v
  # Timers and helpers that only make noise in a lab, or that want a real machine. chrony is there as
  # a host's clock keeper would be, but the clock is the machine's.
  for u in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
           e2scrub_reap.service fstrim.timer logrotate.timer man-db.timer chrony.service \
           systemd-timesyncd.service systemd-networkd.service systemd-resolved.service; do
    ln -sf /dev/null "$r/etc/systemd/system/$u"
  done
  : > "$r/etc/machine-id"                 # each host gets one of its own
  rm -f "$r/var/lib/dbus/machine-id" "$r/etc/hostname" "$r"/etc/ssh/ssh_host_*_key*
  rm -f "$r/etc/resolv.conf"; echo '# no DNS in the lab' > "$r/etc/resolv.conf"
  # As on a XiVO: root may come in by ssh with a password. It is "lab".
  echo 'root:lab' | chroot "$r" chpasswd
  echo 'PermitRootLogin yes' > "$r/etc/ssh/sshd_config.d/lab.conf"
  # Each host makes a cluster of its own (its own system identifier), see base_disk.sh.
  for v in "$r"/etc/postgresql/*/main; do
    [ -d "$v" ] || continue
    v=${v%/main}; rm -rf "$r/var/lib/postgresql/${v##*/}/main" "$v/main"
  done
  if [ -d "$r/etc/asterisk" ]; then       # on port 5060 PJSIP answers, not the older chan_sip
    sed -i '/^\[modules\]/a noload => chan_sip.so' "$r/etc/asterisk/modules.conf"
  fi
  rm -rf "$r"/etc/apt/sources.list "$r"/etc/apt/sources.list.d/* "$r"/etc/apt/preferences.d/lab.pref
  rm -rf "$r"/var/cache/apt/* "$r"/var/lib/apt/lists/* "$r"/var/log/apt "$r"/var/log/dpkg.log
  flat_archive "$r/srv/lab-repo"
  echo 'deb [trusted=yes] file:/srv/lab-repo ./' > "$r/etc/apt/sources.list.d/lab.list"
  mkdir -p "$r/var/log/journal"           # persistent journal, see assemble
}

# Makes a folder of packages one that apt can read.
flat_archive() (
  cd "$1"
  for deb in *.deb; do
    [ -f "$deb" ] || continue
    dpkg-deb -f "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
  done > Packages
  printf 'Date: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru)" \
    "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" > Release
)
