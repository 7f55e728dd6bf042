#!/bin/sh
# Makes the passwords and keys that docker-compose.yml mounts, once. Keep
# data/secrets safe and backed up: without vapid_key every subscribed phone is
# lost, without seal_key all stored endpoints and addresses.
#
# Needs openssl and the program: Go, or another way to run it, such as
#   DATELINE='docker run --rm dateline' sh docs/compose-secrets.sh
set -eu
cd "$(dirname "$0")/.."
secrets=data/secrets
if [ -e "$secrets" ]; then
	echo "$secrets exists; it is never overwritten" >&2
	exit 1
fi

# Only the owner may enter the folder. The files themselves can be read by
# anybody who gets there, such as the containers' own users.
umask 077
mkdir -p "$secrets"
chmod 700 "$secrets"
umask 022
trap 'test $? = 0 || rm -r "$secrets"' EXIT

password() { openssl rand -hex 24; }
put() { printf '%s\n' "$2" >"$secrets/$1"; }

database=$(password)
printf %s "$database" >"$secrets/postgres_password"
put database_url "postgres://dateline:$database@postgres:5432/dateline?sslmode=disable"

nats=$(password)
put nats_auth "user: dateline, password: \"$nats\""
put nats_url "nats://dateline:$nats@nats-1:4222,nats://dateline:$nats@nats-2:4222,nats://dateline:$nats@nats-3:4222"

keys=$(${DATELINE:-go run ./cmd/dateline} keys)
key() {
	value=$(printf '%s\n' "$keys" | sed -n "s/^$1=//p")
	test -n "$value" || { echo "dateline keys printed no $1" >&2; exit 1; }
	put "$2" "$value"
}
key DATELINE_VAPID_KEY vapid_key
key DATELINE_LINK_KEY link_key
key DATELINE_SEAL_KEY seal_key
key DATELINE_ADMIN_KEY admin_key

openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$secrets/dkim_key" 2>/dev/null ||
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$secrets/dkim_key"
chmod 644 "$secrets/dkim_key"
echo "written to $secrets"
