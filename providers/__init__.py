"""The dynamic providers, one package per system; `kit` is the one place that knows Pulumi's dynamic contract."""
