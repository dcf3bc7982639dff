#!/usr/bin/env bash
# Packs what `slot` needs on a machine with a GPU and nothing else, into target/slot: the program, stripped and
# compressed, and Vulkan's loader. Prints how much travels and what to run there.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=target/slot
limit=$((60 << 20))

cargo build --release --package xtask --features engines --bin xtask-engines
rm -rf $folder
mkdir -p $folder
strip --strip-all -o $folder/xtask-engines target/release/xtask-engines
gzip -9 $folder/xtask-engines
cp xtask/slot/run.sh $folder

loader=$(ldconfig -p | awk '/libvulkan\.so\.1 .*x86-64/ { print $NF; exit }')
if [ -n "$loader" ]; then
    cp -L "$loader" $folder/libvulkan.so.1
else
    part=$(mktemp -d)
    (cd "$part" && apt-get download --quiet libvulkan1 && dpkg-deb --extract libvulkan1_*.deb .)
    cp -L "$part"/usr/lib/x86_64-linux-gnu/libvulkan.so.1 $folder
    rm -r "$part"
fi

bytes() { awk '{ sum += $1 } END { print sum + 0 }'; }
tree=$(git ls-files --cached --others --exclude-standard -z | xargs -0 stat --format=%s 2> /dev/null | bytes)
carried=$(find $folder -type f -printf '%s\n' | bytes)
mib() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'; }
echo
find $folder -type f -printf '%10s  %p\n'
echo "the folder $(mib "$carried"), the checked-in tree $(mib "$tree"), together $(mib $((tree + carried)))"
if [ $((tree + carried)) -gt $limit ]; then
    echo "error: together they must stay under $(mib $limit)" >&2
    exit 1
fi
echo "carry $folder, and run there:"
echo
echo "    sh $folder/run.sh --seconds 540 --out results"
