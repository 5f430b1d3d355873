"""Every namespace of a kernel, of all eight types: who is in it, what keeps it alive, to whom it belongs.

ioctls        what nsfs answers: owner, parent, the next mount namespace
found         what was found of each, and the ways in which it can be opened
mountinfo     mounts of nsfs in a text
pins          mounts of nsfs, in the mount namespace of any process
descriptors   files that processes have open
relations     owner, parent, number; user and PID namespaces that are only owners and parents
unseen        mount namespaces that no process has, and what is pinned in them
read          all of it together
"""
