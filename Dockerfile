# The app in a container, with all it keeps in the volume /data:
#   docker build -t cnnviz . && docker run --rm -p 127.0.0.1:8501:8501 -v cnnviz:/data cnnviz
# It was written by reading and checked by hadolint; it has not been built yet. PyTorch for Linux brings NVIDIA's
# libraries, some gigabytes.
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir "build>=1.3,<2" \
    && python -m build --wheel --outdir /wheels

FROM python:3.11-slim-bookworm
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt "$(ls /wheels/*.whl)[postgres]" \
    && useradd --create-home --uid 1000 cnnviz \
    && install --directory --owner=cnnviz /data
USER 1000
WORKDIR /data
ENV CNNVIZ_HOME=/data PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8501
HEALTHCHECK --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://localhost:8501/_stcore/health', timeout=5)"]
CMD ["cnnviz", "app", "--address", "0.0.0.0", "--port", "8501", "--", "--server.headless", "true"]
