"""The lab's topology file, run in plain Linux network namespaces."""
