# Sourced by the recipes of images: fetches Debian's packages into a cache outside the checkout.

debs="${XDG_CACHE_HOME:-$HOME/.cache}/the-cloud/debs"

# fetch_packages PACKAGE...: these and all that they need. Their files are in $debs, and the file `wanted` has their names.
fetch_packages() {
    # As for a machine with no packages at all, so that everything that is needed comes, whatever is installed here.
    mkdir -p "$debs/partial" names/partial
    : > status
    apt_install() {
        apt-get -qq -y -o Dir::State::status="$PWD/status" -o Debug::NoLocking=1 -o APT::Install-Recommends=0 \
            -o APT::Keep-Downloaded-Packages=1 -o DPkg::Post-Invoke::= -o APT::Sandbox::User=root "$@"
    }
    # The names of all of them: what is in the cache already would be left out.
    apt_install -o Dir::Cache::archives="$PWD/names" --print-uris install "$@" 2> /dev/null \
        | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" > wanted
    apt_install -o Dir::Cache::archives="$debs" -d install "$@" > apt.log 2>&1 && [ -s wanted ] || {
        tail -n 5 apt.log >&2
        echo "error: the packages can't be fetched; apt-get update may help" >&2
        exit 1
    }
}
