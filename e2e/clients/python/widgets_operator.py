"""An operator made with kopf: a ConfigMap for each Widget, a status, events, a timer, and a farewell."""
import kopf
from kubernetes import client, config

GROUP = "kopf.example.com"


@kopf.on.startup()
def configure(settings, **_):
    config.load_kube_config()
    settings.watching.server_timeout = 60
    # Its progress is kept in annotations only: the kind's schema has no place for it in the status.
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage()


@kopf.on.create(GROUP, "v1", "widgets")
def created(spec, name, namespace, meta, patch, body, retry, **_):
    child = {"metadata": {"name": f"{name}-card"}, "data": {"color": spec["color"]}}
    kopf.adopt(child)
    if retry == 0:
        raise kopf.TemporaryError("not at the first try", delay=0.1)
    client.CoreV1Api().create_namespaced_config_map(namespace, child)
    kopf.event(body, type="Normal", reason="Carded", message=f"{name} has a card")
    patch.status["observedGeneration"] = meta["generation"]
    patch.status["conditions"] = [{"type": "Ready", "status": "True", "reason": "Carded"}]


@kopf.on.update(GROUP, "v1", "widgets", field="spec.color")
def recolored(name, namespace, meta, old, new, patch, **_):
    client.CoreV1Api().patch_namespaced_config_map(f"{name}-card", namespace, {"data": {"color": new, "was": old}})
    patch.status["observedGeneration"] = meta["generation"]


@kopf.on.delete(GROUP, "v1", "widgets")
def deleted(name, namespace, **_):
    # kopf calls a handler again when the object changed before it saw its own word about the first call.
    try:
        client.CoreV1Api().create_namespaced_config_map(namespace, {"metadata": {"name": f"{name}-was-here"}})
    except client.ApiException as error:
        if error.status != 409:
            raise


@kopf.timer(GROUP, "v1", "widgets", interval=0.3)
def counted(status, patch, **_):
    patch.status["replicas"] = status.get("replicas", 0) + 1


@kopf.index("configmaps")
def cards(name, body, **_):
    return {name: body.get("data", {}).get("color")}


@kopf.on.event("configmaps", labels={"watched": "yes"})
def seen(name, type, cards, logger, **_):
    logger.info(f"saw {type} of {name} among {len(cards)}")
