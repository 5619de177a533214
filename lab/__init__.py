"""The embedded site: real parts and stand-ins on loopback, driven like any other site, for tests and a first look."""
