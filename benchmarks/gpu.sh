#!/usr/bin/env bash
# What a GPU gives, in a few minutes: bash benchmarks/gpu.sh OUT
#
# From a checkout, on a machine with torch, torchvision, NumPy, SciPy and scikit-learn; Ray, Optuna and MLflow need not
# be there. Each step leaves OUT/<step>.log when it ends, and is left out when it is there: an interrupted run goes on.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: bash benchmarks/gpu.sh OUT}
mkdir -p "$out"

step() {
    local name=$1
    shift
    [ -e "$out/$name.log" ] && return
    timeout 180 "$@" >"$out/$name.part" 2>&1 || echo "$name: exit code $?" | tee -a "$out/$name.part"
    mv "$out/$name.part" "$out/$name.log"
}

step device python -c 'import torch; print(torch.__version__, torch.version.cuda, torch.cuda.get_device_properties(0))'
# What must hold of single trials, resumed ones, bf16, torch.compile, the Hessian, populations and full memory.
step checks python -m benchmarks.device.checks
for workload in mlp/digits cnn/digits resnet8/digits gpt-nano/stdlib; do
    step "${workload/\//-}" python -m phitune.trainables.population --bench "$workload"
done
step vit-tiny-cifar10 python -m phitune.trainables.population --bench vit-tiny/cifar10 --synthetic
step resnet18-cifar10 python -m phitune.trainables.population --bench resnet18/cifar10 --synthetic --precision bf16
# A trial's steps beside a plain loop, channels_last, torch.compile and CUDA graphs.
step plain-resnet18 python -m benchmarks.device.plain_loop resnet18/cifar10 --precision bf16
step plain-mlp python -m benchmarks.device.plain_loop mlp/digits
step plain-gpt-nano python -m benchmarks.device.plain_loop gpt-nano/stdlib
# The same workloads, also against 4 to 16 processes on the GPU.
step processes python -m benchmarks.population --out "$out"
