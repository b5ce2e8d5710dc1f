#!/bin/bash
# tools/check-fresh.sh [--keep DIR] [COMMAND...]
# Shows that a fresh machine is enough: makes a bare Debian 12 root with debootstrap, copies a clean clone of this repository in, and
# runs COMMAND there (default: `make demo` and `make test`, each twice). The host's package settings, certificates and wheel folders
# are visible in it. Runs as root. --keep DIR uses and leaves the root in DIR, so that a later run goes on in it.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
  echo "check-fresh: needs root and debootstrap (apt-get install debootstrap)" >&2
  exit 1
fi
if [ -z "${ATTEND_FRESH_INSIDE:-}" ]; then
  # Mounts are made in a namespace of our own: they are gone when it ends, however it ends, before anything is deleted.
  root="" keep=""
  if [ "${1:-}" = --keep ]; then
    keep=1 root=$2
    shift 2
    mkdir -p "$root"
    root=$(cd "$root" && pwd)
  else
    root=$(mktemp -d /tmp/attend-fresh.XXXXXX)
  fi
  chmod 755 "$root"
  status=0
  ATTEND_FRESH_INSIDE=$root unshare --mount --propagation private "$0" "$@" || status=$?
  [ -n "$keep" ] || rm -rf --one-file-system "$root"
  exit $status
fi
root=$ATTEND_FRESH_INSIDE

# The mirror that the host itself uses for bookworm, or debootstrap's own.
mirror=""
if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
fi
if [ ! -e "$root/etc/debian_version" ]; then
  debootstrap --variant=minbase --include=make,git,ca-certificates bookworm "$root" $mirror
fi

# bind SOURCE [TARGET]: makes a host path visible at the same place of the root, read-only.
bind() {
  source=$1 target=$root${2:-$1}
  if [ -d "$source" ]; then
    mkdir -p "$target"
  else
    mkdir -p "$(dirname "$target")"
    [ -e "$target" ] || : >"$target"
  fi
  mount --bind "$source" "$target"
  mount -o remount,bind,ro "$target"
}
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
bind /sys
[ -e /etc/resolv.conf ] && bind "$(readlink -f /etc/resolv.conf)" /etc/resolv.conf
bind /etc/hosts
if [ -n "$mirror" ]; then
  bind /etc/apt
fi

# pip's settings, from wherever they come, go in as variables; the folders and certificates that they name are bound.
settings=(HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "TERM=${TERM:-dumb}")
while IFS='=' read -r key value; do
  name=${key#global.}
  name=PIP_$(echo "${name#:env:.}" | tr 'a-z-' 'A-Z_')
  value=${value#\'} value=${value%\'}
  settings+=("$name=${value//\\n/ }")
done < <(python3 -m pip config list 2>/dev/null | grep -E '^(global\.|:env:\.)' | sort -r)  # :env: last, as it wins
while IFS= read -r line; do
  settings+=("$line")
done < <(env | grep -iE '^([a-z]+_proxy|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO|CI)=')
for setting in "${settings[@]}"; do
  case ${setting%%=*} in HOME | PATH | LANG | TERM) continue ;; esac
  for word in ${setting#*=}; do
    path=${word#file://}
    if [[ $path == /* && -e $path ]] && ! mountpoint -q "$root$path"; then
      bind "$(readlink -f "$path")" "$path"
      # a simple index links to its files by relative paths
      if [[ $word == file://*/simple && -d ${path%/simple} ]]; then
        bind "${path%/simple}"
      fi
    fi
  done
done

source_dir=/srv/attend  # inside the root
if [ ! -e "$root$source_dir" ]; then
  if git -C "$repository" rev-parse -q --verify HEAD >/dev/null; then
    git clone -q --no-hardlinks "$repository" "$root$source_dir"
  else
    mkdir -p "$root$source_dir"
    git -C "$repository" ls-files -z -co --exclude-standard | tar -C "$repository" --null -T - -c | tar -C "$root$source_dir" -x
  fi
fi
[ -d "$repository/../shared" ] && bind "$(cd "$repository/../shared" && pwd)" "$(dirname "$source_dir")/shared"

inside() {
  echo "check-fresh: $*"
  start=$SECONDS
  chroot "$root" env -i "${settings[@]}" /bin/bash -c "cd $source_dir && $*" </dev/null
  echo "check-fresh: $((SECONDS - start)) s: $*"
}
if [ $# -gt 0 ]; then
  inside "$@"
else
  inside make demo
  inside make test
  inside make demo
  inside make test
fi
