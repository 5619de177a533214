"""The kit: the one place that knows Pulumi's dynamic contract; a provider is a few methods on top of it."""
