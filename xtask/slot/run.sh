#!/bin/sh
# Runs `slot` from what pack.sh put beside this file, on a machine that has a GPU's driver and nothing of ours.
# Arguments are those of `slot`:  sh run.sh --seconds 540 --out results
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gzip -dc "$here/xtask-engines.gz" > "$work/xtask-engines"
chmod +x "$work/xtask-engines"
cp "$here/libvulkan.so.1" "$work"

# NVRTC comes with CUDA, or with Python packages of NVIDIA's.
folders=$work
for found in $(find -L /usr/local /opt /usr/lib -maxdepth 9 -name 'libnvrtc.so.*' -not -path '*/stubs/*' 2> /dev/null); do
    folders=$folders:$(dirname "$found")
done
[ ! -d /usr/local/nvidia/lib64 ] || folders=$folders:/usr/local/nvidia/lib64
export LD_LIBRARY_PATH="$folders${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# A driver that is mounted into a container is not where Vulkan's loader looks.
mounted=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -e $mounted ] && ! ls /etc/vulkan/icd.d/nvidia* /usr/share/vulkan/icd.d/nvidia* > /dev/null 2>&1; then
    export VK_DRIVER_FILES=$mounted
fi
export XDG_RUNTIME_DIR="$work" QUANTLOOM_CACHE="$work/cache"
"$work/xtask-engines" slot "$@"
