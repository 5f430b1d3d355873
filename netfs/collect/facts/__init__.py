"""One process in full: who it is, what it may do, what it sees. Standard library and ``netfs.model`` only.

privileges    users, capabilities, seccomp, security modules: by status and attr
capabilities  their names
inside        a file below a process's root, never outside it
resolver      what resolv.conf and hosts say
whence        where a file of its root comes from
attempts      what is said of readings that are refused
read          all of it
"""

from netfs.collect.facts.read import Facts, facts

__all__ = ["Facts", "facts"]
