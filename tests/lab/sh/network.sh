# Switches and cables. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

# Last part of a machine's addresses, and of its MAC addresses as four decimal digits.
number_of() {
  case $1 in
    master) echo 11 ;; slave) echo 12 ;; phone) echo 50 ;; watcher) echo 51 ;; gateway) echo 254 ;;
    *) die "Cannot find $1 as the machines are: master, slave, phone, watcher, gateway" ;;
  esac
}

sw() { nsenter --net="$NS/switch" "$@"; }
ifaces() {
  case ${1:-all} in all) echo eth0 eth1 ;; eth0|eth1) echo "$1" ;; *)
    die "Cannot find interface $1 as there are eth0 (voip) and eth1 (data)" ;; esac
}
bridge_of() { case $1 in eth0) echo voip ;; eth1) echo data ;; esac; }

switch_up() {
  mkdir -p "$NS"; : > "$NS/switch"
  unshare --net="$NS/switch" true
  sw ip link set lo up
  local b
  for b in voip data; do
    sw ip link add "$b" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    sw sysctl -q -w "net.ipv6.conf.$b.disable_ipv6=1" 2>/dev/null || true
    sw ip link set "$b" up
  done
}

# A machine's network cards and cables: made at power-on, gone at power-off.
net_up() {
  local h=$1 i n digits p net
  net_down "$h"
  : > "$NS/$h"; unshare --net="$NS/$h" true
  n=$(number_of "$h"); digits=$(printf '%04d' "$n")
  for i in eth0 eth1; do
    p=$h-$i; net=$([ $i = eth0 ] && echo 20 || echo 30)
    sw ip link add "$p" type veth peer name "$i" \
      address "02:4c:$net:00:${digits:0:2}:${digits:2}" netns "$NS/$h"
    sw sysctl -q -w "net.ipv6.conf.$p.disable_ipv6=1" 2>/dev/null || true
    port_apply "$h" "$i"
  done
}

# Watcher and gateway are addresses, without a system behind them.
bare_up() {
  local n; n=$(number_of "$1")
  net_up "$1"
  nsenter --net="$NS/$1" ip -batch - <<LINKS
link set lo up
addr add 10.20.0.$n/24 dev eth0
link set eth0 up
addr add 10.30.0.$n/24 dev eth1
link set eth1 up
LINKS
}

# Bring a switch port into the state that the files RUN/PORT.{cut,mute,split} say.
port_apply() {
  local p=$1-$2
  # Muted = taken out of the bridge: the carrier stays, frames end in the switch's namespace,
  # which has no address. (`bridge link set state 0` would be undone by a carrier change.)
  if [ -e "$RUN/$p.mute" ]; then sw ip link set "$p" nomaster; else
    sw ip link set "$p" master "$(bridge_of "$2")"
    sw bridge link set dev "$p" isolated "$([ -e "$RUN/$p.split" ] && echo on || echo off)"
  fi
  sw ip link set "$p" "$([ -e "$RUN/$p.cut" ] && echo down || echo up)"
}

net_down() {
  local i
  for i in eth0 eth1; do sw ip link del "$1-$i" 2>/dev/null || true; done
  if [ -e "$NS/$1" ]; then umount -l "$NS/$1" 2>/dev/null || true; rm -f "$NS/$1"; fi
}

ports_down() { local i; for i in eth0 eth1; do echo "link set $1-$i down"; done | sw ip -batch - ; }

ports() {   # SUFFIX SET? HOST [IFACE]
  local suffix=$1 on=$2 h=$3 i
  number_of "$h" >/dev/null; need_up
  for i in $(ifaces "${4:-all}"); do
    if [ "$on" = 1 ]; then : > "$RUN/$h-$i.$suffix"; else rm -f "$RUN/$h-$i".{cut,mute}; fi
    [ ! -e "$NS/$h" ] || port_apply "$h" "$i"
  done
}
cmd_cut()  { ports cut  1 "$@"; }
cmd_mute() { ports mute 1 "$@"; }
cmd_plug() { ports any  0 "$@"; }

cmd_split() {
  local h i; need_up
  for h in master slave; do for i in $(ifaces "${1:-all}"); do
    : > "$RUN/$h-$i.split"; [ ! -e "$NS/$h" ] || port_apply "$h" "$i"; done; done
}
cmd_join() {
  local h i; need_up
  for h in master slave; do for i in $(ifaces "${1:-all}"); do
    rm -f "$RUN/$h-$i.split"; [ ! -e "$NS/$h" ] || port_apply "$h" "$i"; done; done
}
