#!/bin/sh
# The container's own program; its code is beside the modules' in /opt/permafrost.
export PYTHONPATH=/opt/permafrost PYTHONSAFEPATH=1
exec python3 -m permafrost "$@"
