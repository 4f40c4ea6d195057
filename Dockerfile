FROM python:3.13-slim

WORKDIR /labelgraph
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
COPY api api
COPY schema schema
COPY db db
COPY examples examples

RUN useradd --create-home labelgraph && install -d -o labelgraph -g labelgraph -m 700 /data
USER labelgraph
VOLUME /data
ENV LABELGRAPH_DATA=/data LABELGRAPH_HOST=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz')"]
ENTRYPOINT ["python", "-m", "api"]
CMD ["serve"]
