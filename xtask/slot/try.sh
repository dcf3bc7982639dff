#!/usr/bin/env bash
# Tries what pack.sh packed as on a foreign machine: in an empty folder with an empty environment, on software
# Vulkan and on the library that stands in for CUDA's driver and compiler.
# Arguments are those of `slot`, and kernels can be made wrong or never to end by parts of their names:
#   STAND_IN_WRONG=matvec_i8 STAND_IN_NEVER=dequant_f16 xtask/slot/try.sh --seconds 120
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
mkdir "$place/drivers" "$place/carried"
g++ -std=c++17 -O1 -shared -fPIC -fvisibility=hidden "-DQL_SHIM=\"$root/runtime/src/hip_host/shim.h\"" '-DQL_CXX="g++"' \
    -o "$place/drivers/libcuda.so" "$root/tests/src/stand_in/driver.cpp"
ln -s libcuda.so "$place/drivers/libnvrtc.so"
cp "$root"/target/slot/* "$place/carried"
cd "$place"
echo "in $place"
env -i PATH=/usr/bin:/bin LD_LIBRARY_PATH="$place/drivers" \
    STAND_IN_NEVER="${STAND_IN_NEVER-}" STAND_IN_WRONG="${STAND_IN_WRONG-}" sh carried/run.sh --device cuda,wgpu --out results "$@"
