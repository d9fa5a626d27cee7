#!/bin/sh
# Finds Chromium for the browser tests, or installs it where the user is root, or says how.
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing Chromium for the browser tests …"
  log=$(mktemp)
  if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1; then
    exit 0
  fi
  tail -5 "$log" >&2
fi
echo "Chromium is not installed: the browser tests will be skipped (apt install chromium)." >&2
[ "${CI:-}" = true ] && exit 1
exit 0
