"""The stack to compare with: Patroni, etcd, haproxy and ExaBGP, in the lab's own topology."""
