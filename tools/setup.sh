#!/bin/sh
# Makes .venv in the checkout with everything that the make targets need, and nothing outside of it.
#
# The stamp says for which folder and which pyproject.toml the environment is complete: without one
# it is half made (or another's) and is made anew; with an old one only the packages are brought up
# to date. So a repeated run needs no network.
set -eu

cd "$(dirname "$0")/.."
STAMP=.venv/.torpor-ready

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Prints the first Python that can make the environment, or says which package is missing.
choose_python() {
    without_venv=
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
        command -v "$candidate" >/dev/null || continue
        is_new_enough "$candidate" || continue
        if has_venv "$candidate"; then
            echo "$candidate"
            return
        fi
        without_venv=${without_venv:-$candidate}
    done
    if [ -n "$without_venv" ]; then
        package=$("$without_venv" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        fail "$without_venv has no venv module: install it with \`apt-get install python3-venv\`" \
            "($package where this Python is not the distribution's default)"
    fi
    fail "no Python 3.11 or newer found (looked for: ${PYTHON:-python3, python3.11 to python3.14}):" \
        "install one, or name it with PYTHON=/path/to/python3"
}

make_environment() {
    python=$(choose_python)
    say "making .venv with $python ($("$python" -c 'import platform; print(platform.python_version())'))"
    rm -rf .venv
    "$python" -m venv .venv || fail "\`$python -m venv .venv\` failed; see above"
}

install_packages() {
    say "installing packages into .venv (a minute or two the first time)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
        --prefer-binary --editable '.[dev]' ||
        fail "pip could not install the packages; is the network there? Run the same command again."
}

place=$(pwd -P)
content=$(cksum <pyproject.toml)
stamped_place=$(sed -n 1p "$STAMP" 2>/dev/null || true)
stamped_content=$(sed -n 2p "$STAMP" 2>/dev/null || true)

if [ "$stamped_place" != "$place" ] || ! .venv/bin/python -c '' 2>/dev/null; then
    make_environment
    stamped_content=
fi
if [ "$stamped_content" != "$content" ]; then
    install_packages
    printf '%s\n%s\n' "$place" "$content" >"$STAMP"
    say "ready"
fi
