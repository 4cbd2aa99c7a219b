# syntax=docker/dockerfile:1
# StyleFlow Live in a container: three stages, a user without rights, health checked by the server.
#
#   docker build -t styleflow-live .                                  CPU
#   docker build -t styleflow-live --build-arg ACCELERATOR=cuda .     CUDA (run with --gpus all)
#
# The CPU build wants torch's CPU wheels, which live on an index of their own: pass its address
# with --build-arg PIP_EXTRA_INDEX_URL=… (pytorch.org, "Get started", names it).

FROM node:20-bookworm-slim AS dashboard
WORKDIR /src/web/dashboard
COPY web/dashboard/package.json web/dashboard/package-lock.json web/dashboard/.npmrc ./
RUN npm ci
COPY web/dashboard ./
RUN npm run build

FROM python:3.11-slim-bookworm AS build
ARG ACCELERATOR=cpu
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/styleflow
ENV PATH=/opt/styleflow/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# Torch first: the largest layer, and the only one that differs between the two builds.
RUN set -eu; \
    torch="$(grep '^torch==' constraints.txt)"; \
    case "$ACCELERATOR" in \
      cpu)  pip install -c constraints.txt "${torch}+cpu" || { \
              echo "No CPU build of torch was found: pass --build-arg PIP_EXTRA_INDEX_URL=…"; exit 1; } ;; \
      cuda) pip install -c constraints.txt "$torch" ;; \
      *)    echo "ACCELERATOR must be cpu or cuda, not $ACCELERATOR"; exit 1 ;; \
    esac
COPY pyproject.toml README.md LICENSE ./
COPY styleflow styleflow
# Evidence carries the model card, which styleflow/weights links to.
COPY docs/model-card.md docs/model-card.md
COPY stream stream
COPY web web
COPY --from=dashboard /src/web/static/dashboard web/static/dashboard
COPY cli cli
# PostgreSQL as the store, the past as Parquet, and Ray for workers on many machines.
RUN grep -v '^torch==' constraints.txt > /tmp/constraints.txt \
    && pip install -c /tmp/constraints.txt '.[cluster,postgres,parquet]'
RUN STYLEFLOW_CACHE=/opt/styleflow/models styleflow models fetch

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin styleflow \
    && install -d -o styleflow /data
COPY --from=build /opt/styleflow /opt/styleflow
# KubeRay starts `ray` from a login shell, which knows the system's own folders alone.
RUN ln -s /opt/styleflow/bin/ray /usr/local/bin/ray
COPY configs /etc/styleflow
ENV PATH=/opt/styleflow/bin:$PATH \
    STYLEFLOW_CACHE=/opt/styleflow/models \
    XDG_DATA_HOME=/data \
    STYLEFLOW__LOG__FORMAT=json \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    PYTHONUNBUFFERED=1
USER styleflow
# Event numbers are counted here across restarts; give it a volume that is kept.
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
# A container is reached from outside, so it binds every address; that needs a token (see README).
ENTRYPOINT ["styleflow"]
CMD ["serve", "--host", "0.0.0.0"]
