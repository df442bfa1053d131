#!/bin/sh
# Starts one Sentinel. Its first start writes its configuration; later ones keep it, because the
# Sentinel itself writes into it who is primary and in which epoch it voted.
#
#   start-sentinel.sh SETTING...   settings as redis-server takes them: --port 26379 --bind ...
#
# All data nodes and Sentinels are known from the first moment: a Sentinel that had yet to discover
# the others would count a majority of too few.
#
# Environment, besides that of start-redis.sh:
#   HOLDFAST_SENTINEL_SELF           host:port by which the others know this Sentinel
#   HOLDFAST_SENTINEL_DIR            where its configuration stands
#   HOLDFAST_SENTINEL_FAILOVER_MS    failover-timeout; a failed failover is tried again after twice that
set -eu

sentinels=${HOLDFAST_SENTINELS:?names every Sentinel as host:port}
nodes=${HOLDFAST_REDIS_NODES:?names every data node as host:port, the first primary first}
self=${HOLDFAST_SENTINEL_SELF:?says how the others know this Sentinel, as host:port}
directory=${HOLDFAST_SENTINEL_DIR:?is where the configuration stands}
master=${HOLDFAST_SENTINEL_MASTER:-holdfast}
down_after_ms=${HOLDFAST_REDIS_DOWN_AFTER_MS:?is down-after-milliseconds}
failover_ms=${HOLDFAST_SENTINEL_FAILOVER_MS:-10000}
server=${HOLDFAST_REDIS_SERVER:-redis-server}

id_of() { # HOST:PORT: 40 hexadecimal digits, the same on every machine
  printf '%040x' "$(printf %s "$1" | cksum | cut -d ' ' -f 1)"
}

write_configuration() { # PRIMARY REPLICA...
  primary=$1
  shift
  # shellcheck disable=SC2086 # a list of words
  quorum=$(($(printf '%s\n' $sentinels | wc -l) / 2 + 1))
  cat <<END
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip ${self%:*}
sentinel announce-port ${self##*:}
sentinel myid $(id_of "$self")
sentinel monitor $master ${primary%:*} ${primary##*:} $quorum
sentinel down-after-milliseconds $master $down_after_ms
sentinel failover-timeout $master $failover_ms
# All at once: they serve no reads, and the level \`replicated\` waits for a majority of them.
sentinel parallel-syncs $master $#
END
  if [ -n "${REDISCLI_AUTH:-}" ]; then
    printf 'sentinel auth-pass %s %s\nrequirepass %s\n' "$master" "$REDISCLI_AUTH" "$REDISCLI_AUTH"
  fi
  for replica in "$@"; do
    echo "sentinel known-replica $master ${replica%:*} ${replica##*:}"
  done
  for sentinel in $sentinels; do
    [ "$sentinel" = "$self" ] ||
      echo "sentinel known-sentinel $master ${sentinel%:*} ${sentinel##*:} $(id_of "$sentinel")"
  done
}

configuration=$directory/sentinel.conf
if [ ! -f "$configuration" ]; then
  # Renamed when complete: half a configuration is never taken for one.
  # shellcheck disable=SC2086 # a list of words
  write_configuration $nodes >"$configuration.new"
  mv "$configuration.new" "$configuration"
fi
exec "$server" "$configuration" --sentinel "$@"
