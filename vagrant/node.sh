#!/bin/bash
# What every node needs: containerd, kubelet, kubeadm, and the sysctls of a node. May be run again.
# Environment: NODE_ADDRESS (this node's address on the private network), KUBERNETES (address of the deb repository)
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

swapoff --all
sed -i '/\sswap\s/d' /etc/fstab

printf '%s\n' overlay br_netfilter vxlan >/etc/modules-load.d/kubernetes.conf
modprobe --all overlay br_netfilter vxlan
cat >/etc/sysctl.d/90-kubernetes.conf <<'SYSCTL'
net.ipv4.ip_forward = 1
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
SYSCTL
sysctl --quiet --system

apt-get update -q
apt-get install -q -y ca-certificates curl gnupg containerd containernetworking-plugins \
    conntrack ethtool graphviz ipset iptables make nftables python3-venv socat

# kubelet looks for plugins in /opt/cni/bin; Debian keeps them in /usr/lib/cni.
mkdir -p /opt/cni/bin
for plugin in /usr/lib/cni/*; do
    ln -sf "$plugin" /opt/cni/bin/
done

mkdir -p /etc/containerd
containerd config default |
    sed -e 's/SystemdCgroup = false/SystemdCgroup = true/' \
        -e 's#bin_dir = .*#bin_dir = "/opt/cni/bin"#' >/etc/containerd/config.toml
systemctl restart containerd

repository=$KUBERNETES
mkdir -p /etc/apt/keyrings
curl -fsSL "$repository/Release.key" | gpg --dearmor --yes -o /etc/apt/keyrings/kubernetes.gpg
echo "deb [signed-by=/etc/apt/keyrings/kubernetes.gpg] $repository/ /" >/etc/apt/sources.list.d/kubernetes.list
apt-get update -q
apt-get install -q -y kubelet kubeadm kubectl
apt-mark hold kubelet kubeadm kubectl

# The first NIC is the provider's NAT, with the same address on every node: say which one is meant.
echo "KUBELET_EXTRA_ARGS=--node-ip=$NODE_ADDRESS" >/etc/default/kubelet
systemctl restart kubelet
