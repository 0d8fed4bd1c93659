"""Takes single files out of an archive, however deep in archives of archives they lie.

    unpack.py ARCHIVE DIRECTORY NAME=END...

writes the file whose path ends in END as DIRECTORY/NAME, executable.
"""
import io
import os
import sys
import tarfile
import zipfile


def members(blob):
    """The names of an archive's files, each with a function that reads it."""
    if zipfile.is_zipfile(io.BytesIO(blob)):
        archive = zipfile.ZipFile(io.BytesIO(blob))
        return [(name, lambda name=name: archive.read(name)) for name in archive.namelist()]
    archive = tarfile.open(fileobj=io.BytesIO(blob))
    return [(m.name, lambda m=m: archive.extractfile(m).read()) for m in archive if m.isfile()]


def take(blob, folder, wanted):
    """Writes what is found here or below, and removes it from `wanted`."""
    inner = []
    for name, read in members(blob):
        for target, end in list(wanted.items()):
            if name.endswith(end):
                path = os.path.join(folder, target)
                with open(path, "wb") as file:
                    file.write(read())
                os.chmod(path, 0o755)
                del wanted[target]
        if name.endswith((".zip", ".tgz", ".tar.gz")):
            inner.append(read)
    for read in inner:
        if wanted:
            take(read(), folder, wanted)


def main():
    archive, folder, *pairs = sys.argv[1:]
    wanted = dict(pair.split("=", 1) for pair in pairs)
    with open(archive, "rb") as file:
        take(file.read(), folder, wanted)
    if wanted:
        sys.exit(f"error: {archive} has no {', '.join(wanted.values())}")


main()
