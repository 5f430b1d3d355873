"""What kube-proxy programs on a node, as text: pure functions of the API's objects, the node and the mode.

The rules are those of Kubernetes 1.31 to 1.33 with kubeadm's settings: ``--cluster-cidr`` set, masquerade bit 14,
NodePorts on every local address in iptables mode and on the node's first address in nftables mode.
"""
