"""What holds on a device, and what its steps take beside a plain loop: parts of `benchmarks/gpu.sh`."""
