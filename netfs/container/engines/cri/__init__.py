"""The Kubernetes Container Runtime Interface (CRI), as containerd and CRI-O serve it."""
