#!/bin/sh
# Starts one Redis of a Sentinel group, and never straight as primary.
#
#   start-redis.sh [FILE] SETTING...   as redis-server takes them: redis.conf --port 6379 ...
#
# Why: a primary that restarts faster than the Sentinels notice comes back with what its own file
# has, and its replicas, which have more, resynchronise down to it. So a restarted node first asks.
#
# The rule, tried again until it decides (each wait is said on stderr):
#   a majority of the Sentinels names nobody        wait
#   it names a node that we do not know             wait: somebody spelt an address in two ways
#   it names another node                           start as its replica, once it answers; or when it
#                                                   has not for the patience: then the Sentinels
#                                                   need this node to have somebody to promote
#   it names this node, another data node may run   wait: not answering is what makes the Sentinels
#                                                   promote the other one, which has more than we
#   it names this node, no other data node runs     cold start of the group: start as primary.
#                                                   Nobody holds anything in memory, and what the
#                                                   level `fsync` promised is in this node's file
# A data node does not run when it refuses our connections and no Sentinel is connected to it (a
# firewall, or a Kubernetes service without a ready pod, refuses in the name of nodes that live), or
# when a majority of the Sentinels has it as down (s_down, which takes them `down-after`).
#
# Environment:
#   HOLDFAST_SENTINELS             host:port of every Sentinel, separated by spaces
#   HOLDFAST_REDIS_NODES           host:port of every data node, as the Sentinels spell it
#   HOLDFAST_REDIS_SELF            host:port by which the others know this node
#   HOLDFAST_SENTINEL_MASTER       the group's name (holdfast)
#   HOLDFAST_REDIS_DOWN_AFTER_MS   the Sentinels' down-after-milliseconds
#   HOLDFAST_REDIS_SERVER, HOLDFAST_REDIS_CLI   programs (redis-server, redis-cli)
#   HOLDFAST_REDIS_START_AS        `primary`: a person has decided, ask nobody
#   REDISCLI_AUTH                  password of Redis and Sentinel, as redis-cli reads it
set -eu

sentinels=${HOLDFAST_SENTINELS:?names every Sentinel as host:port}
nodes=${HOLDFAST_REDIS_NODES:?names every data node as host:port}
self=${HOLDFAST_REDIS_SELF:?says how the others know this node, as host:port}
master=${HOLDFAST_SENTINEL_MASTER:-holdfast}
down_after_ms=${HOLDFAST_REDIS_DOWN_AFTER_MS:?is down-after-milliseconds of the Sentinels}
server=${HOLDFAST_REDIS_SERVER:-redis-server}
cli=${HOLDFAST_REDIS_CLI:-redis-cli}

# A hung or cut off server must not hold up the question to the next one (where there is no
# `timeout`, as on macOS, it does).
ask_timeout_s=1
poll_interval_s=0.1
# Long enough for a named primary that itself waits for the Sentinels to see the others down.
patience_s=$((2 * down_after_ms / 1000 + 5))
patience_ends=$(($(date +%s) + patience_s))

