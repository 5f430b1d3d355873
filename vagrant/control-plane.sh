#!/bin/bash
# Makes the first node the control plane, installs flannel, and offers the others a way to join. May be run again.
# Environment: NODE_ADDRESS, FLANNEL (address of kube-flannel.yml)
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf

if [ ! -e "$KUBECONFIG" ]; then
    kubeadm init --apiserver-advertise-address "$NODE_ADDRESS" --pod-network-cidr 10.244.0.0/16
fi

# flanneld must take the private network's NIC, not the one of the default route.
nic=$(ip -o -4 address show to "$NODE_ADDRESS" | awk '{print $2}')
curl -fsSL "$FLANNEL" |
    sed "s/^\( *\)- --kube-subnet-mgr\$/&\n\1- --iface=$nic/" >/root/kube-flannel.yml
grep -q -- "--iface=$nic" /root/kube-flannel.yml
kubectl apply -f /root/kube-flannel.yml

# The others ask for this over the private network; only on it, and only while the cluster is put together.
install -d -m 0755 /run/netfs-join
kubeadm token create --ttl 2h --print-join-command >/run/netfs-join/join
systemctl is-active --quiet netfs-join ||
    systemd-run --unit netfs-join --property RuntimeMaxSec=2h --property DynamicUser=yes \
        python3 -m http.server --bind "$NODE_ADDRESS" --directory /run/netfs-join 8099

install -d -o vagrant -g vagrant -m 0700 /home/vagrant/.kube
install -o vagrant -g vagrant -m 0600 "$KUBECONFIG" /home/vagrant/.kube/config
