"""Stands in for vic-machine 1.1.1, 1.5.6 and a 1.5.7 build: knows vSphere and the files it is given, nothing else."""
