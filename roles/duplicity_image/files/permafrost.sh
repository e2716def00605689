#!/bin/sh
# The container's own program; its code is beside the modules' in /opt/permafrost. Links to it are the commands of the
# guide's container.
name=${0##*/}
[ "$name" = permafrost ] || set -- guide "$name" "$@"
export PYTHONPATH=/opt/permafrost PYTHONSAFEPATH=1
exec python3 -m permafrost "$@"
