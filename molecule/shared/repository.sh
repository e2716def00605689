#!/bin/sh
# repository.sh PLACE   a git repository with a Dockerfile of several stages, as the guide's container has one.
set -eu
git init --quiet --initial-branch=main "$1"
cd "$1"
cat >Dockerfile <<'END'
ARG BASE
FROM permafrost/duplicity:latest AS base
LABEL stage=base
FROM base AS docker-s3
COPY marker /marker
FROM base AS postgres-s3
RUN exit 1
END
echo "from git" >marker
git add --all
git -c user.name=lab -c user.email=lab@example.org commit --quiet --message "Two stages"
git tag v1
