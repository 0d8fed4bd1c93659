"""What Flux' kustomize-controller sends for each object that it keeps: a dry run of its apply, what earlier managers
left behind taken over by a JSON patch of managedFields, the apply, looks at the status, and deletion with propagation.
"""
import copy

from wire import Wire, until

wire = Wire("kustomize-controller/v1.7.0")
OWNER = "fieldManager=kustomize-controller&force=true"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
APPROVED = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


def thing(api_version, kind, name, namespace=None, **parts):
    metadata = {"name": name, "labels": APPROVED, "creationTimestamp": None}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def kept(path, wanted):
    """Makes an object as wanted. Returns it, and whether anything was to do."""
    before = wire.send("GET", path)
    predicted = wire.apply(path, wanted, f"dryRun=All&{OWNER}")
    if before.status == 404:
        assert wire.send("GET", path).status == 404, "a dry run makes nothing"
        return wire.apply(path, wanted, OWNER), True
    before = before.json()
    if patch := adoption(before):
        before = wire.ask("PATCH", f"{path}?{OWNER.split('&')[0]}", patch, type="application/json-patch+json").json()
        predicted = wire.apply(path, wanted, f"dryRun=All&{OWNER}")
    same = all(before.get(part) == predicted.get(part) for part in ("spec", "data"))
    same &= all(before["metadata"].get(part) == predicted["metadata"].get(part) for part in ("labels", "annotations"))
    return (before, False) if same else (wire.apply(path, wanted, OWNER), True)


def adoption(live):
    """The patch by which what kubectl wrote becomes what Flux applied."""
    entries = []
    for entry in copy.deepcopy(live["metadata"]["managedFields"]):
        if entry["manager"].startswith("kubectl") and not entry.get("subresource"):
            entry |= {"manager": "kustomize-controller", "operation": "Apply"}
        entries.append(entry)
    if entries == live["metadata"]["managedFields"]:
        return []
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}]
    if LAST_APPLIED in live["metadata"].get("annotations", {}):
        patch.append({"op": "remove", "path": "/metadata/annotations/" + LAST_APPLIED.replace("/", "~1")})
    return patch


def stages():
    """Definitions and namespaces first, until they are ready; then what is in them."""
    group = "flux.example.com"
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Box", "plural": "boxes"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    definition = thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"boxes.{group}", spec=spec)
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boxes.{group}"
    assert kept(path, definition)[1]
    box = f"/apis/{group}/v1/namespaces/shop/boxes/b"
    wanted = thing(f"{group}/v1", "Box", "b", "shop", spec={"size": 2})

    def established():
        # Null until the names are looked at, as upstream has it.
        conditions = wire.get(path).get("status", {}).get("conditions") or []
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    until("the kind to be established", established)
    refusal = wire.ask("PATCH", f"{box}?dryRun=All&{OWNER}", wanted, type="application/apply-patch+yaml", expect=404)
    assert refusal.json()["message"] == 'namespaces "shop" not found', refusal.body
    assert kept("/api/v1/namespaces/shop", thing("v1", "Namespace", "shop"))[1]
    made, changed = kept(box, wanted)
    assert changed and made["spec"] == {"size": 2}
    # Nothing to do: neither time, nor revision, nor generation move, also where it applies anyway.
    for _ in range(2):
        same, changed = kept(box, wanted)
        assert not changed and same == made
    assert wire.apply(box, wanted, OWNER) == made
    assert not kept(path, definition)[1]
    assert kept(box, thing(f"{group}/v1", "Box", "b", "shop", spec={}))[0]["spec"] == {"size": 1}


def adopts():
    """What kubectl applied becomes Flux', and what Flux doesn't want of it goes."""
    path = "/api/v1/namespaces/shop/configmaps/settings"
    by_kubectl = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "annotations": {LAST_APPLIED: "{}"}},
        "data": {"old": "1", "both": "1"},
    }
    maps = path.rsplit("/", 1)[0]
    wire.ask("POST", f"{maps}?fieldManager=kubectl-client-side-apply", by_kubectl)
    wire.ask("PATCH", f"{path}?fieldManager=hand", {"data": {"hand": "1"}}, type="application/merge-patch+json")
    adopted, changed = kept(path, thing("v1", "ConfigMap", "settings", "shop", data={"both": "2"}))
    assert changed and adopted["data"] == {"both": "2", "hand": "1"}, adopted
    assert LAST_APPLIED not in adopted["metadata"].get("annotations", {}), adopted
    managers = [(entry["manager"], entry["operation"]) for entry in adopted["metadata"]["managedFields"]]
    assert sorted(managers) == [("hand", "Update"), ("kustomize-controller", "Apply")], managers
    body = thing("v1", "ConfigMap", "settings", "shop")
    body["metadata"]["managedFields"] = adopted["metadata"]["managedFields"]
    refusal = wire.ask("PATCH", f"{path}?{OWNER}", body, type="application/apply-patch+yaml", expect=400)
    assert "metadata.managedFields must be nil" in refusal.json()["message"], refusal.body
    # A patch of an older state is refused: the revision in it is a condition.
    stale = [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}]
    wire.ask("PATCH", path, stale, type="application/json-patch+json", expect=409)


def machines_and_the_end():
    """A machine becomes current, as kstatus reads it; then all goes, and is waited for."""
    api = "thecloud.dev/v1alpha1"
    path = f"/apis/{api}/namespaces/shop/instances/web"
    web = thing(api, "Instance", "web", "shop", spec={"image": "busybox:stable", "instanceType": "nano"})
    assert kept(path, web)[1]

    def current():
        live = wire.get(path)
        status = live.get("status", {})
        ready = [c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"]
        return status.get("observedGeneration") == live["metadata"]["generation"] and ready == ["True"]

    until("the machine to be current", current)
    same, changed = kept(path, web)
    assert not changed, "what the controller wrote is no drift"
    managers = {entry["manager"] for entry in same["metadata"]["managedFields"]}
    assert managers == {"kustomize-controller", "the-cloud-controller"}, managers
    event = {
        "metadata": {"generateName": "shop-", "namespace": "shop"},
        "involvedObject": {"apiVersion": api, "kind": "Instance", "name": "web", "namespace": "shop"},
        "reason": "ReconciliationSucceeded",
        "message": "done",
        "type": "Normal",
    }
    wire.ask("POST", "/api/v1/namespaces/shop/events", event)
    gone = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    for each in (path, "/api/v1/namespaces/shop/configmaps/settings", "/api/v1/namespaces/shop"):
        wire.ask("DELETE", each, gone)
    until("the namespace to be gone", lambda: wire.send("GET", "/api/v1/namespaces/shop").status == 404)
    assert wire.send("GET", path).status == 404


stages()
adopts()
machines_and_the_end()
print("all is well")
