"""The daemon of a data site: observes, decides by one numbered table, acts only for its own site.

It never commands another site. What the sites share are records in etcd; what keeps the data safe
is the commit quorum of the databases, not the controller being alive.
"""
