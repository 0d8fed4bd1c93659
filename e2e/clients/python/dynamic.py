"""The dynamic client: discovery, server-side apply, watches; and what is built on the clients: create_from_yaml, an
informer, an election by a Lease.

Reads the definition of the kind Widget from standard input.
"""
import os
import sys
import threading
import time

import yaml
from kubernetes import client, config, dynamic, utils
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, ResourceNotFoundError
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

config.load_kube_config()
api = client.ApiClient()
dynamic_client = dynamic.DynamicClient(api)


def until(what, look):
    limit = time.monotonic() + 20
    while not look():
        assert time.monotonic() < limit, f"waited for {what}"
        time.sleep(0.05)


def discovery_and_apply(definition):
    utils.create_from_dict(api, definition)
    group = definition["spec"]["group"]

    def served():
        try:
            return dynamic_client.resources.get(api_version=f"{group}/v1", kind="Widget")
        except ResourceNotFoundError:
            return None

    until("the kind to be found", served)
    widgets = served()
    assert widgets.namespaced and widgets.singular_name == "widget" and "status" in widgets.subresources
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"color": "red"}}
    made = widgets.server_side_apply(body=body, namespace="default", field_manager="one")
    assert made.spec.replicas == 1 and made.metadata.managedFields[0].operation == "Apply"
    body["spec"]["color"] = "blue"
    try:
        widgets.server_side_apply(body=body, namespace="default", field_manager="two")
        raise AssertionError("should have been a conflict")
    except ConflictError as error:
        assert 'conflict with \\"one\\": .spec.color' in str(error.body), error.body
    taken = widgets.server_side_apply(body=body, namespace="default", field_manager="two", force_conflicts=True)
    assert taken.spec.color == "blue"
    status = widgets.status.patch(
        name="w", namespace="default", body={"status": {"replicas": 2}}, content_type="application/merge-patch+json"
    )
    assert status.status.replicas == 2
    names = [item.metadata.name for item in widgets.get(namespace="default", label_selector="!none").items]
    assert names == ["w"], names
    for event in widgets.watch(namespace="default", timeout=20, resource_version=taken.metadata.resourceVersion):
        assert event["type"] == "MODIFIED" and event["object"].status.replicas == 2, event
        break
    widgets.delete(name="w", namespace="default", body={"propagationPolicy": "Foreground"})

    def gone():
        try:
            widgets.get(name="w", namespace="default")
        except NotFoundError:
            return True
        return False

    until("the deletion in the foreground", gone)


def informer():
    from kubernetes.informer import SharedInformer

    core = client.CoreV1Api()
    seen = []
    shared = SharedInformer(list_func=core.list_namespaced_config_map, namespace="default")
    for event in ("ADDED", "MODIFIED", "DELETED"):
        shared.add_event_handler(event, lambda thing, event=event: seen.append((event, thing.metadata.name)))
    shared.start()
    core.create_namespaced_config_map("default", {"metadata": {"name": "informed"}})
    until("the informer to see it", lambda: ("ADDED", "informed") in seen)
    core.patch_namespaced_config_map("informed", "default", {"data": {"a": "1"}})
    until("the informer to see the change", lambda: ("MODIFIED", "informed") in seen)
    core.delete_namespaced_config_map("informed", "default")
    until("the informer to see the end", lambda: ("DELETED", "informed") in seen)
    shared.stop()


def election():
    """Of two candidates one leads; when it ends, the other does."""
    led = []
    stop = {"first": threading.Event(), "second": threading.Event()}

    def candidate(name):
        def lead(*_):
            led.append(name)

        lock = LeaseLock("leader", "default", name)
        settings = electionconfig.Config(
            lock, lease_duration=3, renew_deadline=2, retry_period=1, onstarted_leading=lead, onstopped_leading=lambda: None
        )
        candidate = leaderelection.LeaderElection(settings)
        renew = candidate.try_acquire_or_renew
        # A candidate that is to end takes part no more, as if its process was killed.
        candidate.try_acquire_or_renew = lambda: not stop[name].is_set() and renew()
        threading.Thread(target=candidate.run, daemon=True).start()

    candidate("first")
    until("the first to lead", lambda: led == ["first"])
    candidate("second")
    lease = client.CoordinationV1Api().read_namespaced_lease("leader", "default")
    assert lease.spec.holder_identity == "first" and lease.spec.renew_time, lease
    stop["first"].set()
    until("the second to lead", lambda: led == ["first", "second"])
    assert client.CoordinationV1Api().read_namespaced_lease("leader", "default").spec.holder_identity == "second"


discovery_and_apply(yaml.safe_load(sys.stdin))
informer()
election()
print("all is well", flush=True)
# The informer's and the candidates' threads run on: ended with them, the interpreter may crash.
os._exit(0)
