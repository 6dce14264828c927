"""Benchmarks: ``python -m tests.benchmarks.bench_kernels`` prints one JSON object a line."""
