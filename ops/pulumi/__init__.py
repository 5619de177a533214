"""Pulumi's command line and plugins for machines without them: found, installed or built, for `ops setup`."""
