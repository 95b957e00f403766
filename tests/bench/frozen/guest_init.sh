#!/bin/busybox sh
# PID 1 of the measured machine: a network card and a shell on the serial console, nothing else.
# Each line that comes in is run; "done STATUS" follows.
/bin/busybox mkdir -p /proc /sys /dev /bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2> /dev/null
for module in $(cat /modules/order); do insmod "/modules/$module" || echo "insmod $module failed"; done
ip link set lo up
ip link set eth0 up
ip address add 10.20.0.11/24 dev eth0
echo "ready $(cat /sys/class/net/eth0/address) $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
while read -r line; do
  eval "$line"
  echo "done $?"
done
