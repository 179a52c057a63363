#!/usr/bin/env bash
# Makes .venv from requirements/PROFILE.txt and installs the open-source Portkey gateway; does nothing when
# both are up to date. The profile aider makes .venv-aider, for the tests that run Aider itself.
# Usage: scripts/bootstrap.sh run|dev|aider   ($PYTHON names the Python to use, 3.11 or newer)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=${1:-}
# Aider's own pins are old, so it lives in an environment of its own.
venv=.venv
[[ $profile != aider ]] || venv=.venv-aider
venv_stamp=$venv/bootstrap.stamp
gateway_stamp=portkey/node_modules/.bootstrap.stamp

main() {
    case $profile in
        run | dev | aider) ;;
        *) fail "Usage: scripts/bootstrap.sh run|dev|aider" ;;
    esac
    python_packages
    [[ $profile == aider ]] || command_line
    [[ $profile == aider ]] || gateway
}

# The command, by both its names, as a link: moving or updating this folder needs nothing to be installed anew.
command_line() {
    local name
    for name in amr aider-model-router; do
        [[ $(readlink "$venv/bin/$name") == ../../scripts/amr ]] || ln -sfn ../../scripts/amr "$venv/bin/$name"
    done
}

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# One line a profile that .venv satisfies: its name and the sum of its lock.
stamp_of() {
    printf '%s %s\n' "$1" "$(sum_of "requirements/$1.txt")"
}

# sha256sum is not on every machine (macOS), Python is.
sum_of() {
    "$any_python" - "$@" <<'PYTHON'
import hashlib, pathlib, sys
print(hashlib.sha256(b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:])).hexdigest())
PYTHON
}

python_packages() {
    if works "$venv/bin/python"; then
        any_python=$venv/bin/python
    else
        choose_python
        require_venv_module
        say "Making $venv with $("$any_python" --version) ..."
        "$any_python" -m venv --clear "$venv" || fail "$any_python could not make $venv; its message is above."
    fi
    if [[ -f $venv_stamp ]] && grep -qxF "$(stamp_of "$profile")" "$venv_stamp"; then
        return
    fi
    say "Installing the Python packages of requirements/$profile.txt into $venv (a minute or two the first time) ..."
    rm -f "$venv_stamp"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input --require-hashes --only-binary :all: \
        -r "requirements/$profile.txt" ||
        fail "The Python packages could not be installed; pip's message is above. Check the network and pip's settings (proxy, package index), then run this again."
    # dev holds all that run does, in the same versions.
    { [[ $profile != dev ]] || stamp_of run; stamp_of "$profile"; } >"$venv_stamp"
}

works() {
    [[ -x $(command -v "$1") ]] && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Whoever builds Python without its optimisations, as pyenv does unless told, has the services use a quarter more CPU.
choose_python() {
    local candidate other=
    if [[ -n ${PYTHON:-} ]]; then
        works "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or newer."
        any_python=$PYTHON
        return
    fi
    while IFS= read -r candidate; do
        works "$candidate" || continue
        any_python=$candidate
        if is_optimised && has_venv_module; then
            return
        fi
        other=${other:-$candidate}
    done < <(type -aP python3.13 python3.12 python3.11 python3)
    any_python=$other
    [[ -z $any_python ]] || return 0
    if can_apt; then
        apt_install python3 python3-venv
        any_python=python3
        works python3 && return
    fi
    fail "Python 3.11 or newer was not found; install it (Debian, Ubuntu: apt-get install python3 python3-venv) or set PYTHON to its path."
}

# What distributions put under /usr they build well, and do not always say how.
is_optimised() {
    "$any_python" -c 'import sys, sysconfig
sys.exit(sys.base_prefix != "/usr" and "--enable-optimizations" not in (sysconfig.get_config_var("CONFIG_ARGS") or ""))'
}

# Debian's python3 comes without ensurepip; `-m venv` would leave half an environment behind.
require_venv_module() {
    has_venv_module && return
    if can_apt; then
        apt_install python3-venv
        has_venv_module && return
    fi
    fail "$any_python cannot make virtual environments (no ensurepip); install its venv package (Debian, Ubuntu: apt-get install python3-venv) or set PYTHON to another Python 3.11 or newer."
}

has_venv_module() {
    "$any_python" -c 'import ensurepip, venv' 2>/dev/null
}

can_apt() {
    [[ $(id -u) == 0 && -f /etc/debian_version ]] && command -v apt-get >/dev/null
}

apt_install() {
    say "Installing $* with apt-get, to make a virtual environment ..."
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$@"; } >/dev/null ||
        fail "apt-get could not install $*; its message is above. Is there a network?"
}

gateway() {
    local wanted node word npm=()
    wanted=$(sum_of portkey/package.json portkey/package-lock.json)
    if [[ -f $gateway_stamp && $(<"$gateway_stamp") == "$wanted" ]]; then
        return
    fi
    # Its first line is node itself, the others are the words of the npm command.
    node=$("$venv/bin/python" -m launcher.node)
    while IFS= read -r word; do npm+=("$word"); done <<<"$node"
    node=${npm[0]}
    ((${#npm[@]} > 1)) || fail "$node has no npm beside it; install npm to install the Portkey gateway."
    say "Installing the open-source Portkey gateway into portkey/node_modules with Node.js $("$node" --version) ..."
    (cd portkey && PATH=$(dirname "$node"):$PATH "${npm[@]:1}" ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null) ||
        fail "The Portkey gateway could not be installed; npm's message is above. Check the network and npm's settings (proxy, registry), then run this again."
    printf '%s\n' "$wanted" >"$gateway_stamp"
}

main
