"""What a container is: engines, processes, namespaces and control groups, joined."""
