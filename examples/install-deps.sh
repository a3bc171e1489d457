#!/bin/bash
# Install the Debian packages Translune needs.
#
#   examples/install-deps.sh build    what building needs (the default)
#   examples/install-deps.sh test     also what the tests need: compilers, Java, Go, Node
#
# Asks dpkg first and calls apt-get only for what is missing, so it is quick and needs no rights
# when everything is there.  Runs as root, or through sudo.
set -euo pipefail

BUILD_PACKAGES=(
    build-essential cmake ninja-build pkg-config
    libevent-dev libluajit-5.1-dev libjansson-dev uthash-dev
    libdeflate-dev liblz4-dev libzstd-dev python3
)
TEST_PACKAGES=(
    git ccache zstd libcmocka-dev clang libclang-rt-14-dev python3-pytest ca-certificates curl procps
)
# Tools that count as present when a good one is on the PATH, wherever it came from:
# command, lowest major version, package
TOOLS=(
    "javac 11 default-jdk-headless"
    "mvn 3 maven"
    "go 1 golang"
    "node 18 nodejs"
    "npm 7 npm"
)

say() { printf '%s\n' "install-deps: $*"; }
die() {
    say "$*" >&2
    exit 1
}

# The first whole number of what `COMMAND` says about its version; empty when it is not there.
major_version() {
    command -v "$1" >/dev/null 2>&1 || return 0
    case $1 in
    go) go version ;;
    javac) javac -version ;;
    *) "$1" --version ;;
    esac 2>&1 | sed 's/\x1b\[[0-9;]*m//g' | grep -oE '[0-9]+(\.[0-9]+)*' | head -n 1 | cut -d. -f1
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

check_system() {
    [ -r /etc/os-release ] || die "/etc/os-release is missing: this is for Debian 12 or newer"
    # shellcheck disable=SC1091
    . /etc/os-release
    case "${ID:-} ${ID_LIKE:-}" in
    *debian*) ;;
    *) die "${PRETTY_NAME:-this system} is not Debian 12 or newer; install by hand: ${BUILD_PACKAGES[*]}" ;;
    esac
    if [ "${ID:-}" = debian ] && [ "${VERSION_ID:-99}" -lt 12 ]; then
        die "${PRETTY_NAME} is too old; Debian 12 or newer is needed"
    fi
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
        die "apt-get and dpkg-query are needed"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "packages are missing (${missing[*]}); run this as root, or install sudo"
    fi
}

what=${1:-build}
case $what in
build | test) ;;
-h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 0 ;;
*) die "'$what': expected build or test" ;;
esac
check_system

missing=()
for package in "${BUILD_PACKAGES[@]}"; do
    installed "$package" || missing+=("$package")
done
if [ "$what" = test ]; then
    for package in "${TEST_PACKAGES[@]}"; do
        installed "$package" || missing+=("$package")
    done
    for tool in "${TOOLS[@]}"; do
        read -r command lowest package <<<"$tool"
        have=$(major_version "$command")
        [ -n "$have" ] && [ "$have" -ge "$lowest" ] || missing+=("$package")
    done
fi

if [ ${#missing[@]} = 0 ]; then
    say "everything for '$what' is installed"
    exit 0
fi

say "installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
say "apt-get update"
as_root apt-get update -qq || die "apt-get update failed: is there a network and a package source?"
say "apt-get install"
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null ||
    die "apt-get install failed for: ${missing[*]}"
say "done"
