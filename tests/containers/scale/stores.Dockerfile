# Redis and PostgreSQL of Debian's own, for a machine that can pull no image; they forget everything.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS redis
RUN apt-get update -qq && apt-get install -yqq --no-install-recommends redis-server >/dev/null && rm -rf /var/lib/apt/lists/*
USER redis
CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]

FROM ${PYTHON_IMAGE} AS postgresql
RUN apt-get update -qq && apt-get install -yqq --no-install-recommends postgresql >/dev/null && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/lib/postgresql/*/bin /opt/postgresql
USER postgres
RUN /opt/postgresql/initdb -D /var/lib/postgresql/scale -U router -E UTF8 --auth=trust --no-sync >/dev/null \
    && echo "host all all all trust" >>/var/lib/postgresql/scale/pg_hba.conf
CMD ["/opt/postgresql/postgres", "-D", "/var/lib/postgresql/scale", "-c", "listen_addresses=*", "-c", "fsync=off"]
