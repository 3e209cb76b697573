"""What all benchmarks share: clients, servers, percentiles, reports."""