set_majority() { majority=$(($# / 2 + 1)); }
# shellcheck disable=SC2086 # a list of words
set_majority $sentinels

said=
say() { # what is waited for: once, not at every look
  [ "$1" = "$said" ] || printf 'start-redis: %s\n' "$1" >&2
  said=$1
}

ask() { # HOST:PORT COMMAND...: the reply or the client's error, line by line
  address=$1
  shift
  if command -v timeout >/dev/null; then
    timeout "$ask_timeout_s" "$cli" -h "${address%:*}" -p "${address##*:}" "$@" 2>&1 || true
  else
    "$cli" -h "${address%:*}" -p "${address##*:}" "$@" 2>&1 || true
  fi
}

# HOST:PORT that a majority of all Sentinels names; nothing when there is no such.
named_primary() {
  for sentinel in $sentinels; do
    ask "$sentinel" SENTINEL get-master-addr-by-name "$master" |
      awk 'NR == 1 { host = $1 } NR == 2 && /^[0-9]+$/ { print host ":" $1 }'
  done | sort | uniq -c | awk -v majority="$majority" '$1 >= majority { print $2 }'
}

# Whether a node is named as here: else we might not know ourselves, and follow ourselves.
is_ours() { # HOST:PORT
  case " $nodes " in *" $1 "*) true ;; *) false ;; esac
}

# One line `HOST:PORT FLAGS` for each replica that each Sentinel knows.
sentinel_replicas() {
  for sentinel in $sentinels; do
    ask "$sentinel" SENTINEL replicas "$master" | awk '
      name == "ip" { host = $0 } name == "port" { port = $0 }
      name == "flags" { print host ":" port, $0 } { name = $0 }'
  done
}

condition_of() { # HOST:PORT: `up`, `refused` or `silent`
  case $(ask "$1" PING) in
  *'Connection refused'*) echo refused ;;
  PONG* | LOADING* | NOAUTH* | *ERR* | *DENIED*) echo up ;;
  *) echo silent ;;
  esac
}

# Every other data node that may be running, with the reason to think so; nothing on a cold start.
others_that_may_run() {
  replicas=$(sentinel_replicas)
  # shellcheck disable=SC2086 # a list of words
  for node in $(printf '%s\n' $nodes "$replicas" | awk '{ print $1 }' | sort -u); do
    [ "$node" != "$self" ] || continue
    case $(condition_of "$node") in
    up) echo "$node answers" ;;
    refused)
      connected=$(printf '%s\n' "$replicas" |
        awk -v node="$node" '$1 == node && !/s_down|disconnected/ { n++ } END { print n + 0 }')
      [ "$connected" -eq 0 ] || echo "$node refuses us, but $connected Sentinels are connected to it"
      ;;
    *)
      down=$(printf '%s\n' "$replicas" |
        awk -v node="$node" '$1 == node && /s_down/ { n++ } END { print n + 0 }')
      [ "$down" -ge "$majority" ] || echo "$node is silent, and only $down Sentinels have it as down"
      ;;
    esac
  done
}

configuration=
case ${1:-} in
'' | -*) ;;
*)
  configuration=$1
  shift
  ;;
esac

# Becomes Redis. It gets the file as its input, not by name: a Sentinel has Redis rewrite the file
# that it knows, and a role that an earlier life left there would stand above what is decided here.
become() { # SETTING...
  if [ -n "$configuration" ]; then
    exec "$server" - "$@" <"$configuration"
  fi
  exec "$server" "$@"
}

if [ "${HOLDFAST_REDIS_START_AS:-}" = primary ]; then
  say 'starting as primary, as HOLDFAST_REDIS_START_AS says'
  become "$@"
fi

while :; do
  primary=$(named_primary)
  if [ -z "$primary" ]; then
    say "waiting: no majority of the Sentinels ($sentinels) names a primary of $master"
  elif ! is_ours "$primary"; then
    say "waiting: the Sentinels name $primary, which is not in HOLDFAST_REDIS_NODES ($nodes): spell the nodes as the Sentinels do"
  elif [ "$primary" != "$self" ]; then
    if [ "$(condition_of "$primary")" = up ] || [ "$(date +%s)" -ge "$patience_ends" ]; then
      say "starting as a replica of $primary"
      become "$@" --replicaof "${primary%:*}" "${primary##*:}"
    fi
    say "waiting up to $patience_s s for the primary $primary to answer"
  else
    running=$(others_that_may_run)
    if [ -z "$running" ]; then
      say 'starting as primary: the Sentinels name this node, and no other one runs'
      become "$@"
    fi
    say "waiting to be replaced: the Sentinels still name this node as primary, but $(
      printf '%s' "$running" | tr '\n' ';'
    ). If they cannot promote it, HOLDFAST_REDIS_START_AS=primary makes this node primary"
  fi
  sleep "$poll_interval_s"
done
