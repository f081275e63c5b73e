"""How fast pushd is, and what it costs, beside others: `make bench` runs it all and writes docs/benchmarks."""
