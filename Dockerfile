FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --require-hashes --requirement requirements.lock
# Install the build backend with hashes as well; an isolated build would download it without checking them.
RUN awk '/^[a-z]/ {keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} keep' requirements-dev.lock \
    > build.lock && pip install --require-hashes --requirement build.lock
# Build the console with a Node that stays in this stage. Docker caches this layer until the frontend sources change.
COPY frontend frontend
RUN pip install --require-hashes --requirement frontend/node.lock && python frontend/build.py
COPY pyproject.toml hatch_build.py README.md LICENSE alembic.ini ./
COPY alembic alembic
COPY src src
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/venv/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data monitor \
    && install --directory --owner monitor --group monitor /data /backups
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MM_DATABASE_URL=sqlite:////data/machine-monitor.db \
    MM_HOST=0.0.0.0
WORKDIR /data
VOLUME /data
# A numeric user: Kubernetes cannot check `runAsNonRoot` for a user name.
USER 10001:10001
EXPOSE 8000
# Ignore proxies from the environment: for a proxy, 127.0.0.1 is another machine.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s CMD ["python", "-c", "\
import os, urllib.request as u; \
u.build_opener(u.ProxyHandler({})).open(f'http://127.0.0.1:{os.getenv(\"MM_PORT\", \"8000\")}/healthz', timeout=2)"]
# As long as no administrator has a password, the container's log shows the link to set one.
CMD ["mm", "serve"]
