# The service on the CPU: docker build -t cleanplate . && docker run -p 8750:8750 -e CLEANPLATE_TOKEN=... cleanplate
FROM python:3.12-slim-bookworm AS base

# For .devcontainer/: the tools of the tests; `make` brings the rest.
FROM base AS dev
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates ffmpeg git libimage-exiftool-perl make nodejs npm strace \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home --shell /bin/bash dev
USER 1000

FROM base AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN python -m venv /opt/cleanplate \
    && /opt/cleanplate/bin/python -m pip install --no-cache-dir --disable-pip-version-check '.[serve]'

FROM base
COPY --from=build /opt/cleanplate /opt/cleanplate
# The volume belongs to the user that the service runs as.
RUN useradd --system --uid 10001 --no-create-home cleanplate \
    && install -d -o cleanplate -g cleanplate /data
ENV PATH=/opt/cleanplate/bin:$PATH \
    CLEANPLATE_HOME=/data/models \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8750
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8750/healthz', timeout=4)"]
ENTRYPOINT ["cleanplate"]
CMD ["serve", "--host", "0.0.0.0", "--folder", "/data/service"]
