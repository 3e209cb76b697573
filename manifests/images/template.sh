#!/bin/sh
# Makes the cluster directory that new databases are copied from, owned by root, as initdb's last
# word leaves it: template.sh FOLDER_OF_BINARIES TARGET
set -eu

binaries=$1 target=$2

# initdb refuses root, and asks for the name of whoever runs it.
install --directory --mode 700 --owner postgres --group postgres "$target"
setpriv --reuid postgres --regid postgres --clear-groups --reset-env \
    "$binaries/initdb" --pgdata="$target" --username=torpor_admin --auth=peer --encoding=UTF8 \
    --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 --data-checksums \
    --no-instructions
chown --recursive root:root "$target"
