"""The third site: looks at both data sites from outside, keeps the transaction logs, breaks ties.

It never acts on a data site.
"""
