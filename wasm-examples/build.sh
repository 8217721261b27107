#!/usr/bin/env bash
# Builds the example validators with Debian's toolchains and npm's, installing what is
# missing, which takes root.
#
#   wasm-examples/build.sh            beside their sources
#   wasm-examples/build.sh DIRECTORY  as DIRECTORY/LANGUAGE/NAME.wasm
#
# The same sources give the same bytes on every machine: compilers are pinned (Debian 12's,
# and package-lock.json), and no module holds names or paths.
set -euo pipefail
out=$(realpath -m "${1:-$(dirname "$0")}")
cd "$(dirname "$0")"

# The script says rustc by its path: another one may come first in PATH.
rustc=/usr/bin/rustc
rust_target=wasm32-unknown-unknown

main() {
  install_packages
  mkdir -p "$out"/{c,rust,assemblyscript,go,command}
  build_c
  build_rust
  build_assemblyscript
  build_go go
  build_go command
}

install_packages() {
  local packages=()
  command -v clang >/dev/null || packages+=(clang)
  command -v wasm-ld >/dev/null || packages+=(lld)
  [ -x $rustc ] || packages+=(rustc)
  [ -d "$($rustc --print sysroot 2>/dev/null)/lib/rustlib/$rust_target" ] || packages+=(libstd-rust-dev-wasm32)
  command -v npm >/dev/null || packages+=(nodejs npm)
  [ ${#packages[@]} -gt 0 ] || return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
}

# A stack below everything else ends with a trap where it would otherwise run into data.
build_c() {
  clang --target=wasm32 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -mbulk-memory \
    -Wl,--no-entry,--strip-all,--stack-first,-z,stack-size=8192 \
    -o "$out/c/mounts_and_secrets.wasm" c/mounts_and_secrets.c
}

build_rust() {
  $rustc --edition 2021 --target $rust_target --crate-type cdylib -D warnings \
    -C opt-level=s -C lto -C codegen-units=1 -C panic=abort -C strip=symbols \
    -C link-arg=-zstack-size=65536 --remap-path-prefix="$PWD"=. \
    -o "$out/rust/mounts_and_secrets.wasm" rust/mounts_and_secrets.rs
}

# The compiler is kept, by the digest of what pins it.
build_assemblyscript() {
  local pins dir
  pins=$(cat assemblyscript/package.json assemblyscript/package-lock.json | sha256sum | cut -c 1-16)
  dir=${XDG_CACHE_HOME:-$HOME/.cache}/nri-guard/assemblyscript-$pins
  if ! [ -x "$dir/node_modules/.bin/asc" ]; then
    mkdir -p "$dir"
    cp assemblyscript/package.json assemblyscript/package-lock.json "$dir"
    npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund
  fi
  "$dir/node_modules/.bin/asc" assemblyscript/mounts_and_secrets.ts -O --runtime stub --use abort= \
    -o "$out/assemblyscript/mounts_and_secrets.wasm"
}

build_go() {
  GOOS=wasip1 GOARCH=wasm go build -trimpath -buildvcs=false -ldflags='-s -w' "${go_mode[$1]}" \
    -o "$out/$1/mounts_and_secrets.wasm" "./$1"
}

declare -A go_mode=([go]=-buildmode=c-shared [command]=-buildmode=exe)

main
