# One target a service: router, edge, portkey, demo. Each holds what its service needs and nothing else.
# The build secrets (pip_conf, npmrc, ca) are for builders behind a mirror or a proxy; nobody else sets them.
# The same sources on the same base images come to the same layers: all files that are added bear one time, modes that do not
# depend on the builder's umask, and byte code that names no time. When an image was made its labels say (`make dist`).
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
ARG NODE_IMAGE=node:20-slim

FROM ${PYTHON_IMAGE} AS python-base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

FROM python-base AS python-build
# The sources cannot change in an image, so that byte code need not be compared with them.
RUN printf '%s\n' '#!/bin/sh -e' \
    'PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash "$1"' \
    'chmod -R u=rwX,go=rX "$1"' \
    'find "$1" -exec touch --no-dereference --date=@1580601600 {} +' >/usr/local/bin/settle && chmod 755 /usr/local/bin/settle

FROM python-build AS router-packages
COPY requirements/router_service.txt /requirements.txt
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m pip install --quiet --no-cache-dir --root-user-action=ignore --require-hashes --only-binary :all: \
    --no-compile --target /packages -r /requirements.txt && settle /packages

FROM python-build AS edge-packages
COPY requirements/edge_gateway.txt /requirements.txt
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m pip install --quiet --no-cache-dir --root-user-action=ignore --require-hashes --only-binary :all: \
    --no-compile --target /packages -r /requirements.txt && settle /packages

FROM python-build AS demo-packages
COPY requirements/demo.txt /requirements.txt
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m pip install --quiet --no-cache-dir --root-user-action=ignore --require-hashes --only-binary :all: \
    --no-compile --target /packages -r /requirements.txt && settle /packages

FROM python-build AS router-app
COPY protos /app/protos
COPY router_service /app/router_service
RUN settle /app

FROM python-build AS edge-app
COPY protos /app/protos
COPY edge_gateway /app/edge_gateway
RUN settle /app

FROM python-build AS demo-app
COPY demo /app/demo
RUN settle /app

FROM python-base AS router
COPY --from=router-packages /packages /packages
COPY --from=router-app /app /app
WORKDIR /app
ENV PYTHONPATH=/packages
# By number: a name would have to be written to /etc, with the day.
USER 10001:10001
ENV ROUTER_LISTEN=0.0.0.0:50051
EXPOSE 50051
LABEL org.opencontainers.image.title="aider-model-router: router" org.opencontainers.image.licenses="Apache-2.0"
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=5 CMD ["python3", "-m", "router_service.probe"]
CMD ["python3", "-m", "router_service"]

FROM python-base AS edge
COPY --from=edge-packages /packages /packages
COPY --from=edge-app /app /app
WORKDIR /app
ENV PYTHONPATH=/packages
USER 10001:10001
ENV EDGE_LISTEN=0.0.0.0:8080
EXPOSE 8080 8081
LABEL org.opencontainers.image.title="aider-model-router: edge gateway" org.opencontainers.image.licenses="Apache-2.0"
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=5 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=5)"]
CMD ["python3", "-m", "edge_gateway"]

FROM python-base AS demo
COPY --from=demo-packages /packages /packages
COPY --from=demo-app /app /app
WORKDIR /app
ENV PYTHONPATH=/packages
USER 10001:10001
ENV DEMO_LISTEN=0.0.0.0:8090
EXPOSE 8090
LABEL org.opencontainers.image.title="aider-model-router: demo models" org.opencontainers.image.licenses="Apache-2.0"
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=5 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8090/healthz', timeout=5)"]
CMD ["python3", "-m", "demo"]

FROM ${NODE_IMAGE} AS portkey-app
WORKDIR /app
COPY portkey/package.json portkey/package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca.crt; fi; \
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY portkey/preload.mjs portkey/admission.mjs portkey/destinations.mjs portkey/workers.mjs ./
RUN chmod -R u=rwX,go=rX /app && find /app -exec touch --no-dereference --date=@1580601600 {} +

FROM ${NODE_IMAGE} AS portkey
COPY --from=portkey-app /app /app
WORKDIR /app
USER 10001:10001
# The container's own network decides who reaches it: it has no authentication of its own.
ENV NODE_ENV=production PORTKEY_HOST=0.0.0.0
EXPOSE 8787
LABEL org.opencontainers.image.title="aider-model-router: Portkey gateway" org.opencontainers.image.licenses="Apache-2.0"
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=5 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8787/').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--import", "./preload.mjs", "node_modules/@portkey-ai/gateway/build/start-server.js", "--headless", "--port=8787"]
