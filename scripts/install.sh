#!/bin/sh
# Makes .venv and installs the given lock files into it; says in one sentence what is missing.
set -u
PYTHON=${PYTHON:-python3}

fail() {
  echo "Portal cannot be installed: $*" >&2
  exit 1
}

command -v "$PYTHON" >/dev/null 2>&1 || fail "there is no $PYTHON on this machine. Install Python 3.11 or newer (apt install python3 python3-venv)."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$PYTHON is $("$PYTHON" -V 2>&1); Python 3.11 or newer is needed (or name one: make run PYTHON=python3.12)."
[ -w . ] || fail "this folder is not writable for $(id -un); it needs to hold .venv."
if [ ! -x .venv/bin/python ]; then
  "$PYTHON" -m venv .venv 2>/dev/null || {
    rm -rf .venv
    fail "a virtual environment could not be made; the package python3-venv is missing (apt install python3-venv)."
  }
fi
echo "Installing what Portal runs on …"
words=
for file in "$@"; do words="$words -r $file"; done
# shellcheck disable=SC2086
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes $words ||
  fail "the packages could not be installed; the reason stands above (is the network there?)."
