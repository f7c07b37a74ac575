"""What people are told: which events there are, when one has happened, and in which words.

Pure: a situation and what is known of the ones before, in; events out. Nothing here decides a role.
"""
