"""Single requests, for what other programs are known to send word by word."""
import json
import time

import urllib3
from kubernetes import client, config


class Answer:
    def __init__(self, response):
        self.code = response.status
        self.headers = response.headers
        self.body = response.data

    def json(self):
        return json.loads(self.body)


class Wire:
    """The server that the kubeconfig names."""

    def __init__(self, user_agent):
        settings = client.Configuration()
        config.load_kube_config(client_configuration=settings)
        self.host = settings.host
        token = next(iter(settings.api_key.values()))
        token = token if token.startswith("Bearer ") else f"Bearer {token}"
        self.headers = {"Authorization": token, "User-Agent": user_agent}
        self.pool = urllib3.PoolManager(ca_certs=settings.ssl_ca_cert, maxsize=64)

    def send(self, method, path, body=None, type="application/json", accept="application/json", stream=False):
        headers = {**self.headers, "Accept": accept}
        if body is not None:
            headers["Content-Type"] = type
            body = json.dumps(body)
        return self.pool.request(method, self.host + path, body=body, headers=headers, preload_content=not stream)

    def ask(self, method, path, body=None, expect=(200, 201), **more):
        """The answer, which must have one of these codes."""
        answer = Answer(self.send(method, path, body, **more))
        expect = (expect,) if isinstance(expect, int) else expect
        assert answer.code in expect, (method, path, answer.code, answer.body[:2000])
        return answer

    def get(self, path, **more):
        return self.ask("GET", path, **more).json()

    def apply(self, path, body, query, **more):
        return self.ask("PATCH", f"{path}?{query}", body, type="application/apply-patch+yaml", **more).json()

    def watch(self, path):
        """The events of a watch, until the server ends it."""
        response = self.send("GET", path, stream=True)
        assert response.status == 200, (path, response.status, response.read()[:2000])
        rest = b""
        for chunk in response.stream():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines if line)
        assert rest == b"", (path, rest)

    def resources(self):
        """Everything that is served, as (path below the root, resource)."""
        versions = [f"/api/{version}" for version in self.get("/api")["versions"]]
        for group in self.get("/apis")["groups"]:
            versions.append("/apis/" + group["preferredVersion"]["groupVersion"])
        for version in versions:
            for resource in self.get(version)["resources"]:
                yield version, resource


def until(what, look):
    """Waits until `look` finds something, and returns it."""
    limit = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < limit, f"waited for {what}"
        time.sleep(0.05)
    return found
