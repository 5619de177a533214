"""Benches: speed, measured beside a peer in one run; one module a bench, run by `python -m bench NAME`."""
