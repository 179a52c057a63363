# One target a service: router, edge, portkey, demo. Each holds what its service needs and nothing else.
# The build secrets (pip_conf, npmrc, ca) are for builders behind a mirror or a proxy; nobody else sets them.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
ARG NODE_IMAGE=node:20-slim

FROM ${PYTHON_IMAGE} AS python-base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN groupadd --system --gid 10001 app && useradd --system --uid 10001 --gid app --no-create-home app

FROM python-base AS router-packages
COPY requirements/router_service.txt requirements.txt
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m pip install --quiet --no-cache-dir --root-user-action=ignore --require-hashes --only-binary :all: \
    --target /packages -r requirements.txt && python3 -m compileall -q /packages

FROM python-base AS edge-packages
COPY requirements/edge_gateway.txt requirements.txt
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m pip install --quiet --no-cache-dir --root-user-action=ignore --require-hashes --only-binary :all: \
    --target /packages -r requirements.txt && python3 -m compileall -q /packages

FROM python-base AS demo-packages
COPY requirements/demo.txt requirements.txt
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m pip install --quiet --no-cache-dir --root-user-action=ignore --require-hashes --only-binary :all: \
    --target /packages -r requirements.txt && python3 -m compileall -q /packages

FROM python-base AS router
COPY --from=router-packages /packages /packages
ENV PYTHONPATH=/packages
COPY protos protos
COPY router_service router_service
RUN python3 -m compileall -q protos router_service
USER app
ENV ROUTER_LISTEN=0.0.0.0:50051
EXPOSE 50051
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=5 CMD ["python3", "-m", "router_service.probe"]
CMD ["python3", "-m", "router_service"]

FROM python-base AS edge
COPY --from=edge-packages /packages /packages
ENV PYTHONPATH=/packages
COPY protos protos
COPY edge_gateway edge_gateway
RUN python3 -m compileall -q protos edge_gateway
USER app
ENV EDGE_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=5 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=5)"]
CMD ["python3", "-m", "edge_gateway"]

FROM python-base AS demo
COPY --from=demo-packages /packages /packages
ENV PYTHONPATH=/packages
COPY demo demo
RUN python3 -m compileall -q demo
USER app
ENV DEMO_LISTEN=0.0.0.0:8090
EXPOSE 8090
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=5 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8090/healthz', timeout=5)"]
CMD ["python3", "-m", "demo"]

FROM ${NODE_IMAGE} AS portkey
WORKDIR /app
COPY portkey/package.json portkey/package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca.crt; fi; \
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && rm -rf /root/.npm
COPY portkey/preload.mjs portkey/admission.mjs portkey/destinations.mjs portkey/workers.mjs ./
USER 10001:10001
# The container's own network decides who reaches it: it has no authentication of its own.
ENV NODE_ENV=production PORTKEY_HOST=0.0.0.0
EXPOSE 8787
HEALTHCHECK --interval=5s --timeout=10s --start-period=30s --retries=5 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8787/').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--import", "./preload.mjs", "node_modules/@portkey-ai/gateway/build/start-server.js", "--headless", "--port=8787"]
