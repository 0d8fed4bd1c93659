"""What Argo CD sends: its cluster cache (the document of all types, in protobuf; a list and a watch of everything that
says it can be listed and watched), its reviews of access, its comparison and its sync.
"""
import threading

import yaml
from wire import Wire, until

wire = Wire("argocd-application-controller/v3.3.0")
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def fields(message):
    """The fields of a protobuf message, as (number, value); what has a length is bytes."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        match key & 7:
            case 0:
                yield key >> 3, number()
            case 1:
                at += 8
            case 2:
                length = number()
                assert at + length <= len(message), "a field is longer than its message"
                yield key >> 3, message[at : at + length]
                at += length
            case 5:
                at += 4
            case other:
                raise AssertionError(f"wire type {other}")


def one(message, number):
    """The last field of this number."""
    found = None
    for key, value in fields(message):
        if key == number:
            found = value
    return found


def references(schema):
    """Every `$ref` of a gnostic Schema, at any depth."""
    for number, value in fields(schema):
        if number == 1:
            yield value.decode()
        elif number == 21:  # additionalProperties: a schema or a boolean
            inner = one(value, 1)
            if inner is not None:
                yield from references(inner)
        elif number == 23:  # items
            for _, inner in fields(value):
                yield from references(inner)
        elif number == 24:  # allOf
            yield from references(value)
        elif number == 25:  # properties
            for _, named in fields(value):
                yield from references(one(named, 2))


def types_of_the_document():
    """Fetches the document as Argo CD does, and returns the kinds that it has a type of."""
    answer = wire.ask("GET", "/openapi/v2", accept=PROTOBUF)
    assert answer.headers["content-type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    definitions = {}
    for part, value in fields(answer.body):
        for _, named in fields(value) if part == 9 else ():
            definitions[one(named, 1).decode()] = one(named, 2)
    kinds = []
    for name, schema in definitions.items():
        for reference in references(schema):
            assert reference.removeprefix("#/definitions/") in definitions, f"{name} refers to {reference}"
        for number, value in fields(schema):
            if number == 31 and one(value, 1) == b"x-kubernetes-group-version-kind":
                text = one(one(value, 2), 2)
                kinds += [(kind["group"], kind["version"], kind["kind"]) for kind in yaml.safe_load(text)]
    assert len(kinds) == len(set(kinds)), "no kind has two types"
    return set(kinds)


def cluster_cache():
    """A list in pages and a watch from its revision, of everything."""
    known = types_of_the_document()
    failures = []
    watched = []

    def follow(version, resource):
        path = f"{version}/{resource['name']}"
        try:
            revision = None
            query = "?limit=500"
            while True:
                page = wire.get(path + query)
                assert isinstance(page["items"], list), page
                revision = page["metadata"]["resourceVersion"]
                assert revision not in ("", "0"), page["metadata"]
                if not page["metadata"].get("continue"):
                    break
                query = f"?limit=500&continue={page['metadata']['continue']}"
            query = f"?watch=true&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion={revision}"
            for event in wire.watch(path + query):
                assert event["type"] in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"), event
                assert event["object"]["metadata"]["resourceVersion"], event
                watched.append((event["type"], event["object"]["kind"], event["object"]["metadata"].get("name")))
        except Exception as error:
            failures.append((path, error))

    followers = []
    for version, resource in wire.resources():
        assert resource["verbs"], resource
        if "/" in resource["name"] or not {"list", "watch"} <= set(resource["verbs"]):
            continue
        group, _, number = version.removeprefix("/apis/").removeprefix("/api/").rpartition("/")
        assert (group, number, resource["kind"]) in known, f"{resource['kind']} of {version} has no type"
        follower = threading.Thread(target=follow, args=(version, resource))
        follower.start()
        followers.append(follower)
    vpc = {"apiVersion": "thecloud.dev/v1alpha1", "kind": "Vpc", "metadata": {"name": "seen"}, "spec": {}}
    wire.ask("POST", "/apis/thecloud.dev/v1alpha1/namespaces/default/vpcs", vpc)
    for follower in followers:
        follower.join()
    assert not failures, failures
    assert ("ADDED", "Vpc", "seen") in watched, watched
    assert len(followers) >= 10, len(followers)


def reviews():
    """The cache asks of each kind whether it may list it."""
    for resource, group in [("configmaps", ""), ("instances", "thecloud.dev"), ("widgets", "nowhere.example.com")]:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"namespace": "*", "verb": "list", "group": group, "resource": resource}},
        }
        answer = wire.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, expect=201).json()
        assert answer["status"]["allowed"] is True, answer


def sync():
    """Compares by a dry run, applies, finds itself in sync, and prunes what is no longer wanted."""
    path = "/apis/thecloud.dev/v1alpha1/namespaces/default/instances/web"
    manager = "fieldManager=argocd-controller"
    tracking = {"argocd.argoproj.io/tracking-id": "shop:thecloud.dev/Instance:default/web"}
    wanted = {
        "apiVersion": "thecloud.dev/v1alpha1",
        "kind": "Instance",
        "metadata": {"name": "web", "annotations": tracking},
        "spec": {"image": "busybox:stable", "instanceType": "nano"},
    }
    predicted = wire.apply(path, wanted, f"dryRun=All&{manager}&force=true")
    wire.ask("GET", path, expect=404)
    wire.apply(path, wanted, f"{manager}&force=true&fieldValidation=Strict")

    def healthy():
        live = wire.get(path)
        ready = [c for c in live.get("status", {}).get("conditions", []) if c["type"] == "Ready"]
        return live if ready and ready[0]["status"] == "True" else None

    live = until("the machine to be healthy", healthy)
    assert live["spec"] == predicted["spec"], (live["spec"], predicted["spec"])
    again = wire.apply(path, wanted, f"dryRun=All&{manager}&force=true")
    for part in ("spec", "status"):
        assert again[part] == live[part], (again[part], live[part])
    # Somebody changes what it owns and what it doesn't: only the first is out of sync.
    drift = {"spec": {"image": "other:1"}, "metadata": {"labels": {"by": "hand"}}}
    wire.ask("PATCH", path + "?fieldManager=hand", drift, type="application/merge-patch+json")
    healed = wire.apply(path, wanted, f"{manager}&force=true")
    assert healed["spec"]["image"] == "busybox:stable" and healed["metadata"]["labels"] == {"by": "hand"}
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
    wire.ask("DELETE", path, options)
    until("the machine to be pruned", lambda: wire.send("GET", path).status == 404)


assert wire.get("/version")["gitVersion"].startswith("v1.")
cluster_cache()
reviews()
sync()
print("all is well")
