# shellcheck shell=bash
# What .ci/run and .ci/nightly share. Source it from the top of the repository.

lint_version=2.15.0
logs=$(mktemp -d "${TMPDIR:-/tmp}/dateline-ci.XXXXXX")
not_run_file=$logs/not-run
results=()
failed=() # the steps that did, by name
failures=() # for each of them a file with the end of what it said
failed_tests=$logs/failed-tests
began=$SECONDS
: >"$not_run_file"
: >"$failed_tests"
gobin=$(go env GOBIN)
export PATH="${gobin:-$(go env GOPATH)/bin}:$PATH"

# step NAME COMMAND… runs one step, with its wall time. A failure is remembered,
# so that one run shows them all.
step() {
	local name=$1 start=$SECONDS status=0 log=$logs/step-${#results[@]}.log
	shift
	printf '\n== %s\n' "$name"
	# In a subshell that is not part of a condition, or set -e would not hold.
	set +e
	(
		set -e
		"$@"
	) 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	set -e
	local word=ok
	if ((status != 0)); then
		word=FAILED
		failed+=("$name")
		[ -s "$log.failures" ] || tail -n 40 "$log" >"$log.failures"
		failures+=("$log.failures")
	fi
	results+=("$(printf '%-7s %5d s  %s' "$word" $((SECONDS - start)) "$name")")
}

not_run() { printf '%s\n' "$*" >>"$not_run_file"; }

# summary prints every step and what was not run, and is the exit status. What
# failed comes last, shortened, the names at the very end: of a long log often
# the end alone is shown.
summary() {
	printf '\n== NOT RUN\n'
	sort -u "$not_run_file" | sed 's/^/- /'
	local i
	for i in "${!failed[@]}"; do
		printf '\n== FAILED: %s (the end of it)\n' "${failed[i]}"
		cat "${failures[i]}"
	done
	printf '\n== summary\n'
	printf '%s\n' "${results[@]}"
	printf '%-7s %5d s  %s\n' total $((SECONDS - began)) "logs in $logs"
	sort -u "$failed_tests" | sed -n '1,60s/^/FAILED  /p'
	((${#failed[@]} == 0))
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -n "$@"
	else
		echo "packages have to be installed: run this as root, or install sudo" >&2
		return 1
	fi
}

# install_tools brings what the tests need and the machine lacks: real
# browsers, a real Postgres, a real mail server, HTTP/2 servers that are not Go's,
# and a C compiler for the race detector.
install_tools() {
	local missing=()
	command -v firefox-esr >/dev/null || missing+=(firefox-esr)
	command -v chromium >/dev/null || missing+=(chromium)
	command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
	command -v nghttpd >/dev/null || [ -x /usr/sbin/nghttpd ] || missing+=(nghttp2-server)
	command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
	command -v postfix >/dev/null || [ -x /usr/sbin/postfix ] || missing+=(postfix)
	command -v gcc >/dev/null || missing+=(gcc)
	[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
	command -v git >/dev/null || missing+=(git)
	[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
	if ((${#missing[@]} > 0)); then
		echo "installing ${missing[*]}"
		# No database cluster of the system's: the tests make their own.
		as_root mkdir -p /etc/postgresql-common
		[ -e /etc/postgresql-common/createcluster.conf ] ||
			echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
		# Nor a mail server: without a main.cf the system's does not start.
		echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >"$logs/apt.log"
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" >>"$logs/apt.log"
	fi
	if ! golangci-lint version 2>/dev/null | grep -q "version $lint_version "; then
		echo "installing golangci-lint $lint_version"
		go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$lint_version"
	fi
	go version
	firefox-esr --version 2>/dev/null
	chromium --version 2>/dev/null
	gcc --version | head -n 1
}

# formatted fails when a file is not as gofmt writes it.
formatted() {
	local found
	found=$(gofmt -l cmd internal migrations templates)
	if [ -n "$found" ]; then
		printf 'not formatted by gofmt:\n%s\n' "$found"
		return 1
	fi
}

# readme_command PREFIX gives the README's first command line that starts so.
readme_command() {
	local line
	if ! line=$(grep -m 1 -E "^[[:space:]]*$1" README.md); then
		echo "the README names no command that starts with: $1" >&2
		return 1
	fi
	line=${line%%#*}
	read -r line <<<"$line" # without the space around it
	printf '%s\n' "$line"
}

# go_test LOG COMMAND… runs a go test command with -json added to its GOFLAGS,
# shows packages as they end, and then what failed in full. Where nothing failed
# but the race detector itself, those packages are run once more, and it is said.
go_test() {
	local name=$1 status=0 again
	shift
	printf 'GOFLAGS=%q %s\n' "$GOFLAGS" "$*"
	run_tests "$logs/$name.json" "$@" || status=$?
	if ((status != 0)); then
		again=$(awk -f .ci/broke.awk "$logs/$name.json")
		if [ -n "$again" ]; then
			not_run "the first run of $(echo $again): the race detector broke down (ThreadSanitizer: CHECK failed); a second run counted"
			status=0
			# shellcheck disable=SC2086 # one word per package
			run_tests "$logs/$name-again.json" go test $again || status=$?
		fi
	fi
	return "$status"
}

# run_tests LOG COMMAND… is one such run.
run_tests() {
	local log=$1 status=0
	shift
	set +e
	GOFLAGS="$GOFLAGS -json" "$@" 2>"$log.err" | tee "$log" | awk -f .ci/packages.awk
	status=${PIPESTATUS[0]}
	set -e
	awk -f .ci/skipped.awk "$log" >>"$not_run_file"
	if ((status != 0)); then
		cat "$log.err"
		awk -f .ci/failures.awk "$log" "$log"
		awk -f .ci/failures.awk -v lines=40 -v tests=12 "$log" "$log" >"$logs/step-${#results[@]}.log.failures"
		tail -n 20 "$log.err" >>"$logs/step-${#results[@]}.log.failures"
		awk -f .ci/failures.awk -v lines=1 "$log" "$log" | sed -n 's/^-- //p' >>"$failed_tests"
	fi
	return "$status"
}
