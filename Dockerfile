# The server: web, workers, beat, migrate and buckets are one image with different commands (docker-compose.yml).
# It holds what requirements-server.lock names and nothing for development, the demonstration or the embedded services,
# and no secret: the settings of the build are inert, those of a container come from its environment.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /opt/assay
COPY requirements-server.lock ./
RUN /opt/venv/bin/python -m pip install --only-binary :all: --require-hashes -r requirements-server.lock
COPY manage.py ./
COPY config config
COPY registry registry
COPY lineage lineage
COPY lifecycle lifecycle
COPY protocols protocols
COPY console console
COPY templates templates
RUN ASSAY_SETTINGS=build ASSAY_STATIC_ROOT=/opt/assay/static /opt/venv/bin/python manage.py collectstatic --noinput --verbosity 0
RUN /opt/venv/bin/python -m compileall -q config registry lineage lifecycle protocols console

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin assay
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/assay /opt/assay
WORKDIR /opt/assay
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=config.settings ASSAY_STATIC_ROOT=/opt/assay/static
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=12 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=5)"]
CMD ["gunicorn", "config.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "75", "--timeout", "120", "--no-control-socket", "--worker-tmp-dir", "/tmp"]
