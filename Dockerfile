FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --require-hashes --requirement requirements.lock
# The build backend by its hashes too: an isolated build would fetch it without.
RUN awk '/^[a-z]/ {keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} keep' requirements-dev.lock \
    > build.lock && pip install --require-hashes --requirement build.lock
# The console, by a Node that stays in this stage; rebuilt when its sources change, and not with the code.
COPY frontend frontend
RUN pip install --require-hashes --requirement frontend/node.lock && python frontend/build.py
COPY pyproject.toml hatch_build.py README.md LICENSE alembic.ini ./
COPY alembic alembic
COPY src src
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/venv/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data monitor \
    && install --directory --owner monitor --group monitor /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MM_DATABASE_URL=sqlite:////data/machine-monitor.db \
    MM_HOST=0.0.0.0
WORKDIR /data
VOLUME /data
# By number: an orchestrator that demands a user other than root cannot look a name up.
USER 10001:10001
EXPOSE 8000
# Past any proxy that the environment names: it knows another 127.0.0.1.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s CMD ["python", "-c", "\
import os, urllib.request as u; \
u.build_opener(u.ProxyHandler({})).open(f'http://127.0.0.1:{os.getenv(\"MM_PORT\", \"8000\")}/healthz', timeout=2)"]
# While no admin has a password, the container's log shows the link that makes one.
CMD ["mm", "serve"]
