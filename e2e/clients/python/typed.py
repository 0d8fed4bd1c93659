"""The typed clients: core kinds, definitions, custom objects, patches of every type, watches.

Reads the definition of the kind Widget from standard input.
"""
import sys
import time

import yaml
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

config.load_kube_config()
core = client.CoreV1Api()
definitions = client.ApiextensionsV1Api()
custom = client.CustomObjectsApi()


def refused(status, reason, call, *args, **kwargs):
    """The call fails with this status and reason."""
    try:
        got = call(*args, **kwargs)
    except ApiException as error:
        assert error.status == status and f'"reason":"{reason}"' in error.body, (status, reason, error)
        return error
    raise AssertionError(f"should have been refused with {status} {reason}: {got}")


def until(what, look):
    """Waits until `look` is true."""
    limit = time.monotonic() + 20
    while not look():
        assert time.monotonic() < limit, f"waited for {what}"
        time.sleep(0.05)


def core_kinds():
    assert client.VersionApi().get_code().git_version.startswith("v1.")
    assert "thecloud.dev" in [group.name for group in client.ApisApi().get_api_versions().groups]
    assert "configmaps" in [resource.name for resource in core.get_api_resources().resources]
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="typed")))
    assert core.read_namespace("typed").status.phase == "Active"
    for number in range(5):
        core.create_namespaced_config_map(
            "typed",
            client.V1ConfigMap(
                metadata=client.V1ObjectMeta(name=f"c{number}", labels={"odd": str(number % 2)}), data={"n": str(number)}
            ),
        )
    refused(409, "AlreadyExists", core.create_namespaced_config_map, "typed", {"metadata": {"name": "c1"}})
    refused(404, "NotFound", core.read_namespaced_config_map, "none", "typed")

    first = core.list_namespaced_config_map("typed", limit=2)
    rest = core.list_namespaced_config_map("typed", limit=9, _continue=first.metadata._continue)
    assert first.metadata.remaining_item_count == 3
    assert [item.metadata.name for item in first.items + rest.items] == ["c0", "c1", "c2", "c3", "c4"]
    assert len(core.list_config_map_for_all_namespaces(label_selector="odd=1").items) == 2
    assert len(core.list_namespaced_config_map("typed", field_selector="metadata.name=c3").items) == 1
    assert core.list_namespaced_secret("typed").items == []

    # The client's own choice of patch is strategic for a dict, JSON patch for a list.
    changed = core.patch_namespaced_config_map("c0", "typed", {"data": {"m": "1", "n": None}})
    assert changed.data == {"m": "1"}
    changed = core.patch_namespaced_config_map("c0", "typed", [{"op": "add", "path": "/data/k", "value": "2"}])
    assert changed.data == {"m": "1", "k": "2"}
    whole = core.read_namespaced_config_map("c0", "typed")
    whole.data = {"x": "y"}
    core.replace_namespaced_config_map("c0", "typed", whole)
    refused(409, "Conflict", core.replace_namespaced_config_map, "c0", "typed", whole)

    secret = client.V1Secret(metadata=client.V1ObjectMeta(generate_name="s-"), string_data={"key": "hunter2"})
    made = core.create_namespaced_secret("typed", secret)
    assert made.metadata.name.startswith("s-") and made.data == {"key": "aHVudGVyMg=="}
    body = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    refused(409, "Conflict", core.delete_namespaced_secret, made.metadata.name, "typed", body=body)
    core.delete_namespaced_secret(made.metadata.name, "typed", propagation_policy="Background")
    core.delete_collection_namespaced_config_map("typed", label_selector="odd=1")
    left = [item.metadata.name for item in core.list_namespaced_config_map("typed").items]
    assert left == ["c0", "c2", "c4"], left


