#!/usr/bin/env bash
# Installs what some tests start for themselves (Redis, PostgreSQL, Prometheus, Chromium), set a clock with (libfaketime) or build manifests
# with (kubectl), where root and Debian allow it; elsewhere it says so, and those tests print that they are left out.
set -euo pipefail

wanted=()
command -v redis-server >/dev/null || wanted+=(redis-server)
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || wanted+=(postgresql)
compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || wanted+=(libfaketime)
command -v promtool >/dev/null || wanted+=(prometheus)
command -v kubectl >/dev/null || wanted+=(kubernetes-client)
command -v chromium >/dev/null || wanted+=(chromium)
((${#wanted[@]})) || exit 0
if [[ $(id -u) != 0 || ! -f /etc/debian_version ]] || ! command -v apt-get >/dev/null; then
    echo "Not installed here, because that takes root on Debian: ${wanted[*]}; the tests that need them are left out." >&2
    exit 0
fi
echo "Installing ${wanted[*]} with apt-get, for the tests that start them ..." >&2
# Only the programs: the tests start servers of their own, so the packages shall start none.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${wanted[@]}"; } >/dev/null ||
    echo "apt-get could not install ${wanted[*]}; the tests that need them are left out." >&2
