#!/bin/sh
# Starts, stops and shows the test PBX (pbx_main.ts), as the `command` service driver of relais expects it:
# start returns when it answers, stop when it is gone, status is 0 when it runs and 3 when it does not.
#
#   pbx.sh start DENO | stop | status
#
# For tests: /etc/test-pbx/start_delay_s holds seconds that a start takes longer;
# with /etc/test-pbx/broken a start fails.
set -u
run=/run/test-pbx
pid_file=$run/pid
log=/var/log/test-pbx.log

running() {
  [ -s "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2> /dev/null
}

case ${1:-} in
  start)
    ! running || exit 0
    if [ -e /etc/test-pbx/broken ]; then
      echo "test PBX: told to fail by /etc/test-pbx/broken" >&2
      exit 1
    fi
    [ ! -e /etc/test-pbx/start_delay_s ] || sleep "$(cat /etc/test-pbx/start_delay_s)"
    mkdir -p "$run" /var/lib/asterisk
    rm -f "$pid_file"
    main=$(dirname "$0")/pbx_main.ts
    setsid --fork "${2:?path of deno}" run --quiet --no-check --allow-all "$main" "$pid_file" \
      < /dev/null >> "$log" 2>&1
    for _ in $(seq 1000); do
      ! running || exit 0
      sleep 0.02
    done
    echo "test PBX: not up after 20 s: $(tail -n 3 "$log")" >&2
    exit 1
    ;;
  stop)
    running || exit 0
    pid=$(cat "$pid_file")
    kill -TERM "$pid"
    for _ in $(seq 500); do
      if ! kill -0 "$pid" 2> /dev/null; then
        rm -f "$pid_file"
        exit 0
      fi
      sleep 0.02
    done
    kill -KILL "$pid"
    rm -f "$pid_file"
    ;;
  status)
    running || exit 3
    ;;
  *)
    echo "usage: pbx.sh start DENO | stop | status" >&2
    exit 2
    ;;
esac