def a_kind(definition):
    """Returns how the custom objects' calls name the kind."""
    definitions.create_custom_resource_definition(definition)
    name = definition["metadata"]["name"]

    def established():
        conditions = definitions.read_custom_resource_definition(name).status.conditions or []
        return any(condition.type == "Established" and condition.status == "True" for condition in conditions)

    until("the kind to be served", established)
    assert name in [item.metadata.name for item in definitions.list_custom_resource_definition().items]
    return {"group": definition["spec"]["group"], "version": "v1", "plural": "widgets", "namespace": "typed"}


def custom_objects(kind):
    def widget(name, **spec):
        return {"apiVersion": f"{kind['group']}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}

    created = custom.create_namespaced_custom_object(**kind, body=widget("w", color="red"))
    assert created["spec"]["replicas"] == 1 and created["metadata"]["generation"] == 1
    pink = widget("bad", color="pink")
    refused(422, "Invalid", custom.create_namespaced_custom_object, **kind, body=pink)
    merged = custom.patch_namespaced_custom_object(**kind, name="w", body={"spec": {"color": "blue"}})
    assert merged["spec"]["color"] == "blue" and merged["metadata"]["generation"] == 2
    operations = [{"op": "replace", "path": "/spec/color", "value": "green"}]
    json_patch = "application/json-patch+json"
    patched = custom.patch_namespaced_custom_object(**kind, name="w", body=operations, _content_type=json_patch)
    assert patched["spec"]["color"] == "green"
    status = custom.patch_namespaced_custom_object_status(**kind, name="w", body={"status": {"replicas": 3}})
    assert status["status"] == {"replicas": 3} and status["metadata"]["generation"] == 3
    scale = custom.get_namespaced_custom_object_scale(**kind, name="w")
    assert scale["spec"] == {"replicas": 1} and scale["status"]["replicas"] == 3
    custom.patch_namespaced_custom_object_scale(**kind, name="w", body={"spec": {"replicas": 4}})
    whole = custom.get_namespaced_custom_object(**kind, name="w")
    assert whole["spec"]["replicas"] == 4
    whole["spec"]["color"] = "red"
    custom.replace_namespaced_custom_object(**kind, name="w", body=whole)
    refused(409, "Conflict", custom.replace_namespaced_custom_object, **kind, name="w", body=whole)
    assert len(custom.list_namespaced_custom_object(**kind, field_selector="spec.color=red")["items"]) == 1
    custom.delete_namespaced_custom_object(**kind, name="w")
    refused(404, "NotFound", custom.get_namespaced_custom_object, **kind, name="w")


def watches(kind):
    """A watch goes on from a list; one from an old revision says so, and the client starts anew."""
    listed = core.list_namespaced_config_map("typed")
    core.patch_namespaced_config_map("c2", "typed", {"data": {"seen": "yes"}})
    core.delete_namespaced_config_map("c4", "typed")
    seen = []
    stream = watch.Watch()
    for event in stream.stream(
        core.list_namespaced_config_map,
        "typed",
        resource_version=listed.metadata.resource_version,
        allow_watch_bookmarks=True,
        timeout_seconds=20,
    ):
        assert isinstance(event["object"], client.V1ConfigMap), event
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 2:
            stream.stop()
    assert seen == [("MODIFIED", "c2"), ("DELETED", "c4")], seen

    # Without a revision: what is there, then what comes, until the time that was asked for is over.
    began = time.monotonic()
    seen = [
        (event["type"], event["object"].metadata.name)
        for event in watch.Watch().stream(core.list_namespaced_config_map, "typed", timeout_seconds=1)
    ]
    assert seen == [("ADDED", "c0"), ("ADDED", "c2")] and time.monotonic() - began < 10, seen
    objects = watch.Watch().stream(custom.list_namespaced_custom_object, **kind, timeout_seconds=1)
    assert [event["type"] for event in objects] == []


def endings():
    core.delete_namespace("typed")

    def gone():
        try:
            core.read_namespace("typed")
        except ApiException as error:
            return error.status == 404
        return False

    until("the namespace to go", gone)


core_kinds()
kind = a_kind(yaml.safe_load(sys.stdin))
custom_objects(kind)
watches(kind)
endings()
print("all is well")
