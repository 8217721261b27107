#!/usr/bin/env bash
# Builds the example validators with Debian's toolchains and npm's, installing what is
# missing, which takes root.
#
#   wasm-examples/build.sh            each beside its source
#   wasm-examples/build.sh DIRECTORY  as DIRECTORY/LANGUAGE/mounts_and_secrets.wasm
#
# The same sources give the same bytes on every machine: compilers are those of Debian 12
# and of package-lock.json, and no module holds names or paths of the machine.
set -euo pipefail
cd "$(dirname "$0")"
name=mounts_and_secrets.wasm
out=$(realpath -m "${1:-.}")

# Another rustc may come first in PATH.
rustc=/usr/bin/rustc
rust_target=wasm32-unknown-unknown

main() {
  install_packages
  mkdir -p "$out"/{c,rust,assemblyscript,go,command}
  (cd c && build_c)
  (cd rust && build_rust)
  (cd assemblyscript && build_assemblyscript)
  (cd go && build_go c-shared "$out/go/$name")
  (cd command && build_go exe "$out/command/$name")
  chmod 644 "$out"/*/"$name" # compilers differ in what they take for executable
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

# A stack that lies below everything else ends in a trap, not in the data. Memory has a
# maximum, of 8 MiB in all languages.
build_c() {
  clang --version | head -n 1
  clang --target=wasm32 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -mbulk-memory \
    -Wl,--no-entry,--strip-all,--stack-first,-z,stack-size=8192,--max-memory=8388608 \
    -o "$out/c/$name" mounts_and_secrets.c
}

build_rust() {
  $rustc --version
  $rustc --edition 2021 --target $rust_target --crate-type cdylib -D warnings \
    -C opt-level=s -C lto -C codegen-units=1 -C panic=abort -C strip=symbols \
    -C link-arg=-zstack-size=65536 -C link-arg=--max-memory=8388608 \
    -o "$out/rust/$name" mounts_and_secrets.rs
}

# The compiler is kept, by the digest of what pins it.
build_assemblyscript() {
  local pins compiler
  pins=$(cat package.json package-lock.json | sha256sum | cut -c 1-16)
  compiler=${XDG_CACHE_HOME:-$HOME/.cache}/nri-guard/assemblyscript-$pins
  if ! [ -x "$compiler/node_modules/.bin/asc" ]; then
    mkdir -p "$compiler"
    cp package.json package-lock.json "$compiler"
    npm ci --prefix "$compiler" --ignore-scripts --no-audit --no-fund
  fi
  echo "asc $("$compiler/node_modules/.bin/asc" --version)"
  "$compiler/node_modules/.bin/asc" mounts_and_secrets.ts -O --runtime stub --use abort= --maximumMemory 128 \
    -o "$out/assemblyscript/$name"
}

build_go() {
  GOOS=wasip1 GOARCH=wasm go build -trimpath -buildvcs=false -ldflags='-s -w' -buildmode="$1" -o "$2" .
}

main
