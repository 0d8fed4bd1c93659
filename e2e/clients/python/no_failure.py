"""What schemathesis looks for: an answer that says that the server failed.

Upstream answers some mistakes of a client with 500 and a Status without a reason, and so does this server: clients are
used to the sentence. Everything else from 500 on is a failure of the server.
"""

import schemathesis


@schemathesis.check
def no_failure_of_the_server(ctx, response, case):
    if response.status_code < 500:
        return
    try:
        status = response.json()
    except ValueError:
        status = {}
    is_upstreams = response.status_code == 500 and status.get("kind") == "Status" and "reason" not in status
    if not is_upstreams:
        raise AssertionError(f"{response.status_code}: {response.text[:1000]}")


@schemathesis.hook
def filter_query(ctx, query):
    """What goes on until the client has enough is not asked for."""
    return not any(name in (query or {}) for name in ("watch", "follow"))


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    """Most of what is made up is meant for a namespace that exists, or nothing behind that question would be reached."""
    if "namespace" in (path_parameters or {}):
        path_parameters["namespace"] = "default"
    return path_parameters
