# Web app, workers and command line in one image; docs/cloud.md says how to run it.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
# onnxruntime, or onnxruntime-gpu for the build of it that has the CUDA provider.
ARG ONNXRUNTIME=onnxruntime
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY constraints/cpu.txt constraints/
COPY front front/
COPY src src/
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
RUN python -m venv /opt/dopascope \
 && /opt/dopascope/bin/pip install --no-cache-dir -c constraints/cpu.txt "$(ls /wheels/*.whl)[web]" "psycopg[binary]>=3.2" \
 && case "$ONNXRUNTIME" in \
      onnxruntime) ;; \
      onnxruntime-gpu) \
        /opt/dopascope/bin/pip uninstall --yes onnxruntime \
        && /opt/dopascope/bin/pip install --no-cache-dir "onnxruntime-gpu[cuda,cudnn]>=1.21" ;; \
      *) echo "ONNXRUNTIME is onnxruntime or onnxruntime-gpu, not $ONNXRUNTIME" >&2; exit 2 ;; \
    esac \
 && /opt/dopascope/bin/dopascope --version

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin dopascope \
 && install --directory --mode 0700 --owner dopascope --group dopascope /data
COPY --from=build /opt/dopascope /opt/dopascope
COPY LICENSE NOTICE /usr/share/doc/dopascope/
# The root file system may be read-only: only /data and /tmp are written to.
ENV PATH=/opt/dopascope/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4).close()"]
ENTRYPOINT ["dopascope"]
# This answers inside the container alone. Others reach it by TLS: --host 0.0.0.0 --behind-proxy --trusted-host NAME.
CMD ["serve", "--data", "/data", "--models-dir", "/data/models"]
