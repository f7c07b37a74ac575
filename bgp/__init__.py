"""Routes and stances. A leaf: knows nothing of sites, epochs' owners, etcd or databases."""
