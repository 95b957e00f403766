#!/bin/sh
# PID 1 of a lab's switch: holds the network namespace with the bridges and, under /mnt of its own mount
# namespace, the disks (a tmpfs) of the lab's hosts. Run by `holder.ts` inside new namespaces; ends when
# its standard input closes.
#
#   switch_init.sh DISK_MB
set -eu
read -r pid _ < /proc/self/stat   # /proc is still the machine's: our pid as the test sees it
mount -t tmpfs -o "size=${1}m,mode=755" lab /mnt
ip link set lo up
echo "ready $pid"
# With SIGCHLD ignored the kernel reaps whatever is left to PID 1.
exec env --ignore-signal=CHLD cat > /dev/null 2>&1
