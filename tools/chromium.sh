#!/bin/sh
# What `make browser` and `make screenshots` need beside .venv: Playwright, which drives a browser,
# and the distribution's own Chromium. Nothing is downloaded that no package manager knows.
set -eu

cd "$(dirname "$0")/.."

say() { printf 'chromium: %s\n' "$*" >&2; }

is_there() {
    for program in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$program" >/dev/null && return 0
    done
    return 1
}

if ! .venv/bin/python -c 'import axe_playwright_python, playwright' 2>/dev/null; then
    say "installing Playwright into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
        --prefer-binary --editable '.[browser]'
fi

if ! is_there; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        say "installing Debian's Chromium"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
            chromium fonts-roboto-unhinted >/dev/null
    else
        say "there is none: install the package chromium; without it nothing is tested here"
        [ -z "${CI:-}" ] || exit 1
    fi
fi
