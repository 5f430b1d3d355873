"""API objects that several sources tell: each counts once."""

from __future__ import annotations

from netfs.model.kubernetes import EndpointSlice, Kubernetes, NetworkPolicy, Service, SliceEndpoint
from netfs.sources.objects import joined

WEB, DNS = Service("web", cluster_ips=("10.96.0.10",)), Service("dns", cluster_ips=("10.96.0.11",))
BACKEND = EndpointSlice("web", endpoints=(SliceEndpoint("10.244.1.2"),))
ONE = Kubernetes((WEB,), (BACKEND,), (NetworkPolicy("deny"),), {"default": {"team": "a"}})


def test_what_two_files_of_one_cluster_tell_is_told_once() -> None:
    """Else a Service would have each of its endpoints twice."""
    assert joined([ONE, None, ONE]) == ONE


def test_each_source_adds_what_it_knows_and_the_first_word_on_an_object_stands() -> None:
    later = Kubernetes(
        (Service("web"), DNS), (), (NetworkPolicy("deny", namespace="team"),), {"default": {}, "team": {}}
    )
    both = joined([ONE, later])
    assert both is not None
    assert both.services == (WEB, DNS)
    assert [(each.namespace, each.name) for each in both.network_policies] == [("default", "deny"), ("team", "deny")]
    assert both.namespaces == {"default": {"team": "a"}, "team": {}}


def test_nobody_knows_of_objects() -> None:
    assert joined([None, None]) is None
