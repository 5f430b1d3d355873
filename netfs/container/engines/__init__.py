"""Who runs containers here: Docker, Podman and CRI, asked at their sockets."""
