# CPU:  docker build -t loop-studio:cpu .
# GPU:  docker build -t loop-studio:cuda --build-arg TORCH=cuda .     (the wheels bundle CUDA)
# Add --build-arg EXTRA='psycopg[binary]==3.3.9' for a PostgreSQL database.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
ARG TORCH=cpu
ARG EXTRA=

RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*

ENV PATH=/opt/venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY requirements.txt ./
COPY .ci/install .ci/
RUN python3 -m venv /opt/venv \
    && .ci/install python "$TORCH" requirements.txt \
    && if [ -n "$EXTRA" ]; then python -m pip install -q "$EXTRA"; fi \
    && { python -m compileall -q -j 0 /opt/venv/lib || true; }  # its user may write nothing there

COPY LICENSE app.py ./
COPY loop_studio loop_studio
COPY migrations migrations
COPY static static
# Files keep the modes of the checkout; weights that someone trained may be private to them.
RUN chmod -R a+rX /app && python -m compileall -q app.py loop_studio migrations

# Any user id with group 0 may run it, as some clusters demand; by default it is 1000.
RUN useradd --uid 1000 --gid 0 --no-create-home --home-dir /data studio \
    && install -d -o 1000 -g 0 -m 2775 /data
USER 1000
VOLUME /data

ENV LOOP_STUDIO_DATA=/data \
    LOOP_STUDIO_HOST=0.0.0.0 \
    LOOP_STUDIO_PORT=7860 \
    HOME=/data \
    HF_HOME=/data/hf \
    HF_HUB_DISABLE_TELEMETRY=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_TEMP_DIR=/data/tmp \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
EXPOSE 7860

# The first SIGTERM lets the worker finish its step and write; give it time (compose.yaml does).
STOPSIGNAL SIGTERM
# Healthy means: the database is at head, a worker beats, and its accelerator computes.
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s CMD ["python", "-c", \
    "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['LOOP_STUDIO_PORT'] + '/healthz?require=worker', timeout=4)"]
ENTRYPOINT ["tini", "--", "python", "app.py"]
