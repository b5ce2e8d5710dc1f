#!/bin/sh
# tools/bootstrap.sh GROUP...
# Installs what is missing of the named groups (build, test, bench, format): Debian packages from debian-packages.txt, and the Python
# packages of python-packages.txt into .venv. What is there already is left alone, and then nothing is asked of the network.
set -eu
cd "$(dirname "$0")/.."

# The lines of file $1 that stand under the headings $2...
group() {
  file=$1
  shift
  awk -v wanted=" $* " '/^\[/ { on = index(wanted, " " substr($1, 2, length($1) - 2) " ") } !/^\[/ && !/^#/ && NF && on { print $1 }' "$file"
}

install_debian() {
  packages=$(group tools/debian-packages.txt "$@" | sort -u)
  if ! command -v dpkg-query >/dev/null; then
    for tool in c++ cmake ninja python3; do
      if ! command -v $tool >/dev/null; then
        echo "attend: $tool is missing and this is no Debian, where I could install it. Needed, by Debian's names:" $packages >&2
        exit 1
      fi
    done
    return  # cmake names any library that is missing
  fi
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null | awk '$2 == "installed" { print $1 }' || true)
  missing=""
  for package in $packages; do
    echo "$installed" | grep -qx "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  as_root=""
  if [ "$(id -u)" != 0 ]; then
    as_root=sudo
  fi
  if ! command -v apt-get >/dev/null || { [ -n "$as_root" ] && ! command -v sudo >/dev/null; }; then
    echo "attend: missing:$missing. I have no apt-get, or neither root nor sudo; as root: apt-get install$missing" >&2
    exit 1
  fi
  echo "attend: installing Debian packages:$missing"
  $as_root apt-get -q update
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing
}

# One stamp a group, holding the list that was installed.
install_python() {
  wanted=""
  for name in "$@"; do
    list=$(group tools/python-packages.txt "$name")
    stamp=.venv/attend-$name.txt
    if [ -n "$list" ] && [ "$(cat "$stamp" 2>/dev/null)" != "$list" ]; then
      wanted="$wanted $name"
    fi
  done
  if ! .venv/bin/python -c '' 2>/dev/null; then
    rm -rf .venv
    "${PYTHON:-python3}" -m venv .venv
    wanted="$*"
  fi
  if [ -n "$wanted" ]; then
    echo "attend: installing Python packages into .venv:" $(group tools/python-packages.txt $wanted)
    .venv/bin/python -m pip install --quiet --disable-pip-version-check $(group tools/python-packages.txt build $wanted)
    for name in $wanted; do
      group tools/python-packages.txt "$name" >".venv/attend-$name.txt"
    done
  fi
}

# `import attend` in .venv finds python/attend, which loads build/libattend_torch.so.
link_package() {
  for site in .venv/lib/python3*/site-packages; do
    if [ "$(cat "$site/attend.pth" 2>/dev/null)" != "$PWD/python" ]; then
      echo "$PWD/python" >"$site/attend.pth"
    fi
  done
}

install_debian "$@"
install_python "$@"
link_package
